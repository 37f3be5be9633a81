//! memcache's `stats`.

use super::super::{core::Core, session::Session, settings::MEMCACHED_VERSION, stats::figures};
use crate::protocol::{
    binary::{Echo, Status, reply as binary},
    memcache::reply as memcache,
};

/// Answers memcache's `stats`.
pub(super) fn stats(session: &mut Session, core: &mut Core, argument: &[u8]) {
    let mut lines = core.buffers.take();
    write(core, argument, &mut lines);
    session.reply(core, &lines);
    core.buffers.put(lines);
}

/// Answers the binary protocol's stat: the same lines, each in a packet.
pub(super) fn stats_binary(session: &mut Session, core: &mut Core, echo: Echo, argument: &[u8]) {
    let mut lines = core.buffers.take();
    write(core, argument, &mut lines);
    let out = session.ready(&mut core.buffers);
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let line = line.trim_ascii_end();
        match line.strip_prefix(b"STAT ") {
            Some(stat) => {
                let name_bytes = stat.iter().position(|byte| *byte == b' ');
                let (name, value) = stat.split_at(name_bytes.unwrap_or(stat.len()));
                binary::stat(out, echo, name, value.trim_ascii_start());
            }
            None if line == b"END" || line == b"RESET" => binary::done(out, echo, 0),
            None => binary::error(out, echo, Status::NotFound),
        }
    }
    core.buffers.put(lines);
}

fn write(core: &Core, argument: &[u8], out: &mut Vec<u8>) {
    let figures = figures(core);
    match argument {
        b"" => {
            let names = figures.iter().filter(|figure| !figure.0.contains('.'));
            names.for_each(|(name, value)| stat(out, name, *value));
            memcache::stat(out, "version", MEMCACHED_VERSION);
        }
        b"settings" => {
            stat(out, "maxbytes", core.settings.memory_bytes as u64);
            stat(out, "maxconns", core.settings.connections_max as u64);
            stat(out, "tcpport", u64::from(core.settings.memcache_port));
            stat(out, "item_size_max", core.settings.item_bytes_max as u64);
            stat(out, "num_threads", core.mesh.shard_count() as u64);
            memcache::stat(out, "evictions", "on");
            memcache::stat(out, "cas_enabled", "yes");
        }
        b"reset" => return out.extend_from_slice(memcache::RESET),
        // Of slabs and the like there are none.
        b"items" | b"slabs" | b"sizes" | b"conns" => {}
        _ => return out.extend_from_slice(memcache::ERROR),
    }
    out.extend_from_slice(memcache::END);
}

fn stat(out: &mut Vec<u8>, name: &str, value: u64) {
    memcache::stat(out, name, itoa::Buffer::new().format(value));
}
