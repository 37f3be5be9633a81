//! One read and one write of a server that fails just then: the words, the time, and what comes after.

use std::time::Duration;

use crate::client::{Client, Heard};
use crate::support::gate::Fault;
use crate::support::gated::{GatedPool, Protocol, Server, Speech};
use crate::support::wait_for;

/// How long a server may take to answer.
const TIMEOUT: Duration = Duration::from_millis(1_500);

/// No answer takes longer, with room for a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection that stood for so long is expected back at once when it is lost.
const SETTLED: Duration = Duration::from_millis(1_100);

const GARBAGE: &str = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It is answered as if nothing had happened.
    Well,
    /// Who talks nonsense is not expected to be well at once, so that reads fail, too.
    Lost,
    Late,
    Unavailable,
}

/// A fault that begins before a request is made and is over when it was answered.
struct Case {
    name: &'static str,
    begin: fn(&mut Server, Protocol),
    end: fn(&mut Server),
    read: End,
    write: End,
}

const CASES: [Case; 9] = [
    Case {
        name: "the server is killed",
        begin: |server, _| server.backend.stop(),
        end: |server| server.backend.restart(),
        read: End::Unavailable,
        write: End::Unavailable,
    },
    Case {
        name: "the server is stopped",
        begin: |server, _| server.backend.pause(),
        end: |server| server.backend.resume(),
        read: End::Late,
        write: End::Late,
    },
    Case {
        name: "connections are cut and made in vain",
        begin: |server, _| server.gate.shut(),
        end: |server| server.gate.open(),
        read: End::Unavailable,
        write: End::Unavailable,
    },
    Case {
        name: "the network swallows everything",
        begin: |server, _| server.gate.strike(Fault::Swallow),
        end: |server| server.gate.heal(),
        read: End::Late,
        write: End::Late,
    },
    Case {
        name: "the reply is late",
        begin: |server, _| {
            let pause = TIMEOUT + Duration::from_millis(300);
            server.gate.strike_times(Fault::Late(pause), 1);
        },
        end: |_| {},
        read: End::Late,
        write: End::Late,
    },
    Case {
        name: "the connection ends in the middle of the reply",
        begin: |server, _| server.gate.strike_times(Fault::Cut(3), 1),
        end: |_| {},
        read: End::Well,
        write: End::Lost,
    },
    Case {
        name: "the reply is of no protocol of ours",
        begin: |server, _| server.gate.strike_times(Fault::Instead(GARBAGE), 1),
        end: |_| {},
        read: End::Lost,
        write: End::Lost,
    },
    Case {
        name: "there is more than one reply",
        begin: |server, protocol| {
            let more = match protocol {
                Protocol::Memcache => "STORED\r\n",
                Protocol::Resp => "+OK\r\n",
            };
            server.gate.strike_times(Fault::Behind(more), 1);
        },
        end: |_| {},
        read: End::Well,
        write: End::Well,
    },
    Case {
        name: "the reply is another request's",
        begin: |server, protocol| {
            let other = match protocol {
                Protocol::Memcache => "VALUE other 0 1\r\nx\r\nEND\r\n",
                Protocol::Resp => "+OK\r\n",
            };
            server.gate.strike_times(Fault::Instead(other), 1);
        },
        end: |_| {},
        read: End::Lost,
        // Redis names nothing in its replies: `+OK` is what a SET is answered.
        write: End::Lost,
    },
];

/// At the same time, as each mostly waits.
#[test]
fn a_fault_costs_one_request_at_most() {
    // An L1 that holds what was read for a moment only, so that the servers are asked.
    let l1 = ["--l1", "1ms"];
    let setups: [(Speech, &[&str]); 5] = [
        (Speech::MEMCACHE, &[]),
        (Speech::MEMCACHE, &l1),
        (Speech::RESP, &[]),
        (Speech::MEMCACHE_OVER_REDIS, &[]),
        (Speech::RESP_OVER_MEMCACHED, &[]),
    ];
    std::thread::scope(|scope| {
        for (speech, flags) in setups {
            scope.spawn(move || check(speech, flags));
        }
    });
}

fn check(speech: Speech, flags: &[&str]) {
    let timeout = format!("{}ms", TIMEOUT.as_millis());
    let common = ["--shards", "1", "--backend-timeout", &timeout];
    let flags = [&common[..], &["--eject-after", "off"], flags].concat();
    let mut pool = GatedPool::start(speech, (1, 0), &flags);
    let [mut client, mut other] = [(); 2].map(|()| Client::new(pool.connect(), speech.clients));
    for case in &CASES {
        for is_write in [false, true] {
            settle(&mut client);
            let server = &mut pool.servers[0];
            (case.begin)(server, speech.servers);
            let end = match is_write {
                false => case.read,
                true => case.write,
            };
            if end == End::Unavailable {
                wait_until_noticed(&mut other);
            }
            let (heard, took) = match is_write {
                false => client.get("key"),
                true => client.set("key", "new"),
            };
            check_heard(case, is_write, end, speech, &heard, took);
            (case.end)(server);
        }
    }
}

/// The value is there, and has been for a while on the same connection to the server.
fn settle(client: &mut Client) {
    wait_for("the server to be well", || is_in_step(client).then_some(()));
    std::thread::sleep(SETTLED);
}

/// Each request gets its own reply, or an error; then the rest is not asked.
fn is_in_step(client: &mut Client) -> bool {
    let values = [("key", "old"), ("other", "other-value")];
    let is_own = |heard: Heard, own: Heard| {
        // A server that was slow may do only now what a client was told was late.
        let is_late = own == Heard::value("old") && heard == Heard::value("new");
        let is_right = heard == own || is_late || matches!(heard, Heard::Error(_));
        assert!(is_right, "{heard:?}, not {own:?}");
        heard == own
    };
    values
        .iter()
        .all(|(key, value)| is_own(client.set(key, value).0, Heard::Stored))
        && values
            .iter()
            .all(|(key, value)| is_own(client.get(key).0, Heard::value(value)))
}

/// Until the only shard knows that its connection is gone: who asks before hears that it was lost.
fn wait_until_noticed(other: &mut Client) {
    wait_for("the failure to be noticed", || {
        (other.get("key").0 == Heard::error(Heard::UNAVAILABLE)).then_some(())
    });
}

fn check_heard(
    case: &Case,
    is_write: bool,
    end: End,
    speech: Speech,
    heard: &Heard,
    took: Duration,
) {
    let told = format!("{}, {speech:?}, write {is_write}: {heard:?}", case.name);
    let is_simple = speech.servers == Protocol::Resp && case.name.ends_with("another request's");
    let expected = match end {
        // It cannot be told from the right one.
        End::Lost if is_write && is_simple => Heard::Stored,
        End::Well if is_write => Heard::Stored,
        End::Well => Heard::value("old"),
        End::Lost => Heard::error(Heard::LOST),
        End::Late => Heard::error(Heard::LATE),
        End::Unavailable => Heard::error(Heard::UNAVAILABLE),
    };
    assert_eq!(*heard, expected, "{told}");
    assert!(took < PATIENCE, "{told} after {took:?}");
    // Timers count in whole milliseconds.
    let is_in_time = end != End::Late || took + Duration::from_millis(5) >= TIMEOUT;
    assert!(is_in_time, "{told} after {took:?} already");
}
