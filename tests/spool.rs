//! The promise of the spool: what was answered is on disk, is sent when it can be, and can be looked after by hand.

mod support;

#[path = "spool/by_hand.rs"]
mod by_hand;
#[path = "spool/in_a_cluster.rs"]
mod in_a_cluster;
#[path = "spool/kills.rs"]
mod kills;
#[path = "spool/kills_behind.rs"]
mod kills_behind;
#[path = "spool/later.rs"]
mod later;
#[path = "spool/refused.rs"]
mod refused;
#[path = "spool/trouble.rs"]
mod trouble;

use std::net::SocketAddr;

use ringfort::config::Protocol;
use support::{process::ScratchFolder, ringfort::Ringfort};

/// A ringfort in front of one server, with its spool in this folder, that only deletes.
fn pool_of(
    server: SocketAddr,
    protocol: Protocol,
    folder: &ScratchFolder,
    more: &[&str],
) -> Ringfort {
    pool_with("invalidate", server, protocol, folder, more)
}

/// The same with this policy.
fn pool_with(
    policy: &str,
    server: SocketAddr,
    protocol: Protocol,
    folder: &ScratchFolder,
    more: &[&str],
) -> Ringfort {
    let server = server.to_string();
    let folder = folder.path().display().to_string();
    let (protocol, other) = match protocol {
        Protocol::Memcache => ("memcache", "--resp"),
        Protocol::Resp => ("resp", "--memcache"),
    };
    let flags = [
        "--pool", protocol, other, "off", "--server", &server, "--write", policy, "--spool",
        &folder,
    ];
    Ringfort::start(&[&flags[..], more].concat())
}
