//! memcache's `stats`, in memcached's names and order. What there is no such thing of is 0, if it
//! counts, and left out, if it measures.

use std::sync::Arc;

use super::super::{
    core::Core,
    round::{Round, Share},
    session::{Session, Step},
    settings::{MEMCACHED_VERSION, Settings},
    stats::Totals,
};
use crate::{
    protocol::{
        binary::{self, Echo, Status},
        memcache::reply,
        resp::Version,
    },
    store::{PartitionStats, UnixMs},
};

/// Statistics that each shard has a part of. memcached has them in its text protocol alone; here
/// binary clients may ask, too.
const CONNS: &[u8] = b"conns";

/// Where memcached says which version of libevent it has.
const LIBEVENT: &str = "none";
const MICROS_PER_SECOND: u64 = 1_000_000;
/// A pointer in memcached's hash table; its size counts in powers of two of them.
const POINTER_BYTES: u64 = 8;

/// No statistics by prefix are kept; who asks for them is told so.
const NO_DETAIL: &[u8] = b"SERVER_ERROR statistics by prefix are not kept\r\n";

/// Answers `stats` with its first two arguments.
pub(super) fn stats(
    session: &mut Session,
    core: &mut Core,
    argument: &[u8],
    option: &[u8],
) -> Step {
    if argument == CONNS {
        return session.go_round(core, Round::Conns { echo: None }, Version::default());
    }
    let mut lines = core.buffers.take();
    write(core, argument, option, &mut lines);
    session.reply(core, &lines);
    core.buffers.put(lines);
    Step::Done
}

/// Answers the binary protocol's stat: the same lines, each in a packet.
pub(super) fn stats_binary(
    session: &mut Session,
    core: &mut Core,
    echo: Echo,
    argument: &[u8],
) -> Step {
    if argument == CONNS {
        let round = Round::Conns { echo: Some(echo) };
        return session.go_round(core, round, Version::default());
    }
    let mut lines = core.buffers.take();
    let mut words = argument.split(|byte| *byte == b' ');
    let mut word = || words.next().unwrap_or_default();
    write(core, word(), word(), &mut lines);
    in_packets(session.ready(&mut core.buffers), echo, &lines);
    core.buffers.put(lines);
    Step::Done
}

/// Writes the reply to `stats conns`, all of whose parts are there.
pub(in crate::shard) fn finish_conns(shares: Vec<Share>, echo: Option<Echo>, out: &mut Vec<u8>) {
    let mut lines: Vec<u8> = Share::in_order(shares)
        .into_iter()
        .flat_map(|(_, lines)| lines)
        .collect();
    lines.extend_from_slice(reply::END);
    match echo {
        None => out.append(&mut lines),
        Some(echo) => in_packets(out, echo, &lines),
    }
}

/// Writes lines as the binary protocol has them, each in a packet.
fn in_packets(out: &mut Vec<u8>, echo: Echo, lines: &[u8]) {
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let line = line.trim_ascii_end();
        match line.strip_prefix(b"STAT ") {
            Some(stat) => {
                let name_bytes = stat.iter().position(|byte| *byte == b' ');
                let (name, value) = stat.split_at(name_bytes.unwrap_or(stat.len()));
                binary::reply::stat(out, echo, name, value.trim_ascii_start());
            }
            None if matches!(line, b"END" | b"RESET" | b"OK") => binary::reply::done(out, echo, 0),
            None => binary::reply::error(out, echo, Status::NotFound),
        }
    }
}

fn write(core: &Core, argument: &[u8], option: &[u8], out: &mut Vec<u8>) {
    let view = View::of(core);
    let mut lines = Lines(out);
    match argument {
        b"" => view.general(&mut lines),
        b"settings" => settings(&mut lines, &core.settings, view.shards.len()),
        b"items" => view.items(&mut lines),
        b"slabs" => view.slabs(&mut lines),
        b"sizes" => lines.put("sizes_status", "disabled"),
        b"shards" => view.by_shard(&mut lines),
        b"groups" if core.is_group() => lines.counts(&core.group_figures()),
        b"reset" => {
            core.board.reset(core.store.stats());
            return lines.end_with(reply::RESET);
        }
        b"detail" => {
            return lines.end_with(match option {
                b"on" => NO_DETAIL,
                b"off" => reply::OK,
                b"dump" => reply::END,
                _ => reply::DETAIL_USAGE,
            });
        }
        _ => return lines.end_with(reply::ERROR),
    }
    lines.end_with(reply::END);
}

