//! CLIENT TRACKING and its kin: what a client asks to hear of, and remembering what it reads.

use super::{
    super::{
        core::Core,
        message::{Ask, AskBody},
        session::{Session, Step},
        tracking::{Modes, Redirect, Wait},
    },
    subscription,
};
use crate::{
    io::Token,
    protocol::resp::{
        self, Args, RequestError, TrackingChange, TrackingOptions, TrackingRequest, Version, reply,
    },
};

/// Tracking where the truth lives on servers behind.
const POOL: &str = "ERR client tracking is not possible in a pool: its servers change keys unheard";
/// The same where keys are loaded from an origin.
const GROUP: &str =
    "ERR client tracking is not possible in a group: its sources change keys unheard";
/// More prefixes than a shard holds every change against.
const TOO_MANY_PREFIXES: &str = "ERR too many prefixes are tracked";

// Redis' words.
const NO_SUCH_CLIENT: &str = "ERR The client ID you want redirect to does not exist";
const PREFIX_WITHOUT_BCAST: &str = "ERR PREFIX option requires BCAST mode to be enabled";
const BCAST_SWITCH: &str = "ERR You can't switch BCAST mode on/off before disabling tracking for \
    this client, and then re-enabling it with a different mode.";
const BCAST_WITH_OPT: &str = "ERR OPTIN and OPTOUT are not compatible with BCAST";
const OPTIN_WITH_OPTOUT: &str = "ERR You can't specify both OPTIN mode and OPTOUT mode";
const OPT_SWITCH: &str = "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for \
    this client, and then re-enabling it with a different mode.";
const CACHING_UNTRACKED: &str = "ERR CLIENT CACHING can be called only when the client is in \
    tracking mode with OPTIN or OPTOUT mode enabled";
const CACHING_YES: &str =
    "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.";
const CACHING_NO: &str =
    "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.";

/// Executes a request about tracking.
pub(super) fn tracking(
    session: &mut Session,
    core: &mut Core,
    request: &TrackingRequest<'_>,
    version: Version,
) -> Step {
    match *request {
        TrackingRequest::Set { redirect, change } => set(session, core, redirect, change, version),
        TrackingRequest::Caching { yes } => {
            let line = caching(session, core, yes);
            answer(session, core, line);
            Step::Done
        }
        TrackingRequest::GetRedir => {
            let id = core.tracking.redirect_id(session.token());
            reply::integer(session.ready(&mut core.buffers), id);
            Step::Done
        }
        TrackingRequest::TrackingInfo => {
            info(session, core, version);
            Step::Done
        }
        TrackingRequest::Subscribe { channels } => {
            subscription::subscribe(session, core, channels, version)
        }
        TrackingRequest::Unsubscribe { channels } => {
            subscription::unsubscribe(session, core, channels, version);
            Step::Done
        }
    }
}

/// OK, or an error.
pub(super) fn answer(session: &mut Session, core: &mut Core, line: Result<(), &str>) {
    let out = session.ready(&mut core.buffers);
    match line {
        Ok(()) => out.extend_from_slice(reply::OK),
        Err(line) => reply::error(out, line),
    }
}

/// CLIENT TRACKING. It is held until the other shards have answered what they are asked for it.
fn set(
    session: &mut Session,
    core: &mut Core,
    redirect: Option<i64>,
    change: Result<TrackingChange<'_>, resp::TrackingRefusal>,
    version: Version,
) -> Step {
    let token = session.token();
    if core.pool.is_some() {
        answer(session, core, Err(POOL));
        return Step::Done;
    }
    if core.is_group() {
        answer(session, core, Err(GROUP));
        return Step::Done;
    }
    // Of changes that are still under way the client hears as it has asked for so far.
    if session.replies.pending_count() > 0 {
        return Step::Hold;
    }
    if let Some(Wait::Heard(version)) = core.tracking.waits.get(&token) {
        if !core.is_heard(*version) {
            return Step::Hold;
        }
        core.tracking.waits.remove(&token);
        core.tracking.set_unanswered(token, false);
        answer(session, core, Ok(()));
        return Step::Done;
    }
    let redirect = match redirect.map(|id| find(session, core, id)) {
        None => None,
        Some(Found::Unknown) => return Step::Hold,
        Some(Found::Nobody) => {
            answer(session, core, Err(NO_SUCH_CLIENT));
            return Step::Done;
        }
        Some(Found::There(redirect)) => Some(redirect),
    };
    let options = match change {
        Err(refusal) => {
            RequestError::from(refusal).encode(session.ready(&mut core.buffers));
            return Step::Done;
        }
        Ok(TrackingChange::Off) => {
            turn_off(session, core);
            answer(session, core, Ok(()));
            return Step::Done;
        }
        Ok(TrackingChange::On(options)) => options,
    };
    let checked = check(core, token, &options)
        .map_err(String::from)
        .and_then(|()| check_prefixes(core, token, &options));
    if let Err(line) = checked {
        answer(session, core, Err(&line));
        return Step::Done;
    }
    turn_on(session, core, &options, redirect, version)
}

