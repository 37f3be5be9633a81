//! COMMAND, and HELP of every command that has subcommands: what the table of commands answers by
//! itself.

use super::super::{
    Version,
    args::{Args, Rest},
    error::RequestError,
    reply,
    table::{self, Command, CommandSpec},
};
use crate::protocol::glob::{self, Case};

/// One request about the commands there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are named as Redis's documentation names the arguments"
)]
pub enum CommandRequest<'b> {
    Count,
    /// No names means all.
    Docs {
        names: Rest<'b>,
    },
    /// COMMAND and COMMAND INFO. No names means all.
    Info {
        names: Rest<'b>,
    },
    List {
        filter: CommandFilter<'b>,
    },
    /// GETKEYS and GETKEYSANDFLAGS.
    GetKeys {
        args: Args<'b>,
        flags: bool,
    },
    /// HELP of this command.
    Help {
        container: &'static CommandSpec,
    },
}

/// Which commands COMMAND LIST lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandFilter<'b> {
    /// All of them.
    None,
    /// Those of a module: there are none.
    Module,
    /// Those of an ACL category.
    AclCat(&'b [u8]),
    /// Those whose names match.
    Pattern(&'b [u8]),
}

impl<'b> CommandRequest<'b> {
    /// Gives a frame that has the command's arity its meaning; `None` for commands about
    /// something else.
    pub(super) fn read(
        spec: &'static CommandSpec,
        args: Args<'b>,
    ) -> Option<Result<Self, RequestError<'b>>> {
        let names = args.rest(2);
        let request = match spec.command {
            Command::Command | Command::CommandInfo => Self::Info { names },
            Command::CommandCount => Self::Count,
            Command::CommandDocs => Self::Docs { names },
            Command::CommandList => {
                let filter = CommandFilter::read(args);
                return Some(filter.map(|filter| Self::List { filter }));
            }
            Command::CommandGetKeys => Self::GetKeys { args, flags: false },
            Command::CommandGetKeysAndFlags => Self::GetKeys { args, flags: true },
            Command::AclHelp
            | Command::ClientHelp
            | Command::CommandHelp
            | Command::ConfigHelp
            | Command::LatencyHelp
            | Command::MemoryHelp
            | Command::ModuleHelp
            | Command::ObjectHelp
            | Command::SlowlogHelp => Self::Help {
                container: table::lookup(args.name())?,
            },
            _ => return None,
        };
        Some(Ok(request))
    }

    /// Appends the reply. COMMAND without more makes about 40 KiB.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        match *self {
            Self::Count => reply::integer(out, table::COMMANDS.len() as i64),
            Self::Docs { names } if names.count() == 0 => {
                reply::map_header(out, table::COMMANDS.len(), version);
                table::COMMANDS
                    .iter()
                    .for_each(|spec| table::encode_docs(spec, version, out));
            }
            Self::Docs { names } => {
                let specs = || names.into_iter().filter_map(table::lookup_full);
                reply::map_header(out, specs().count(), version);
                specs().for_each(|spec| table::encode_docs(spec, version, out));
            }
            Self::Info { names } if names.count() == 0 => {
                reply::array_header(out, table::COMMANDS.len());
                table::COMMANDS
                    .iter()
                    .for_each(|spec| table::encode_info(spec, version, out));
            }
            Self::Info { names } => {
                reply::array_header(out, names.count());
                for name in names {
                    match table::lookup_full(name) {
                        Some(spec) => table::encode_info(spec, version, out),
                        None => reply::null(out, version),
                    }
                }
            }
            Self::List { filter } => {
                let listed = || table::all().filter(|spec| filter.lets_through(spec));
                reply::array_header(out, listed().count());
                listed().for_each(|spec| reply::bulk(out, spec.name.as_bytes()));
            }
            Self::GetKeys { args, flags } => table::encode_keys(args, flags, version, out),
            Self::Help { container } => table::encode_help(container, out),
        }
    }
}

impl<'b> CommandFilter<'b> {
    fn read(args: Args<'b>) -> Result<Self, RequestError<'b>> {
        if args.count() == 2 {
            return Ok(Self::None);
        }
        let (kind, wanted) = (args.at(3), args.at(4));
        if args.count() != 5 || !args.at(2).eq_ignore_ascii_case(b"filterby") {
            Err(RequestError::Syntax)
        } else if kind.eq_ignore_ascii_case(b"module") {
            Ok(Self::Module)
        } else if kind.eq_ignore_ascii_case(b"aclcat") {
            Ok(Self::AclCat(wanted))
        } else if kind.eq_ignore_ascii_case(b"pattern") {
            Ok(Self::Pattern(wanted))
        } else {
            Err(RequestError::Syntax)
        }
    }

    fn lets_through(&self, spec: &CommandSpec) -> bool {
        match self {
            Self::None => true,
            Self::Module => false,
            Self::AclCat(name) => spec.has_category(name),
            Self::Pattern(pattern) => glob::matches(pattern, spec.name.as_bytes(), Case::Ignored),
        }
    }
}
