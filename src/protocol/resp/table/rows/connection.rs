//! Rows of commands about the connection.

use super::super::{Command as C, CommandSpec, Docs, bits::*};
use super::shapes::*;

#[rustfmt::skip]
pub(super) const ROWS: &[CommandSpec] = &[
    connection(C::Ping, "ping", -1, FAST,
        "1.0.0", "O(1)", "Answers").tips(SHARDS_ALL),
    connection(C::Echo, "echo", 2, LOADING | STALE | FAST,
        "1.0.0", "O(1)", "Gives the message back"),
    connection(C::Hello, "hello", -1, NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY,
        "6.0.0", "O(1)", "Chooses the protocol, and introduces both sides"),
    connection(C::Auth, "auth", -2, NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY,
        "1.0.0", "O(N)", "Proves who the client is"),
    connection(C::Select, "select", 2, LOADING | STALE | FAST,
        "1.0.0", "O(1)", "Chooses a database"),
    connection(C::Reset, "reset", 1, NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY,
        "6.2.0", "O(1)", "Brings the connection back to its first state"),
    connection(C::Quit, "quit", -1, NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY,
        "1.0.0", "O(1)", "Closes the connection"),
    connection(C::Client, "client", -2, NONE,
        "2.4.0", "", "Commands about connections").categories(NONE).subcommands(CLIENT),
    pubsub(C::Subscribe, "subscribe", -2, PUBSUB | NOSCRIPT | LOADING | STALE,
        "2.0.0", "O(N)", "Begins to listen to channels"),
    pubsub(C::Unsubscribe, "unsubscribe", -1, PUBSUB | NOSCRIPT | LOADING | STALE,
        "2.0.0", "O(N)", "Ceases to listen to channels"),
    cluster(C::ReadOnly, "readonly", 1, LOADING | STALE | FAST,
        "3.0.0", "O(1)", "Lets replicas of a cluster answer reads"),
    cluster(C::ReadWrite, "readwrite", 1, LOADING | STALE | FAST,
        "3.0.0", "O(1)", "Undoes READONLY"),
    cluster(C::Asking, "asking", 1, FAST,
        "3.0.0", "O(1)", "Allows one request for a slot that is being moved"),
];

#[rustfmt::skip]
const CLIENT: &[CommandSpec] = &[
    connection(C::ClientCaching, "client|caching", 3, NOSCRIPT | LOADING | STALE,
        "6.0.0", "O(1)", "Says whether the next request's keys are tracked"),
    connection(C::ClientGetName, "client|getname", 2, NOSCRIPT | LOADING | STALE,
        "2.6.9", "O(1)", "Gives the connection's name"),
    connection(C::ClientGetRedir, "client|getredir", 2, NOSCRIPT | LOADING | STALE,
        "6.0.0", "O(1)", "Gives the connection that messages about changed keys go to"),
    connection(C::ClientId, "client|id", 2, NOSCRIPT | LOADING | STALE,
        "5.0.0", "O(1)", "Gives the connection's number"),
    connection(C::ClientInfo, "client|info", 2, NOSCRIPT | LOADING | STALE,
        "6.2.0", "O(1)", "Describes the connection").tips(VARIES),
    connection(C::ClientKill, "client|kill", -3, ADMIN | NOSCRIPT | LOADING | STALE,
        "2.4.0", "O(N)", "Closes connections"),
    connection(C::ClientList, "client|list", -2, ADMIN | NOSCRIPT | LOADING | STALE,
        "2.4.0", "O(N)", "Describes the connections").tips(VARIES),
    connection(C::ClientNoEvict, "client|no-evict", 3, ADMIN | NOSCRIPT | LOADING | STALE,
        "7.0.0", "O(1)", "Keeps the connection from being closed for its memory"),
    connection(C::ClientNoTouch, "client|no-touch", 3, NOSCRIPT | LOADING | STALE,
        "7.2.0", "O(1)", "Keeps the connection's reads from counting as uses"),
    connection(C::ClientPause, "client|pause", -3, ADMIN | NOSCRIPT | LOADING | STALE,
        "2.9.50", "O(1)", "Holds requests back for some time"),
    connection(C::ClientReply, "client|reply", 3, NOSCRIPT | LOADING | STALE,
        "3.2.0", "O(1)", "Turns replies on or off"),
    connection(C::ClientSetInfo, "client|setinfo", 4, NOSCRIPT | LOADING | STALE,
        "7.2.0", "O(1)", "Notes the client library's name or version"),
    connection(C::ClientSetName, "client|setname", 3, NOSCRIPT | LOADING | STALE,
        "2.6.9", "O(1)", "Names the connection"),
    connection(C::ClientTracking, "client|tracking", -3, NOSCRIPT | LOADING | STALE,
        "6.0.0", "O(1)", "Turns messages about changed keys on or off"),
    connection(C::ClientTrackingInfo, "client|trackinginfo", 2, NOSCRIPT | LOADING | STALE,
        "6.2.0", "O(1)", "Tells how changed keys are tracked"),
    connection(C::ClientUnblock, "client|unblock", -3, ADMIN | NOSCRIPT | LOADING | STALE,
        "5.0.0", "O(log N)", "Wakes a connection that is blocked"),
    connection(C::ClientUnpause, "client|unpause", 2, ADMIN | NOSCRIPT | LOADING | STALE,
        "6.2.0", "O(N)", "Ends a pause"),
    connection(C::ClientHelp, "client|help", 2, LOADING | STALE,
        "5.0.0", "O(1)", "Explains the subcommands"),
];

const fn connection(
    command: C,
    name: &'static str,
    arity: i8,
    flags: u16,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
) -> CommandSpec {
    let docs = Docs {
        group: "connection",
        since,
        complexity,
        summary,
    };
    CommandSpec::new(command, name, arity, flags, docs).categories(CONNECTION)
}

const fn cluster(
    command: C,
    name: &'static str,
    arity: i8,
    flags: u16,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
) -> CommandSpec {
    let docs = Docs {
        group: "cluster",
        since,
        complexity,
        summary,
    };
    CommandSpec::new(command, name, arity, flags, docs).categories(CONNECTION)
}

const fn pubsub(
    command: C,
    name: &'static str,
    arity: i8,
    flags: u16,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
) -> CommandSpec {
    let docs = Docs {
        group: "pubsub",
        since,
        complexity,
        summary,
    };
    CommandSpec::new(command, name, arity, flags, docs).categories(PUBSUB_CATEGORY)
}
