//! The promise of `ringfort::client`: every request gets its own reply or an error that says what became of it,
//! whatever the server and the network do.

mod support;

#[path = "client/faults.rs"]
mod faults;
#[path = "client/gates.rs"]
mod gates;

use std::time::{Duration, Instant};

use glommio::timer::sleep;
use ringfort::client::{Answer, Client, Config, Error, Expects, Push, Value};
use support::DEADLINE;
use support::backends::Backend;
use support::executor::run;

fn resp(server: &Backend) -> Config {
    Config::resp(server.address().to_string())
}

fn memcache(server: &Backend) -> Config {
    Config::memcache(server.address().to_string())
}

async fn connect(config: Config) -> Client {
    Client::connect(config).await.expect("the server is there")
}

/// What the ancestor of this client showed: set, get, compare.
async fn set_get_compare(client: Client) {
    client.set("key", "value").await.expect("a set");
    assert_eq!(client.get("key").await, Ok(Some(b"value".to_vec())));
    assert_eq!(client.get("none").await, Ok(None));
    assert_eq!(client.add("key", "other").await, Ok(false));
    assert_eq!(client.add("new", "1").await, Ok(true));
    assert_eq!(client.incr("new", 41).await, Ok(Some(42)));
    assert_eq!(
        client.touch("new", Duration::from_secs(100)).await,
        Ok(true)
    );
    assert_eq!(
        client.touch("none", Duration::from_secs(100)).await,
        Ok(false)
    );
    assert_eq!(client.delete("new").await, Ok(true));
    assert_eq!(client.delete("new").await, Ok(false));
    let life = Duration::from_millis(1);
    client.set_for("short", "life", life).await.expect("a set");
    let start = Instant::now();
    while client.get("short").await != Ok(None) {
        assert!(start.elapsed() < DEADLINE, "it lives on");
        sleep(Duration::from_millis(20)).await;
    }
    let large = vec![b'x'; 512 * 1024];
    client.set("large", &large).await.expect("a set");
    assert_eq!(client.get("large").await, Ok(Some(large)));
    client.close().await;
}

#[test]
fn what_was_set_is_got_from_redis() {
    let server = Backend::redis();
    let config = resp(&server);
    run(|| async move {
        let client = connect(config).await;
        assert_eq!(client.incr("fresh", 2).await, Ok(Some(2)));
        let words = ["LPUSH", "list", "b", "a"];
        assert_eq!(client.command(&words).await, Ok(Value::Integer(2)));
        let list = [b"a", b"b"].map(|item| Value::Bulk(item.to_vec()));
        let query = client.query(&["LRANGE", "list", "0", "-1"]).await;
        assert_eq!(query, Ok(Value::Array(list.to_vec())));
        let error = client.get("list").await.expect_err("it is a list");
        assert!(
            matches!(&error, Error::Server(line) if line.starts_with("WRONGTYPE ")),
            "{error}"
        );
        for words in [
            vec!["subscribe", "x"],
            vec!["CLIENT", "reply", "OFF"],
            vec![],
        ] {
            assert!(matches!(
                client.command(&words).await,
                Err(Error::Invalid(_))
            ));
        }
        assert!(matches!(
            client.raw(b"get a\r\n", Expects::Retrieval).await,
            Err(Error::Invalid(_))
        ));
        set_get_compare(client).await;
    });
}

#[test]
fn what_was_set_is_got_from_memcached() {
    let server = Backend::memcached();
    let config = memcache(&server);
    run(|| async move {
        let client = connect(config).await;
        assert_eq!(client.incr("fresh", 2).await, Ok(None));
        let stored = client
            .raw(b"ms meta 1 T0\r\nx\r\n", Expects::MetaData)
            .await;
        assert_eq!(stored, Ok(b"HD\r\n".to_vec()));
        let value = client.raw(b"mg meta v\r\n", Expects::Meta).await;
        assert_eq!(value, Ok(b"VA 1\r\nx\r\n".to_vec()));
        let error = client.raw(b"nonsense\r\n", Expects::Line).await;
        assert_eq!(error, Err(Error::Server("ERROR".into())));
        for key in ["", "a b", &"k".repeat(251)] {
            assert!(
                matches!(client.get(key).await, Err(Error::Invalid(_))),
                "{key:?}"
            );
        }
        assert!(matches!(
            client.command(&["GET", "a"]).await,
            Err(Error::Invalid(_))
        ));
        set_get_compare(client).await;
    });
}

#[test]
fn ten_thousand_pipelined_requests_are_matched_in_order() {
    const COUNT: usize = 10_000;
    let (redis, memcached) = (Backend::redis(), Backend::memcached());
    for config in [resp(&redis), memcache(&memcached)] {
        run(|| async move {
            let client = connect(config).await;
            let mut sets = Vec::new();
            let mut gets = Vec::new();
            for number in 0..COUNT {
                sets.push(client.set(format!("key-{number}"), number.to_string()));
                gets.push(client.get(format!("key-{}", number / 2)));
            }
            for answer in sets {
                assert_eq!(answer.await, Ok(()));
            }
            for (number, answer) in gets.into_iter().enumerate() {
                let expected = (number / 2).to_string().into_bytes();
                assert_eq!(answer.await, Ok(Some(expected)), "get {number}");
            }
            client.close().await;
        });
    }
}