/// The reply.
struct Lines<'a>(&'a mut Vec<u8>);

impl Lines<'_> {
    fn put(&mut self, name: &str, value: impl AsRef<[u8]>) {
        reply::stat(self.0, name, value);
    }

    fn count(&mut self, name: &str, value: u64) {
        self.put(name, itoa::Buffer::new().format(value));
    }

    fn counts(&mut self, counts: &[(&str, u64)]) {
        counts
            .iter()
            .for_each(|(name, count)| self.count(name, *count));
    }

    fn seconds(&mut self, name: &str, micros: u64) {
        let (seconds, micros) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
        self.put(name, format!("{seconds}.{micros:06}"));
    }

    fn end_with(self, line: &[u8]) {
        self.0.extend_from_slice(line);
    }
}

/// All that is told of, of one moment.
struct View {
    settings: Arc<Settings>,
    now: UnixMs,
    totals: Totals,
    store: PartitionStats,
    /// By shard, what it counted, what its partition holds, and its RESP requests.
    shards: Vec<(Totals, PartitionStats, u64)>,
    /// Requests of RESP clients.
    calls: u64,
    cluster_nodes: u64,
    /// What the spool counts, if there is one.
    spool: Vec<(&'static str, u64)>,
}

impl View {
    fn of(core: &Core) -> Self {
        let shards = 0..core.mesh.shard_count();
        Self {
            settings: Arc::clone(&core.settings),
            now: core.now,
            totals: core.board.totals(),
            calls: core.board.calls(),
            cluster_nodes: core.board.cluster_nodes(),
            spool: core.spool_counts(),
            store: core.board.since_reset(core.store.stats()),
            shards: shards
                .map(|shard| {
                    let totals = core.board.totals_of(shard);
                    let calls = core.board.commands(shard).calls();
                    (totals, core.store.stats_of(shard), calls)
                })
                .collect(),
        }
    }

    /// `stats` alone.
    fn general(&self, lines: &mut Lines<'_>) {
        self.process(lines);
        self.connections(lines);
        self.commands(lines);
        self.resources(lines);
        self.items_as_a_whole(lines);
        self.own(lines);
    }

    fn process(&self, lines: &mut Lines<'_>) {
        let uptime = self.now.seconds() - self.settings.started.seconds();
        lines.counts(&[
            ("pid", u64::from(std::process::id())),
            ("uptime", uptime),
            ("time", self.now.seconds()),
        ]);
        lines.put("version", MEMCACHED_VERSION);
        lines.put("libevent", LIBEVENT);
        lines.count("pointer_size", u64::from(usize::BITS));
        let used = (self.settings.cpu_time)();
        lines.seconds("rusage_user", used.user_us);
        lines.seconds("rusage_system", used.system_us);
    }

    fn connections(&self, lines: &mut Lines<'_>) {
        let totals = &self.totals;
        lines.counts(&[
            (
                "max_connections",
                self.settings.tunables.connections_max.get(),
            ),
            ("curr_connections", totals.connections),
            ("total_connections", totals.connections_total),
            ("rejected_connections", totals.connections_refused),
            ("connection_structures", totals.connections),
            ("response_obj_oom", 0),
            ("read_buf_oom", 0),
        ]);
    }

    fn commands(&self, lines: &mut Lines<'_>) {
        let totals = &self.totals;
        lines.counts(&[
            ("cmd_get", totals.gets),
            ("cmd_set", totals.sets),
            ("cmd_flush", totals.flushes),
            ("cmd_touch", totals.touches),
            ("cmd_meta", totals.metas),
            ("get_hits", totals.get_hits),
            ("get_misses", totals.gets.saturating_sub(totals.get_hits)),
            ("get_expired", totals.get_expired),
            ("get_flushed", totals.get_flushed),
            ("delete_misses", totals.delete_misses),
            ("delete_hits", totals.delete_hits),
            ("incr_misses", totals.incr_misses),
            ("incr_hits", totals.incr_hits),
            ("decr_misses", totals.decr_misses),
            ("decr_hits", totals.decr_hits),
            ("cas_misses", totals.cas_misses),
            ("cas_hits", totals.cas_hits),
            ("cas_badval", totals.cas_badval),
            ("touch_hits", totals.touch_hits),
            ("touch_misses", totals.touch_misses),
            ("store_too_large", totals.store_too_large),
            ("store_no_memory", totals.store_no_memory),
            ("auth_cmds", 0),
            ("auth_errors", 0),
        ]);
    }

