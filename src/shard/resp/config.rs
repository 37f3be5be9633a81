//! CONFIG: the settings that tools ask for, under redis.conf's names.

mod check;

use self::check::Check;
use super::super::{
    core::Core,
    round::Round,
    session::{Session, Step},
    settings::{REQUEST_BYTES_MAX, Settings},
    tunables::{Knob, NEVER, Tunables},
};
use crate::config::LISTEN_BACKLOG;
use crate::protocol::{
    glob::{self, Case},
    resp::{ConfigRequest, Rest, Version, reply},
};
use crate::store::Eviction;

/// One setting.
struct Parameter {
    name: &'static str,
    value: Value,
}

/// What a setting is, and whether it can be changed.
enum Value {
    /// It cannot, in Redis neither.
    Fixed(&'static str),
    /// It cannot, but whoever sets it to what it is may believe so: here it is always so. In Redis it
    /// can be changed, to what passes the check.
    Always {
        text: fn(&Settings) -> String,
        check: Check,
    },
    /// A number within bounds.
    Number {
        knob: fn(&Tunables) -> &Knob,
        min: i64,
        max: i64,
    },
    /// Yes or no.
    Switch { knob: fn(&Tunables) -> &Knob },
}

const fn fixed(name: &'static str, text: &'static str) -> Parameter {
    let value = Value::Fixed(text);
    Parameter { name, value }
}

const fn always(name: &'static str, check: Check, text: fn(&Settings) -> String) -> Parameter {
    let value = Value::Always { text, check };
    Parameter { name, value }
}

const fn number_in(
    name: &'static str,
    min: i64,
    max: i64,
    knob: fn(&Tunables) -> &Knob,
) -> Parameter {
    let value = Value::Number { knob, min, max };
    Parameter { name, value }
}

static PARAMETERS: &[Parameter] = &[
    number_in("maxclients", 1, u32::MAX as i64, |t| &t.connections_max),
    number_in("timeout", 0, i32::MAX as i64, |t| &t.idle_seconds_max),
    number_in("slowlog-log-slower-than", -1, i64::MAX, |t| &t.slow_log_us),
    number_in("slowlog-max-len", 0, i64::MAX, |t| &t.slow_log_len_max),
    number_in("latency-monitor-threshold", 0, i64::MAX, |t| {
        &t.latency_monitor_ms
    }),
    number_in("tracking-table-max-keys", 0, i64::MAX, |t| {
        &t.tracking_keys_max
    }),
    Parameter {
        name: "latency-tracking",
        value: Value::Switch {
            knob: |t| &t.latency_tracking,
        },
    },
    always("latency-tracking-info-percentiles", check::text, |_| {
        "50 99 99.9".into()
    }),
    always("maxmemory", check::memory, |s| s.memory_bytes.to_string()),
    always("maxmemory-policy", eviction_policy, |s| {
        s.eviction.redis_name().into()
    }),
    always("maxmemory-clients", check::memory_or_percent, |_| {
        "0".into()
    }),
    always("proto-max-bulk-len", check::buffer_bytes, |s| {
        s.bulk_bytes_max().to_string()
    }),
    always("client-query-buffer-limit", check::buffer_bytes, |_| {
        REQUEST_BYTES_MAX.to_string()
    }),
    always("port", check::port, |s| s.resp_port.to_string()),
    always("tls-port", check::port, |_| "0".into()),
    always("bind", check::text, |s| s.resp_address.clone()),
    always("protected-mode", check::yes_or_no, |_| "no".into()),
    always("requirepass", check::text, |_| String::new()),
    always("save", check::text, |_| String::new()),
    always("appendonly", check::yes_or_no, |_| "no".into()),
    always("appendfsync", sync_policy, |_| "everysec".into()),
    always("notify-keyspace-events", check::event_classes, |_| {
        String::new()
    }),
    always("hz", check::small_number, |_| "10".into()),
    always("tcp-keepalive", check::small_number, |_| "0".into()),
    always("activedefrag", check::yes_or_no, |_| "no".into()),
    always("lazyfree-lazy-eviction", check::yes_or_no, |_| "no".into()),
    always("lazyfree-lazy-expire", check::yes_or_no, |_| "no".into()),
    always("lazyfree-lazy-user-del", check::yes_or_no, |_| "no".into()),
    always("lazyfree-lazy-user-flush", check::yes_or_no, |_| {
        "no".into()
    }),
    always("replica-read-only", check::yes_or_no, |_| "yes".into()),
    always("slave-read-only", check::yes_or_no, |_| "yes".into()),
    fixed("replicaof", ""),
    fixed("slaveof", ""),
    always("stop-writes-on-bgsave-error", check::yes_or_no, |_| {
        "no".into()
    }),
    always("loglevel", log_level, |_| "notice".into()),
    fixed("databases", "1"),
    fixed("tcp-backlog", "4096"),
    fixed("unixsocket", ""),
    fixed("cluster-enabled", "no"),
    fixed("io-threads", "1"),
    fixed("daemonize", "no"),
    fixed("supervised", "no"),
    fixed("logfile", ""),
    fixed("enable-debug-command", "no"),
    fixed("enable-module-command", "no"),
];

const _: () = assert!(LISTEN_BACKLOG == 4096, "tcp-backlog says so");

impl Parameter {
    fn find(name: &[u8]) -> Option<&'static Self> {
        PARAMETERS
            .iter()
            .find(|parameter| name.eq_ignore_ascii_case(parameter.name.as_bytes()))
    }

