//! memcache's `stats`.

use super::super::{core::Core, session::Session, settings::MEMCACHED_VERSION, stats::figures};
use crate::protocol::memcache::reply as memcache;

/// Answers memcache's `stats`.
pub(in crate::shard) fn stats(session: &mut Session, core: &mut Core, argument: &[u8]) {
    let figures = figures(core);
    let out = session.ready(&mut core.buffers);
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
