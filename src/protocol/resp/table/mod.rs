//! The commands there are: names, arities, what they do, where their keys stand. One table drives
//! lookup, arity checks, COMMAND's replies, and the questions whether something is written and
//! which keys it is about.
//!
//! Rows are those of Redis 7.0.15 (`COMMAND INFO` and, in `docs/`, `COMMAND DOCS`); two subcommands
//! are 7.2's: CLIENT SETINFO, which libraries send unasked, and CLIENT NO-TOUCH.

mod bits;
mod command;
mod docs;
mod encode;
mod foreign;
mod help;
mod index;
mod keys;
mod rows;

pub use self::{
    command::Command,
    docs::encode_docs,
    encode::encode_info,
    foreign::{Feed, Foreign, Never, Relay, RelayError, Way},
    help::encode_help,
    keys::{KeyPositions, KeySpec, encode_keys},
};
use index::Index;

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct CommandSpec {
    /// Which one it is.
    pub command: Command,
    /// How many arguments with the name (and a subcommand's): exactly, or at least if negative.
    arity: i8,
    /// What it does, see [`bits`].
    flags: u16,
    /// ACL categories beside those that follow from the flags, see [`bits`].
    categories: u16,
    /// The name in lower case; `container|sub` for a subcommand.
    pub name: &'static str,
    /// Empty for all but containers.
    pub subcommands: &'static [Self],
    /// Where its keys stand.
    pub keys: &'static [KeySpec],
    tips: &'static [&'static str],
}

/// A command has one row.
impl PartialEq for CommandSpec {
    fn eq(&self, other: &Self) -> bool {
        self.command == other.command
    }
}

impl Eq for CommandSpec {}

impl CommandSpec {
    const fn new(command: Command, name: &'static str, arity: i8, flags: u16) -> Self {
        Self {
            command,
            arity,
            flags,
            categories: bits::NONE,
            name,
            subcommands: &[],
            keys: &[],
            tips: &[],
        }
    }

    const fn categories(mut self, categories: u16) -> Self {
        self.categories = categories;
        self
    }

    const fn keys(mut self, keys: &'static [KeySpec]) -> Self {
        self.keys = keys;
        self
    }

    const fn tips(mut self, tips: &'static [&'static str]) -> Self {
        self.tips = tips;
        self
    }

    const fn subcommands(mut self, subcommands: &'static [Self]) -> Self {
        self.subcommands = subcommands;
        self
    }

    /// Whether it changes keys.
    pub const fn is_write(&self) -> bool {
        self.flags & bits::WRITE != 0
    }

    /// Whether it only reads.
    pub const fn is_readonly(&self) -> bool {
        self.flags & bits::READONLY != 0
    }

    /// Whether a RESP2 client may ask for it while it is subscribed.
    pub const fn goes_with_subscriptions(&self) -> bool {
        self.flags & bits::PUBSUB != 0
            || matches!(self.command, Command::Ping | Command::Quit | Command::Reset)
    }

    /// Whether it needs memory, so that Redis refuses it when there is none left.
    pub const fn is_growing(&self) -> bool {
        self.flags & bits::DENYOOM != 0
    }

    /// Whether it takes no time that counts.
    pub const fn is_fast(&self) -> bool {
        self.flags & bits::FAST != 0
    }

    /// Whether the slow log leaves it out.
    pub const fn skips_slowlog(&self) -> bool {
        self.flags & bits::SKIP_SLOWLOG != 0
    }

    /// Whether it may come before the client has said who it is.
    pub const fn needs_no_auth(&self) -> bool {
        self.flags & bits::NO_AUTH != 0
    }

    /// Whether it is for administrators.
    pub const fn is_admin(&self) -> bool {
        self.flags & bits::ADMIN != 0
    }

    /// Whether it can have this many arguments.
    #[inline]
    pub const fn takes(&self, count: usize) -> bool {
        takes(self.arity, count)
    }

    /// The subcommand of this name, in any case.
    pub fn subcommand(&self, name: &[u8]) -> Option<&'static Self> {
        self.subcommands
            .iter()
            .find(|spec| name.eq_ignore_ascii_case(spec.last_name().as_bytes()))
    }

    /// The name without the container's.
    pub fn last_name(&self) -> &'static str {
        self.name.rsplit('|').next().unwrap_or(self.name)
    }

    /// Whether it is in the ACL category of this name, in any case.
    pub fn has_category(&self, name: &[u8]) -> bool {
        bits::names(bits::CATEGORIES, self.all_categories())
            .any(|category| category.as_bytes().eq_ignore_ascii_case(name))
    }

    /// ACL categories with those that follow from the flags.
    const fn all_categories(&self) -> u16 {
        self.categories | bits::implied_categories(self.flags)
    }
}

/// Whether a command of this arity can have this many arguments.
#[inline]
pub(super) const fn takes(arity: i8, count: usize) -> bool {
    let least = arity.unsigned_abs() as usize;
    if arity < 0 {
        count >= least
    } else {
        count == least
    }
}

/// Every command without its subcommands, the busiest first.
pub static COMMANDS: [CommandSpec; rows::COUNT] = rows::ALL;

static INDEX: Index = Index::new(&rows::ALL);

/// The command of this name, in any case.
#[inline]
pub fn lookup(name: &[u8]) -> Option<&'static CommandSpec> {
    INDEX.find(name, &COMMANDS)
}

/// The command or subcommand of this name: `get`, `config|get`.
pub fn lookup_full(name: &[u8]) -> Option<&'static CommandSpec> {
    let mut parts = name.split(|byte| *byte == b'|');
    let spec = lookup(parts.next()?)?;
    match (parts.next(), parts.next()) {
        (None, _) => Some(spec),
        (Some(sub), None) => spec.subcommand(sub),
        (Some(_), Some(_)) => None,
    }
}

/// Every command, each followed by its subcommands.
pub fn all() -> impl Iterator<Item = &'static CommandSpec> {
    COMMANDS
        .iter()
        .flat_map(|spec| std::iter::once(spec).chain(spec.subcommands))
}

/// How many commands and subcommands there are; a [`Command`] as a number is below.
pub const ROW_COUNT: usize = Command::Debug as usize + 1;

/// The row of a command.
pub fn row_of(command: Command) -> Option<&'static CommandSpec> {
    all().find(|spec| spec.command == command)
}

#[cfg(test)]
mod tests;
