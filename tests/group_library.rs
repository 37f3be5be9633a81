//! The promise: a program has a group in its own process; a function of its own is called once for a key, however many
//! threads ask for it, and clients that speak memcache or RESP to the program share what it loads.

mod support;

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ringfort::config::{HotPolicy, PeerRing, PeerUrl, PeersConfig};
use ringfort::group::{Change, ChangeFuture, LoadError, LoadFuture, Loaded, Loader, Wanted};
use ringfort::library::{Builder, Group, sleep};
use support::wire::Wire;

const THREADS: usize = 64;

/// A source that takes a while, and how often it was asked.
fn start(builder: Builder) -> (Group, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let source = move || {
        move |wanted: Wanted| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                sleep(Duration::from_millis(200)).await;
                match wanted.key.as_ref() {
                    b"none" => Err(LoadError::NotFound { ttl: None }),
                    b"bad" => Err(LoadError::failed("no luck")),
                    b"panic" => panic!("asked to"),
                    b"slow" => {
                        sleep(Duration::from_secs(600)).await;
                        Ok(Loaded::forever("late"))
                    }
                    key => Ok(Loaded::forever(
                        [wanted.group.as_bytes(), b"/", key].concat(),
                    )),
                }
            }
        }
    };
    (builder.start(source).expect("a group"), calls)
}

#[test]
fn a_loader_that_panics_fails_its_own_load() {
    let (group, _) = start(Group::builder("g"));
    std::thread::scope(|scope| {
        let other = scope.spawn(|| group.get(b"a"));
        let error = Err(LoadError::failed("its loader panicked"));
        assert_eq!(group.get(b"panic"), error);
        assert_eq!(other.join().expect("an answer"), Ok(Some("g/a".into())));
    });
    assert_eq!(group.get(b"b"), Ok(Some("g/b".into())));
}

#[test]
fn threads_that_ask_together_are_answered_by_one_call() {
    let (group, calls) = start(Group::builder("g"));
    for (key, answer) in [
        ("a", Ok(Some("g/a".into()))),
        ("none", Ok(None)),
        ("bad", Err(LoadError::failed("no luck"))),
    ] {
        let before = calls.load(Ordering::Relaxed);
        // Some may come after the others' load: an answer that is not kept is asked for again then.
        let ready = std::sync::Barrier::new(THREADS);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    ready.wait();
                    assert_eq!(group.get(key.as_bytes()), answer);
                });
            }
        });
        let called = calls.load(Ordering::Relaxed) - before;
        assert!(
            called == 1 || (key != "a" && called < THREADS / 4),
            "{key}: {called}"
        );
    }
    assert_eq!(group.get(b"a"), Ok(Some("g/a".into())), "it is kept");
    group.end().expect("a good end");
}

#[test]
fn what_the_program_sets_its_clients_see() {
    let any = "127.0.0.1:0".parse().expect("an address");
    let builder = Group::builder("g").listen_memcache(any).listen_resp(any);
    let (group, calls) = start(builder);
    let mut memcache = Wire::connect(group.memcache().expect("a listener"));
    let mut resp = Wire::connect(group.resp().expect("a listener"));
    memcache.ask("get a\r\n", "VALUE a 0 3\r\ng/a\r\nEND\r\n");
    assert_eq!(group.get(b"a"), Ok(Some("g/a".into())));
    group.set(b"b", Loaded::forever("set")).expect("room");
    resp.ask("GET b\r\n", "$3\r\nset\r\n");
    resp.ask("SET c client\r\n", "+OK\r\n");
    assert_eq!(group.get(b"c"), Ok(Some("client".into())));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    group.delete(b"c").expect("room");
    resp.ask("GET c\r\n", "$3\r\ng/c\r\n");
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    let large = Loaded::forever(vec![0; 9 << 20]);
    assert_eq!(group.set(b"d", large), Err(LoadError::TooLarge));
}

