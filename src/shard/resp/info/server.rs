//! INFO's sections about the process: server, clients, memory, persistence, replication, CPU.

use super::{Facts, Lines, human, ratio};
use crate::shard::settings::{REDIS_VERSION, VERSION};

/// Seconds of a day.
const DAY: u64 = 86_400;

/// What Redis says of nobody.
const NO_ID: &str = "0000000000000000000000000000000000000000";

pub(super) fn server(facts: &Facts<'_>, lines: &mut Lines<'_>) {
    let core = facts.core;
    let uptime = facts.uptime_seconds();
    let now_us = core.unix_us();
    let lru_clock = core.now.seconds() & 0x00ff_ffff;
    lines.add_all(&[
        ("redis_version", &REDIS_VERSION),
        ("redis_git_sha1", &"00000000"),
        ("redis_git_dirty", &0),
        ("redis_build_id", &"0"),
        ("redis_mode", &"standalone"),
        ("os", &facts.vitals().system),
        ("arch_bits", &usize::BITS),
        ("monotonic_clock", &"POSIX clock_gettime"),
        ("multiplexing_api", &"io_uring"),
        ("atomicvar_api", &"rust"),
        ("gcc_version", &"0.0.0"),
        ("process_id", &std::process::id()),
        ("process_supervised", &"no"),
        ("run_id", &core.settings.run_id),
        ("tcp_port", &core.settings.resp_port),
        ("server_time_usec", &now_us),
        ("uptime_in_seconds", &uptime),
        ("uptime_in_days", &(uptime / DAY)),
        ("hz", &10),
        ("configured_hz", &10),
        ("lru_clock", &lru_clock),
        ("executable", &facts.vitals().executable),
        ("config_file", &""),
        ("io_threads_active", &0),
        ("ringfort_version", &VERSION),
        ("shards", &core.mesh.shard_count()),
        ("memcache_port", &core.settings.memcache_port),
    ]);
}

pub(super) fn clients(facts: &Facts<'_>, lines: &mut Lines<'_>) {
    let clients_max = facts.core.settings.tunables.connections_max.get();
    let tracking = facts.core.board.tracked(|gauges| &gauges.clients);
    lines.add_all(&[
        ("connected_clients", &facts.totals.connections),
        ("cluster_connections", &0),
        ("maxclients", &clients_max),
        ("client_recent_max_input_buffer", &0),
        ("client_recent_max_output_buffer", &0),
        ("blocked_clients", &0),
        ("tracking_clients", &tracking),
        ("clients_in_timeout_table", &0),
    ]);
}

/// `used_memory` is what entries take, which is what eviction goes by; all of `maxmemory` is
/// resident from the start.
pub(super) fn memory(facts: &Facts<'_>, lines: &mut Lines<'_>) {
    let used = facts.store.live_bytes;
    let peak = facts.core.board.live_bytes_peak().max(used);
    let resident = facts.vitals().resident_bytes;
    let total = facts.core.settings.memory_bytes as u64;
    lines.add_bytes("used_memory", used);
    lines.add_bytes("used_memory_rss", resident);
    lines.add_bytes("used_memory_peak", peak);
    let percent = ratio(used, peak) * 100.0;
    lines.add("used_memory_peak_perc", format_args!("{percent:.2}%"));
    lines.add_all(&[
        ("used_memory_overhead", &0),
        ("used_memory_startup", &0),
        ("used_memory_dataset", &used),
        ("used_memory_dataset_perc", &"100.00%"),
        ("allocator_allocated", &used),
        ("allocator_active", &total),
        ("allocator_resident", &resident),
    ]);
    lines.add_bytes("total_system_memory", facts.vitals().machine_bytes);
    lines.add("used_memory_lua", 0);
    lines.add("used_memory_vm_eval", 0);
    lines.add("used_memory_lua_human", human(0));
    lines.add_all(&[
        ("used_memory_scripts_eval", &0),
        ("number_of_cached_scripts", &0),
        ("number_of_functions", &0),
        ("number_of_libraries", &0),
        ("used_memory_vm_functions", &0),
    ]);
    lines.add_bytes("used_memory_vm_total", 0);
    lines.add("used_memory_functions", 0);
    lines.add_bytes("used_memory_scripts", 0);
    lines.add_bytes("maxmemory", total);
    lines.add(
        "maxmemory_policy",
        facts.core.settings.eviction.redis_name(),
    );
    let fragmentation = ratio(resident, used);
    lines.add_all(&[
        ("allocator_frag_ratio", &"1.00"),
        ("allocator_frag_bytes", &0),
        ("allocator_rss_ratio", &"1.00"),
        ("allocator_rss_bytes", &0),
        ("rss_overhead_ratio", &"1.00"),
        ("rss_overhead_bytes", &0),
        (
            "mem_fragmentation_ratio",
            &format_args!("{fragmentation:.2}"),
        ),
        ("mem_fragmentation_bytes", &resident.saturating_sub(used)),
        ("mem_not_counted_for_evict", &0),
        ("mem_replication_backlog", &0),
        ("mem_total_replication_buffers", &0),
        ("mem_clients_slaves", &0),
        ("mem_clients_normal", &0),
        ("mem_cluster_links", &0),
        ("mem_aof_buffer", &0),
        ("mem_allocator", &"libc"),
        ("active_defrag_running", &0),
        ("lazyfree_pending_objects", &0),
        ("lazyfreed_objects", &0),
    ]);
}

