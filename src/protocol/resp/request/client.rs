//! CLIENT: a connection's own settings, and what can be done to others.

use super::super::{
    args::{Args, Rest},
    error::RequestError,
    table::{Command, CommandSpec},
};
use super::{connection::DEFAULT_USER, integer};
use crate::protocol::number;

/// One CLIENT request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are named as Redis's documentation names the arguments"
)]
pub enum ClientRequest<'b> {
    Id,
    Info,
    List {
        filter: ClientFilter<'b>,
    },
    /// The old form, which kills one connection and says if there is none.
    KillAddr {
        addr: &'b [u8],
    },
    Kill {
        filter: KillFilter<'b>,
    },
    GetName,
    /// An empty name takes the name away.
    SetName {
        name: &'b [u8],
    },
    /// 7.2's.
    SetInfo {
        attribute: ClientAttribute,
        value: &'b [u8],
    },
    NoEvict {
        is_on: bool,
    },
    /// 7.2's.
    NoTouch {
        is_on: bool,
    },
    Reply {
        mode: ReplyMode,
    },
    Pause {
        timeout_ms: i64,
        writes_only: bool,
    },
    Unpause,
    Unblock {
        id: i64,
        with_error: bool,
    },
}

/// What CLIENT SETINFO sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAttribute {
    /// `LIB-NAME`: the library's name.
    LibraryName,
    /// `LIB-VER`: its version.
    LibraryVersion,
}

/// What CLIENT REPLY sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyMode {
    /// Every request is answered.
    On,
    /// None is.
    Off,
    /// The next one is not.
    Skip,
}

/// Whom CLIENT LIST is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientFilter<'b> {
    /// Everybody.
    All,
    /// Connections of one kind.
    Kind(ClientKind),
    /// These, in this order, as [`ids`](Self::ids) reads them.
    Ids(Rest<'b>),
}

impl ClientFilter<'_> {
    /// The ids asked for, each of which is a number.
    pub fn ids(&self) -> impl Iterator<Item = i64> {
        let rest = match self {
            Self::Ids(rest) => Some(*rest),
            _ => None,
        };
        rest.into_iter().flatten().filter_map(number::signed)
    }
}

/// What a connection is used for, in Redis' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// Requests and replies; here everybody.
    Normal,
    /// The server that this one copies.
    Master,
    /// A server that copies this one.
    Replica,
    /// Subscribed to channels.
    PubSub,
}

/// Whom CLIENT KILL is about: who meets every condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are named as Redis's documentation names the arguments"
)]
pub struct KillFilter<'b> {
    pub id: Option<u64>,
    pub kind: Option<ClientKind>,
    pub addr: Option<&'b [u8]>,
    pub laddr: Option<&'b [u8]>,
    pub skip_me: bool,
}

impl<'b> ClientRequest<'b> {
    /// Gives a frame that has the command's arity its meaning; `None` for commands about
    /// something else.
    pub(super) fn read(
        spec: &'static CommandSpec,
        args: Args<'b>,
    ) -> Option<Result<Self, RequestError<'b>>> {
        let request = match spec.command {
            Command::ClientId => Self::Id,
            Command::ClientInfo => Self::Info,
            Command::ClientList => return Some(read_filter(args)),
            Command::ClientKill => return Some(read_kill(args)),
            Command::ClientGetName => Self::GetName,
            Command::ClientSetName => {
                return Some(client_name(args.at(2)).map(|name| Self::SetName { name }));
            }
            Command::ClientSetInfo => return Some(read_set_info(args)),
            Command::ClientNoEvict => {
                return Some(read_switch(args).map(|is_on| Self::NoEvict { is_on }));
            }
            Command::ClientNoTouch => {
                return Some(read_switch(args).map(|is_on| Self::NoTouch { is_on }));
            }
            Command::ClientReply => return Some(read_reply(args)),
            Command::ClientPause => return Some(read_pause(args)),
            Command::ClientUnpause => Self::Unpause,
            Command::ClientUnblock => return Some(read_unblock(args)),
            _ => return None,
        };
        Some(Ok(request))
    }
}

/// A connection's name; as HELLO's SETNAME, too.
pub(super) fn client_name(name: &[u8]) -> Result<&[u8], RequestError<'_>> {
    if name.iter().all(u8::is_ascii_graphic) {
        Ok(name)
    } else {
        Err(RequestError::Said(
            "ERR Client names cannot contain spaces, newlines or special characters.",
        ))
    }
}

