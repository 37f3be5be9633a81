//! Commands about the connection itself.

use super::super::{
    Version,
    args::{Args, Rest},
    error::RequestError,
    table::{Command, CommandSpec},
};
use super::{
    client::{ClientRequest, client_name},
    index, integer,
};
use crate::protocol::number;

/// The one user there is. It needs no password.
pub const DEFAULT_USER: &str = "default";

/// One request about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are named as Redis's documentation names the arguments"
)]
pub enum ConnectionRequest<'b> {
    Ping {
        message: Option<&'b [u8]>,
    },
    Echo {
        message: &'b [u8],
    },
    /// The options are obeyed one by one, up to the first that is wrong; see [`HelloOption`].
    Hello {
        version: Option<Version>,
        options: Rest<'b>,
    },
    /// Without a username the [`DEFAULT_USER`] is meant.
    Auth {
        username: Option<&'b [u8]>,
        password: &'b [u8],
    },
    /// Which indexes exist is for the server to say.
    Select {
        index: i32,
    },
    Reset,
    Quit,
    /// CLIENT.
    Client(ClientRequest<'b>),
}

/// One option of HELLO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are named as Redis's documentation names the arguments"
)]
pub enum HelloOption<'b> {
    Auth {
        username: &'b [u8],
        password: &'b [u8],
    },
    SetName {
        name: &'b [u8],
    },
}

impl<'b> HelloOption<'b> {
    /// HELLO's options in their order, up to the first that is none.
    pub fn read_all(options: Rest<'b>) -> impl Iterator<Item = Result<Self, RequestError<'b>>> {
        let mut rest = options.into_iter();
        std::iter::from_fn(move || {
            let option = rest.next()?;
            if option.eq_ignore_ascii_case(b"auth")
                && rest.len() >= 2
                && let (Some(username), Some(password)) = (rest.next(), rest.next())
            {
                return Some(Ok(Self::Auth { username, password }));
            }
            if option.eq_ignore_ascii_case(b"setname")
                && let Some(name) = rest.next()
            {
                return Some(client_name(name).map(|name| Self::SetName { name }));
            }
            Some(Err(RequestError::Quoting {
                before: "ERR Syntax error in HELLO option '",
                words: option,
                after: "'",
            }))
        })
    }
}

impl<'b> ConnectionRequest<'b> {
    /// Gives a frame that has the command's arity its meaning; `None` for commands about
    /// something else.
    pub(super) fn read(
        spec: &'static CommandSpec,
        args: Args<'b>,
    ) -> Option<Result<Self, RequestError<'b>>> {
        let request = match spec.command {
            Command::Ping if args.count() > 2 => return Some(Err(RequestError::Arity(spec.name))),
            Command::Ping => Self::Ping {
                message: args.get(1),
            },
            Command::Echo => Self::Echo {
                message: args.at(1),
            },
            Command::Hello => return Some(read_hello(args)),
            Command::Auth => match args.count() {
                2 => Self::Auth {
                    username: None,
                    password: args.at(1),
                },
                3 => Self::Auth {
                    username: Some(args.at(1)),
                    password: args.at(2),
                },
                _ => return Some(Err(RequestError::Syntax)),
            },
            Command::Select => return Some(read_select(args)),
            Command::Reset => Self::Reset,
            Command::Quit => Self::Quit,
            _ => return ClientRequest::read(spec, args).map(|read| read.map(Self::Client)),
        };
        Some(Ok(request))
    }
}

fn read_select(args: Args<'_>) -> Result<ConnectionRequest<'_>, RequestError<'_>> {
    let index = index(integer(args.at(1))?)?;
    Ok(ConnectionRequest::Select { index })
}

fn read_hello(args: Args<'_>) -> Result<ConnectionRequest<'_>, RequestError<'_>> {
    let version = match args.get(1).map(number::signed) {
        None => None,
        Some(Some(2)) => Some(Version::Resp2),
        Some(Some(3)) => Some(Version::Resp3),
        Some(Some(_)) => {
            return Err(RequestError::Said("NOPROTO unsupported protocol version"));
        }
        Some(None) => {
            return Err(RequestError::Said(
                "ERR Protocol version is not an integer or out of range",
            ));
        }
    };
    Ok(ConnectionRequest::Hello {
        version,
        options: args.rest(2),
    })
}
