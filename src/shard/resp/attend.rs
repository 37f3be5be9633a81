//! Requests that are not just executed: those that are timed, those that a pause holds, and those
//! of clients who want to be treated in a special way. All that is rare, or asked for.

use super::super::{
    core::Core,
    meter::{EVENT_NAMES, Sample},
    session::{Session, Step},
    world::WorldPass,
};
use super::{Framed, execute, serve_frame, slow_log};
use crate::protocol::resp::{
    Args, ConnectionRequest, Request, RequestError,
    table::{self, Command},
};

/// Requests about more keys than this are all timed.
const KEYS_SAMPLED_MAX: usize = 64;

/// Whether a request is one of those that nobody makes by the million, so that all are timed.
#[inline]
pub(super) fn is_rare(request: &Request<'_>) -> bool {
    match request {
        Request::MGet { keys }
        | Request::Del { keys }
        | Request::Exists { keys }
        | Request::Touch { keys } => keys.count() > KEYS_SAMPLED_MAX,
        Request::MSet { pairs } => pairs.count() > 2 * KEYS_SAMPLED_MAX,
        Request::DbSize | Request::FlushAll | Request::Server(_) => true,
        Request::Connection(request) => !matches!(
            request,
            ConnectionRequest::Ping { .. } | ConnectionRequest::Echo { .. }
        ),
        _ => false,
    }
}

/// Serves a request of a client who is not answered, or whose reads do not count as use.
#[cold]
pub(super) fn serve_specially(session: &mut Session, core: &mut Core, framed: &Framed<'_>) -> Step {
    let Some(client) = session.resp_client() else {
        return Step::Close;
    };
    let begins_muted = client.begins_muted();
    // TOUCH is for nothing else than to mark.
    let is_touch = matches!(framed.1, Ok((Command::Touch, _)));
    core.store.set_marks_use(client.marks_use || is_touch);
    let mark = session.replies.mark();
    let step = serve_frame(session, core, framed);
    core.store.set_marks_use(true);
    let ends_muted = session
        .resp_client()
        .is_some_and(|client| client.ends_muted(step != Step::Hold));
    if begins_muted && ends_muted {
        session.replies.drop_since(mark);
    }
    step
}

/// Executes a request unless a pause holds it, and times it. What has begun goes on, as does a
/// transaction: everybody else waits for it, and with them who ends the pause.
#[cold]
pub(super) fn attend(
    session: &mut Session,
    core: &mut Core,
    args: &Args<'_>,
    command: Command,
    request: &Request<'_>,
) -> Step {
    let spec = table::row_of(command);
    session.command = Some(command);
    let is_write = spec.is_some_and(|spec| spec.is_write());
    if session.pass == WorldPass::None && core.pause.holds(is_write) {
        return Step::Hold;
    }
    let begun_ns = core.stopwatch.elapsed_ns();
    let step = execute(session, core, request, args);
    if step == Step::Hold {
        return step;
    }
    let ns = core.stopwatch.elapsed_ns().saturating_sub(begun_ns);
    core.count_call(command);
    let keeps_histogram = core.settings.tunables.latency_tracking.get() == 1;
    let meters = core.board.commands(core.shard());
    meters.of(command).record(ns, keeps_histogram);
    slow_log::note(session, core, command, *args, ns);
    let is_fast = spec.is_some_and(|spec| spec.is_fast());
    core.note_event(is_fast, ns);
    step
}

/// Counts a request that was refused, by its error and by the command if it is one.
pub(super) fn count_refused(core: &Core, args: Args<'_>, error: &RequestError<'_>, line: &[u8]) {
    let shard = core.shard();
    core.board.count_error(shard, line);
    let meters = core.board.commands(shard);
    match (error, Request::check(&args)) {
        (_, Ok(spec)) => meters.of(spec.command).failed.add(1),
        (RequestError::Arity(name), _) => {
            let spec = table::all().find(|spec| spec.name == *name);
            if let Some(spec) = spec {
                meters.of(spec.command).rejected.add(1);
            }
        }
        _ => {}
    }
}

impl Core {
    /// Counts a request that was executed.
    #[inline]
    pub(super) fn count_call(&self, command: Command) {
        let meters = self.board.commands(self.mesh.shard());
        meters.of(command).calls.add(1);
    }

    /// Notes what took long as an event of the latency monitor, if that is on.
    fn note_event(&mut self, is_fast: bool, ns: u64) {
        let threshold_ms = self.settings.tunables.latency_monitor_ms.get();
        let ms = ns / 1_000_000;
        if threshold_ms == 0 || ms < threshold_ms {
            return;
        }
        const _: () = assert!(EVENT_NAMES.len() == 2);
        let unix_seconds = self.now.seconds();
        self.meter.events[usize::from(is_fast)].add(Sample { unix_seconds, ms });
    }
}
