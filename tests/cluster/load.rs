//! Clients that set and read a few keys all the time, and note what they see.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::checker::{Call, Operation, Outcome, is_linearizable, told};
use crate::support::over_when_dropped;
use crate::support::wire::Wire;

/// What clients saw of each key, and how often they got an error.
pub(crate) struct Seen {
    keys: Vec<String>,
    histories: Vec<Vec<Operation>>,
    pub(crate) errors: Vec<String>,
}

/// Between two calls of a client: so a history stays one that can be checked.
const PAUSE: Duration = Duration::from_millis(2);

/// Lets a client for each of the keys set it, and two read all of them, while `act` goes on.
pub(crate) fn while_clients_call(address: SocketAddr, keys: &[String], act: impl FnOnce()) -> Seen {
    let (is_over, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let start = Instant::now();
    let clients = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..keys.len() + 2)
            .map(|number| {
                let (is_over, count) = (&is_over, &count);
                scope.spawn(move || {
                    let mut client = Client::connect(address, start);
                    while !is_over.load(Ordering::Relaxed) {
                        match number.checked_sub(keys.len()) {
                            None => {
                                let value = count.fetch_add(1, Ordering::Relaxed) + 1;
                                client.call(number, &keys[number], Call::Set(value));
                                client.call(number, &keys[number], Call::Get);
                            }
                            Some(_) => keys.iter().enumerate().for_each(|(key, name)| {
                                client.call(key, name, Call::Get);
                            }),
                        }
                        std::thread::sleep(PAUSE);
                    }
                    client
                })
            })
            .collect();
        let over = over_when_dropped(&is_over);
        act();
        drop(over);
        let join =
            |thread: std::thread::ScopedJoinHandle<'_, Client>| thread.join().expect("a client");
        threads.into_iter().map(join).collect::<Vec<_>>()
    });
    let mut seen = Seen {
        keys: keys.to_vec(),
        histories: vec![Vec::new(); keys.len()],
        errors: Vec::new(),
    };
    for client in clients {
        for (key, operation) in client.history {
            seen.histories[key].push(operation);
        }
        seen.errors.extend(client.errors);
    }
    seen
}

impl Seen {
    /// How many calls were answered well.
    pub(crate) fn len(&self) -> usize {
        self.histories.iter().map(Vec::len).sum()
    }

    /// There was one copy of each key.
    pub(crate) fn check_linearizable(&self) {
        for (key, history) in self.keys.iter().zip(&self.histories) {
            assert!(
                is_linearizable(history),
                "no order explains {key}:\n{}",
                told(history)
            );
        }
    }

    /// What is read of a key goes back at most once: when a replica takes over that has not got the last writes. Values
    /// of a key go up.
    pub(crate) fn check_one_step_back(&self) {
        for (key, history) in self.keys.iter().zip(&self.histories) {
            let mut reads: Vec<_> = history
                .iter()
                .filter_map(|operation| match operation.outcome {
                    Outcome::Value(value) => {
                        Some((operation.called_ns, operation.returned_ns, value))
                    }
                    _ => None,
                })
                .collect();
            reads.sort_unstable();
            let mut steps_back = 0;
            let mut last_back_ns = 0;
            for (place, (called_ns, _, value)) in reads.iter().enumerate() {
                let earlier = reads[..place]
                    .iter()
                    .filter(|(_, returned_ns, _)| returned_ns < called_ns);
                let since = earlier.filter(|(earlier_ns, ..)| *earlier_ns >= last_back_ns);
                if since.map(|(.., earlier)| earlier).max() > Some(value) {
                    steps_back += 1;
                    last_back_ns = *called_ns;
                }
            }
            assert!(
                steps_back <= 1,
                "{key} goes back {steps_back} times: {reads:?}"
            );
        }
    }
}

/// One connection.
struct Client {
    wire: Wire,
    start: Instant,
    history: Vec<(usize, Operation)>,
    errors: Vec<String>,
}

impl Client {
    fn connect(address: SocketAddr, start: Instant) -> Self {
        Self {
            wire: Wire::connect(address),
            start,
            history: Vec::new(),
            errors: Vec::new(),
        }
    }

    fn call(&mut self, key: usize, name: &str, call: Call) {
        let called_ns = self.now_ns();
        let request = match call {
            Call::Set(value) => format!("SET {name} {value}\r\n"),
            _ => format!("GET {name}\r\n"),
        };
        self.wire.send(request.as_bytes());
        let line = self.wire.line();
        let mut returned_ns = self.now_ns();
        let outcome = match line.as_str() {
            "+OK" => Outcome::Stored,
            "$-1" => Outcome::Value(None),
            _ if line.starts_with('$') => {
                let value = self.wire.line();
                returned_ns = self.now_ns();
                Outcome::Value(Some(value.parse().expect("a number")))
            }
            _ => {
                self.errors.push(line);
                if call == Call::Get {
                    return;
                }
                // It may be done at any later time, or never.
                returned_ns = u64::MAX;
                Outcome::Stored
            }
        };
        let operation = Operation {
            called_ns,
            returned_ns,
            call,
            outcome,
        };
        self.history.push((key, operation));
    }

    fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }
}