    fn text(&self, settings: &Settings) -> String {
        let tunables = &settings.tunables;
        match &self.value {
            Value::Fixed(text) => (*text).to_owned(),
            Value::Always { text, .. } => text(settings),
            Value::Number { knob, .. } => match knob(tunables).get() {
                NEVER => "-1".to_owned(),
                number => number.to_string(),
            },
            Value::Switch { knob } => yes_or_no(knob(tunables).get() == 1).to_owned(),
        }
    }

    /// Whether it can be set to this at all, and to what then.
    fn check(&self, text: &[u8], settings: &Settings) -> Result<Option<u64>, String> {
        match &self.value {
            Value::Fixed(_) => Err(IMMUTABLE.to_owned()),
            Value::Always {
                text: present,
                check,
            } => {
                check(text)?;
                let present = present(settings);
                let is_same = present.as_bytes().eq_ignore_ascii_case(text)
                    || self.is_same_memory(present.as_bytes(), text);
                match is_same {
                    true => Ok(None),
                    false => Err(IMMUTABLE.to_owned()),
                }
            }
            Value::Number { min, max, .. } => {
                let number = check::number_in(text, *min, *max)?;
                let number = u64::try_from(number).unwrap_or(NEVER);
                self.check_machine(number, settings).map(Some)
            }
            Value::Switch { .. } => {
                check::yes_or_no(text)?;
                Ok(Some(u64::from(text.eq_ignore_ascii_case(b"yes"))))
            }
        }
    }

    /// Whether these are the same bytes, in whichever units.
    fn is_same_memory(&self, present: &[u8], text: &[u8]) -> bool {
        let is_memory = self.name.starts_with("maxmemory") || self.name.ends_with("-limit");
        let is_memory = is_memory || self.name == "proto-max-bulk-len";
        let bytes = check::memory_bytes(present);
        is_memory && bytes.is_some() && bytes == check::memory_bytes(text)
    }

    /// Descriptors were counted out at start; no more clients fit than were meant then.
    fn check_machine(&self, number: u64, settings: &Settings) -> Result<u64, String> {
        let connections_max = settings.connections_max as u64;
        if self.name == "maxclients" && number > connections_max {
            return Err(format!(
                "The operating system is not able to handle the specified number of clients, \
                 try with {connections_max}"
            ));
        }
        Ok(number)
    }

    fn set(&self, number: u64, tunables: &Tunables) {
        if let Value::Number { knob, .. } | Value::Switch { knob } = &self.value {
            knob(tunables).set(number);
        }
    }

    /// Redis looks at this before it looks at any value.
    fn is_immutable(&self) -> bool {
        matches!(self.value, Value::Fixed(_))
    }
}

fn eviction_policy(text: &[u8]) -> Result<(), String> {
    let is_own = |policy: Eviction| text.eq_ignore_ascii_case(policy.redis_name().as_bytes());
    if Eviction::ALL.into_iter().any(is_own) {
        return Ok(());
    }
    const POLICIES: [&str; 8] = [
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "noeviction",
    ];
    check::one_of(text, &POLICIES)
}

fn sync_policy(text: &[u8]) -> Result<(), String> {
    check::one_of(text, &["everysec", "always", "no"])
}

fn log_level(text: &[u8]) -> Result<(), String> {
    check::one_of(text, &["debug", "verbose", "notice", "warning"])
}

const IMMUTABLE: &str = "can't set immutable config";