fn turn_on(
    session: &mut Session,
    core: &mut Core,
    options: &TrackingOptions<'_>,
    redirect: Option<Redirect>,
    version: Version,
) -> Step {
    let token = session.token();
    if options.bcast {
        // What has changed in this turn is only for those who asked before it did.
        core.settle_broadcast();
    }
    let client = core.tracking.enter(token, version);
    client.redirect = redirect;
    client.is_redirect_broken = false;
    client.modes = Modes {
        bcast: options.bcast,
        optin: options.optin,
        optout: options.optout,
        noloop: options.noloop,
    };
    if options.bcast {
        let everything = options.prefixes().next().is_none();
        let everything = everything.then_some(&b""[..]);
        let prefixes = options.prefixes().chain(everything);
        core.tracking.add_prefixes(token, prefixes);
    }
    if let Some(client) = session.resp_client() {
        client.is_tracking = true;
    }
    let asked = core.listen();
    if !core.is_heard(asked) {
        core.tracking.waits.insert(token, Wait::Heard(asked));
        core.tracking.set_unanswered(token, true);
        return Step::Hold;
    }
    answer(session, core, Ok(()));
    Step::Done
}

/// Tracks no more.
pub(super) fn turn_off(session: &mut Session, core: &mut Core) {
    core.tracking.leave(session.token());
    if let Some(client) = session.resp_client() {
        client.is_tracking = false;
        client.is_caching_said = false;
    }
}

enum Found {
    /// Another shard has been asked.
    Unknown,
    Nobody,
    There(Redirect),
}

/// The client of an id, on whichever shard it is.
fn find(session: &Session, core: &mut Core, id: i64) -> Found {
    let token = session.token();
    let Ok(id) = u64::try_from(id) else {
        return Found::Nobody;
    };
    if id == 0 {
        return Found::Nobody;
    }
    let shard_count = core.mesh.shard_count();
    // Ids are multiples of the number of shards, less the shard's own.
    let shard = (shard_count - (id % shard_count as u64) as usize) % shard_count;
    let found = if shard == core.shard() {
        core.tracking.find(id)
    } else {
        match core.tracking.waits.get(&token) {
            Some(Wait::Found(found)) => *found,
            Some(_) => return Found::Unknown,
            None => {
                if core.may_ask(shard, size_of::<u64>()) {
                    let origin = session.next_origin();
                    let body = AskBody::FindClient { id };
                    core.ask(shard, Ask { origin, body });
                    core.tracking.waits.insert(token, Wait::Find);
                }
                return Found::Unknown;
            }
        }
    };
    core.tracking.waits.remove(&token);
    match found {
        Some(token) => Found::There(Redirect { id, shard, token }),
        None => Found::Nobody,
    }
}

/// Whether options go together, and with what is on.
fn check(core: &Core, token: Token, options: &TrackingOptions<'_>) -> Result<(), &'static str> {
    let modes = core.tracking.client(token).map(|client| client.modes);
    let is_opt = options.optin || options.optout;
    let mut prefixes = options.prefixes();
    if !options.bcast && prefixes.next().is_some() {
        Err(PREFIX_WITHOUT_BCAST)
    } else if modes.is_some_and(|modes| modes.bcast != options.bcast) {
        Err(BCAST_SWITCH)
    } else if options.bcast && is_opt {
        Err(BCAST_WITH_OPT)
    } else if options.optin && options.optout {
        Err(OPTIN_WITH_OPTOUT)
    } else if modes
        .is_some_and(|modes| (options.optin && modes.optout) || (options.optout && modes.optin))
    {
        Err(OPT_SWITCH)
    } else {
        Ok(())
    }
}

/// Whether prefixes overlap with each other or with those that the client has, or are too many.
fn check_prefixes(core: &Core, token: Token, options: &TrackingOptions<'_>) -> Result<(), String> {
    let overlap = |one: &[u8], what: &str, other: &[u8]| {
        let [one, other] = [one, other].map(quote);
        format!(
            "ERR Prefix '{one}' overlaps with {what} prefix '{other}'. Prefixes for a single \
             client must not overlap."
        )
    };
    let do_overlap = |one: &[u8], other: &[u8]| one.starts_with(other) || other.starts_with(one);
    let count = options.prefixes().count();
    if core.tracking.has_too_many_prefixes(count.max(1)) && options.bcast {
        return Err(TOO_MANY_PREFIXES.to_owned());
    }
    for (position, prefix) in options.prefixes().enumerate() {
        let mut existing = core.tracking.prefixes_of(token);
        if let Some(other) = existing.find(|other| do_overlap(prefix, other)) {
            return Err(overlap(prefix, "an existing", other));
        }
        let mut later = options.prefixes().skip(position + 1);
        if let Some(other) = later.find(|other| do_overlap(prefix, other)) {
            return Err(overlap(prefix, "another provided", other));
        }
    }
    Ok(())
}

/// A prefix in an error line: up to a NUL, as Redis prints it, and without line ends.
fn quote(prefix: &[u8]) -> String {
    let shown = prefix.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(shown).replace(['\r', '\n'], " ")
}

fn caching(session: &mut Session, core: &Core, yes: Option<bool>) -> Result<(), &'static str> {
    let client = core.tracking.client(session.token());
    let modes = client.ok_or(CACHING_UNTRACKED)?.modes;
    match yes {
        Some(true) if !modes.optin => return Err(CACHING_YES),
        Some(false) if !modes.optout => return Err(CACHING_NO),
        Some(_) => {}
        None => return Err("ERR syntax error"),
    }
    if let Some(client) = session.resp_client() {
        client.is_caching_said = true;
    }
    Ok(())
}

