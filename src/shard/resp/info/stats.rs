//! INFO's sections about what was done and what is stored.

use super::{Facts, Lines};

/// Bytes of the unit that rates of traffic are in.
const KIB: f64 = 1024.0;

pub(super) fn stats(facts: &Facts<'_>, lines: &mut Lines<'_>) {
    let (core, totals, store) = (facts.core, &facts.totals, &facts.store);
    let [requests, received, sent] = core.board.per_second(core.now);
    let kib = |bytes: u64| format!("{:.2}", bytes as f64 / KIB);
    let errors: u64 = core.board.errors().iter().sum();
    lines.add_all(&[
        ("total_connections_received", &totals.connections_total),
        ("total_commands_processed", &core.board.calls()),
        ("instantaneous_ops_per_sec", &requests),
        ("total_net_input_bytes", &totals.bytes_read),
        ("total_net_output_bytes", &totals.bytes_written),
        ("total_net_repl_input_bytes", &0),
        ("total_net_repl_output_bytes", &0),
        ("instantaneous_input_kbps", &kib(received)),
        ("instantaneous_output_kbps", &kib(sent)),
        ("instantaneous_input_repl_kbps", &kib(0)),
        ("instantaneous_output_repl_kbps", &kib(0)),
        ("rejected_connections", &totals.connections_refused),
        ("sync_full", &0),
        ("sync_partial_ok", &0),
        ("sync_partial_err", &0),
        ("expired_keys", &store.expired_count),
        ("expired_stale_perc", &"0.00"),
        ("expired_time_cap_reached_count", &0),
        ("expire_cycle_cpu_milliseconds", &0),
        ("evicted_keys", &store.evicted_count),
        ("evicted_clients", &0),
        ("total_eviction_exceeded_time", &0),
        ("current_eviction_exceeded_time", &0),
        ("keyspace_hits", &totals.get_hits),
        (
            "keyspace_misses",
            &totals.gets.saturating_sub(totals.get_hits),
        ),
    ]);
    nothing(lines);
    let board = &core.board;
    lines.add_all(&[
        ("tracking_total_keys", &board.tracked(|gauges| &gauges.keys)),
        (
            "tracking_total_items",
            &board.tracked(|gauges| &gauges.items),
        ),
        (
            "tracking_total_prefixes",
            &board.tracked(|gauges| &gauges.prefixes),
        ),
        ("unexpected_error_replies", &0),
        ("total_error_replies", &errors),
        ("dump_payload_sanitizations", &0),
        ("total_reads_processed", &totals.reads),
        ("total_writes_processed", &totals.writes),
        ("io_threaded_reads_processed", &0),
        ("io_threaded_writes_processed", &0),
        ("reply_buffer_shrinks", &0),
        ("reply_buffer_expands", &0),
    ]);
    own(facts, lines);
}

/// What Redis does not have.
fn own(facts: &Facts<'_>, lines: &mut Lines<'_>) {
    let Facts { core, totals, .. } = facts;
    lines.add_all(&[
        ("shard_hops", &totals.hops),
        ("shard_loans", &totals.loans),
        ("backend_requests", &totals.backend_requests),
        ("backend_failures", &totals.backend_failures),
        ("backend_ejects", &totals.backend_ejects),
        ("backend_readmits", &totals.backend_readmits),
        ("backend_probes", &totals.backend_probes),
        ("backend_eject_misses", &totals.backend_eject_misses),
        ("backend_diverted", &totals.backend_diverted),
        ("backend_replica_reads", &totals.backend_replica_reads),
        ("backend_replica_retries", &totals.backend_replica_retries),
        ("backend_recent_reads", &totals.backend_recent_reads),
        (
            "backend_in_flight_refused",
            &totals.backend_in_flight_refused,
        ),
        ("cluster_moved", &totals.cluster_moved),
        ("cluster_asked", &totals.cluster_asked),
        ("cluster_refreshes", &totals.cluster_refreshes),
        ("cluster_nodes", &core.board.cluster_nodes()),
        ("fills_joined", &totals.fills_joined),
        ("l1_invalidations", &totals.l1_invalidations),
        ("l1_losses", &totals.l1_losses),
    ]);
    later(facts, lines);
}

/// Fields about writes that are answered before their servers have them.
fn later(facts: &Facts<'_>, lines: &mut Lines<'_>) {
    let totals = &facts.totals;
    lines.add_all(&[
        ("invalidations", &totals.invalidations),
        ("writes_behind", &totals.writes_behind),
        ("writes_refused", &totals.writes_refused),
        ("reads_from_queue", &totals.reads_from_queue),
    ]);
    for (name, count) in facts.core.spool_counts() {
        lines.add(name, count);
    }
}

/// Fields about what does not exist here.
fn nothing(lines: &mut Lines<'_>) {
    for name in [
        "pubsub_channels",
        "pubsub_patterns",
        "pubsubshard_channels",
        "latest_fork_usec",
        "total_forks",
        "migrate_cached_sockets",
        "slave_expires_tracked_keys",
        "active_defrag_hits",
        "active_defrag_misses",
        "active_defrag_key_hits",
        "active_defrag_key_misses",
        "total_active_defrag_time",
        "current_active_defrag_time",
    ] {
        lines.add(name, 0);
    }
}

/// A database without keys is not shown.
pub(super) fn keyspace(facts: &Facts<'_>, lines: &mut Lines<'_>) {
    let (keys, expires) = (facts.store.entry_count, facts.store.deadline_count);
    if keys > 0 {
        lines.add(
            "db0",
            format_args!("keys={keys},expires={expires},avg_ttl=0"),
        );
    }
}
