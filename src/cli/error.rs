//! Whatever is wrong with the command line, in one line.

use std::error::Error;
use std::fmt;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// What is wrong; its `Display` is the one line for stderr, without a line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliError {
    message: String,
}

impl CliError {
    /// The exit code of a process that was called wrongly, as shells and clap have it.
    pub const EXIT_CODE: u8 = 2;

    /// The message is `FLAG VALUE: what is wrong; what to do`. What was typed may hold anything, so
    /// control characters are escaped: a log line stays one line.
    pub(super) fn new(message: impl fmt::Display) -> Self {
        let mut line = String::new();
        for char in message.to_string().chars() {
            if char.is_control() {
                line.extend(char.escape_default());
            } else {
                line.push(char);
            }
        }
        Self { message: line }
    }

    /// The line without whose error it is.
    pub(super) fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ringfort: error: {}", self.message)
    }
}

impl Error for CliError {}

/// clap's own errors are paragraphs with a usage and hints; here they get the shape of ours.
impl From<clap::Error> for CliError {
    fn from(error: clap::Error) -> Self {
        let context = |kind| error.get(kind).map(first_text).unwrap_or_default();
        let arg = context(ContextKind::InvalidArg);
        // clap names a flag with its value's name: `--memory <SIZE>`.
        let flag = arg.split(' ').next().unwrap_or_default();
        let value = context(ContextKind::InvalidValue);
        match error.kind() {
            ErrorKind::ValueValidation => {
                let reason = error.source().map(ToString::to_string).unwrap_or_default();
                Self::new(format_args!("{flag} '{value}': {reason}"))
            }
            ErrorKind::InvalidValue if value.is_empty() => {
                Self::new(format_args!("{flag}: the value is missing; write {arg}"))
            }
            ErrorKind::UnknownArgument if flag.starts_with('-') => {
                match context(ContextKind::SuggestedArg) {
                    "" => Self::new(format_args!("{flag}: no such flag; see ringfort --help")),
                    near => Self::new(format_args!("{flag}: no such flag; did you mean {near}?")),
                }
            }
            ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand => {
                let word = if arg.is_empty() {
                    context(ContextKind::InvalidSubcommand)
                } else {
                    arg
                };
                Self::new(format_args!(
                    "'{word}': not a flag or command; see ringfort --help"
                ))
            }
            ErrorKind::MissingRequiredArgument if arg == "<DIR>" => Self::new(format_args!(
                "spool: {arg} is missing; write ringfort spool ls DIR"
            )),
            ErrorKind::MissingRequiredArgument => Self::new(format_args!(
                "explain: {arg} is missing; write ringfort explain KEY --servers FILE"
            )),
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
                Self::new("spool: what to do is missing; write ringfort spool ls DIR")
            }
            _ => Self::new(format_args!("{}; see ringfort --help", first_line(&error))),
        }
    }
}

fn first_text(value: &ContextValue) -> &str {
    match value {
        ContextValue::String(text) => text,
        ContextValue::Strings(texts) => texts.first().map(String::as_str).unwrap_or_default(),
        _ => "",
    }
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}
