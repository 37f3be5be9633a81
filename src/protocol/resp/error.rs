//! What is wrong with a well-framed request, in Redis 7.0's words.

use super::{args::Args, reply};

/// Longest piece of a downstream's own words that an error quotes, in bytes.
const QUOTED_BYTES_MAX: usize = 128;

/// Why a request cannot be executed. The connection stays, unless [`RequestError::closes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError<'b> {
    /// No such command.
    UnknownCommand(Args<'b>),
    /// No such subcommand of a command that is there.
    UnknownSubcommand {
        /// The command, as it was spelled.
        command: &'b [u8],
        /// The subcommand, as it was spelled.
        sub: &'b [u8],
    },
    /// A subcommand that takes fewer arguments than its row says.
    SubcommandSyntax {
        /// The command, as it was spelled.
        command: &'b [u8],
        /// The subcommand, as it was spelled.
        sub: &'b [u8],
    },
    /// Too few or too many arguments, or an odd number where pairs are meant, for the command of
    /// this name.
    Arity(&'static str),
    /// Options that do not exist or do not go together.
    Syntax,
    /// A number that is not one.
    NotAnInteger,
    /// DECRBY by the smallest number, which has no opposite.
    DecrementOverflow,
    /// A time that has no place on the clock, or a zero or negative one where that makes no sense,
    /// for the command of this name.
    ExpireTime(&'static str),
    /// An option EXPIRE does not know.
    ExpireOption(&'b [u8]),
    /// EXPIRE's NX with another one.
    ExpireNxWithOthers,
    /// EXPIRE's GT with LT.
    ExpireGtWithLt,
    /// SETRANGE with a negative offset.
    OffsetOutOfRange,
    /// SCAN with a cursor that is no number.
    InvalidCursor,
    /// A database that is not there.
    DbIndex,
    /// COPY of a key to itself.
    SameObject,
    /// LCS with LEN and IDX.
    LcsLengthAndRuns,
    /// CLIENT TRACKING with two ids to redirect to.
    SecondRedirect,
    /// What only one command says, in full, the code first.
    Said(&'static str),
    /// What only one command says, with words of the downstream's in it.
    Quoting {
        /// What stands before them, the code first.
        before: &'static str,
        /// The words.
        words: &'b [u8],
        /// What stands after them.
        after: &'static str,
    },
    /// `POST` or `Host:`: a browser that was made to talk to us. Closes without a word.
    CrossProtocol,
    /// An inline line that has to go through [`Args::unescape`] first.
    Escaped,
}

impl RequestError<'_> {
    /// Whether the connection closes, once what came before is answered.
    pub const fn closes(&self) -> bool {
        matches!(self, Self::CrossProtocol)
    }

    /// Appends the error's line; nothing for one that is not answered.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::CrossProtocol => return,
            Self::Said(text) => return reply::error(out, text),
            Self::Quoting {
                before,
                words,
                after,
            } => {
                out.push(b'-');
                out.extend_from_slice(before.as_bytes());
                quote(out, words, usize::MAX);
                out.extend_from_slice(after.as_bytes());
                out.extend_from_slice(b"\r\n");
                return;
            }
            // A refused EXEC ends its transaction.
            Self::Arity("exec") => {
                out.extend_from_slice(b"-EXECABORT Transaction discarded because of: ");
            }
            _ => out.extend_from_slice(b"-ERR "),
        }
        match *self {
            Self::UnknownCommand(args) => encode_unknown(out, args),
            Self::UnknownSubcommand { command, sub } => {
                out.extend_from_slice(b"unknown subcommand '");
                quote(out, sub, QUOTED_BYTES_MAX);
                try_help(out, command);
            }
            Self::SubcommandSyntax { command, sub } => {
                let text = b"unknown subcommand or wrong number of arguments for '";
                out.extend_from_slice(text);
                quote(out, sub, QUOTED_BYTES_MAX);
                try_help(out, command);
            }
            Self::Arity(name) => {
                let parts = ["wrong number of arguments for '", name, "' command"];
                parts
                    .iter()
                    .for_each(|part| out.extend_from_slice(part.as_bytes()));
            }
            Self::ExpireTime(name) => {
                let parts = ["invalid expire time in '", name, "' command"];
                parts
                    .iter()
                    .for_each(|part| out.extend_from_slice(part.as_bytes()));
            }
            Self::ExpireOption(option) => {
                out.extend_from_slice(b"Unsupported option ");
                let blank = |byte: &u8| matches!(byte, b'\r' | b'\n');
                let end = option
                    .iter()
                    .rposition(|byte| !blank(byte))
                    .map_or(0, |last| last + 1);
                quote(out, &option[..end], usize::MAX);
            }
            _ => out.extend_from_slice(self.text().as_bytes()),
        }
        out.extend_from_slice(b"\r\n");
    }

    /// The text of those that quote nothing.
    const fn text(&self) -> &'static str {
        match self {
            Self::Syntax => "syntax error",
            Self::NotAnInteger => "value is not an integer or out of range",
            Self::DecrementOverflow => "decrement would overflow",
            Self::ExpireNxWithOthers => {
                "NX and XX, GT or LT options at the same time are not compatible"
            }
            Self::ExpireGtWithLt => "GT and LT options at the same time are not compatible",
            Self::OffsetOutOfRange => "offset is out of range",
            Self::InvalidCursor => "invalid cursor",
            Self::DbIndex => "DB index is out of range",
            Self::SameObject => "source and destination objects are the same",
            Self::LcsLengthAndRuns => {
                "If you want both the length and indexes, please just use IDX."
            }
            Self::SecondRedirect => "A client can only redirect to a single other client",
            Self::Escaped => "quotes and escapes are not understood here",
            _ => "",
        }
    }
}

/// Ends a line about a subcommand.
fn try_help(out: &mut Vec<u8>, command: &[u8]) {
    out.extend_from_slice(b"'. Try ");
    out.extend(command.iter().map(u8::to_ascii_uppercase));
    out.extend_from_slice(b" HELP.");
}

fn encode_unknown(out: &mut Vec<u8>, args: Args<'_>) {
    out.extend_from_slice(b"unknown command '");
    quote(out, args.name(), QUOTED_BYTES_MAX);
    out.extend_from_slice(b"', with args beginning with: ");
    let start = out.len();
    for argument in args.iter_from(1) {
        let quoted_bytes = out.len() - start;
        if quoted_bytes >= QUOTED_BYTES_MAX {
            break;
        }
        out.push(b'\'');
        quote(out, argument, QUOTED_BYTES_MAX - quoted_bytes);
        out.extend_from_slice(b"' ");
    }
}

/// Appends a downstream's words, up to a NUL and so many bytes, with no line end left in them.
fn quote(out: &mut Vec<u8>, words: &[u8], bytes_max: usize) {
    let shown = words.iter().take(bytes_max).take_while(|&&byte| byte != 0);
    out.extend(shown.map(|&byte| {
        if matches!(byte, b'\r' | b'\n') {
            b' '
        } else {
            byte
        }
    }));
}
