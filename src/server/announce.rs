//! The line that says that ringfort serves, and where.

use std::io::{self, Write};

use super::Fleet;
use crate::config::Config;

/// The one line that says where clients can connect.
pub(super) fn announce(configs: &[Config], fleets: &[Fleet]) {
    let mut line = String::from("ringfort ready: ");
    for fleet in fleets {
        for (name, address) in [("memcache", fleet.memcache), ("resp", fleet.resp)] {
            if let Some(address) = address {
                line += &format!("{name} {address}, ");
            }
        }
    }
    let shards = configs
        .iter()
        .map(|config| config.cores.len())
        .sum::<usize>();
    let plural = if shards == 1 { "" } else { "s" };
    let memory_bytes = configs.iter().map(|config| config.memory_bytes).sum();
    line += &format!("{shards} shard{plural}, {}", human(memory_bytes));
    // Who does not read it has decided so.
    let _ = writeln!(io::stdout(), "{line}");
    let _ = io::stdout().flush();
}

/// Bytes in the largest binary unit that divides them.
fn human(bytes: usize) -> String {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes >= 1 << shift && bytes.is_multiple_of(1 << shift) {
            return format!("{} {unit}", bytes >> shift);
        }
    }
    format!("{bytes} B")
}
