//! What the server says of itself: `INFO`, `CONFIG GET`. Nothing here is about a key.

use std::io::Write as _;

use super::super::{
    core::Core,
    session::{Session, Step},
    settings::{REDIS_VERSION, VERSION},
    stats::figures,
};
use crate::protocol::{
    glob::{self, Case},
    resp::{Rest, ServerRequest, Version, reply},
};

/// Answers RESP requests that are about the server or the connection.
pub(super) fn server(
    session: &mut Session,
    core: &mut Core,
    request: &ServerRequest<'_>,
    version: Version,
) -> Step {
    match *request {
        ServerRequest::Info { sections } => info(session, core, sections, version),
        ServerRequest::ConfigGet { patterns } => config_get(session, core, patterns, version),
        ServerRequest::Time => {
            let ms = core.now.0;
            let out = session.ready(&mut core.buffers);
            reply::array_header(out, 2);
            reply::bulk(out, itoa::Buffer::new().format(ms / 1000).as_bytes());
            reply::bulk(out, itoa::Buffer::new().format(ms % 1000 * 1000).as_bytes());
        }
    }
    Step::Done
}

/// `INFO`, with the sections that clients and exporters read.
fn info(session: &mut Session, core: &mut Core, sections: Rest<'_>, version: Version) {
    let figures = figures(core);
    let figure = |name: &str| {
        figures
            .iter()
            .find(|figure| figure.0 == name)
            .map_or(0, |figure| figure.1)
    };
    let is_wanted = |section: &str| {
        sections.count() == 0
            || sections.into_iter().any(|wanted| {
                wanted.eq_ignore_ascii_case(section.as_bytes())
                    || [&b"default"[..], b"all", b"everything"]
                        .iter()
                        .any(|all| wanted.eq_ignore_ascii_case(all))
            })
    };
    let mut text = core.buffers.take();
    let mut section = |name: &str, lines: &[(&str, &dyn std::fmt::Display)]| {
        if is_wanted(name) {
            if !text.is_empty() {
                text.extend_from_slice(b"\r\n");
            }
            // Writing to a Vec cannot fail.
            let _ = write!(text, "# {name}\r\n");
            for (name, value) in lines {
                let _ = write!(text, "{name}:{value}\r\n");
            }
        }
    };
    let redis_mode = "standalone";
    section(
        "Server",
        &[
            ("redis_version", &REDIS_VERSION),
            ("ringfort_version", &VERSION),
            ("redis_mode", &redis_mode),
            ("process_id", &figure("pid")),
            ("tcp_port", &core.settings.resp_port),
            ("uptime_in_seconds", &figure("uptime")),
            ("uptime_in_days", &(figure("uptime") / 86_400)),
            ("shards", &figure("threads")),
        ],
    );
    section(
        "Clients",
        &[
            ("connected_clients", &figure("curr_connections")),
            ("maxclients", &figure("max_connections")),
        ],
    );
    section(
        "Memory",
        &[
            ("used_memory", &figure("bytes")),
            ("maxmemory", &figure("limit_maxbytes")),
            ("maxmemory_policy", &"allkeys-lru"),
        ],
    );
    section(
        "Stats",
        &[
            ("total_connections_received", &figure("total_connections")),
            (
                "total_commands_processed",
                &core.board.totals().resp_requests,
            ),
            ("rejected_connections", &figure("rejected_connections")),
            ("total_net_input_bytes", &figure("bytes_read")),
            ("total_net_output_bytes", &figure("bytes_written")),
            ("expired_keys", &figure("reclaimed")),
            ("evicted_keys", &figure("evictions")),
            ("keyspace_hits", &figure("get_hits")),
            ("keyspace_misses", &figure("get_misses")),
            ("shard_hops", &figure("shard_hops")),
            ("backend_requests", &figure("backend_requests")),
            ("backend_failures", &figure("backend_failures")),
            ("fills_joined", &figure("fills_joined")),
            ("invalidations", &figure("invalidations")),
        ],
    );
    section(
        "Replication",
        &[("role", &"master"), ("connected_slaves", &0)],
    );
    section("Cluster", &[("cluster_enabled", &0)]);
    let keys = format_args!("keys={},expires=0,avg_ttl=0", figure("curr_items")).to_string();
    if figure("curr_items") > 0 {
        section("Keyspace", &[("db0", &keys)]);
    } else {
        section("Keyspace", &[]);
    }
    reply::verbatim(session.ready(&mut core.buffers), &text, version);
    core.buffers.put(text);
}

/// `CONFIG GET` of what clients and benchmarks ask for.
fn config_get(session: &mut Session, core: &mut Core, patterns: Rest<'_>, version: Version) {
    let settings = &core.settings;
    let numbers = [
        ("maxmemory", settings.memory_bytes),
        ("maxclients", settings.connections_max),
        ("proto-max-bulk-len", settings.bulk_bytes_max()),
        ("port", usize::from(settings.resp_port)),
        ("databases", 1),
        ("tracking-table-max-keys", settings.tracking_keys_max),
        ("timeout", 0),
    ];
    let texts = [
        ("maxmemory-policy", "allkeys-lru"),
        ("save", ""),
        ("appendonly", "no"),
    ];
    let is_wanted = |name: &str| {
        patterns
            .into_iter()
            .any(|pattern| glob::matches(pattern, name.as_bytes(), Case::Ignored))
    };
    let wanted_numbers = numbers.iter().filter(|(name, _)| is_wanted(name));
    let wanted_texts = texts.iter().filter(|(name, _)| is_wanted(name));
    let count = wanted_numbers.clone().count() + wanted_texts.clone().count();
    let out = session.replies.ready(&mut core.buffers);
    reply::map_header(out, count, version);
    for (name, value) in wanted_numbers {
        reply::bulk(out, name.as_bytes());
        reply::bulk(out, itoa::Buffer::new().format(*value).as_bytes());
    }
    for (name, value) in wanted_texts {
        reply::bulk(out, name.as_bytes());
        reply::bulk(out, value.as_bytes());
    }
}