    fn resources(&self, lines: &mut Lines<'_>) {
        let index_bytes = self.store.index_bytes;
        let hash_power = (index_bytes / POINTER_BYTES).max(1).ilog2();
        lines.counts(&[
            ("bytes_read", self.totals.bytes_read),
            ("bytes_written", self.totals.bytes_written),
            ("limit_maxbytes", self.settings.memory_bytes as u64),
            ("accepting_conns", 1),
            ("listen_disabled_num", 0),
            ("time_in_listen_disabled_us", 0),
            ("threads", self.shards.len() as u64),
            ("conn_yields", 0),
            ("hash_power_level", hash_power.into()),
            ("hash_bytes", index_bytes),
            ("hash_is_expanding", 0),
            ("malloc_fails", 0),
            ("log_worker_dropped", 0),
            ("log_worker_written", 0),
            ("log_watcher_skipped", 0),
            ("log_watcher_sent", 0),
            ("log_watchers", 0),
            ("unexpected_napi_ids", 0),
            ("round_robin_fallback", 0),
        ]);
    }

    fn items_as_a_whole(&self, lines: &mut Lines<'_>) {
        let store = &self.store;
        lines.counts(&[
            ("bytes", store.live_bytes),
            ("curr_items", store.entry_count),
            ("total_items", self.totals.stored),
            ("slab_global_page_pool", 0),
            ("expired_unfetched", store.expired_unfetched_count),
            ("evicted_unfetched", store.evicted_unfetched_count),
            ("evictions", store.evicted_count),
            ("reclaimed", store.expired_count),
            ("crawler_reclaimed", 0),
            ("crawler_items_checked", 0),
            ("lrutail_reflocked", 0),
        ]);
    }

    /// What memcached does not have.
    fn own(&self, lines: &mut Lines<'_>) {
        let totals = &self.totals;
        lines.counts(&[
            ("shard_hops", totals.hops),
            ("shard_loans", totals.loans),
            ("resp_requests", self.calls),
            ("backend_requests", totals.backend_requests),
            ("backend_failures", totals.backend_failures),
            ("backend_ejects", totals.backend_ejects),
            ("backend_readmits", totals.backend_readmits),
            ("backend_probes", totals.backend_probes),
            ("backend_eject_misses", totals.backend_eject_misses),
            ("backend_diverted", totals.backend_diverted),
            ("backend_replica_reads", totals.backend_replica_reads),
            ("backend_replica_retries", totals.backend_replica_retries),
            ("backend_recent_reads", totals.backend_recent_reads),
            (
                "backend_in_flight_refused",
                totals.backend_in_flight_refused,
            ),
            ("cluster_moved", totals.cluster_moved),
            ("cluster_asked", totals.cluster_asked),
            ("cluster_refreshes", totals.cluster_refreshes),
            ("cluster_nodes", self.cluster_nodes),
            ("fills_joined", totals.fills_joined),
            ("l1_invalidations", totals.l1_invalidations),
            ("l1_losses", totals.l1_losses),
            ("invalidations", totals.invalidations),
            ("writes_behind", totals.writes_behind),
            ("writes_refused", totals.writes_refused),
            ("reads_from_queue", totals.reads_from_queue),
        ]);
        lines.counts(&self.spool);
    }

    /// `stats items`: all of one class, as there are no slabs.
    fn items(&self, lines: &mut Lines<'_>) {
        let store = &self.store;
        if store.entry_count == 0 {
            return;
        }
        lines.counts(&[
            ("items:1:number", store.entry_count),
            ("items:1:mem_requested", store.live_bytes),
            ("items:1:evicted", store.evicted_count),
            ("items:1:evicted_nonzero", 0),
            ("items:1:outofmemory", self.totals.store_no_memory),
            ("items:1:tailrepairs", 0),
            ("items:1:reclaimed", store.expired_count),
            ("items:1:expired_unfetched", store.expired_unfetched_count),
            ("items:1:evicted_unfetched", store.evicted_unfetched_count),
            ("items:1:crawler_reclaimed", 0),
            ("items:1:crawler_items_checked", 0),
            ("items:1:lrutail_reflocked", 0),
        ]);
    }

