//! LCS, which reads two keys. Any shard does, without asking others.

use super::{
    super::{
        core::Core,
        session::{Session, Step},
    },
    refuse,
};
use crate::protocol::{
    lcs,
    resp::{Args, LcsAnswer, LcsRequest, Version, reply},
};

const TOO_LONG: &[u8] =
    b"-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len\r\n";

/// Executes it.
pub(super) fn longest_common_subsequence(
    session: &mut Session,
    core: &mut Core,
    request: LcsRequest<'_>,
    args: Args<'_>,
    version: Version,
) -> Step {
    let LcsRequest { key1, key2 } = request;
    let keys = [key1, key2].map(|key| core.key(key));
    if keys.iter().any(|key| session.must_wait_for(*key)) {
        return Step::Hold;
    }
    for key in keys {
        let absence = core.store.look(key, core.now).err();
        core.count_read(key, absence);
    }
    let answer = match LcsAnswer::read(args) {
        Ok(answer) => answer,
        Err(error) => return refuse(session, core, args, &error),
    };
    let [a, b] = keys.map(|key| {
        let entry = core.store.get(key, core.now);
        entry.map_or(&[][..], |entry| entry.value())
    });
    let Ok(runs) = lcs::runs(a, b) else {
        session.refuse(core, TOO_LONG);
        return Step::Done;
    };
    let out = session.replies.ready(&mut core.buffers);
    let length: usize = runs.iter().map(|run| run.bytes).sum();
    match answer {
        LcsAnswer::Length => reply::integer(out, length as i64),
        LcsAnswer::Text => {
            let mut text = Vec::with_capacity(length);
            for run in runs.iter().rev() {
                text.extend_from_slice(&a[run.a..run.a + run.bytes]);
            }
            reply::bulk(out, &text);
        }
        LcsAnswer::Runs {
            bytes_min,
            with_length,
        } => {
            let told = runs.iter().filter(|run| run.bytes as u64 >= bytes_min);
            reply::map_header(out, 2, version);
            reply::bulk(out, b"matches");
            reply::array_header(out, told.clone().count());
            told.for_each(|run| encode_run(run, with_length, out));
            reply::bulk(out, b"len");
            reply::integer(out, length as i64);
        }
    }
    Step::Done
}

fn encode_run(run: &lcs::Run, with_length: bool, out: &mut Vec<u8>) {
    reply::array_header(out, 2 + usize::from(with_length));
    for start in [run.a, run.b] {
        reply::array_header(out, 2);
        reply::integer(out, start as i64);
        reply::integer(out, (start + run.bytes - 1) as i64);
    }
    if with_length {
        reply::integer(out, run.bytes as i64);
    }
}
