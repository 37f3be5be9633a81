//! MULTI, EXEC and WATCH.
//!
//! What follows MULTI is kept as the bytes it came in. EXEC stops the [world](super::super::world),
//! looks whether a watched key was changed, and executes the requests one after the other as if
//! they came just then: their replies are the array's elements, wherever the keys live. A request
//! that has to wait for another shard makes EXEC wait; it is tried again and goes on where it was.
//!
//! Promised, as by Redis: no other client, on any shard and in either protocol, is served between
//! EXEC's first request and its last; all of them are executed or none, even if the client goes
//! away meanwhile. The price is that every shard stands still: with two shards, two wake-ups of
//! each, and one more for the last write to another shard. Reads need none. With one shard it
//! costs nothing.

use std::mem;

use super::{
    super::{
        core::Core,
        session::{Session, Step},
        settings::TRANSACTION_BYTES_MAX,
        world::Pass,
    },
    Read, limits, read_frame, refuse, serve_now,
    watches::Watches,
};
use crate::protocol::{
    Parsed,
    resp::{self, Args, Request, RequestError, Rest, TransactionRequest, reply, table::Command},
};

const NOT_FOR_POOLS: &[u8] = b"-ERR transactions are not available in front of a pool\r\n";
const TOO_LARGE: &[u8] = b"-ERR the transaction is too large\r\n";
const TOO_MANY_KEYS: &[u8] = b"-ERR too many keys are watched\r\n";
const NESTED: &[u8] = b"-ERR MULTI calls can not be nested\r\n";
const WATCH_INSIDE: &[u8] = b"-ERR WATCH inside MULTI is not allowed\r\n";
const EXEC_ALONE: &[u8] = b"-ERR EXEC without MULTI\r\n";
const DISCARD_ALONE: &[u8] = b"-ERR DISCARD without MULTI\r\n";
const SPOILT: &[u8] = b"-EXECABORT Transaction discarded because of previous errors.\r\n";
const QUEUED: &[u8] = b"+QUEUED\r\n";

/// What a client watches, and has said since MULTI.
#[derive(Debug, Default)]
pub(in crate::shard) struct Transaction {
    watches: Watches,
    /// Requests as multibulk frames, one after the other.
    requests: Vec<u8>,
    count: usize,
    /// Bytes of `requests` that EXEC is done with.
    done: usize,
    /// A request was refused, so EXEC will be.
    is_spoilt: bool,
}

/// A request of a client that has said MULTI.
pub(super) fn serve(
    session: &mut Session,
    core: &mut Core,
    args: Args<'_>,
    read: &Read<'_>,
) -> Step {
    let command = match Request::check(&args) {
        Ok(spec) => spec.command,
        Err(error) => {
            if error == RequestError::Arity("exec") {
                discard(session);
            } else if let Some(transaction) = of(session) {
                transaction.is_spoilt = true;
            }
            return refuse(session, core, args, &error);
        }
    };
    let line = match command {
        Command::Exec => return exec(session, core),
        Command::Reset | Command::Quit => return serve_now(session, core, args, read),
        Command::Discard => {
            discard(session);
            reply::OK
        }
        Command::Multi => NESTED,
        Command::Watch => WATCH_INSIDE,
        _ => queue(session, args),
    };
    session.reply(core, line);
    Step::Done
}

