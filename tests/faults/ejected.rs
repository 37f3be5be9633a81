//! What the keys of a server are answered that was found unfit, whichever way it fails, and that it comes back.

use std::time::{Duration, Instant};

use crate::client::{Client, Heard};
use crate::support::gate::Fault;
use crate::support::gated::{GatedPool, Protocol, Server, Speech};
use crate::support::wait_for;

/// How long a server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Answers about a server that is known to fail wait for nobody, with room for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(8);

/// So often a key is set and read while its server fails.
const ROUNDS: u32 = 5;

// If each waited, it would be noticed.
const _: () = assert!(AT_ONCE.as_millis() < 2 * ROUNDS as u128 * TIMEOUT.as_millis());

/// A server that fails in this way until it is mended.
struct Failure {
    name: &'static str,
    begin: fn(&mut Server),
    end: fn(&mut Server),
    /// It loses what it had.
    forgets: bool,
}

const FAILURES: [Failure; 7] = [
    Failure {
        name: "killed",
        begin: |server| server.backend.stop(),
        end: |server| server.backend.restart(),
        forgets: true,
    },
    Failure {
        name: "stopped",
        begin: |server| server.backend.pause(),
        end: |server| server.backend.resume(),
        forgets: false,
    },
    Failure {
        name: "cut off",
        begin: |server| server.gate.shut(),
        end: |server| server.gate.open(),
        forgets: false,
    },
    Failure {
        name: "swallowed",
        begin: |server| server.gate.strike(Fault::Swallow),
        end: |server| server.gate.heal(),
        forgets: false,
    },
    Failure {
        name: "late",
        begin: |server| server.gate.strike(Fault::Late(2 * TIMEOUT)),
        end: |server| server.gate.heal(),
        forgets: false,
    },
    Failure {
        name: "breaking off",
        begin: |server| server.gate.strike(Fault::Cut(2)),
        end: |server| server.gate.heal(),
        forgets: false,
    },
    Failure {
        name: "talking nonsense",
        begin: |server| {
            server
                .gate
                .strike(Fault::Instead("220 mail.example.org\r\n"))
        },
        end: |server| server.gate.heal(),
        forgets: false,
    },
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    Error,
    Miss,
    Rehash,
    Failover,
}

impl Policy {
    const ALL: [Self; 4] = [Self::Error, Self::Miss, Self::Rehash, Self::Failover];

    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Miss => "miss",
            Self::Rehash => "rehash",
            Self::Failover => "failover",
        }
    }

    fn moves_keys(self) -> bool {
        matches!(self, Self::Rehash | Self::Failover)
    }
}

/// Four at the same time, as each mostly waits, and no more, as each has many processes.
#[test]
fn keys_are_answered_by_policy_however_their_server_fails() {
    let setups: [(Speech, &[&str]); 4] = [
        (Speech::MEMCACHE, &[]),
        (Speech::RESP, &[]),
        (Speech::MEMCACHE_OVER_REDIS, &["--l1", "1ms"]),
        (Speech::RESP_OVER_MEMCACHED, &["--l1", "1ms"]),
    ];
    std::thread::scope(|scope| {
        for (speech, flags) in setups {
            scope.spawn(move || {
                for policy in Policy::ALL {
                    for failure in &FAILURES {
                        check(speech, policy, failure, flags);
                    }
                }
            });
        }
    });
}

fn check(speech: Speech, policy: Policy, failure: &Failure, flags: &[&str]) {
    let told = format!("{speech:?}, --on-eject {}, {}", policy.name(), failure.name);
    let timeout = format!("{}s", TIMEOUT.as_secs());
    let common = ["--shards", "1", "--backend-timeout", &timeout];
    let ejecting = ["--eject-after", "1", "--on-eject", policy.name()];
    let flags = [&common[..], &ejecting, flags].concat();
    let spare_count = usize::from(policy == Policy::Failover);
    let mut pool = GatedPool::start(speech, (2, spare_count), &flags);
    let mut client = Client::new(pool.connect(), speech.clients);
    let keys = keys_of_first(&mut client, &pool, speech.servers);
    let (key, other) = (&keys[0], &keys[1]);
    wait_for("both to be there", || {
        let is_set = client.set(key, "old").0 == Heard::Stored;
        let is_well = is_set && client.set(other, "kept").0 == Heard::Stored;
        is_well.then_some(())
    });

    (failure.begin)(&mut pool.servers[0]);
    let is_out = |heard: &Heard| match policy {
        Policy::Error => *heard == Heard::error(Heard::UNAVAILABLE),
        _ => *heard == Heard::Nothing,
    };
    wait_for("the failure to be noticed", || {
        is_out(&client.get(key).0).then_some(())
    });
    let start = Instant::now();
    let unavailable = Heard::error(Heard::UNAVAILABLE);
    for _ in 0..ROUNDS {
        let expected = match policy.moves_keys() {
            true => Heard::Stored,
            false => unavailable.clone(),
        };
        assert_eq!(client.set(key, "new").0, expected, "{told}");
        let expected = match policy {
            Policy::Error => unavailable.clone(),
            Policy::Miss => Heard::Nothing,
            Policy::Rehash | Policy::Failover => Heard::value("new"),
        };
        assert_eq!(client.get(key).0, expected, "{told}");
    }
    assert!(start.elapsed() < AT_ONCE, "{told}: {:?}", start.elapsed());

    (failure.end)(&mut pool.servers[0]);
    // It has what it had, but for what was written elsewhere.
    let kept = match failure.forgets {
        true => Heard::Nothing,
        false => Heard::value("kept"),
    };
    wait_for("the server to serve again", || {
        let is_home = client.get(other).0 == kept && client.set(other, "kept").0 == Heard::Stored;
        let holds = held(&pool.servers[0], speech.servers, other);
        (is_home && holds).then_some(())
    });
    let expected = match failure.forgets || policy.moves_keys() {
        true => Heard::Nothing,
        false => Heard::value("old"),
    };
    assert_eq!(client.get(key).0, expected, "{told}");
}

/// Two keys of the first server.
fn keys_of_first(client: &mut Client, pool: &GatedPool, protocol: Protocol) -> [String; 2] {
    let mut keys = (0..200)
        .map(|number| format!("key-{number}"))
        .filter(|key| {
            wait_for("both servers to be there", || {
                (client.set(key, "x").0 == Heard::Stored).then_some(())
            });
            held(&pool.servers[0], protocol, key)
        });
    [(); 2].map(|()| keys.next().expect("each server has some of 200 keys"))
}

/// Whether a server has a key; asked without its gate.
fn held(server: &Server, protocol: Protocol, key: &str) -> bool {
    let mut direct = Client::new(server.backend.connect(), protocol);
    !matches!(direct.get(key).0, Heard::Nothing)
}
