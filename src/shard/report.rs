//! What the server says of itself: `stats`, `INFO`, `CONFIG GET`, `COMMAND`, and the state of a
//! RESP connection. Nothing here is about a key.

use std::io::Write as _;

use super::{
    core::Core,
    session::{Session, Step},
    settings::{MEMCACHED_VERSION, REDIS_VERSION, VERSION},
};
use crate::protocol::{
    memcache::reply as memcache,
    resp::{Request, Rest, Version, reply, table},
};

/// Answers memcache's `stats`.
pub(super) fn memcache_stats(session: &mut Session, core: &mut Core, argument: &[u8]) {
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
        _ => {}
    }
    out.extend_from_slice(memcache::END);
}

fn stat(out: &mut Vec<u8>, name: &str, value: u64) {
    memcache::stat(out, name, itoa::Buffer::new().format(value));
}

/// Everything counted, in memcached's names where it has one. A name with a dot is `INFO`'s only.
fn figures(core: &Core) -> [(&'static str, u64); 29] {
    let totals = core.board.totals();
    let store = core.store.stats();
    let uptime = core.now.seconds() - core.settings.started.seconds();
    [
        ("pid", u64::from(std::process::id())),
        ("uptime", uptime),
        ("time", core.now.seconds()),
        ("pointer_size", u64::from(usize::BITS)),
        ("curr_connections", totals.connections),
        ("total_connections", totals.connections_total),
        ("rejected_connections", totals.connections_refused),
        ("max_connections", core.settings.connections_max as u64),
        ("cmd_get", totals.gets),
        ("cmd_set", totals.sets),
        ("cmd_flush", totals.flushes),
        ("cmd_touch", totals.touches),
        ("get_hits", totals.get_hits),
        ("get_misses", totals.gets.saturating_sub(totals.get_hits)),
        ("deletes", totals.deletes),
        ("counts", totals.counts),
        ("bytes_read", totals.bytes_read),
        ("bytes_written", totals.bytes_written),
        ("limit_maxbytes", core.settings.memory_bytes as u64),
        ("threads", core.mesh.shard_count() as u64),
        ("bytes", store.live_bytes),
        ("curr_items", store.entry_count),
        ("evictions", store.evicted_count),
        ("reclaimed", store.expired_count),
        ("shard_hops", totals.hops),
        ("backend_requests", totals.backend_requests),
        ("backend_failures", totals.backend_failures),
        ("fills_joined", totals.fills_joined),
        ("invalidations", totals.invalidations),
    ]
}

/// Answers RESP requests that are about the server or the connection; `None` for the others.
pub(super) fn resp_server(
    session: &mut Session,
    core: &mut Core,
    request: &Request<'_>,
    version: Version,
) -> Option<Step> {
    if let Some(step) = connection(session, core, request, version) {
        return Some(step);
    }
    match *request {
        Request::Info { sections } => info(session, core, sections, version),
        Request::ConfigGet { patterns } => config_get(session, core, patterns, version),
        Request::Time => {
            let ms = core.now.0;
            let out = session.ready(&mut core.buffers);
            reply::array_header(out, 2);
            reply::bulk(out, itoa::Buffer::new().format(ms / 1000).as_bytes());
            reply::bulk(out, itoa::Buffer::new().format(ms % 1000 * 1000).as_bytes());
        }
        Request::Command => commands(session.ready(&mut core.buffers), version),
        Request::CommandInfo { names } if names.count() == 0 => {
            commands(session.ready(&mut core.buffers), version);
        }
        Request::CommandInfo { names } => {
            let out = session.ready(&mut core.buffers);
            reply::array_header(out, names.count());
            for name in names {
                match table::lookup(name) {
                    Some(spec) => spec.encode(out, version),
                    None => reply::null_array(out, version),
                }
            }
        }
        Request::CommandCount => {
            reply::integer(
                session.ready(&mut core.buffers),
                table::COMMANDS.len() as i64,
            );
        }
        Request::CommandList => {
            let out = session.ready(&mut core.buffers);
            reply::array_header(out, table::COMMANDS.len());
            table::COMMANDS
                .iter()
                .for_each(|spec| reply::bulk(out, spec.name.as_bytes()));
        }
        // Redis' own documentation of its commands is not ours to repeat: none is found.
        Request::CommandDocs { .. } => {
            reply::map_header(session.ready(&mut core.buffers), 0, version);
        }
        _ => return None,
    }
    Some(Step::Done)
}

/// Requests about the connection itself.
fn connection(
    session: &mut Session,
    core: &mut Core,
    request: &Request<'_>,
    version: Version,
) -> Option<Step> {
    match *request {
        Request::Ping { message: None } => session.reply(core, reply::PONG),
        Request::Ping {
            message: Some(message),
        }
        | Request::Echo { message } => {
            reply::bulk(session.ready(&mut core.buffers), message);
        }
        Request::Hello {
            version: wanted,
            setname,
            auth,
        } => {
            hello(
                session,
                core,
                wanted.unwrap_or(version),
                setname,
                auth.is_some(),
            );
        }
        Request::ClientSetName { name } => {
            set_name(session, name);
            session.reply(core, reply::OK);
        }
        Request::ClientGetName => {
            let name = session
                .resp_client()
                .map(|client| client.name.clone())
                .unwrap_or_default();
            let out = session.ready(&mut core.buffers);
            if name.is_empty() {
                reply::null(out, version)
            } else {
                reply::bulk(out, &name)
            }
        }
        Request::ClientSetInfo { .. } => session.reply(core, reply::OK),
        Request::ClientId => {
            let id = session.resp_client().map_or(0, |client| client.id);
            reply::integer(session.ready(&mut core.buffers), id as i64);
        }
        Request::Select { index: 0 } => session.reply(core, reply::OK),
        Request::Select { .. } => session.reply(core, reply::DB_INDEX),
        Request::Reset => {
            if let Some(client) = session.resp_client() {
                client.version = Version::Resp2;
                client.name.clear();
            }
            session.reply(core, reply::RESET);
        }
        Request::Quit => {
            session.reply(core, reply::OK);
            return Some(Step::Close);
        }
        _ => return None,
    }
    Some(Step::Done)
}

fn hello(
    session: &mut Session,
    core: &mut Core,
    version: Version,
    setname: Option<&[u8]>,
    has_auth: bool,
) {
    if has_auth {
        // There are no users here yet, so none has this password.
        return session.reply(core, reply::WRONG_PASS);
    }
    if let Some(name) = setname {
        set_name(session, name);
    }
    let Some(client) = session.resp_client() else {
        return;
    };
    client.version = version;
    let id = client.id;
    let out = session.ready(&mut core.buffers);
    reply::map_header(out, 7, version);
    for (name, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        reply::bulk(out, name.as_bytes());
        reply::bulk(out, value.as_bytes());
    }
    reply::bulk(out, b"proto");
    reply::integer(out, if version == Version::Resp3 { 3 } else { 2 });
    reply::bulk(out, b"id");
    reply::integer(out, id as i64);
    for (name, value) in [("mode", "standalone"), ("role", "master")] {
        reply::bulk(out, name.as_bytes());
        reply::bulk(out, value.as_bytes());
    }
    reply::bulk(out, b"modules");
    reply::array_header(out, 0);
}

fn set_name(session: &mut Session, name: &[u8]) {
    if let Some(client) = session.resp_client() {
        client.name.clear();
        client.name.extend_from_slice(name);
    }
}

fn commands(out: &mut Vec<u8>, version: Version) {
    reply::array_header(out, table::COMMANDS.len());
    table::COMMANDS
        .iter()
        .for_each(|spec| spec.encode(out, version));
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
            .any(|pattern| matches_glob(pattern, name.as_bytes()))
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

/// Whether a name matches a pattern with `*` and `?`, in any case.
fn matches_glob(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            matches_glob(rest, name) || (!name.is_empty() && matches_glob(pattern, &name[1..]))
        }
        ([p, rest @ ..], [n, name @ ..]) => {
            (*p == b'?' || p.eq_ignore_ascii_case(n)) && matches_glob(rest, name)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_far_as_names_need() {
        for (pattern, name, expected) in [
            ("*", "save", true),
            ("max*", "maxmemory", true),
            ("MAXMEMORY", "maxmemory", true),
            ("max*y", "maxmemory-policy", true),
            ("sav?", "save", true),
            ("save", "saved", false),
            ("", "x", false),
        ] {
            assert_eq!(
                matches_glob(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern}"
            );
        }
    }
}
