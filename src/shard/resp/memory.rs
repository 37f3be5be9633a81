//! MEMORY: what the server's memory is used for.

use super::super::{core::Core, session::Session};
use crate::protocol::resp::{MemoryRequest, Version, reply};

/// Answers MEMORY.
pub(super) fn memory(
    session: &mut Session,
    core: &mut Core,
    request: &MemoryRequest,
    version: Version,
) {
    match request {
        // All memory that there is to give back was taken for good.
        MemoryRequest::Purge => session.reply(core, reply::OK),
        MemoryRequest::MallocStats => {
            let text = b"Stats not supported for the current allocator";
            reply::bulk(session.ready(&mut core.buffers), text);
        }
        MemoryRequest::Doctor => {
            let text = doctor(core);
            reply::verbatim(session.ready(&mut core.buffers), text.as_bytes(), version);
        }
        MemoryRequest::Stats => stats(session, core, version),
    }
}

fn doctor(core: &Core) -> String {
    let store = core.board.since_reset(core.store.stats());
    let total = core.settings.memory_bytes as u64;
    let percent = store.live_bytes * 100 / total.max(1);
    if store.evicted_count == 0 {
        return format!("Entries take {percent} % of the memory, and none had to go yet.\n");
    }
    format!(
        "Entries take {percent} % of the memory, and {} had to go. Start with more --memory if \
         keyspace_misses of INFO grows faster than you like.\n",
        store.evicted_count
    )
}

/// Redis' fields, with what is known of each.
fn stats(session: &mut Session, core: &mut Core, version: Version) {
    let store = core.board.since_reset(core.store.stats());
    let vitals = (core.settings.vitals)();
    let used = store.live_bytes;
    let peak = core.board.live_bytes_peak().max(used);
    let total = core.settings.memory_bytes as u64;
    let resident = vitals.resident_bytes;
    let percent = |part: u64, whole: u64| part as f64 * 100.0 / whole.max(1) as f64;
    let whole = |number: u64| Figure::Whole(number);
    // A database without keys is not shown.
    let database = (store.entry_count > 0).then_some(("db.0", Figure::Database));
    let fields = [
        ("peak.allocated", whole(peak)),
        ("total.allocated", whole(used)),
        ("startup.allocated", whole(0)),
        ("replication.backlog", whole(0)),
        ("clients.slaves", whole(0)),
        ("clients.normal", whole(0)),
        ("cluster.links", whole(0)),
        ("aof.buffer", whole(0)),
        ("lua.caches", whole(0)),
        ("functions.caches", whole(0)),
        ("overhead.total", whole(0)),
        ("keys.count", whole(store.entry_count)),
        ("keys.bytes-per-key", whole(used / store.entry_count.max(1))),
        ("dataset.bytes", whole(used)),
        ("dataset.percentage", Figure::Part(100.0)),
        ("peak.percentage", Figure::Part(percent(used, peak))),
        ("allocator.allocated", whole(used)),
        ("allocator.active", whole(total)),
        ("allocator.resident", whole(resident)),
        ("allocator-fragmentation.ratio", Figure::Part(1.0)),
        ("allocator-fragmentation.bytes", whole(0)),
        ("allocator-rss.ratio", Figure::Part(1.0)),
        ("allocator-rss.bytes", whole(0)),
        ("rss-overhead.ratio", Figure::Part(1.0)),
        ("rss-overhead.bytes", whole(0)),
        (
            "fragmentation",
            Figure::Part(resident as f64 / used.max(1) as f64),
        ),
        ("fragmentation.bytes", whole(resident.saturating_sub(used))),
    ];
    let out = session.replies.ready(&mut core.buffers);
    reply::map_header(out, fields.len() + database.iter().count(), version);
    for (name, figure) in fields.into_iter().chain(database) {
        reply::bulk(out, name.as_bytes());
        match figure {
            Figure::Whole(number) => reply::integer(out, number as i64),
            Figure::Part(number) => reply::double(out, number, version),
            Figure::Database => {
                reply::map_header(out, DATABASE_FIELDS.len(), version);
                for name in DATABASE_FIELDS {
                    reply::bulk(out, name.as_bytes());
                    reply::integer(out, 0);
                }
            }
        }
    }
}

/// What a database of Redis takes beside its entries; here the entries' bytes are all.
const DATABASE_FIELDS: [&str; 3] = [
    "overhead.hashtable.main",
    "overhead.hashtable.expires",
    "overhead.hashtable.slot-to-keys",
];

enum Figure {
    Whole(u64),
    Part(f64),
    Database,
}