#[test]
fn the_program_reads_what_the_group_counts() {
    let any = "127.0.0.1:0".parse().expect("an address");
    let (group, _) = start(Group::builder("g").cores(&[0, 0]).listen_memcache(any));
    let mut memcache = Wire::connect(group.memcache().expect("a listener"));
    for key in ["a", "b", "c", "a"] {
        assert!(group.get(key.as_bytes()).is_ok());
    }
    memcache.ask("get a\r\n", "VALUE a 0 3\r\ng/a\r\nEND\r\n");
    group.delete(b"b").expect("room");
    let statistics = group.statistics();
    let number = |name| {
        let found = statistics.iter().find(|(other, _)| *other == name);
        found.expect(name).1
    };
    assert_eq!((number("Gets"), number("CacheHits")), (5, 2));
    assert_eq!((number("Loads"), number("LocalLoads")), (3, 3));
    assert_eq!((number("MainItems"), number("HotItems")), (2, 0));
    for (name, number) in &statistics {
        assert_eq!(memcache.stat("groups", name), *number, "{name}");
    }
}

#[test]
fn a_value_that_has_ended_is_shown_if_that_is_asked_for() {
    let (group, calls) = start(Group::builder("g").stale(Duration::MAX));
    let ended = Loaded {
        value: "old".into(),
        flags: 0,
        ttl: Some(Duration::from_millis(1)),
    };
    group.set(b"k", ended).expect("room");
    // Loads take 200 ms: those who ask in between do not wait for them.
    assert_eq!(group.get(b"k"), Ok(Some("old".into())));
    support::wait_for("the next value", || {
        (group.get(b"k") == Ok(Some("g/k".into()))).then_some(())
    });
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[test]
fn what_is_no_limit_is_cut_to_one() {
    let builder = Group::builder("g")
        .cores(&[])
        .memory(0)
        .load_timeout(Duration::MAX)
        .loads_max(0, usize::MAX)
        .negative_ttl(Duration::MAX);
    let (group, calls) = start(builder);
    std::thread::scope(|scope| {
        for key in ["a", "b", "c"] {
            let group = &group;
            scope.spawn(move || {
                let value = format!("g/{key}").into();
                assert_eq!(group.get(key.as_bytes()), Ok(Some(value)));
            });
        }
    });
    assert_eq!(group.get(b"none"), Ok(None));
    assert_eq!(group.get(b"none"), Ok(None));
    assert_eq!(calls.load(Ordering::Relaxed), 4);
    // Nothing is loaded in no time.
    let (hasty, _) = start(Group::builder("g").load_timeout(Duration::ZERO));
    assert_eq!(hasty.get(b"a"), Err(LoadError::Late));
}

#[test]
fn a_name_that_is_none_is_refused() {
    let long = "x".repeat(201);
    for name in ["", "a/b", "a b", "größe", "a\nb", &long] {
        let source = || |_: Wanted| async { Err(LoadError::NotFound { ttl: None }) };
        let refused = Group::builder(name).start(source).expect_err(name);
        let line = refused.to_string();
        assert!(
            line.starts_with("group '") && line.contains(": not a name; write "),
            "{line}"
        );
        assert!(!line.contains('\n'), "{line}");
    }
}

#[test]
fn a_call_takes_no_longer_than_a_load_may() {
    let builder = Group::builder("g").load_timeout(Duration::from_secs(3));
    let (group, calls) = start(builder);
    assert_eq!(group.get(b"slow"), Err(LoadError::Late));
    assert_eq!(group.get(b"a"), Ok(Some("g/a".into())));
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[test]
fn programs_are_peers_of_each_other() {
    let urls: Vec<PeerUrl> = (0..2)
        .map(|_| format!("http://127.0.0.1:{}", support::process::free_port()))
        .map(|url| url.parse().expect("a peer"))
        .collect();
    let groups: Vec<_> = urls
        .iter()
        .map(|me| {
            let any = "127.0.0.1:0".parse().expect("an address");
            start(Group::builder("g").listen_memcache(any).peers(PeersConfig {
                me: me.clone(),
                peers: urls.clone(),
                file: None,
                listen: me.socket_address().expect("a number"),
                secret: None,
                ring: PeerRing::Groupcache,
                hot: HotPolicy::All,
            }))
        })
        .collect();
    for number in 0..8 {
        let key = format!("k{number}").into_bytes();
        let value = [b"g/", &key[..]].concat();
        for (group, _) in &groups {
            assert_eq!(group.get(&key), Ok(Some(value.clone().into())));
        }
        let calls = groups
            .iter()
            .map(|(_, calls)| calls.load(Ordering::Relaxed));
        assert_eq!(
            calls.sum::<usize>(),
            number + 1,
            "one of them has loaded it"
        );
    }
    groups[0]
        .0
        .set(b"k1", Loaded::forever("set"))
        .expect("told");
    groups[1]
        .0
        .set(b"k2", Loaded::forever("set"))
        .expect("told");
    for (group, _) in &groups {
        for key in [b"k1", b"k2"] {
            assert_eq!(group.get(key), Ok(Some("set".into())));
        }
    }
    groups[0].0.delete(b"k1").expect("told");
    for (group, _) in &groups {
        assert_eq!(group.get(b"k1"), Ok(Some("g/k1".into())));
    }
    let counts = |name: &str| {
        let of_one = |(group, _): &(Group, _)| {
            let address = group.memcache().expect("it listens");
            Wire::connect(address).stat("", name)
        };
        groups.iter().map(of_one).collect::<Vec<_>>()
    };
    assert_eq!(counts("cmd_set"), [1, 1], "each where it was asked for");
}

/// A source that takes changes; a key of it is never changed.
struct Store(RefCell<HashMap<Bytes, Loaded>>);

impl Loader for Store {
    fn load<'a>(&'a self, wanted: &'a Wanted) -> LoadFuture<'a> {
        let found = self.0.borrow().get(&wanted.key).cloned();
        Box::pin(ready(found.ok_or(LoadError::NotFound { ttl: None })))
    }

    fn change<'a>(&'a self, wanted: &'a Wanted, change: &'a Change) -> ChangeFuture<'a> {
        if wanted.key == "fixed" {
            return Box::pin(ready(Err(LoadError::failed("it is fixed"))));
        }
        let (mut values, key) = (self.0.borrow_mut(), wanted.key.clone());
        match change {
            Change::Set(loaded) => values.insert(key, loaded.clone()),
            Change::Delete => values.remove(&key),
        };
        Box::pin(ready(Ok(())))
    }
}

