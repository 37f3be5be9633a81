//! SUBSCRIBE and its family in front of Redis servers, and MONITOR.
//!
//! A channel's server is chosen like a key's, by the ring: that is where PUBLISH goes. A pattern may
//! match channels of any server, so all of them are asked. A client has a connection of its own to
//! each server that it listens to, for as long as it is there; it speaks RESP3, in which messages
//! cannot be taken for replies, and the client gets them in its own version.
//!
//! Nodes of a cluster tell each other what is published, so there a client listens to one of them for
//! all channels and patterns; only a shard channel is its node's.
//!
//! A confirmation is written here, as only here it is known how much the client listens to, and
//! given once every server concerned has taken the subscription: behind the command goes a PING,
//! whose reply tells that. If a server that is listened to goes, so does the client's connection:
//! its library subscribes anew, as it would if the server had been its own. MONITOR is told to
//! every server over the same connections, and its lines are handed on as they come.

use std::collections::BTreeSet;

use super::{
    Pool,
    dedicated::TOO_MANY,
    errand::{Delivery, Pending, Route},
    failure::UNAVAILABLE,
};
use crate::shard::{
    core::Core,
    flush,
    form::Form,
    message::Origin,
    replies::{Covers, Seq},
    resp::subscription,
    session::{Session, Step},
    settings::SUBSCRIPTIONS_MAX,
};
use crate::{
    io::Token,
    protocol::{
        Parsed,
        resp::{
            Limits,
            reply::{self, Reply, parse_reply},
            table::Feed,
        },
    },
};

/// The line for a client that listens to as much as it may.
const TOO_MUCH: &[u8] = b"-ERR too many subscriptions\r\n";

/// What a client listens to.
#[derive(Debug, Default)]
pub(in crate::shard) struct Subscriptions {
    channels: BTreeSet<Vec<u8>>,
    patterns: BTreeSet<Vec<u8>>,
    shard_channels: BTreeSet<Vec<u8>>,
    /// Whether it has said MONITOR.
    pub(in crate::shard) is_monitoring: bool,
    /// In a cluster, the node that tells of channels and patterns.
    home: Option<usize>,
}

impl Subscriptions {
    /// Whether it is subscribed to nothing.
    pub(in crate::shard) fn is_empty(&self) -> bool {
        self.total() == 0
    }

    fn total(&self) -> usize {
        self.channels.len() + self.patterns.len() + self.shard_channels.len()
    }

    fn names(&mut self, feed: Feed) -> &mut BTreeSet<Vec<u8>> {
        match feed {
            Feed::Channels => &mut self.channels,
            Feed::Patterns => &mut self.patterns,
            Feed::ShardChannels => &mut self.shard_channels,
        }
    }

    /// What a confirmation says: shard channels are counted apart.
    fn count(&self, feed: Feed) -> usize {
        match feed {
            Feed::Channels | Feed::Patterns => self.channels.len() + self.patterns.len(),
            Feed::ShardChannels => self.shard_channels.len(),
        }
    }

    /// Whether a message with these first two words is for this client, still.
    fn wants(&self, kind: &[u8], name: &[u8]) -> bool {
        match kind {
            b"message" => self.channels.contains(name),
            b"pmessage" => self.patterns.contains(name),
            b"smessage" => self.shard_channels.contains(name),
            _ => false,
        }
    }
}

/// Replies that are given once a server has taken a command.
#[derive(Debug)]
pub(in crate::shard) struct Confirmations {
    client: Token,
    replies: Vec<(Seq, Vec<u8>)>,
}

/// What one server is to be told.
#[derive(Debug, Default)]
struct Order<'n> {
    names: Vec<&'n [u8]>,
    replies: Vec<(Seq, Vec<u8>)>,
}

