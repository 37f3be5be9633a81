//! SLOWLOG: the requests that took long.

use super::super::{
    core::Core,
    meter::{SlowRequest, keep_args},
    round::{Round, Share},
    session::{Session, Step},
    tunables::NEVER,
};
use crate::protocol::resp::{Args, SlowLogRequest, Version, reply, table::Command};

/// Settings that are passwords.
const SECRET_SETTINGS: [&[u8]; 2] = [b"requirepass", b"masterauth"];

/// Answers SLOWLOG.
pub(super) fn slow_log(
    session: &mut Session,
    core: &mut Core,
    request: &SlowLogRequest,
    version: Version,
) -> Step {
    // A request about the log is not in it yet, as in Redis.
    let before = core.board.slow_requests();
    let round = match *request {
        SlowLogRequest::Get { count } => Round::SlowLog { count, before },
        SlowLogRequest::Len => Round::SlowLogLen { before },
        SlowLogRequest::Reset => Round::ResetSlowLog { before },
    };
    session.go_round(core, round, version)
}

/// Logs a request if it took long.
pub(super) fn note(session: &Session, core: &mut Core, command: Command, args: Args<'_>, ns: u64) {
    let tunables = &core.settings.tunables;
    let threshold_us = tunables.slow_log_us.get();
    if threshold_us == NEVER || ns / 1_000 < threshold_us {
        return;
    }
    let len_max = tunables.slow_log_len_max.get();
    let request = SlowRequest {
        id: core.board.next_slow_request(),
        unix_seconds: core.now.seconds(),
        us: ns / 1_000,
        args: keep_args(args.iter(), |index| is_secret(command, args, index)),
        token: session.token(),
        address: String::new(),
        name: session
            .client()
            .map(|client| client.name().to_vec())
            .unwrap_or_default(),
    };
    core.meter.slow_log.push(request, len_max);
}

/// Whether an argument is a password, or stands where one does.
fn is_secret(command: Command, args: Args<'_>, index: usize) -> bool {
    let before = |back: usize| {
        let argument = index.checked_sub(back).and_then(|index| args.get(index));
        argument.unwrap_or_default()
    };
    match command {
        Command::Auth => index > 0,
        Command::Hello => [1, 2]
            .iter()
            .any(|back| before(*back).eq_ignore_ascii_case(b"auth")),
        Command::ConfigSet => SECRET_SETTINGS
            .iter()
            .any(|name| before(1).eq_ignore_ascii_case(name)),
        _ => false,
    }
}

impl Core {
    /// This shard's share of SLOWLOG GET, the newest first.
    pub(in crate::shard) fn slow_requests(&self, count: usize, before: u64) -> Share {
        let encode = |request: &SlowRequest| {
            let mut out = Vec::new();
            reply::array_header(&mut out, 6);
            for number in [request.id, request.unix_seconds, request.us] {
                reply::integer(&mut out, number as i64);
            }
            reply::array_header(&mut out, request.args.len());
            request
                .args
                .iter()
                .for_each(|arg| reply::bulk(&mut out, arg));
            reply::bulk(&mut out, request.address.as_bytes());
            reply::bulk(&mut out, &request.name);
            (u64::MAX - request.id, out)
        };
        let requests = self.meter.slow_log.before(before);
        Share {
            items: requests.take(count).map(encode).collect(),
            ..Share::default()
        }
    }
}