#[test]
fn a_source_that_takes_changes_has_them_before_anybody_is_answered() {
    let source = || {
        let fixed = ("fixed".into(), Loaded::forever("as it is"));
        Store(RefCell::new(HashMap::from([fixed])))
    };
    let any = "127.0.0.1:0".parse().expect("an address");
    let builder = Group::builder("g").write_through().listen_memcache(any);
    let group = builder.start(source).expect("a group");
    let mut client = Wire::connect(group.memcache().expect("it listens"));
    client.ask("set a 7 0 1\r\nx\r\n", "STORED\r\n");
    assert_eq!(group.get(b"a"), Ok(Some("x".into())));
    client.ask("get a\r\n", "VALUE a 7 1\r\nx\r\nEND\r\n");
    group.set(b"a", Loaded::forever("y")).expect("it takes it");
    client.ask("get a\r\n", "VALUE a 0 1\r\ny\r\nEND\r\n");
    group.delete(b"a").expect("it takes it");
    assert_eq!(group.get(b"a"), Ok(None));
    let refused = Err(LoadError::failed("it is fixed"));
    assert_eq!(group.set(b"fixed", Loaded::forever("z")), refused);
    client.ask("delete fixed\r\n", "SERVER_ERROR it is fixed\r\n");
    assert_eq!(group.get(b"fixed"), Ok(Some("as it is".into())));
}
