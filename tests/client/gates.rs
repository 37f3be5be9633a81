//! Real servers behind a gate that delays, cuts, swallows and replaces what they say.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::timer::sleep;
use ringfort::client::{Client, Config, Error};

use super::{connect, run};
use crate::support::backends::Backend;
use crate::support::gate::{Fault, Gate};
use crate::support::{DEADLINE, POLL_INTERVAL};

/// How long a server may take to answer.
const TIMEOUT: Duration = Duration::from_millis(1_500);

/// A reply that is so late still comes before the server is given up.
const LATE: Duration = TIMEOUT.saturating_add(Duration::from_millis(300));

const GARBAGE: &str = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";

/// A memcached and a Redis server behind gates, with what a client of each is told.
fn servers() -> [(Backend, Gate, Config); 2] {
    let gated = |server: Backend, config: fn(String) -> Config| {
        let gate = Gate::open_before(server.address());
        let config = config(gate.address().to_string()).timeout(TIMEOUT);
        (server, gate, config)
    };
    [
        gated(Backend::memcached(), Config::memcache),
        gated(Backend::redis(), Config::resp),
    ]
}

#[test]
fn each_fault_costs_what_was_asked_just_then() {
    // What a read and a change are told.
    type Told = (Result<Option<Vec<u8>>, Error>, Result<(), Error>);
    let well: Result<Option<Vec<u8>>, Error> = Ok(Some(b"value".to_vec()));
    let lost: Told = (well.clone(), Err(Error::Lost));
    let late: Told = (Err(Error::Timeout), Err(Error::Timeout));
    let cases = [
        (Fault::Cut(3), lost.clone()),
        (Fault::Instead(GARBAGE), lost),
        (Fault::Behind("END\r\n"), (well, Ok(()))),
        (Fault::Late(LATE), late.clone()),
        (Fault::Swallow, late),
    ];
    for (_server, gate, config) in servers() {
        let cases = cases.clone();
        run(move || async move {
            let client = connect(config).await;
            for (fault, (read, change)) in cases {
                settle(&client).await;
                strike(&gate, fault);
                assert_eq!(client.get("key").await, read, "{fault:?}");
                gate.heal();
                settle(&client).await;
                strike(&gate, fault);
                assert_eq!(client.set("key", "value").await, change, "{fault:?}");
                gate.heal();
            }
            client.close().await;
        });
    }
}

fn strike(gate: &Gate, fault: Fault) {
    match fault {
        Fault::Swallow => gate.strike(fault),
        _ => gate.strike_times(fault, 1),
    }
}

/// The values are there.
async fn settle(client: &Client) {
    let start = Instant::now();
    while let Err(error) = set_and_get(client).await {
        let is_in_time = start.elapsed() < DEADLINE;
        assert!(is_in_time, "the server is not found again: {error:?}");
        sleep(POLL_INTERVAL).await;
    }
}

/// What is asked together is answered in step, or with an error.
async fn set_and_get(client: &Client) -> Result<(), Error> {
    client.set("key", "value").await?;
    client.set("other", "another").await?;
    let (key, other) = (client.get("key"), client.get("other"));
    let (key, other) = (key.await, other.await);
    assert_eq!(key?, Some(b"value".to_vec()));
    assert_eq!(other?, Some(b"another".to_vec()));
    Ok(())
}

/// Each value names its key, and many are asked for at once.
#[test]
fn no_answer_is_anothers_whatever_befalls_the_connection() {
    const IN_FLIGHT: usize = 32;
    for (_server, gate, config) in servers() {
        run(move || async move {
            let client = connect(config).await;
            let is_over = Rc::new(Cell::new(false));
            let right_count = Rc::new(Cell::new(0));
            let askers: Vec<_> = (0..IN_FLIGHT)
                .map(|number| {
                    let (client, is_over) = (client.clone(), Rc::clone(&is_over));
                    let right_count = Rc::clone(&right_count);
                    glommio::spawn_local(async move {
                        let key = format!("key-{number}");
                        while !is_over.get() {
                            let _ = client.set(&key, format!("value of {key}")).await;
                            if let Ok(Some(value)) = client.get(&key).await {
                                let text = String::from_utf8(value).expect("a text");
                                assert_eq!(text, format!("value of {key}"));
                                right_count.set(right_count.get() + 1);
                            }
                            sleep(Duration::from_millis(1)).await;
                        }
                    })
                })
                .collect();
            for fault in [
                Fault::Cut(5),
                Fault::Instead(GARBAGE),
                Fault::Late(LATE),
                Fault::Swallow,
                Fault::Cut(40),
            ] {
                right_count.set(0);
                strike(&gate, fault);
                sleep(LATE + Duration::from_millis(400)).await;
                gate.heal();
                let start = Instant::now();
                while right_count.get() < 10 * IN_FLIGHT {
                    assert!(start.elapsed() < DEADLINE, "after {fault:?}");
                    sleep(POLL_INTERVAL).await;
                }
            }
            is_over.set(true);
            for asker in askers {
                asker.await;
            }
            client.close().await;
        });
    }
}

/// A peer that vanishes while nothing is sent is found out by the kernel, which tells of its timers.
#[test]
fn an_idle_connection_is_watched_by_the_kernel() {
    // What `/proc/net/tcp` has for a keep-alive timer.
    const KEEPALIVE: &str = "02";
    let server = Backend::redis();
    let port = server.address().port();
    let config = Config::resp(server.address().to_string());
    run(move || async move {
        let client = connect(config).await;
        let start = Instant::now();
        while timer(port).as_deref() != Some(KEEPALIVE) {
            assert!(start.elapsed() < DEADLINE, "its timer is {:?}", timer(port));
            sleep(POLL_INTERVAL).await;
        }
        client.close().await;
    });
}

/// Which timer runs for the connection that stands to this port of this machine.
fn timer(port: u16) -> Option<String> {
    const ESTABLISHED: &str = "01";
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
    let peer = format!("0100007F:{port:04X}");
    let mut rows = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row.get(2..4) == Some(&[&peer, ESTABLISHED]))?;
    let (timer, _) = row.get(5)?.split_once(':')?;
    Some(timer.to_owned())
}
