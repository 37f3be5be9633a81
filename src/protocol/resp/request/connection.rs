//! Commands about the connection itself.

use super::super::{
    Version,
    args::Args,
    error::RequestError,
    table::{Command, CommandSpec},
};
use super::{index, integer};
use crate::protocol::number;

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
    Hello {
        version: Option<Version>,
        setname: Option<&'b [u8]>,
        auth: Option<Credentials<'b>>,
    },
    /// An empty name takes the name away.
    ClientSetName {
        name: &'b [u8],
    },
    ClientGetName,
    ClientSetInfo {
        attribute: &'b [u8],
        value: &'b [u8],
    },
    ClientId,
    /// Which indexes exist is for the server to say.
    Select {
        index: i32,
    },
    Reset,
    Quit,
}

/// HELLO's AUTH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are named as Redis's documentation names the arguments"
)]
pub struct Credentials<'b> {
    pub username: &'b [u8],
    pub password: &'b [u8],
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
            Command::ClientSetName => {
                return Some(client_name(args.at(2)).map(|name| Self::ClientSetName { name }));
            }
            Command::ClientGetName => Self::ClientGetName,
            Command::ClientSetInfo => Self::ClientSetInfo {
                attribute: args.at(2),
                value: args.at(3),
            },
            Command::ClientId => Self::ClientId,
            Command::Select => return Some(read_select(args)),
            Command::Reset => Self::Reset,
            Command::Quit => Self::Quit,
            _ => return None,
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
        Some(Some(_)) => return Err(RequestError::ProtocolVersion),
        Some(None) => return Err(RequestError::HelloVersion),
    };
    let (mut setname, mut auth) = (None, None);
    let mut rest = args.iter_from(2);
    while let Some(option) = rest.next() {
        let unknown = RequestError::HelloOption(option);
        if option.eq_ignore_ascii_case(b"auth") && rest.len() >= 2 {
            let username = rest.next().ok_or(unknown)?;
            let password = rest.next().ok_or(unknown)?;
            auth = Some(Credentials { username, password });
        } else if option.eq_ignore_ascii_case(b"setname") {
            setname = Some(client_name(rest.next().ok_or(unknown)?)?);
        } else {
            return Err(unknown);
        }
    }
    Ok(ConnectionRequest::Hello {
        version,
        setname,
        auth,
    })
}

fn client_name(name: &[u8]) -> Result<&[u8], RequestError<'_>> {
    let printable = name.iter().all(u8::is_ascii_graphic);
    if printable {
        Ok(name)
    } else {
        Err(RequestError::ClientName)
    }
}