/// SUBSCRIBE, PSUBSCRIBE and SSUBSCRIBE.
pub(in crate::shard) fn subscribe<'n>(
    session: &mut Session,
    core: &mut Core,
    feed: Feed,
    names: impl Iterator<Item = &'n [u8]>,
) -> Step {
    let names: Vec<&[u8]> = names.collect();
    let total = subscriptions(session).map_or(0, |all| all.total());
    if total + names.len() > SUBSCRIPTIONS_MAX {
        session.refuse(core, TOO_MUCH);
        return Step::Done;
    }
    let home = home(session, core);
    let mut servers: Vec<usize> = names
        .iter()
        .flat_map(|name| servers_of(core, feed, name, home))
        .collect();
    servers.sort_unstable();
    servers.dedup();
    if let Some(reason) = why_nobody(core, feed, &servers) {
        core.with_line(reason, |core, line| session.refuse(core, line));
        return Step::Done;
    }
    if !has_feeds(session, core, servers.into_iter()) {
        return Step::Done;
    }
    let word = words(feed).0;
    change(session, core, feed, &names, word, |all, name| {
        all.insert(name.to_vec());
        true
    });
    Step::Done
}

/// MONITOR: whatever any server is asked from now on.
pub(in crate::shard) fn monitor(session: &mut Session, core: &mut Core) -> Step {
    let servers = core.pool.as_ref().map_or_else(Vec::new, Pool::masters);
    if servers.is_empty() {
        return flush::nobody_to_ask(session, core);
    }
    if !has_feeds(session, core, servers.iter().copied()) {
        return Step::Done;
    }
    if let Some(all) = subscriptions(session) {
        all.is_monitoring = true;
    }
    let parts = servers.len() as u32;
    let seq = session
        .replies
        .defer(Form::Verbatim, Covers::Nothing, parts);
    let client = session.token();
    for server in servers {
        let replies = vec![(seq, reply::OK.to_vec())];
        let confirmations = Confirmations { client, replies };
        let told = tell(core, server, b"*1\r\n$7\r\nMONITOR\r\n", confirmations);
        debug_assert!(told.is_ok(), "it has just been given a connection");
    }
    Step::Done
}

/// Whether a client has a connection to listen to each of these servers; refuses it if not.
fn has_feeds(
    session: &mut Session,
    core: &mut Core,
    mut servers: impl Iterator<Item = usize>,
) -> bool {
    let (client, now) = (session.token(), core.now);
    let has_feed = |server: usize| match &mut core.pool {
        Some(pool) => pool.dedicated.has_feed(server, client, now),
        None => false,
    };
    let has_all = servers.all(has_feed);
    if !has_all {
        let line = format!("-ERR {TOO_MANY}\r\n");
        session.refuse(core, line.as_bytes());
    }
    has_all
}

/// Tells a server something about what a client listens to; what is to be confirmed comes back if the
/// client has no connection there.
fn tell(
    core: &mut Core,
    server: usize,
    wire: &[u8],
    confirmations: Confirmations,
) -> Result<(), Confirmations> {
    let (client, now) = (confirmations.client, core.now);
    let Some(pool) = &mut core.pool else {
        return Err(confirmations);
    };
    let pending = Pending::Confirmations(Box::new(confirmations));
    match pool.dedicated.tell(server, client, pending, wire, now) {
        Err(Pending::Confirmations(confirmations)) => Err(*confirmations),
        _ => Ok(()),
    }
}

/// UNSUBSCRIBE, PUNSUBSCRIBE and SUNSUBSCRIBE; no names are all.
pub(in crate::shard) fn unsubscribe<'n>(
    session: &mut Session,
    core: &mut Core,
    feed: Feed,
    names: impl Iterator<Item = &'n [u8]>,
) -> Step {
    let word = words(feed).1;
    let names: Vec<&[u8]> = names.collect();
    let all: Vec<Vec<u8>> = match (names.is_empty(), subscriptions(session)) {
        (true, Some(all)) => all.names(feed).iter().cloned().collect(),
        _ => Vec::new(),
    };
    let names: Vec<&[u8]> = names
        .into_iter()
        .chain(all.iter().map(Vec::as_slice))
        .collect();
    if names.is_empty() {
        let version = session.version();
        let count = subscriptions(session).map_or(0, |all| all.count(feed)) as i64;
        let out = session.ready(&mut core.buffers);
        subscription(out, word, None, count, version);
        return Step::Done;
    }
    change(session, core, feed, &names, word, |all, name| {
        all.remove(name)
    });
    Step::Done
}