fn yes_or_no(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

/// Answers CONFIG.
pub(super) fn config(
    session: &mut Session,
    core: &mut Core,
    request: &ConfigRequest<'_>,
    version: Version,
) -> Step {
    match *request {
        ConfigRequest::Get { patterns } => get(session, core, patterns, version),
        ConfigRequest::Set { pairs } => return set(session, core, pairs, version),
        ConfigRequest::ResetStat => return session.go_round(core, Round::ResetStats, version),
        ConfigRequest::Rewrite => {
            let line = b"-ERR The server is running without a config file\r\n";
            session.refuse(core, line);
        }
    }
    Step::Done
}

fn get(session: &mut Session, core: &mut Core, patterns: Rest<'_>, version: Version) {
    // Names as they were asked for, if they were asked for by name.
    let mut found: Vec<(&[u8], &Parameter)> = Vec::new();
    for pattern in patterns {
        let is_glob = pattern.iter().any(|byte| b"[*?".contains(byte));
        let mut add = |name, parameter: &'static Parameter| {
            if !found.iter().any(|(_, other)| other.name == parameter.name) {
                found.push((name, parameter));
            }
        };
        if is_glob {
            PARAMETERS
                .iter()
                .filter(|parameter| {
                    glob::matches(pattern, parameter.name.as_bytes(), Case::Ignored)
                })
                .for_each(|parameter| add(parameter.name.as_bytes(), parameter));
        } else if let Some(parameter) = Parameter::find(pattern) {
            add(pattern, parameter);
        }
    }
    let settings = &core.settings;
    let out = session.replies.ready(&mut core.buffers);
    reply::map_header(out, found.len(), version);
    for (name, parameter) in found {
        reply::bulk(out, name);
        reply::bulk(out, parameter.text(settings).as_bytes());
    }
}

/// All is looked at before anything is changed.
fn set(session: &mut Session, core: &mut Core, pairs: Rest<'_>, version: Version) -> Step {
    let settings = std::sync::Arc::clone(&core.settings);
    let changes = match check_names(pairs).and_then(|names| check_values(&names, &settings)) {
        Ok(changes) => changes,
        Err(text) => {
            let mut line = core.buffers.take();
            reply::error(&mut line, text);
            session.refuse(core, &line);
            core.buffers.put(line);
            return Step::Done;
        }
    };
    for (parameter, number) in &changes {
        parameter.set(*number, &settings.tunables);
    }
    core.attend();
    let trims = |(parameter, _): &(&Parameter, u64)| parameter.name == "slowlog-max-len";
    if changes.iter().any(trims) {
        let len_max = settings.tunables.slow_log_len_max.get();
        return session.go_round(core, Round::TrimSlowLog { len_max }, version);
    }
    session.reply(core, reply::OK);
    Step::Done
}

type NamedValues<'b> = Vec<(&'static Parameter, &'b [u8])>;

/// The settings that are meant; or the first thing that is wrong about them but for their values.
fn check_names(pairs: Rest<'_>) -> Result<NamedValues<'_>, Vec<u8>> {
    let mut wanted: NamedValues<'_> = Vec::new();
    for (name, value) in pairs.pairs() {
        let Some(parameter) = Parameter::find(name) else {
            let unknown = b"ERR Unknown option or number of arguments for CONFIG SET - '";
            return Err([&unknown[..], &printable(name), b"'"].concat());
        };
        if parameter.is_immutable() {
            return Err(failure(name, IMMUTABLE));
        }
        if wanted.iter().any(|(other, _)| other.name == parameter.name) {
            return Err(failure(name, "duplicate parameter"));
        }
        wanted.push((parameter, value));
    }
    Ok(wanted)
}

fn check_values(
    wanted: &NamedValues<'_>,
    settings: &Settings,
) -> Result<Vec<(&'static Parameter, u64)>, Vec<u8>> {
    let mut changes = Vec::new();
    for &(parameter, value) in wanted {
        match parameter.check(value, settings) {
            Ok(Some(number)) => changes.push((parameter, number)),
            Ok(None) => {}
            Err(why) => return Err(failure(parameter.name.as_bytes(), &why)),
        }
    }
    Ok(changes)
}

fn failure(name: &[u8], why: &str) -> Vec<u8> {
    let before = b"ERR CONFIG SET failed (possibly related to argument '";
    [&before[..], name, b"') - ", why.as_bytes()].concat()
}

/// Words of a client's, fit for an error line.
fn printable(words: &[u8]) -> Vec<u8> {
    let blank = |byte: &u8| {
        if matches!(byte, b'\r' | b'\n') {
            b' '
        } else {
            *byte
        }
    };
    words.iter().map(blank).collect()
}