fn read_switch(args: Args<'_>) -> Result<bool, RequestError<'_>> {
    match args.at(2) {
        word if word.eq_ignore_ascii_case(b"on") => Ok(true),
        word if word.eq_ignore_ascii_case(b"off") => Ok(false),
        _ => Err(RequestError::Syntax),
    }
}

fn read_set_info(args: Args<'_>) -> Result<ClientRequest<'_>, RequestError<'_>> {
    let (option, value) = (args.at(2), args.at(3));
    let (attribute, error) = if option.eq_ignore_ascii_case(b"lib-name") {
        let error = "ERR lib-name cannot contain spaces, newlines or special characters.";
        (ClientAttribute::LibraryName, error)
    } else if option.eq_ignore_ascii_case(b"lib-ver") {
        let error = "ERR lib-ver cannot contain spaces, newlines or special characters.";
        (ClientAttribute::LibraryVersion, error)
    } else {
        return Err(RequestError::Quoting {
            before: "ERR Unrecognized option '",
            words: option,
            after: "'",
        });
    };
    if value.iter().all(u8::is_ascii_graphic) {
        Ok(ClientRequest::SetInfo { attribute, value })
    } else {
        Err(RequestError::Said(error))
    }
}

fn read_reply(args: Args<'_>) -> Result<ClientRequest<'_>, RequestError<'_>> {
    let word = args.at(2);
    let modes = [
        (&b"on"[..], ReplyMode::On),
        (b"off", ReplyMode::Off),
        (b"skip", ReplyMode::Skip),
    ];
    let mode = modes
        .iter()
        .find(|(name, _)| word.eq_ignore_ascii_case(name));
    let (_, mode) = *mode.ok_or(RequestError::Syntax)?;
    Ok(ClientRequest::Reply { mode })
}

fn kind(word: &[u8]) -> Result<ClientKind, RequestError<'_>> {
    let kinds = [
        (&b"normal"[..], ClientKind::Normal),
        (b"slave", ClientKind::Replica),
        (b"replica", ClientKind::Replica),
        (b"pubsub", ClientKind::PubSub),
        (b"master", ClientKind::Master),
    ];
    let kind = kinds
        .iter()
        .find(|(name, _)| word.eq_ignore_ascii_case(name));
    kind.map(|(_, kind)| *kind).ok_or(RequestError::Quoting {
        before: "ERR Unknown client type '",
        words: word,
        after: "'",
    })
}

fn read_filter(args: Args<'_>) -> Result<ClientRequest<'_>, RequestError<'_>> {
    let option = args.at(2);
    let filter = if args.count() == 4 && option.eq_ignore_ascii_case(b"type") {
        ClientFilter::Kind(kind(args.at(3))?)
    } else if args.count() > 3 && option.eq_ignore_ascii_case(b"id") {
        let ids = args.rest(3);
        if ids.into_iter().any(|id| number::signed(id).is_none()) {
            return Err(RequestError::Said("ERR Invalid client ID"));
        }
        ClientFilter::Ids(ids)
    } else if args.count() == 2 {
        ClientFilter::All
    } else {
        return Err(RequestError::Syntax);
    };
    Ok(ClientRequest::List { filter })
}

fn read_kill(args: Args<'_>) -> Result<ClientRequest<'_>, RequestError<'_>> {
    if args.count() == 3 {
        return Ok(ClientRequest::KillAddr { addr: args.at(2) });
    }
    let mut filter = KillFilter {
        id: None,
        kind: None,
        addr: None,
        laddr: None,
        skip_me: true,
    };
    let mut rest = args.iter_from(2);
    while let Some(option) = rest.next() {
        let value = rest.next().ok_or(RequestError::Syntax)?;
        let is = |name: &[u8]| option.eq_ignore_ascii_case(name);
        if is(b"id") {
            let id = number::signed(value).and_then(|id| u64::try_from(id).ok());
            filter.id = Some(
                id.filter(|id| *id > 0)
                    .ok_or(RequestError::Said("ERR client-id should be greater than 0"))?,
            );
        } else if is(b"type") {
            filter.kind = Some(kind(value)?);
        } else if is(b"addr") {
            filter.addr = Some(value);
        } else if is(b"laddr") {
            filter.laddr = Some(value);
        } else if is(b"user") {
            // Everybody is this user, so it rules nobody out.
            if value != DEFAULT_USER.as_bytes() {
                return Err(RequestError::Quoting {
                    before: "ERR No such user '",
                    words: value,
                    after: "'",
                });
            }
        } else if is(b"skipme") && value.eq_ignore_ascii_case(b"yes") {
            filter.skip_me = true;
        } else if is(b"skipme") && value.eq_ignore_ascii_case(b"no") {
            filter.skip_me = false;
        } else {
            return Err(RequestError::Syntax);
        }
    }
    Ok(ClientRequest::Kill { filter })
}

fn read_pause(args: Args<'_>) -> Result<ClientRequest<'_>, RequestError<'_>> {
    let writes_only = match args.get(3) {
        _ if args.count() > 4 => {
            return Err(RequestError::SubcommandSyntax {
                command: args.at(0),
                sub: args.at(1),
            });
        }
        None => false,
        Some(mode) if mode.eq_ignore_ascii_case(b"all") => false,
        Some(mode) if mode.eq_ignore_ascii_case(b"write") => true,
        Some(_) => {
            return Err(RequestError::Said(
                "ERR CLIENT PAUSE mode must be WRITE or ALL",
            ));
        }
    };
    Ok(ClientRequest::Pause {
        timeout_ms: timeout_ms(args.at(2))?,
        writes_only,
    })
}

/// A time to wait at most, in milliseconds; as WAIT's, too.
pub(super) fn timeout_ms<'b>(text: &[u8]) -> Result<i64, RequestError<'b>> {
    match number::signed(text) {
        Some(ms) if ms >= 0 => Ok(ms),
        Some(_) => Err(RequestError::Said("ERR timeout is negative")),
        None => Err(RequestError::Said(
            "ERR timeout is not an integer or out of range",
        )),
    }
}

fn read_unblock(args: Args<'_>) -> Result<ClientRequest<'_>, RequestError<'_>> {
    if args.count() > 4 {
        return Err(RequestError::SubcommandSyntax {
            command: args.at(0),
            sub: args.at(1),
        });
    }
    let is_known = args.get(3).is_none_or(|reason| {
        reason.eq_ignore_ascii_case(b"timeout") || reason.eq_ignore_ascii_case(b"error")
    });
    if !is_known {
        return Err(RequestError::Said(
            "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR",
        ));
    }
    Ok(ClientRequest::Unblock {
        id: integer(args.at(2))?,
        with_error: args
            .get(3)
            .is_some_and(|reason| reason.eq_ignore_ascii_case(b"error")),
    })
}