#[test]
fn pushes_between_replies_answer_nothing_and_are_heard() {
    const COUNT: usize = 500;
    let server = Backend::redis();
    let config = resp(&server)
        .resp3()
        .name("tracker")
        .prelude(&["CLIENT", "TRACKING", "ON"]);
    let other = resp(&server);
    run(|| async move {
        let (client, other) = (connect(config).await, connect(other).await);
        let name = client.query(&["CLIENT", "GETNAME"]).await;
        assert_eq!(name, Ok(Value::Bulk(b"tracker".to_vec())));
        for round in 0..COUNT {
            client.set("key", round.to_string()).await.expect("a set");
            let (read, written) = (client.get("key"), other.set("key", "theirs"));
            let next: Vec<_> = (0..8).map(|_| client.get("other")).collect();
            let value = read.await.expect("a get").expect("a value");
            assert!(value == b"theirs" || value == round.to_string().as_bytes());
            written.await.expect("a set");
            for answer in next {
                assert_eq!(answer.await, Ok(None));
            }
        }
        client.get("key").await.expect("a get");
        other.set("key", "last").await.expect("a set");
        other.close().await;
        let key = Value::Array(vec![Value::Bulk(b"key".to_vec())]);
        let expected = Value::Array(vec![Value::Bulk(b"invalidate".to_vec()), key]);
        assert_eq!(client.next_push().await, Some(Push::Said(expected)));
        client.close().await;
        while client.next_push().await.is_some() {}
    });
}

#[test]
fn a_close_finishes_what_is_in_flight_and_refuses_what_is_new() {
    let server = Backend::redis();
    let config = resp(&server);
    run(|| async move {
        let client = connect(config).await;
        let sets: Vec<Answer<()>> = (0..1_000)
            .map(|number| client.set(format!("key-{number}"), "value"))
            .collect();
        let other = client.clone();
        client.close().await;
        assert_eq!(other.get("key-0").await, Err(Error::Closed));
        for set in sets {
            assert_eq!(set.await, Ok(()));
        }
        assert_eq!(other.next_push().await, None);
    });
    server.connect().ask("DBSIZE\r\n", ":1000\r\n");
    let config = resp(&server);
    run(|| async move {
        let client = connect(config).await;
        let answer = client.set("last", "value");
        drop(client);
        assert_eq!(
            answer.await,
            Ok(()),
            "what is in flight when the last handle goes is finished"
        );
    });
}

#[test]
fn passwords_and_databases() {
    let server = Backend::redis_with("--requirepass secret");
    let config = resp(&server);
    run(|| async move {
        for (config, said) in [
            (config.clone(), "PING was answered: NOAUTH"),
            (
                config.clone().password("wrong"),
                "AUTH was answered: WRONGPASS",
            ),
            (
                config.clone().password("secret").user("nobody"),
                "AUTH was answered: WRONGPASS",
            ),
            (
                config.clone().password("secret").database(99),
                "SELECT was answered: ERR DB index",
            ),
            (
                config.clone().password("wrong").resp3(),
                "HELLO was answered: WRONGPASS",
            ),
        ] {
            let Err(Error::Refused(why)) = Client::connect(config).await else {
                panic!("{said}: it was let in");
            };
            assert!(why.starts_with(said), "{why}");
        }
        let client = connect(config.clone().password("secret").database(3)).await;
        client.set("key", "three").await.expect("a set");
        let first = connect(config.clone().user("default").password("secret").resp3()).await;
        assert_eq!(
            first.get("key").await,
            Ok(None),
            "it is in the other database"
        );
        assert_eq!(client.get("key").await, Ok(Some(b"three".to_vec())));
    });
}

#[test]
fn memcached_with_a_password() {
    let server = Backend::memcached_with_password("me", "secret");
    let config = memcache(&server);
    run(|| async move {
        let Err(Error::Refused(why)) = Client::connect(config.clone()).await else {
            panic!("it was let in without a password");
        };
        assert_eq!(why, "version was answered: CLIENT_ERROR unauthenticated");
        let wrong = config.clone().user("me").password("wrong");
        let Err(Error::Refused(why)) = Client::connect(wrong).await else {
            panic!("it was let in with a wrong password");
        };
        assert!(
            why.starts_with("authentication was answered: CLIENT_ERROR"),
            "{why}"
        );
        let client = connect(config.user("me").password("secret")).await;
        set_get_compare(client).await;
    });
}

#[test]
fn a_unix_socket_does_as_well() {
    let server = Backend::redis();
    let config = Config::resp(format!("unix:{}", server.socket().display()));
    run(|| async move {
        set_get_compare(connect(config).await).await;
    });
}

#[test]
fn a_name_is_looked_up() {
    let server = Backend::redis();
    let config = Config::resp(format!("localhost:{}", server.address().port()));
    run(|| async move {
        set_get_compare(connect(config).await).await;
    });
}

#[test]
fn where_nobody_listens_the_error_says_so() {
    let port = support::process::free_port();
    run(move || async move {
        let config = Config::resp(format!("127.0.0.1:{port}"));
        let error = Client::connect(config).await.expect_err("nobody listens");
        assert!(matches!(error, Error::Unreachable(_)), "{error}");
        assert!(error.to_string().contains("refused"), "{error}");
        for address in ["nowhere", "host:port", "host:99999"] {
            let error = Client::connect(Config::resp(address)).await;
            assert!(matches!(error, Err(Error::Invalid(_))), "{address}");
        }
        let config = Config::memcache("127.0.0.1:1").resp3();
        assert!(matches!(
            Client::connect(config).await,
            Err(Error::Invalid(_))
        ));
    });
}