fn info(session: &mut Session, core: &mut Core, version: Version) {
    let token = session.token();
    let is_caching_said = session
        .resp_client()
        .is_some_and(|client| client.is_caching_said);
    let out = session.replies.ready(&mut core.buffers);
    let client = core.tracking.client(token);
    let modes = client.map(|client| client.modes).unwrap_or_default();
    let flags = [
        ("on", client.is_some()),
        ("off", client.is_none()),
        ("bcast", modes.bcast),
        ("optin", modes.optin),
        ("caching-yes", modes.optin && is_caching_said),
        ("optout", modes.optout),
        ("caching-no", modes.optout && is_caching_said),
        ("noloop", modes.noloop),
        (
            "broken_redirect",
            client.is_some_and(|client| client.is_redirect_broken),
        ),
    ];
    let flags = flags.iter().filter(|flag| flag.1);
    reply::map_header(out, 3, version);
    reply::bulk(out, b"flags");
    reply::set_header(out, flags.clone().count(), version);
    flags.for_each(|(flag, _)| reply::bulk(out, flag.as_bytes()));
    reply::bulk(out, b"redirect");
    reply::integer(out, core.tracking.redirect_id(token));
    reply::bulk(out, b"prefixes");
    reply::array_header(out, core.tracking.prefixes_of(token).count());
    core.tracking
        .prefixes_of(token)
        .for_each(|prefix| reply::bulk(out, prefix));
}

/// Before a request of a client that tracks: what changed before it is told before it.
pub(super) fn before(session: &mut Session, core: &mut Core) {
    core.settle_notes(None);
    if !session.is_amid_reply() {
        take_mail(session, core);
    }
}

fn take_mail(session: &mut Session, core: &mut Core) {
    if let Some(mail) = core.tracking.take_mail(session.token()) {
        session.push(&mut core.buffers, &mail);
        core.buffers.put(mail);
    }
}

/// Remembers the keys that a request only reads, unless the client does not want to hear of them.
/// Holds a request that has to wait for the client's own changes: it is not to hear of those.
pub(super) fn remember(session: &Session, core: &mut Core, args: &Args<'_>) -> Step {
    let token = session.token();
    let is_caching_said = session
        .client()
        .is_some_and(|client| client.is_caching_said);
    let Some(client) = core.tracking.client(token) else {
        return Step::Done;
    };
    let Modes {
        bcast,
        optin,
        optout,
        ..
    } = client.modes;
    if bcast || (optin && !is_caching_said) || (optout && is_caching_said) {
        return Step::Done;
    }
    let Some(spec) = resp::find(args).ok().filter(|spec| spec.is_readonly()) else {
        return Step::Done;
    };
    if spec
        .keys_of(args)
        .any(|key| session.must_wait_for(core.key(key)))
    {
        return Step::Hold;
    }
    // What changed before this read is none of its concern.
    core.settle_notes(None);
    for key in spec.keys_of(args) {
        let key = core.key(key);
        core.remember(token, key);
    }
    Step::Done
}

/// After a request of a client that tracks, or was pushed something in the middle of its reply: it
/// hears of its own changes, behind them.
pub(super) fn after(session: &mut Session, core: &mut Core, args: &Args<'_>) {
    session.push_late(&mut core.buffers);
    core.settle_notes(Some(session.token()));
    // Nothing stands behind the request's reply yet.
    let seq = session.next_origin().seq;
    session.push_own(core, seq);
    take_mail(session, core);
    let is_client = resp::find(args).is_ok_and(|spec| spec.name.starts_with("client"));
    let keeps_caching = is_client || session.is_queueing;
    if let Some(client) = session.resp_client() {
        client.is_caching_said &= keeps_caching;
    }
}