/// Keeps a request for EXEC; what to answer.
fn queue(session: &mut Session, args: Args<'_>) -> &'static [u8] {
    let Some(transaction) = of(session) else {
        return QUEUED;
    };
    let bytes = transaction.requests.len() + args.raw().len();
    if bytes > TRANSACTION_BYTES_MAX {
        transaction.is_spoilt = true;
        return TOO_LARGE;
    }
    transaction.count += 1;
    if args.raw().first() == Some(&b'*') {
        transaction.requests.extend_from_slice(args.raw());
    } else {
        let words: Vec<&[u8]> = args.iter().collect();
        reply::encode_command(&mut transaction.requests, &words);
    }
    QUEUED
}

/// Executes what is queued, or goes on to.
fn exec(session: &mut Session, core: &mut Core) -> Step {
    if !session.has_world()
        && let Some(step) = begin(session, core)
    {
        return step;
    }
    let Some(transaction) = of(session) else {
        return session.leave_world(core);
    };
    let (requests, mut done) = (mem::take(&mut transaction.requests), transaction.done);
    if execute_from(session, core, &requests, &mut done) == Step::Done {
        discard(session);
        return session.leave_world(core);
    }
    if let Some(transaction) = of(session) {
        transaction.requests = requests;
        transaction.done = done;
    }
    Step::Hold
}

/// What there is to do before the first request: nothing more, or EXEC is answered or has to wait.
fn begin(session: &mut Session, core: &mut Core) -> Option<Step> {
    let transaction = of(session)?;
    let (count, is_watching) = (transaction.count, !transaction.watches.is_empty());
    if transaction.is_spoilt {
        discard(session);
        session.reply(core, SPOILT);
        return Some(Step::Done);
    }
    // Once dirty, always dirty: no need to stop anybody, unless they are being stopped already.
    let is_dirty = transaction.watches.is_dirty(core);
    if is_dirty && session.pass == Pass::None {
        return Some(abort(session, core));
    }
    if (count > 0 || is_watching) && !session.enter_world(core) {
        return Some(Step::Hold);
    }
    let transaction = of(session)?;
    if transaction.watches.is_dirty(core) {
        let step = abort(session, core);
        session.leave_world(core);
        return Some(step);
    }
    transaction.watches.unwatch();
    reply::array_header(session.ready(&mut core.buffers), count);
    if count == 0 {
        discard(session);
        return Some(session.leave_world(core));
    }
    None
}

/// Refuses EXEC, as a watched key was changed.
fn abort(session: &mut Session, core: &mut Core) -> Step {
    discard(session);
    let version = session.version();
    reply::null_array(session.ready(&mut core.buffers), version);
    Step::Done
}

/// Executes requests from `done` on, until one must wait.
fn execute_from(session: &mut Session, core: &mut Core, requests: &[u8], done: &mut usize) -> Step {
    loop {
        if session.is_full() {
            return Step::Hold;
        }
        // They were whole when they were queued.
        let parsed = resp::parse(&requests[*done..], &limits(core));
        let Parsed::Complete {
            request: args,
            consumed,
        } = parsed
        else {
            return Step::Done;
        };
        if serve_now(session, core, args, &read_frame(args)) == Step::Hold {
            return Step::Hold;
        }
        *done += consumed;
    }
}

/// Requests about a transaction, outside of one or in EXEC.
pub(super) fn transaction(
    session: &mut Session,
    core: &mut Core,
    request: &TransactionRequest<'_>,
) -> Step {
    let is_pool = core.pool.is_some();
    let line = match *request {
        TransactionRequest::Multi | TransactionRequest::Watch { .. } if is_pool => NOT_FOR_POOLS,
        TransactionRequest::Multi => {
            session.is_queueing = true;
            reply::OK
        }
        TransactionRequest::Watch { keys } => return watch(session, core, keys),
        TransactionRequest::Unwatch => {
            if let Some(transaction) = of(session) {
                transaction.watches.unwatch();
            }
            reply::OK
        }
        TransactionRequest::Exec => EXEC_ALONE,
        TransactionRequest::Discard => DISCARD_ALONE,
    };
    session.reply(core, line);
    Step::Done
}

/// What is watched is what comes after this client's own writes so far.
fn watch(session: &mut Session, core: &mut Core, keys: Rest<'_>) -> Step {
    if keys
        .into_iter()
        .any(|key| session.must_wait_for(core.key(key)))
    {
        return Step::Hold;
    }
    let Some(transaction) = of(session) else {
        return Step::Done;
    };
    let are_watched = keys
        .into_iter()
        .all(|key| transaction.watches.watch(core, core.key(key)));
    session.reply(
        core,
        if are_watched {
            reply::OK
        } else {
            TOO_MANY_KEYS
        },
    );
    Step::Done
}

/// Forgets what is queued and watched.
pub(super) fn discard(session: &mut Session) {
    session.is_queueing = false;
    if let Some(client) = session.resp_client() {
        client.transaction = None;
    }
}

fn of(session: &mut Session) -> Option<&mut Transaction> {
    let client = session.resp_client()?;
    Some(client.transaction.get_or_insert_default())
}