/// Nothing is ever on a disk, and nothing fails to get there.
pub(super) fn persistence(facts: &Facts<'_>, lines: &mut Lines<'_>) {
    lines.add_all(&[
        ("loading", &0),
        ("async_loading", &0),
        ("current_cow_peak", &0),
        ("current_cow_size", &0),
        ("current_cow_size_age", &0),
        ("current_fork_perc", &"0.00"),
        ("current_save_keys_processed", &0),
        ("current_save_keys_total", &0),
        ("rdb_changes_since_last_save", &0),
        ("rdb_bgsave_in_progress", &0),
        ("rdb_last_save_time", &facts.core.settings.started.seconds()),
        ("rdb_last_bgsave_status", &"ok"),
        ("rdb_last_bgsave_time_sec", &-1),
        ("rdb_current_bgsave_time_sec", &-1),
        ("rdb_saves", &0),
        ("rdb_last_cow_size", &0),
        ("rdb_last_load_keys_expired", &0),
        ("rdb_last_load_keys_loaded", &0),
        ("aof_enabled", &0),
        ("aof_rewrite_in_progress", &0),
        ("aof_rewrite_scheduled", &0),
        ("aof_last_rewrite_time_sec", &-1),
        ("aof_current_rewrite_time_sec", &-1),
        ("aof_last_bgrewrite_status", &"ok"),
        ("aof_rewrites", &0),
        ("aof_rewrites_consecutive_failures", &0),
        ("aof_last_write_status", &"ok"),
        ("aof_last_cow_size", &0),
        ("module_fork_in_progress", &0),
        ("module_fork_last_cow_size", &0),
    ]);
}

pub(super) fn replication(facts: &Facts<'_>, lines: &mut Lines<'_>) {
    lines.add_all(&[
        ("role", &"master"),
        ("connected_slaves", &0),
        ("master_failover_state", &"no-failover"),
        ("master_replid", &facts.core.settings.run_id),
        ("master_replid2", &NO_ID),
        ("master_repl_offset", &0),
        ("second_repl_offset", &-1),
        ("repl_backlog_active", &0),
        ("repl_backlog_size", &0),
        ("repl_backlog_first_byte_offset", &0),
        ("repl_backlog_histlen", &0),
    ]);
}

pub(super) fn cpu(facts: &Facts<'_>, lines: &mut Lines<'_>) {
    let seconds = |ms: u64| format!("{}.{:03}000", ms / 1_000, ms % 1_000);
    lines.add_all(&[
        ("used_cpu_sys", &seconds(facts.vitals().cpu_system_ms)),
        ("used_cpu_user", &seconds(facts.vitals().cpu_user_ms)),
        ("used_cpu_sys_children", &seconds(0)),
        ("used_cpu_user_children", &seconds(0)),
    ]);
}