/// Changes what a client listens to, name by name, and tells the servers of those names for which
/// `apply` says that something has changed.
fn change(
    session: &mut Session,
    core: &mut Core,
    feed: Feed,
    names: &[&[u8]],
    word: &[u8],
    apply: impl Fn(&mut BTreeSet<Vec<u8>>, &[u8]) -> bool,
) {
    let version = session.version();
    let home = home(session, core);
    let mut orders: Vec<Order<'_>> = Vec::new();
    // As many links as servers, or more.
    orders.resize_with(core.link_count(), Order::default);
    for name in names {
        let Some(all) = subscriptions(session) else {
            return;
        };
        let is_changed = apply(all.names(feed), name);
        let count = all.count(feed) as i64;
        let mut frame = Vec::new();
        subscription(&mut frame, word, Some(name), count, version);
        if !is_changed {
            session.reply(core, &frame);
            continue;
        }
        let servers = servers_of(core, feed, name, home);
        let parts = servers.len() as u32;
        let seq = session
            .replies
            .defer(Form::Verbatim, Covers::Nothing, parts);
        for server in servers {
            orders[server].names.push(name);
            orders[server].replies.push((seq, frame.clone()));
        }
    }
    let client = session.token();
    for (server, order) in orders.into_iter().enumerate() {
        let Order { names, replies } = order;
        if names.is_empty() {
            continue;
        }
        let mut wire = Vec::new();
        // Shard channels of one command would have to be of one slot.
        let most = match feed {
            Feed::ShardChannels => 1,
            _ => names.len(),
        };
        for names in names.chunks(most) {
            reply::array_header(&mut wire, 1 + names.len());
            reply::bulk(&mut wire, word);
            names.iter().for_each(|name| reply::bulk(&mut wire, name));
        }
        reply::encode_command(&mut wire, &[b"PING"]);
        let confirmations = Confirmations { client, replies };
        // Nobody there tells this client of it: so it has ended.
        if let Err(confirmations) = tell(core, server, &wire, confirmations) {
            core.confirm(confirmations, None, &mut |core, delivery| {
                session.deliver(core, delivery.origin.seq, false, delivery.bytes);
            });
        }
    }
}

/// The node of a cluster that tells a client of channels and patterns.
fn home(session: &mut Session, core: &Core) -> Option<usize> {
    let client = session.token();
    let pool = core.pool.as_ref().filter(|pool| pool.is_cluster())?;
    let all = subscriptions(session)?;
    let home = all.home.unwrap_or_else(|| pool.any_node(client.index()));
    if pool.is_somebody(home) {
        all.home = Some(home);
    }
    Some(home)
}

/// Why one of these servers cannot be listened to, if it is none: a cluster's node may not be known
/// just now.
fn why_nobody(core: &Core, feed: Feed, servers: &[usize]) -> Option<&'static str> {
    let pool = core.pool.as_ref()?;
    let nobody = servers.iter().find(|server| !pool.is_somebody(**server))?;
    Some(match feed {
        Feed::ShardChannels => pool.why_not(*nobody),
        Feed::Channels | Feed::Patterns => UNAVAILABLE,
    })
}

/// The servers that have a channel, or channels that match a pattern.
fn servers_of(core: &Core, feed: Feed, name: &[u8], home: Option<usize>) -> Vec<usize> {
    let Some(pool) = &core.pool else {
        return Vec::new();
    };
    match (feed, home) {
        (Feed::ShardChannels, _) => vec![pool.server(name)],
        (_, Some(home)) => vec![home],
        (Feed::Patterns, None) => pool.masters(),
        (Feed::Channels, None) => vec![pool.server(name)],
    }
}

