//! What a RESP client has said of itself and how it wants to be treated; CLIENT, as far as that
//! is about the connection itself.

use super::super::{
    core::Core,
    pause::Pause,
    pool::feeds::Subscriptions,
    round::{ClientsWanted, Kill, Round, Unblock},
    session::{Session, Step},
};
use super::transaction::Transaction;
use crate::{
    config::Protocol,
    protocol::resp::{
        ClientAttribute, ClientFilter, ClientRequest, KillFilter, ParseProgress, ReplyMode,
        Version, reply,
    },
    store::UnixMs,
};

/// What a RESP client has said of itself. There is one for every connection, most of which say
/// little: what few say is in a box.
#[derive(Debug)]
pub(in crate::shard) struct Client {
    pub(in crate::shard) version: Version,
    answering: Answering,
    /// What it reads counts as used; see CLIENT NO-TOUCH.
    pub(in crate::shard) marks_use: bool,
    /// It asked not to be closed when memory is short, which no client here is.
    pub(in crate::shard) is_spared: bool,
    names: Option<Box<Names>>,
    /// What it watches or has queued, if it does.
    pub(in crate::shard) transaction: Option<Box<Transaction>>,
    /// How far the request that is coming in was parsed.
    pub(in crate::shard) parsing: ParseProgress,
    /// It is to hear of changes of what it reads.
    pub(in crate::shard) is_tracking: bool,
    /// CLIENT CACHING was said for the next request.
    pub(in crate::shard) is_caching_said: bool,
    /// It listens to the channel of invalidations.
    pub(in crate::shard) is_subscribed: bool,
    /// What it listens to at the servers of a pool, if it ever did.
    pub(in crate::shard) subscriptions: Option<Box<Subscriptions>>,
}

/// What a client and its library are called.
#[derive(Debug, Default)]
struct Names {
    client: Vec<u8>,
    library: Vec<u8>,
    library_version: Vec<u8>,
}

/// Whether requests are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answering {
    On,
    Off,
    /// The next request is not.
    SkipNext,
    /// The one that is being served is not.
    Skipping,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            version: Version::default(),
            answering: Answering::On,
            marks_use: true,
            is_spared: false,
            names: None,
            transaction: None,
            parsing: ParseProgress::default(),
            is_tracking: false,
            is_caching_said: false,
            is_subscribed: false,
            subscriptions: None,
        }
    }
}

impl Client {
    /// Whether its requests are served as anybody's.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.answering == Answering::On && self.marks_use
    }

    /// Whether a request that comes in now is not answered.
    pub(super) fn is_muted(&self) -> bool {
        self.answering != Answering::On
    }

    /// A request is about to be served; whether its reply is to be dropped, unless it
    /// [says otherwise](Self::ends_muted).
    pub(super) fn begins_muted(&mut self) -> bool {
        if self.answering == Answering::SkipNext {
            self.answering = Answering::Skipping;
        }
        self.is_muted()
    }

    /// The same request has been served; whether its reply is to be dropped after all.
    pub(super) fn ends_muted(&mut self, is_over: bool) -> bool {
        let is_muted = self.is_muted();
        if is_over && self.answering == Answering::Skipping {
            self.answering = Answering::On;
        }
        is_muted
    }

    fn answer(&mut self, mode: ReplyMode) {
        self.answering = match (mode, self.answering) {
            (ReplyMode::On, _) => Answering::On,
            (ReplyMode::Off, _) | (ReplyMode::Skip, Answering::Off) => Answering::Off,
            (ReplyMode::Skip, _) => Answering::SkipNext,
        };
    }

    /// The connection's name, empty if it has none.
    pub(in crate::shard) fn name(&self) -> &[u8] {
        self.names.as_ref().map_or(b"", |names| &names.client)
    }

    pub(super) fn set_name(&mut self, name: &[u8]) {
        if name.is_empty() && self.names.is_none() {
            return;
        }
        name.clone_into(&mut self.names.get_or_insert_default().client);
    }

    fn set_attribute(&mut self, attribute: ClientAttribute, value: &[u8]) {
        let names = self.names.get_or_insert_default();
        let kept = match attribute {
            ClientAttribute::LibraryName => &mut names.library,
            ClientAttribute::LibraryVersion => &mut names.library_version,
        };
        value.clone_into(kept);
    }

    /// Appends the fields of CLIENT LIST that came with CLIENT SETINFO, if it was used.
    pub(in crate::shard) fn write_library(&self, line: &mut Vec<u8>) {
        let Some(names) = &self.names else { return };
        if !(names.library.is_empty() && names.library_version.is_empty()) {
            line.extend_from_slice(b" lib-name=");
            line.extend_from_slice(&names.library);
            line.extend_from_slice(b" lib-ver=");
            line.extend_from_slice(&names.library_version);
        }
    }

    /// RESET: as if it had just come in. A reply that is being skipped stays so, and what
    /// CLIENT NO-EVICT and SETINFO said stays said.
    pub(super) fn reset(&mut self) {
        self.version = Version::Resp2;
        self.marks_use = true;
        if self.answering != Answering::Skipping {
            self.answering = Answering::On;
        }
        self.set_name(b"");
    }
}

