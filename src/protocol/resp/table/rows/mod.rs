//! The rows, a file for each family.

mod connection;
mod keys;
mod server;
mod shapes;
mod strings;
mod system;
mod transaction;

use super::CommandSpec;

/// All rows, the busiest families first.
const PARTS: [&[CommandSpec]; 6] = [
    strings::ROWS,
    keys::ROWS,
    connection::ROWS,
    transaction::ROWS,
    server::ROWS,
    system::ROWS,
];

/// How many commands there are.
pub(super) const COUNT: usize = {
    let mut count = 0;
    let mut part = 0;
    while part < PARTS.len() {
        count += PARTS[part].len();
        part += 1;
    }
    count
};

/// The rows one after the other.
pub(super) const ALL: [CommandSpec; COUNT] = {
    let mut all = [PARTS[0][0]; COUNT];
    let (mut part, mut count) = (0, 0);
    while part < PARTS.len() {
        let mut row = 0;
        while row < PARTS[part].len() {
            all[count] = PARTS[part][row];
            count += 1;
            row += 1;
        }
        part += 1;
    }
    all
};
