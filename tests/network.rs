//! The promise: when the network between ringfort and a server falls silent, as it does when a cable is pulled or a
//! machine is gone, or when it loses, delays and reorders packets, a client is told in time, who asks others feels
//! nothing, nothing that was acknowledged is lost, and no request gets another's reply.
//!
//! `faults` has the same of servers and connections that fail where the kernel still answers; here nobody does.

mod support;

#[path = "support/linearizability.rs"]
mod checker;
#[path = "faults/client.rs"]
mod client;
#[path = "support/far.rs"]
mod far;
#[path = "support/namespaces.rs"]
mod namespaces;
#[path = "support/sim/register.rs"]
mod register;
#[path = "histories/speaker.rs"]
mod speaker;

#[path = "network/cut.rs"]
mod cut;
#[path = "network/half_open.rs"]
mod half_open;
#[path = "network/later.rs"]
mod later;
#[path = "network/watched.rs"]
mod watched;
#[path = "network/weather.rs"]
mod weather;

use client::{Client, Heard};
use far::FarPool;
use support::gated::Protocol;
use support::wait_for;
use support::wire::Wire;

/// Keys by where they are: of the far server, and of others.
struct Keys {
    far: Vec<String>,
    near: Vec<String>,
}

/// Sets 100 keys, each to its own name, and looks where they are.
fn spread(pool: &FarPool<'_>) -> Keys {
    let mut client = Client::new(pool.connect(), pool.speech.clients);
    let mut direct = Client::new(pool.far.connect(), pool.speech.servers);
    let names = (0..100).map(|number| format!("key-{number}"));
    let (far, near) = names.partition(|key| {
        wait_for("all servers to be there", || {
            (client.set(key, key).0 == Heard::Stored).then_some(())
        });
        direct.get(key).0 != Heard::Nothing
    });
    Keys { far, near }
}

/// Each gets its own: nothing is out of step.
fn assert_in_step(client: &mut Client, keys: &[String]) {
    for key in keys {
        assert_eq!(client.get(key).0, Heard::value(key));
    }
}

/// One number out of `stats` or `INFO`.
fn stat(wire: &mut Wire, protocol: Protocol, name: &str) -> u64 {
    match protocol {
        Protocol::Memcache => wire.stat("", name),
        Protocol::Resp => wire.info("stats", name),
    }
}