/// The commands that begin and end listening.
fn words(feed: Feed) -> (&'static [u8], &'static [u8]) {
    match feed {
        Feed::Channels => (b"subscribe", b"unsubscribe"),
        Feed::Patterns => (b"psubscribe", b"punsubscribe"),
        Feed::ShardChannels => (b"ssubscribe", b"sunsubscribe"),
    }
}

fn subscriptions(session: &mut Session) -> Option<&mut Subscriptions> {
    let client = session.resp_client()?;
    Some(client.subscriptions.get_or_insert_default())
}

/// RESET: it listens to nothing any more.
pub(in crate::shard) fn forget(session: &mut Session, core: &mut Core) {
    let client = session.token();
    let was_subscribed = session
        .resp_client()
        .and_then(|client| client.subscriptions.take());
    if was_subscribed.is_some()
        && let Some(pool) = &mut core.pool
    {
        pool.dedicated.drop_feeds_of(client, core.now);
    }
}

impl Session {
    /// Takes what a server says unasked. False if it will not tell any more what is to be told.
    pub(super) fn hear(&mut self, core: &mut Core, frame: &[u8]) -> bool {
        let subscriptions = self
            .client()
            .and_then(|client| client.subscriptions.as_ref());
        let Some(all) = subscriptions else {
            return true;
        };
        let words = first_words(frame);
        let wants = match words {
            Some((kind, name)) => all.wants(kind, name),
            None => all.is_monitoring && frame.starts_with(b"+"),
        };
        if wants {
            self.push_message(&mut core.buffers, frame);
            return true;
        }
        // A slot that leaves its node takes its channels along.
        let Some((b"sunsubscribe", name)) = words else {
            return true;
        };
        !all.shard_channels.contains(name)
    }
}

impl Core {
    /// A server has taken a command about subscriptions, or will not.
    pub(super) fn confirm(
        &mut self,
        confirmations: Confirmations,
        error: Option<&[u8]>,
        deliver: &mut impl FnMut(&mut Self, Delivery<'_>),
    ) {
        let Confirmations { client, replies } = confirmations;
        for (seq, frame) in replies {
            let route = Route::Here(Origin { token: client, seq });
            self.hand_over(route, error.is_some(), error.unwrap_or(&frame), deliver);
        }
    }
}

/// The first two elements of a push frame, if they are bulks.
fn first_words(frame: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = frame.strip_prefix(b">")?;
    let line_end = memchr::memchr(b'\n', start)?;
    let (kind, rest) = bulk(&start[line_end + 1..])?;
    let (name, _) = bulk(rest)?;
    Some((kind, name))
}

fn bulk(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match parse_reply(bytes, &Limits::for_replies(bytes.len())) {
        Parsed::Complete {
            request: Reply::Bulk(Some(body)),
            consumed,
        } => Some((body, &bytes[consumed..])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_first_what_it_is_and_whose() {
        for (frame, expected) in [
            (
                &b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n"[..],
                Some((&b"message"[..], &b"c"[..])),
            ),
            (b">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n", None),
            (b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n", None),
            (b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n", None),
            (b">1\r\n$7\r\nmessage\r\n", None),
            (b">", None),
        ] {
            assert_eq!(first_words(frame), expected, "{}", frame.escape_ascii());
        }
    }

    #[test]
    fn names_are_counted_as_confirmations_tell() {
        let mut all = Subscriptions::default();
        for (feed, name, count) in [
            (Feed::Channels, "a", 1),
            (Feed::Channels, "a", 1),
            (Feed::Patterns, "a*", 2),
            (Feed::ShardChannels, "s", 1),
        ] {
            all.names(feed).insert(name.into());
            assert_eq!(all.count(feed), count, "{name}");
        }
        assert!(all.wants(b"pmessage", b"a*") && !all.wants(b"message", b"a*"));
        assert!(!all.wants(b"subscribe", b"a") && !all.is_empty());
    }
}
