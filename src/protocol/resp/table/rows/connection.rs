//! Rows of commands about the connection.

use super::super::{Command as C, CommandSpec, bits::*};
use super::shapes::*;

#[rustfmt::skip]
pub(super) const ROWS: &[CommandSpec] = &[
    connection(C::Ping, "ping", -1, FAST).tips(SHARDS_ALL),
    connection(C::Echo, "echo", 2, LOADING | STALE | FAST),
    connection(C::Hello, "hello", -1, NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY),
    connection(C::Auth, "auth", -2, NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY),
    connection(C::Select, "select", 2, LOADING | STALE | FAST),
    connection(C::Reset, "reset", 1, NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY),
    connection(C::Quit, "quit", -1, NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY),
    connection(C::Client, "client", -2, NONE).categories(NONE).subcommands(CLIENT),
    pubsub(C::Subscribe, "subscribe", -2, PUBSUB | NOSCRIPT | LOADING | STALE),
    pubsub(C::Unsubscribe, "unsubscribe", -1, PUBSUB | NOSCRIPT | LOADING | STALE),
    cluster(C::ReadOnly, "readonly", 1, LOADING | STALE | FAST),
    cluster(C::ReadWrite, "readwrite", 1, LOADING | STALE | FAST),
    cluster(C::Asking, "asking", 1, FAST),
];

#[rustfmt::skip]
const CLIENT: &[CommandSpec] = &[
    connection(C::ClientCaching, "client|caching", 3, NOSCRIPT | LOADING | STALE),
    connection(C::ClientGetName, "client|getname", 2, NOSCRIPT | LOADING | STALE),
    connection(C::ClientGetRedir, "client|getredir", 2, NOSCRIPT | LOADING | STALE),
    connection(C::ClientId, "client|id", 2, NOSCRIPT | LOADING | STALE),
    connection(C::ClientInfo, "client|info", 2, NOSCRIPT | LOADING | STALE).tips(VARIES),
    connection(C::ClientKill, "client|kill", -3, ADMIN | NOSCRIPT | LOADING | STALE),
    connection(C::ClientList, "client|list", -2, ADMIN | NOSCRIPT | LOADING | STALE).tips(VARIES),
    connection(C::ClientNoEvict, "client|no-evict", 3, ADMIN | NOSCRIPT | LOADING | STALE),
    connection(C::ClientNoTouch, "client|no-touch", 3, NOSCRIPT | LOADING | STALE),
    connection(C::ClientPause, "client|pause", -3, ADMIN | NOSCRIPT | LOADING | STALE),
    connection(C::ClientReply, "client|reply", 3, NOSCRIPT | LOADING | STALE),
    connection(C::ClientSetInfo, "client|setinfo", 4, NOSCRIPT | LOADING | STALE),
    connection(C::ClientSetName, "client|setname", 3, NOSCRIPT | LOADING | STALE),
    connection(C::ClientTracking, "client|tracking", -3, NOSCRIPT | LOADING | STALE),
    connection(C::ClientTrackingInfo, "client|trackinginfo", 2, NOSCRIPT | LOADING | STALE),
    connection(C::ClientUnblock, "client|unblock", -3, ADMIN | NOSCRIPT | LOADING | STALE),
    connection(C::ClientUnpause, "client|unpause", 2, ADMIN | NOSCRIPT | LOADING | STALE),
    connection(C::ClientHelp, "client|help", 2, LOADING | STALE),
];

const fn connection(command: C, name: &'static str, arity: i8, flags: u16) -> CommandSpec {
    CommandSpec::new(command, name, arity, flags).categories(CONNECTION)
}

const fn cluster(command: C, name: &'static str, arity: i8, flags: u16) -> CommandSpec {
    CommandSpec::new(command, name, arity, flags).categories(CONNECTION)
}

const fn pubsub(command: C, name: &'static str, arity: i8, flags: u16) -> CommandSpec {
    CommandSpec::new(command, name, arity, flags).categories(PUBSUB_CATEGORY)
}