    /// `stats slabs`: the same class.
    fn slabs(&self, lines: &mut Lines<'_>) {
        let (totals, store) = (&self.totals, &self.store);
        let is_used = store.entry_count > 0;
        if is_used {
            lines.counts(&[
                ("1:used_chunks", store.entry_count),
                ("1:get_hits", totals.get_hits),
                ("1:cmd_set", totals.sets),
                ("1:delete_hits", totals.delete_hits),
                ("1:incr_hits", totals.incr_hits),
                ("1:decr_hits", totals.decr_hits),
                ("1:cas_hits", totals.cas_hits),
                ("1:cas_badval", totals.cas_badval),
                ("1:touch_hits", totals.touch_hits),
            ]);
        }
        lines.counts(&[
            ("active_slabs", is_used.into()),
            ("total_malloced", self.settings.memory_bytes as u64),
        ]);
    }

    /// `stats shards`: how the work and the memory are spread.
    fn by_shard(&self, lines: &mut Lines<'_>) {
        for (shard, (totals, store, calls)) in self.shards.iter().enumerate() {
            let counts = [
                ("curr_connections", totals.connections),
                ("total_connections", totals.connections_total),
                ("cmd_get", totals.gets),
                ("get_hits", totals.get_hits),
                ("cmd_set", totals.sets),
                ("cmd_touch", totals.touches),
                ("resp_requests", *calls),
                ("bytes_read", totals.bytes_read),
                ("bytes_written", totals.bytes_written),
                ("shard_hops", totals.hops),
                ("shard_loans", totals.loans),
                ("backend_requests", totals.backend_requests),
                ("backend_failures", totals.backend_failures),
                ("fills_joined", totals.fills_joined),
                ("l1_invalidations", totals.l1_invalidations),
                ("l1_losses", totals.l1_losses),
                ("invalidations", totals.invalidations),
                ("curr_items", store.entry_count),
                ("bytes", store.live_bytes),
            ];
            for (name, count) in counts {
                lines.count(&format!("shard:{shard}:{name}"), count);
            }
        }
    }
}

/// `stats settings`.
fn settings(lines: &mut Lines<'_>, settings: &Settings, shard_count: usize) {
    let yes_or_no = |is: bool| if is { "yes" } else { "no" };
    lines.counts(&[
        ("maxbytes", settings.memory_bytes as u64),
        ("maxconns", settings.tunables.connections_max.get()),
        ("tcpport", settings.memcache_port.into()),
        ("udpport", 0),
        ("verbosity", 0),
        ("oldest", 0),
    ]);
    lines.put("evictions", "on");
    lines.put("domain_socket", "NULL");
    lines.put("shutdown_command", yes_or_no(settings.allows_shutdown));
    lines.count("num_threads", shard_count as u64);
    lines.put("stat_key_prefix", ":");
    lines.put("detail_enabled", "no");
    lines.put("cas_enabled", "yes");
    lines.put("binding_protocol", "ascii");
    lines.put("auth_enabled_sasl", "no");
    lines.put("auth_enabled_ascii", "no");
    lines.count("item_size_max", settings.item_bytes_max as u64);
    lines.put("maxconns_fast", "yes");
    lines.put("slab_reassign", "no");
    lines.count("slab_automove", 0);
    lines.put("lru_crawler", "no");
    lines.count("tail_repair_time", 0);
    lines.put("flush_enabled", "yes");
    lines.put("dump_enabled", "no");
    lines.put("hash_algorithm", "xxh3");
    lines.put("lru_maintainer_thread", "no");
    lines.put("lru_segmented", "no");
    lines.put("temp_lru", "no");
    lines.count("idle_timeout", settings.tunables.idle_seconds_max.get());
    lines.put("track_sizes", "no");
    lines.put("inline_ascii_response", "no");
    lines.put("ssl_enabled", "no");
    // memcached does not have it.
    lines.put("eviction_policy", settings.eviction.name());
}
