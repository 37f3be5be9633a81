//! The promise: the clients that Rust programs use work unchanged.

mod support;

use std::collections::HashMap;
use std::net::SocketAddr;

use redis::caching::CacheConfig;
use redis::{AsyncCommands, AsyncConnectionConfig, Commands, RedisResult, Value};
use support::ringfort::Ringfort;

/// A value that fills many buffers, and has every byte.
fn large() -> Vec<u8> {
    (0..=255).cycle().take(900_000).collect()
}

fn redis_client(address: SocketAddr, protocol: &str) -> redis::Client {
    redis::Client::open(format!("redis://{address}/?protocol={protocol}")).expect("a url")
}

#[test]
fn redis_speaks_both_versions() {
    let ringfort = Ringfort::embedded();
    for protocol in ["resp2", "resp3"] {
        let client = redis_client(ringfort.resp(), protocol);
        let mut conn = client.get_connection().expect("connects");
        converse(&mut conn).unwrap_or_else(|error| panic!("{protocol}: {error}"));
    }
}

fn converse(conn: &mut redis::Connection) -> RedisResult<()> {
    let () = redis::cmd("FLUSHALL").query(conn)?;
    let () = conn.set("a", "1")?;
    assert_eq!(conn.get::<_, Option<String>>("a")?.as_deref(), Some("1"));
    assert_eq!(conn.get::<_, Option<String>>("none")?, None);
    assert!(!conn.set_nx::<_, _, bool>("a", 2)?);
    assert_eq!(conn.incr::<_, _, i64>("a", 41)?, 42);
    assert_eq!(conn.append::<_, _, usize>("a", "!")?, 3);
    assert!(conn.incr::<_, _, i64>("a", 1).is_err());
    let () = conn.mset(&[("m1", 1), ("m2", 2)])?;
    let found: Vec<Option<i64>> = conn.mget(&["m1", "none", "m2"])?;
    assert_eq!(found, [Some(1), None, Some(2)]);
    assert!(conn.expire::<_, bool>("m1", 100)?);
    assert!((90..=100).contains(&conn.ttl::<_, i64>("m1")?));
    assert_eq!(conn.rename::<_, _, Value>("m1", "m3")?, Value::Okay);
    let mut keys: Vec<String> = conn.scan_match("m*")?.collect::<RedisResult<_>>()?;
    keys.sort();
    assert_eq!(keys, ["m2", "m3"]);
    for key in ["ключ".as_bytes(), b"", b"a b\r\n\0\xff", &[b'k'; 60_000]] {
        let () = conn.set(key, large())?;
        assert_eq!(conn.get::<_, Vec<u8>>(key)?, large());
        assert_eq!(conn.del::<_, usize>(key)?, 1);
    }
    let mut pipeline = redis::pipe();
    for number in 0..1_000 {
        let key = format!("p{number}");
        pipeline.set(&key, number).ignore().get(&key);
    }
    let numbers: Vec<i64> = pipeline.query(conn)?;
    assert_eq!(numbers, (0..1_000).collect::<Vec<_>>());
    let transaction: (i64, String) = redis::pipe()
        .atomic()
        .set("t", 1)
        .ignore()
        .incr("t", 1)
        .get("t")
        .query(conn)?;
    assert_eq!(transaction, (2, "2".to_owned()));
    assert!(redis::cmd("NO-SUCH-COMMAND").query::<Value>(conn).is_err());
    assert_eq!(conn.get::<_, String>("a")?, "42!");
    Ok(())
}

/// A cache in the client hears of what others write.
#[test]
fn redis_caches_on_its_side() {
    let ringfort = Ringfort::embedded();
    let address = ringfort.resp();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let config = AsyncConnectionConfig::new().set_cache_config(CacheConfig::default());
        let client = redis_client(address, "resp3");
        let mut cached = client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .expect("connects");
        let mut other = client
            .get_multiplexed_async_connection()
            .await
            .expect("connects");
        for number in 0..20 {
            let () = other.set("a", number).await.expect("is set");
            // The message may take its time; until then the old value is what a cache may show.
            while cached.get::<_, i64>("a").await.expect("is read") != number {
                tokio::task::yield_now().await;
            }
            assert_eq!(cached.get::<_, i64>("a").await.expect("is read"), number);
        }
        let statistics = cached.get_cache_statistics().expect("it has a cache");
        assert!(statistics.hit >= 20, "{statistics:?}");
    });
}

#[test]
fn memcache_speaks_text_and_binary() {
    let ringfort = Ringfort::embedded();
    for protocol in ["ascii", "binary"] {
        let url = format!("memcache://{}?protocol={protocol}", ringfort.memcache());
        let client = memcache::connect(url).expect("connects");
        converse_memcache(&client).unwrap_or_else(|error| panic!("{protocol}: {error}"));
    }
}

fn converse_memcache(client: &memcache::Client) -> Result<(), memcache::MemcacheError> {
    client.flush()?;
    client.set("a", "1", 100)?;
    assert_eq!(client.get::<String>("a")?.as_deref(), Some("1"));
    assert_eq!(client.get::<String>("none")?, None);
    // Whether it was stored is not told: this client takes NOT_STORED for an answer like any other.
    let _ = client.add("a", "2", 0);
    assert_eq!(client.get::<String>("a")?.as_deref(), Some("1"));
    client.replace("a", "2", 0)?;
    client.append("a", ">")?;
    client.prepend("a", "<")?;
    client.set("n", 40, 0)?;
    assert_eq!(client.increment("n", 2)?, 42);
    assert_eq!(client.decrement("n", 50)?, 0);
    assert!(client.touch("a", 100)?);
    client.set("large", &large()[..], 0)?;
    assert_eq!(client.get::<Vec<u8>>("large")?, Some(large()));
    let found: HashMap<String, (Vec<u8>, u32, Option<u64>)> = client.gets(&["a", "none", "n"])?;
    assert_eq!(found.len(), 2);
    let (value, _, cas) = &found["a"];
    assert_eq!(value, b"<2>");
    let cas = cas.expect("a cas id");
    assert!(client.cas("a", "3", 0, cas)?);
    assert!(!client.cas("a", "4", 0, cas)?);
    assert!(client.delete("a")?);
    assert!(!client.delete("a")?);
    assert!(!client.stats()?.is_empty());
    assert!(!client.version()?.is_empty());
    Ok(())
}
