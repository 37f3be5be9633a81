//! MULTI and EXEC in front of Redis servers: what is queued belongs to one server, which gets it in
//! one piece.
//!
//! Requests are queued here, as in embedded mode, and refused here if they are not for one server:
//! the client hears at once, and EXEC of nothing done. What is left for the server to refuse (a
//! wrong number of words behind a subcommand, no memory) makes it refuse its EXEC.

use super::{
    Place, relay,
    unit::{Executor, Load},
    watch::ServerWatch,
};
use crate::protocol::{
    Parsed,
    resp::{
        self, Args, RequestError, Retype, Version,
        table::{self, Command, CommandSpec, Foreign, Relay, RelayError},
    },
};
use crate::shard::{
    core::Core,
    form::Form,
    resp::{Transaction, limits},
    session::{Session, Step},
};

/// The line for MULTI where strings may have headers that transactions would show.
pub(in crate::shard) const NOT_CROSSED: &[u8] =
    b"-ERR transactions are not possible where memcache clients are served, too: they would show \
      how flags are kept\r\n";

/// The line for a request whose keys are of another server than those before.
pub(super) const OTHER_SERVER: &[u8] =
    b"-CROSSSLOT Keys of one transaction must all be of one server of the pool\r\n";

/// Why a request is not queued.
#[derive(Debug)]
pub(in crate::shard) enum Refusal {
    Arity(&'static str),
    UnknownCommand,
    /// It cannot be done by one server.
    Reason(&'static str),
    /// It is another server's than what was queued before.
    OtherServer,
    /// The same in a cluster.
    OtherSlot,
}

impl Refusal {
    /// Appends the line that the client gets.
    pub(in crate::shard) fn encode(&self, args: Args<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Arity(name) => RequestError::Arity(name).encode(out),
            Self::UnknownCommand => RequestError::UnknownCommand(args).encode(out),
            Self::Reason(reason) => relay::encode_refusal(out, args, reason),
            Self::OtherSlot => out.extend_from_slice(relay::CROSS_SLOT),
            Self::OtherServer => out.extend_from_slice(OTHER_SERVER),
        }
    }
}

/// Looks whether a request can be part of a transaction whose requests so far belong to one place;
/// which one it then is, if it has keys.
pub(in crate::shard) fn admit(
    core: &Core,
    place: Option<Place>,
    args: &Args<'_>,
) -> Result<Option<Place>, Refusal> {
    let Some(pool) = &core.pool else {
        return Ok(None);
    };
    let is_single = pool.is_single() && !pool.is_behind();
    let Some(relay) = relay_of(args, is_single)? else {
        return Ok(place);
    };
    let mut keys = relay.keys(args).map(|key| pool.place(key));
    let Some(wanted) = keys.next() else {
        return Ok(place);
    };
    if let Some(reason) = relay::why_key_by_key(pool) {
        return Err(Refusal::Reason(reason));
    }
    let is_cluster = pool.is_cluster();
    if keys.any(|other| other != wanted) {
        return Err(match is_cluster {
            true => Refusal::OtherSlot,
            false => Refusal::Reason(relay::SEVERAL_SERVERS),
        });
    }
    match place {
        Some(place) if place != wanted && is_cluster => Err(Refusal::OtherSlot),
        Some(place) if place != wanted => Err(Refusal::OtherServer),
        _ => Ok(Some(wanted)),
    }
}

/// What is to be known of a request that may be queued; nothing if any server can do it.
fn relay_of(args: &Args<'_>, is_single: bool) -> Result<Option<Relay>, Refusal> {
    const NOT_IN_MULTI: &str = "cannot be part of a transaction in front of a pool";
    let relay = match args.get(0).and_then(table::lookup) {
        Some(spec) => {
            let sub = args.get(1).and_then(|word| spec.subcommand(word));
            let spec = sub.unwrap_or(spec);
            if goes_anywhere(spec) || (is_single && is_about_all(spec)) {
                return Ok(None);
            }
            Relay::of_known(spec, args)
        }
        None => match Foreign::of(args) {
            Ok(Foreign::Relay(relay)) => Ok(relay),
            Ok(Foreign::Way(_)) => return Err(Refusal::Reason(NOT_IN_MULTI)),
            Err(RelayError::NoKey) if is_single => return Ok(None),
            Err(error) => Err(error),
        },
    };
    match relay {
        Ok(relay) => Ok(Some(relay)),
        Err(RelayError::Unknown) => Err(Refusal::UnknownCommand),
        Err(RelayError::Arity(name)) => Err(Refusal::Arity(name)),
        Err(RelayError::NoKey | RelayError::Never(_)) => Err(Refusal::Reason(NOT_IN_MULTI)),
    }
}

fn goes_anywhere(spec: &CommandSpec) -> bool {
    matches!(spec.command, Command::Ping | Command::Echo | Command::Time)
}

/// Whether it only reads what a single server knows all of.
fn is_about_all(spec: &CommandSpec) -> bool {
    spec.keys.is_empty() && spec.is_readonly()
}

/// Has a server execute a transaction, or holds it.
pub(in crate::shard) fn exec(
    session: &mut Session,
    core: &mut Core,
    transaction: &mut Transaction,
) -> Step {
    let requests = std::mem::take(&mut transaction.requests);
    let written = if core.follows_changes() {
        written_keys(core, &requests)
    } else {
        Some(Vec::new())
    };
    let (executor, speaks) = match transaction.watch {
        ServerWatch::Nothing => (Executor::Shared, Version::Resp2),
        ServerWatch::Keys | ServerWatch::Lost => (Executor::Watching, session.version()),
    };
    let (form, codes) = match session.version() {
        version if version == speaks => (Form::Verbatim, Vec::new()),
        _ => (Form::RetypedAll, retypings(core, &requests)),
    };
    let seq = session.replies.next_seq();
    let load = Load::Transaction(requests, transaction.count, executor);
    let written = written.as_ref();
    let written = written.map(|keys| keys.iter().map(Vec::as_slice));
    match session.run_unit(core, transaction.place, written, load, form) {
        Ok(()) => {
            if form == Form::RetypedAll {
                session.replies.keep_key(seq, codes);
            }
            Step::Done
        }
        Err(load) => {
            transaction.requests = load.into_bytes();
            Step::Hold
        }
    }
}

/// How the reply to each queued request is to be rewritten.
fn retypings(core: &Core, mut requests: &[u8]) -> Vec<u8> {
    let mut codes = Vec::new();
    while let Parsed::Complete {
        request: args,
        consumed,
    } = resp::parse(requests, &limits(core))
    {
        codes.push(Retype::of(&args).code());
        requests = &requests[consumed..];
    }
    codes
}

/// The keys that queued requests may change; `None` if that may be any, as with a script without keys.
fn written_keys(core: &Core, mut requests: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut keys = Vec::new();
    while let Parsed::Complete {
        request: args,
        consumed,
    } = resp::parse(requests, &limits(core))
    {
        let is_known = args.get(0).and_then(table::lookup).is_some();
        match relay_of(&args, false) {
            Ok(Some(relay)) if relay.is_write => {
                keys.extend(relay.keys(&args).map(<[u8]>::to_vec));
            }
            Err(_) if !is_known => return None,
            _ => {}
        }
        requests = &requests[consumed..];
    }
    keys.sort_unstable();
    keys.dedup();
    Some(keys)
}
