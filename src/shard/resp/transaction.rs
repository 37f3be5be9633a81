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
        message::{Ask, AskBody},
        pool::{
            Place, relay, transaction as pool,
            watch::{self, ServerWatch},
        },
        session::{Session, Step},
        settings::TRANSACTION_BYTES_MAX,
        world::WorldPass,
    },
    Read, limits, read_frame, refuse, serve_now,
    watches::Watches,
};
use crate::config::Protocol;
use crate::io::Token;
use crate::protocol::{
    Parsed,
    resp::{self, Args, Request, RequestError, Rest, TransactionRequest, reply, table::Command},
};

const NOT_FOR_POOLS: &[u8] = b"-ERR transactions are not possible over memcache servers\r\n";
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
    pub(in crate::shard) requests: Vec<u8>,
    pub(in crate::shard) count: usize,
    /// In front of a pool, where their keys are and those that are watched, if there are any.
    pub(in crate::shard) place: Option<Place>,
    pub(in crate::shard) watch: ServerWatch,
    /// Bytes of `requests` that EXEC is done with.
    done: usize,
    /// A request was refused, so EXEC will be.
    is_spoilt: bool,
    /// The owners of watched keys were asked for the last changes.
    has_asked: bool,
    /// Its requests are being executed.
    has_begun: bool,
    /// One of them may write.
    has_writes: bool,
}

impl Transaction {
    /// How many requests are queued, and their bytes.
    pub(in crate::shard) fn queued(&self) -> (usize, usize) {
        (self.count, self.requests.len())
    }

    /// Whether a watched key is known to have changed.
    pub(in crate::shard) fn is_dirty(&self, core: &Core, token: Token) -> bool {
        self.watches.is_dirty(core, token)
    }
}

/// A request of a client that has said MULTI.
pub(super) fn serve(
    session: &mut Session,
    core: &mut Core,
    args: Args<'_>,
    read: &Read<'_>,
) -> Step {
    let spec = match Request::check(&args) {
        Ok(spec) => spec,
        Err(RequestError::UnknownCommand(_)) if core.pool.is_some() => {
            let is_write = relay::may_write(&args);
            if is_held_back(session, core, is_write) {
                return Step::Hold;
            }
            session.command = None;
            queue_for_server(session, core, args, is_write);
            return Step::Done;
        }
        Err(error) => {
            if error == RequestError::Arity("exec") {
                discard(session, core);
            } else if let Some(transaction) = of(session) {
                transaction.is_spoilt = true;
            }
            return refuse(session, core, args, &error);
        }
    };
    let command = spec.command;
    session.command = Some(command);
    let is_exec = command == Command::Exec;
    let is_write =
        spec.is_write() || (is_exec && of(session).is_some_and(|queue| queue.has_writes));
    if is_held_back(session, core, is_write) {
        return Step::Hold;
    }
    if is_exec {
        let step = exec(session, core);
        if step != Step::Hold {
            session.command = Some(command);
            core.count_call(command);
        }
        return step;
    }
    let line = match command {
        Command::Reset | Command::Quit => return serve_now(session, core, &args, read),
        Command::Discard => {
            discard(session, core);
            core.count_call(command);
            reply::OK
        }
        Command::Multi | Command::Watch => {
            let line = if command == Command::Multi {
                NESTED
            } else {
                WATCH_INSIDE
            };
            core.count_call(command);
            session.refuse(core, line);
            return Step::Done;
        }
        _ if core.pool.is_some() => {
            queue_for_server(session, core, args, is_write);
            return Step::Done;
        }
        _ => queue(session, core, args, is_write),
    };
    session.reply(core, line);
    Step::Done
}

/// Whether a pause holds a request of a client that has said MULTI, as Redis does: one that is to
/// write before it is queued, and EXEC of one before it stops everybody. What has the world is not
/// held, or nobody could end the pause.
fn is_held_back(session: &Session, core: &Core, is_write: bool) -> bool {
    session.pass == WorldPass::None && core.pause.holds(is_write)
}

