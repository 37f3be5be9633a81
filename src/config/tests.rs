//! The rules between the parts of a configuration.

use super::*;
use crate::route::HashRingMode;
use crate::store::{KeyHasher, build};

fn config() -> Config {
    Config {
        memcache: Some(MEMCACHE_DEFAULT),
        resp: Some(RESP_DEFAULT),
        cores: vec![0, 1],
        memory_bytes: MEMORY_BYTES_DEFAULT,
        item_bytes_max: ITEM_BYTES_MAX_DEFAULT,
        eviction: Eviction::Lru,
        connections_max: CONNECTIONS_MAX_DEFAULT,
        allows_shutdown: false,
        speed: SpeedConfig::default(),
        mode: Mode::Embedded,
        log: tracing::Level::WARN,
    }
}

fn pool(servers: &[&str], hash_ring: HashRingMode) -> Config {
    let servers = servers
        .iter()
        .map(|line| ServerSpec::parse_line(line).expect(line));
    Config {
        resp: None,
        mode: Mode::Pool(PoolConfig {
            is_cluster: false,
            name: None,
            protocol: Protocol::Memcache,
            servers: servers.collect(),
            placement: Placement::of(hash_ring),
            write: WritePolicy::Through,
            l1: L1Config::Off,
            backend: BackendConfig::default(),
            replicas: ReplicasConfig::default(),
            spool: None,
        }),
        ..config()
    }
}

fn error(config: &Config) -> String {
    config
        .check()
        .expect_err("a config that does not hold")
        .to_string()
}

#[test]
fn the_defaults_hold() {
    assert_eq!(config().check(), Ok(()));
}

#[test]
fn somebody_must_be_able_to_connect() {
    assert_eq!(
        error(&Config {
            memcache: None,
            resp: None,
            ..config()
        }),
        "--memcache off --resp off: nothing would be served; leave one on"
    );
    assert_eq!(
        Config {
            memcache: None,
            ..config()
        }
        .check(),
        Ok(())
    );
    assert_eq!(
        Config {
            resp: None,
            ..config()
        }
        .check(),
        Ok(())
    );
}

#[test]
fn listeners_do_not_share_a_port() {
    let at = |memcache: &str, resp: &str| Config {
        memcache: Some(memcache.parse().expect("address")),
        resp: Some(resp.parse().expect("address")),
        ..config()
    };
    assert_eq!(
        error(&at("127.0.0.1:1", "127.0.0.1:1")),
        "--memcache 127.0.0.1:1 --resp 127.0.0.1:1: both want one port; give them different \
         ones"
    );
    assert!(at("0.0.0.0:1", "127.0.0.1:1").check().is_err());
    assert!(at("127.0.0.1:1", "[::]:1").check().is_err());
    assert_eq!(at("127.0.0.1:1", "127.0.0.2:1").check(), Ok(()));
    assert_eq!(at("127.0.0.1:0", "127.0.0.1:0").check(), Ok(()));
}

#[test]
fn a_shard_has_room_for_its_buffers_and_its_segments() {
    let with = |memory_bytes, item_bytes_max| Config {
        memory_bytes,
        item_bytes_max,
        ..config()
    };
    assert_eq!(with(48 * MIB, 2 * MIB).check(), Ok(()));
    assert_eq!(
        error(&with(48 * MIB - 1, 2 * MIB)),
        "--memory 50331647: too small for --shards 2 and --item-size-max 2MiB; raise it to \
         48MiB or lower one of them"
    );
    // Items up to 1 MiB: the least for any shard.
    assert_eq!(with(32 * MIB, KIB).check(), Ok(()));
    assert!(error(&with(32 * MIB - 1, KIB)).contains("raise it to 32MiB"));
}

#[test]
fn what_is_checked_can_be_built() {
    for item_bytes_max in [
        ITEM_BYTES_MAX_MIN,
        64 * KIB,
        MIB,
        MIB + 1,
        ITEM_BYTES_MAX_MAX,
    ] {
        for (shard_count, eviction) in [1, 2, 3]
            .into_iter()
            .flat_map(|shards| Eviction::ALL.map(|eviction| (shards, eviction)))
        {
            let mut config = Config {
                cores: (0..shard_count).collect(),
                memory_bytes: memory_bytes_min(shard_count, item_bytes_max, eviction),
                item_bytes_max,
                eviction,
                ..config()
            };
            assert_eq!(config.check(), Ok(()));
            let params = config.store_params();
            assert!(params.partition_bytes >= params.partition_bytes_min());
            build(&params, KeyHasher::new(1)).expect("a store of the least memory");
            config.memory_bytes -= 1;
            assert!(config.check().is_err());
        }
    }
}

#[test]
fn a_shard_has_no_more_memory_than_its_index_can_address() {
    let of = |memory_bytes, shard_count| Config {
        cores: (0..shard_count).collect(),
        memory_bytes,
        ..config()
    };
    let most = 1024 * GIB + FIXED_BYTES_PER_SHARD;
    assert_eq!(of(most, 1).check(), Ok(()));
    assert_eq!(of(3 * most, 3).check(), Ok(()));
    assert_eq!(
        error(&of(3 * 1024 * GIB, 2)),
        "--memory 3072GiB: too large for --shards 2, which have 1024GiB each at most; lower it to \
         2097168MiB or raise --shards"
    );
    // It is what the store itself refuses, with an error that tells nobody why.
    let mut params = of(most, 1).store_params();
    params.partition_bytes += params.segment_bytes();
    let refused = build(&params, KeyHasher::new(1)).expect_err("too large");
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
}

#[test]
fn a_pool_makes_a_ring() {
    assert_eq!(
        pool(&["10.0.0.1:1", "10.0.0.2:1"], HashRingMode::Libmemcached).check(),
        Ok(())
    );
    assert_eq!(
        error(&pool(&["10.0.0.1:1:1 alpha"], HashRingMode::Libketama)),
        "--hash-ring libketama: libketama has no server names; remove 'alpha' or choose \
         another hash ring"
    );
}

#[test]
fn a_pool_does_not_lead_back_here() {
    let own = pool(
        &["10.0.0.1:11211", "127.0.0.1:11211"],
        HashRingMode::Libmemcached,
    );
    assert_eq!(
        error(&own),
        "--memcache: server 127.0.0.1:11211 of the pool is this listener; move one of them"
    );
    let everywhere = Config {
        memcache: Some("0.0.0.0:11211".parse().expect("address")),
        ..own
    };
    assert!(everywhere.check().is_err());
    let elsewhere = Config {
        memcache: Some("127.0.0.1:11311".parse().expect("address")),
        ..everywhere
    };
    assert_eq!(elsewhere.check(), Ok(()));
}