/// Ends the wait of a client at a server of the pool. Nobody waits for anything else.
fn unblock(
    session: &mut Session,
    core: &mut Core,
    id: i64,
    with_error: bool,
    version: Version,
) -> Step {
    match u64::try_from(id) {
        Ok(id) if core.backend_protocol() == Some(Protocol::Resp) => {
            let wanted = Unblock { id, with_error };
            session.go_round(core, Round::Unblock(wanted), version)
        }
        _ => {
            session.reply(core, reply::ZERO);
            Step::Done
        }
    }
}

/// Answers CLIENT.
pub(super) fn client(
    session: &mut Session,
    core: &mut Core,
    request: &ClientRequest<'_>,
    version: Version,
) -> Step {
    match *request {
        ClientRequest::List { filter } => {
            let wanted = match filter {
                ClientFilter::All => ClientsWanted::All,
                ClientFilter::Kind(kind) => ClientsWanted::Kind(kind),
                ClientFilter::Ids(_) => ClientsWanted::Ids(filter.ids().collect()),
            };
            return session.go_round(core, Round::Clients(wanted), version);
        }
        ClientRequest::Info => return session.go_round(core, Round::ThisClient, version),
        ClientRequest::KillAddr { addr } => {
            let kill = Kill {
                id: None,
                kind: None,
                addr: Some(addr.to_vec()),
                laddr: None,
                spared: None,
                is_old_form: true,
            };
            return session.go_round(core, Round::Kill(kill), version);
        }
        ClientRequest::Kill { filter } => {
            let kill = kill(session, filter);
            return session.go_round(core, Round::Kill(kill), version);
        }
        ClientRequest::Pause {
            timeout_ms,
            writes_only,
        } => {
            // A time over the edge of the clock is one long past, as in Redis 7.0.
            let until = core.now.0.wrapping_add(timeout_ms as u64);
            let until = UnixMs(i64::try_from(until).map_or(0, |_| until));
            let pause = Pause::new(until, writes_only);
            return session.go_round(core, Round::Pause(pause), version);
        }
        ClientRequest::Unpause => return session.go_round(core, Round::Unpause, version),
        ClientRequest::Unblock { id, with_error } => {
            return unblock(session, core, id, with_error, version);
        }
        ClientRequest::Id => {
            reply::integer(session.replies.ready(&mut core.buffers), session.id as i64);
        }
        _ => own(session, core, request, version),
    }
    Step::Done
}

/// What a client says of itself, which is all between it and this shard.
fn own(session: &mut Session, core: &mut Core, request: &ClientRequest<'_>, version: Version) {
    let Some(client) = session.resp_client() else {
        return;
    };
    match *request {
        ClientRequest::GetName => {
            let name = client.name().to_vec();
            let out = session.ready(&mut core.buffers);
            if name.is_empty() {
                return reply::null(out, version);
            }
            return reply::bulk(out, &name);
        }
        ClientRequest::SetName { name } => client.set_name(name),
        ClientRequest::SetInfo { attribute, value } => client.set_attribute(attribute, value),
        ClientRequest::NoEvict { is_on } => client.is_spared = is_on,
        ClientRequest::NoTouch { is_on } => client.marks_use = !is_on,
        ClientRequest::Reply { mode } => {
            client.answer(mode);
            if mode != ReplyMode::On {
                return;
            }
        }
        _ => return,
    }
    session.reply(core, reply::OK);
}

fn kill(session: &Session, filter: KillFilter<'_>) -> Kill {
    Kill {
        id: filter.id,
        kind: filter.kind,
        addr: filter.addr.map(<[u8]>::to_vec),
        laddr: filter.laddr.map(<[u8]>::to_vec),
        spared: filter.skip_me.then_some(session.id),
        is_old_form: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Serves a request that may change how it is answered; whether it is answered.
    fn serve(client: &mut Client, mode: Option<ReplyMode>) -> bool {
        let begins = client.begins_muted();
        if let Some(mode) = mode {
            client.answer(mode);
        }
        !(client.ends_muted(true) && begins)
    }

    #[test]
    fn skip_takes_exactly_the_next_reply() {
        let mut client = Client::default();
        assert!(client.is_plain());
        client.answer(ReplyMode::Skip);
        assert!(!client.is_plain());
        assert!(!serve(&mut client, None));
        assert!(client.is_plain());
        // One that skips again is itself the one that is skipped.
        client.answer(ReplyMode::Skip);
        serve(&mut client, Some(ReplyMode::Skip));
        assert!(!serve(&mut client, None));
        assert!(serve(&mut client, None));
        // Who switches on is answered at once.
        client.answer(ReplyMode::Skip);
        assert!(serve(&mut client, Some(ReplyMode::On)));
    }

    #[test]
    fn off_lasts_until_on() {
        let mut client = Client::default();
        client.answer(ReplyMode::Off);
        assert!(!serve(&mut client, None));
        assert!(!serve(&mut client, Some(ReplyMode::Skip)));
        assert!(!serve(&mut client, None));
        assert!(serve(&mut client, Some(ReplyMode::On)));
        assert!(serve(&mut client, None));
    }

    #[test]
    fn a_request_that_must_wait_stays_muted() {
        let mut client = Client::default();
        client.answer(ReplyMode::Skip);
        assert!(client.begins_muted() && client.ends_muted(false));
        assert!(client.begins_muted() && client.ends_muted(true));
        assert!(client.is_plain());
    }
}