/// Keeps a request for EXEC if it is for the same server of the pool as all others.
fn queue_for_server(session: &mut Session, core: &mut Core, args: Args<'_>, is_write: bool) {
    let place = of(session).and_then(|transaction| transaction.place);
    match pool::admit(core, place, &args) {
        Ok(place) => {
            if let Some(transaction) = of(session) {
                transaction.place = place;
            }
            let line = queue(session, core, args, is_write);
            session.reply(core, line);
        }
        Err(refusal) => {
            if let Some(transaction) = of(session) {
                transaction.is_spoilt = true;
            }
            let mut line = core.buffers.take();
            refusal.encode(args, &mut line);
            session.refuse(core, &line);
            core.buffers.put(line);
        }
    }
}

/// Keeps a request for EXEC; what to answer.
fn queue(session: &mut Session, core: &Core, args: Args<'_>, is_write: bool) -> &'static [u8] {
    let token = session.token();
    let Some(transaction) = of(session) else {
        return QUEUED;
    };
    // EXEC will do nothing: nothing is kept for it, nor counted.
    if transaction.is_spoilt || core.has_heard_of_change(token) {
        return QUEUED;
    }
    let bytes = transaction.requests.len() + args.raw().len();
    if bytes > TRANSACTION_BYTES_MAX {
        transaction.is_spoilt = true;
        return TOO_LARGE;
    }
    transaction.count += 1;
    transaction.has_writes |= is_write;
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
    if core.pool.is_some() {
        return exec_on_server(session, core);
    }
    let has_begun = of(session).is_some_and(|transaction| transaction.has_begun);
    if !has_begun && let Some(step) = begin(session, core) {
        return step;
    }
    let Some(transaction) = of(session) else {
        return end(session, core);
    };
    let (requests, mut done) = (mem::take(&mut transaction.requests), transaction.done);
    if execute_from(session, core, &requests, &mut done) == Step::Done {
        return end(session, core);
    }
    if let Some(transaction) = of(session) {
        transaction.requests = requests;
        transaction.done = done;
    }
    Step::Hold
}

/// Has a server of the pool execute what is queued.
fn exec_on_server(session: &mut Session, core: &mut Core) -> Step {
    let client = session.resp_client();
    let mut transaction = client.and_then(|client| client.transaction.take());
    let step = match &mut transaction {
        Some(transaction) if transaction.is_spoilt => {
            watch::unwatch(core, session.token(), transaction);
            session.reply(core, SPOILT);
            Step::Done
        }
        Some(transaction) if watch::is_lost(core, session.token(), transaction) => {
            watch::unwatch(core, session.token(), transaction);
            let version = session.version();
            reply::null_array(session.ready(&mut core.buffers), version);
            Step::Done
        }
        Some(transaction) if transaction.count > 0 || transaction.watch != ServerWatch::Nothing => {
            pool::exec(session, core, transaction)
        }
        _ => {
            reply::array_header(session.ready(&mut core.buffers), 0);
            Step::Done
        }
    };
    if step == Step::Hold {
        if let Some(client) = session.resp_client() {
            client.transaction = transaction;
        }
        return step;
    }
    end(session, core)
}

/// What there is to do before the first request: nothing more, or EXEC is answered or has to wait.
fn begin(session: &mut Session, core: &mut Core) -> Option<Step> {
    let token = session.token();
    let transaction = of(session)?;
    let is_watching = !transaction.watches.is_empty();
    if transaction.is_spoilt {
        session.refuse(core, SPOILT);
        return Some(end(session, core));
    }
    if transaction.count == 0 && !is_watching {
        reply::array_header(session.ready(&mut core.buffers), 0);
        return Some(end(session, core));
    }
    // Once dirty, always dirty: no need to stop anybody, unless they are being stopped already.
    if session.pass == WorldPass::None && is_dirty(session, core) {
        return Some(abort(session, core));
    }
    if !session.enter_world(core) {
        return Some(Step::Hold);
    }
    if is_watching && !has_heard(session, core) {
        return Some(Step::Hold);
    }
    if is_dirty(session, core) {
        return Some(abort(session, core));
    }
    let transaction = of(session)?;
    transaction.watches.unwatch(core, token);
    transaction.has_begun = true;
    let count = transaction.count;
    reply::array_header(session.ready(&mut core.buffers), count);
    None
}

/// Whether the last changes of watched keys are known, which nobody makes any more. Those of other
/// shards are asked for: they tell what they noted before they answer.
fn has_heard(session: &mut Session, core: &mut Core) -> bool {
    let origin = session.next_origin();
    let Some(transaction) = of(session) else {
        return true;
    };
    if !transaction.has_asked {
        transaction.has_asked = true;
        let me = core.shard();
        for shard in transaction
            .watches
            .owners(core)
            .filter(|shard| *shard != me)
        {
            let body = AskBody::Tell;
            core.ask(shard, Ask { origin, body });
        }
    }
    core.is_settled()
}

fn is_dirty(session: &mut Session, core: &mut Core) -> bool {
    core.settle_notes(None);
    let token = session.token();
    of(session).is_some_and(|transaction| transaction.watches.is_dirty(core, token))
}

/// Refuses EXEC, as a watched key was changed.
fn abort(session: &mut Session, core: &mut Core) -> Step {
    let version = session.version();
    reply::null_array(session.ready(&mut core.buffers), version);
    end(session, core)
}

/// The transaction is over, and lets the world go if it has it.
fn end(session: &mut Session, core: &mut Core) -> Step {
    discard(session, core);
    if session.has_world() {
        session.leave_world(core)
    } else {
        Step::Done
    }
}

/// Executes requests from `done` on, until one must wait.
fn execute_from(session: &mut Session, core: &mut Core, requests: &[u8], done: &mut usize) -> Step {
    loop {
        if session.is_full() {
            return Step::Hold;
        }
        if *done == requests.len() {
            return Step::Done;
        }
        let parsed = resp::parse(&requests[*done..], &limits(core));
        let Parsed::Complete {
            request: args,
            consumed,
        } = parsed
        else {
            unreachable!("it was whole when it was queued, within the same limits");
        };
        if serve_now(session, core, &args, &read_frame(args)) == Step::Hold {
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
        TransactionRequest::Multi | TransactionRequest::Watch { .. }
            if core.backend_protocol() == Some(Protocol::Memcache) =>
        {
            NOT_FOR_POOLS
        }
        TransactionRequest::Multi | TransactionRequest::Watch { .. } if core.is_crossed() => {
            pool::NOT_CROSSED
        }
        TransactionRequest::Watch { keys } if is_pool => {
            return watch_at_server(session, core, keys);
        }
        TransactionRequest::Multi => {
            session.is_queueing = true;
            reply::OK
        }
        TransactionRequest::Watch { keys } => return watch(session, core, keys),
        TransactionRequest::Unwatch => {
            discard(session, core);
            reply::OK
        }
        TransactionRequest::Exec => EXEC_ALONE,
        TransactionRequest::Discard => DISCARD_ALONE,
    };
    if line.starts_with(b"-") {
        session.refuse(core, line);
    } else {
        session.reply(core, line);
    }
    Step::Done
}

/// Has a server of the pool watch keys.
fn watch_at_server(session: &mut Session, core: &mut Core, keys: Rest<'_>) -> Step {
    let client = session.resp_client();
    let transaction = client.and_then(|client| client.transaction.take());
    let mut transaction = transaction.unwrap_or_default();
    let step = watch::watch(session, core, &mut transaction, keys);
    if let Some(client) = session.resp_client() {
        client.transaction = Some(transaction);
    }
    step
}

/// What is watched is what comes after this client's own writes so far.
fn watch(session: &mut Session, core: &mut Core, keys: Rest<'_>) -> Step {
    let must_wait = keys
        .into_iter()
        .any(|key| session.must_wait_for(core.key(key)));
    if must_wait || !core.may_watch() {
        return Step::Hold;
    }
    let token = session.token();
    let Some(transaction) = of(session) else {
        return Step::Done;
    };
    let are_watched = keys
        .into_iter()
        .all(|key| transaction.watches.watch(core, token, core.key(key)));
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
pub(in crate::shard) fn discard(session: &mut Session, core: &mut Core) {
    session.is_queueing = false;
    let token = session.token();
    let client = session.resp_client();
    if let Some(mut transaction) = client.and_then(|client| client.transaction.take()) {
        transaction.watches.unwatch(core, token);
        watch::unwatch(core, token, &transaction);
    }
}

fn of(session: &mut Session) -> Option<&mut Transaction> {
    let client = session.resp_client()?;
    Some(client.transaction.get_or_insert_default())
}
