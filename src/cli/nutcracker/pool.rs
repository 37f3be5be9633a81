//! One pool of a configuration: each of its keys, and what ringfort makes of it.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use super::document::{PoolNode, Setting, Value};
use super::{Fault, Note};
use crate::cli::values;
use crate::config::{
    BACKEND_TIMEOUT_MAX, BACKEND_TIMEOUT_MIN, EJECT_AFTER_MAX, PASSWORD_BYTES_MAX, Protocol, Secret,
};
use crate::route::{Distribution, HashRingMode, Placement, SERVERS_MAX, ServerSpec};

/// A pool as twemproxy would serve it, as far as ringfort can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct NutcrackerPool {
    pub(in crate::cli) name: String,
    pub(in crate::cli) line: usize,
    pub(in crate::cli) listen: SocketAddr,
    pub(in crate::cli) protocol: Protocol,
    pub(in crate::cli) placement: Placement,
    pub(in crate::cli) servers: Vec<ServerSpec>,
    /// How long a server may take to answer; for ever if not told.
    pub(in crate::cli) timeout: Option<Duration>,
    /// The servers' password.
    pub(in crate::cli) password: Option<Secret>,
    /// The servers' database.
    pub(in crate::cli) database: u32,
    /// How servers are ejected, if they are.
    pub(in crate::cli) auto_eject: Option<AutoEject>,
    /// What has no counterpart.
    pub(in crate::cli) notes: Vec<Note>,
}

/// How twemproxy ejects servers; its keys then go to those that are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct AutoEject {
    /// Failures in a row that eject a server.
    pub(in crate::cli) failure_limit: u32,
    /// How long it is left alone then.
    pub(in crate::cli) retry: Duration,
}

/// twemproxy's own (`CONF_DEFAULT_SERVER_FAILURE_LIMIT`, `CONF_DEFAULT_SERVER_RETRY_TIMEOUT`).
impl Default for AutoEject {
    fn default() -> Self {
        Self {
            failure_limit: 2,
            retry: Duration::from_secs(30),
        }
    }
}

/// What has been read of a pool.
struct Draft {
    pool: NutcrackerPool,
    listen: Option<SocketAddr>,
    password_line: usize,
    /// The line that has servers ejected, if one does.
    ejecting_line: Option<usize>,
    auto_eject: AutoEject,
}

impl NutcrackerPool {
    pub(super) fn read(node: PoolNode) -> Result<Self, Fault> {
        let mut draft = Draft::new(node.name, node.line);
        for setting in node.settings {
            let line = setting.line;
            let name = draft.pool.name.clone();
            draft.take(setting).map_err(|fault| {
                let text = format!("pool '{name}', {}", fault.text);
                Fault::new(fault.line.max(line), text)
            })?;
        }
        draft.finish()
    }
}

impl Draft {
    fn new(name: String, line: usize) -> Self {
        Self {
            pool: NutcrackerPool {
                name,
                line,
                listen: SocketAddr::from(([127, 0, 0, 1], 0)),
                protocol: Protocol::Memcache,
                placement: Placement::of(HashRingMode::Twemproxy),
                servers: Vec::new(),
                timeout: None,
                password: None,
                database: 0,
                auto_eject: None,
                notes: Vec::new(),
            },
            listen: None,
            password_line: 0,
            ejecting_line: None,
            auto_eject: AutoEject::default(),
        }
    }

    fn take(&mut self, setting: Setting) -> Result<(), Fault> {
        let Setting { key, line, value } = setting;
        let text = match (&value, key.as_str()) {
            (Value::List(list), "servers") => return self.take_servers(list),
            (Value::Text(text), _) if key != "servers" && !text.is_empty() => text.as_str(),
            (_, "servers") => {
                return Err(Fault::new(
                    line,
                    "servers: not a list; write '- HOST:PORT:WEIGHT' lines",
                ));
            }
            _ => {
                return Err(Fault::new(
                    line,
                    format!("{key}: not a value; write {key}: VALUE"),
                ));
            }
        };
        let fault = |reason: String| Fault::new(line, format!("{key} '{text}': {reason}"));
        let placement = &mut self.pool.placement;
        match key.as_str() {
            "listen" => self.listen = Some(listen(text).map_err(fault)?),
            "hash" => placement.key_hash = Some(values::key_hash(text).map_err(fault)?),
            "hash_tag" => placement.hash_tag = Some(values::hash_tag(text).map_err(fault)?),
            "distribution" => placement.distribution = values::distribution(text).map_err(fault)?,
            "redis" => {
                if truth(text).map_err(fault)? {
                    self.pool.protocol = Protocol::Resp;
                }
            }
            "redis_auth" => self.take_password(line, text)?,
            "redis_db" => self.pool.database = number(text).map_err(fault)?,
            "timeout" => {
                let ms = number(text).map_err(fault)?;
                self.take_timeout(line, Duration::from_millis(ms.into()));
            }
            "auto_eject_hosts" => {
                self.ejecting_line = truth(text).map_err(fault)?.then_some(line);
            }
            "server_failure_limit" => {
                // With 0, too, the first failure ejects.
                let limit = number(text).map_err(fault)?;
                self.auto_eject.failure_limit = limit.clamp(1, EJECT_AFTER_MAX);
            }
            "server_retry_timeout" => {
                let ms = number(text).map_err(fault)?;
                self.auto_eject.retry = Duration::from_millis(ms.into());
            }
            _ => return self.take_without_counterpart(&key, line, text),
        }
        Ok(())
    }

    fn take_password(&mut self, line: usize, text: &str) -> Result<(), Fault> {
        if text.len() > PASSWORD_BYTES_MAX {
            let text = format!("redis_auth: longer than {PASSWORD_BYTES_MAX} bytes; shorten it");
            return Err(Fault::new(line, text));
        }
        self.pool.password = Some(Secret::new(text));
        self.password_line = line;
        let what = "redis_auth: told to the servers; clients are not asked for it";
        self.pool.notes.push(Note::new(line, what));
        Ok(())
    }

    /// 0 is for ever, as nothing is.
    fn take_timeout(&mut self, line: usize, timeout: Duration) {
        let range = BACKEND_TIMEOUT_MIN..=BACKEND_TIMEOUT_MAX;
        self.pool.timeout = (!timeout.is_zero()).then_some(timeout);
        if self.pool.timeout.is_some() && !range.contains(&timeout) {
            let [least, most] = [BACKEND_TIMEOUT_MIN, BACKEND_TIMEOUT_MAX].map(|it| it.as_millis());
            let what = format!("timeout: brought into {least} to {most} ms");
            self.pool.notes.push(Note::new(line, what));
        }
    }

    /// Keys that change nothing here; the values are checked all the same.
    fn take_without_counterpart(
        &mut self,
        key: &str,
        line: usize,
        text: &str,
    ) -> Result<(), Fault> {
        let fault = |reason: String| Fault::new(line, format!("{key} '{text}': {reason}"));
        let is_on = || truth(text).map_err(fault);
        let count = || number(text).map_err(fault);
        let note = |what: &str| Note::new(line, format!("{key}: {what}"));
        let notes = &mut self.pool.notes;
        match key {
            // Each shard has a listener of its own at the one address.
            "reuseport" => {
                is_on()?;
            }
            "preconnect" => {
                if !is_on()? {
                    notes.push(note("ringfort connects to all servers when it starts"));
                }
            }
            "tcpkeepalive" => {
                if is_on()? {
                    notes.push(note("has no counterpart and is ignored"));
                }
            }
            "client_connections" => {
                count()?;
                notes.push(note(
                    "--connections-max is the limit, for all pools together",
                ));
            }
            "backlog" => {
                count()?;
                notes.push(note("ringfort asks the kernel for 4096 on each shard"));
            }
            "server_connections" => match count()? {
                0 => return Err(fault("no connection is too few; write 1 or more".into())),
                1 => {}
                _ => notes.push(note(
                    "ringfort has one connection from each shard to each server",
                )),
            },
            _ => {
                return Err(Fault::new(
                    line,
                    format!("{key}: not a key of twemproxy 0.5; correct or remove it"),
                ));
            }
        }
        Ok(())
    }

    fn take_servers(&mut self, list: &[(usize, String)]) -> Result<(), Fault> {
        for (line, text) in list {
            let server = ServerSpec::parse_twemproxy(text)
                .map_err(|error| Fault::new(*line, format!("servers: {error}")))?;
            if self.pool.servers.len() == SERVERS_MAX {
                let text = format!("servers: more than {SERVERS_MAX}; remove some");
                return Err(Fault::new(*line, text));
            }
            self.pool.servers.push(server);
        }
        Ok(())
    }

    fn finish(self) -> Result<NutcrackerPool, Fault> {
        let mut pool = self.pool;
        let missing = |key: &str, remedy: &str| {
            let text = format!("pool '{}', {key}: missing; add {remedy}", pool.name);
            Fault::new(pool.line, text)
        };
        pool.listen = self
            .listen
            .ok_or_else(|| missing("listen", "listen: HOST:PORT"))?;
        if pool.servers.is_empty() {
            return Err(missing(
                "servers",
                "servers: with '- HOST:PORT:WEIGHT' lines",
            ));
        }
        if let Some(line) = self.ejecting_line {
            match pool.placement.distribution {
                // There a key has no server of its own that could miss what is written elsewhere.
                Distribution::Random => pool.notes.push(Note::new(
                    line,
                    "auto_eject_hosts: with distribution random no server is ejected; what would \
                     go to one that is down is answered with an error",
                )),
                _ => pool.auto_eject = Some(self.auto_eject),
            }
            if pool.auto_eject.is_some() && pool.protocol == Protocol::Resp {
                pool.notes.push(Note::new(
                    line,
                    "auto_eject_hosts: commands about several keys that one server has to do \
                     (SINTER, RENAME, EVAL) are refused, as keys may move",
                ));
            }
        }
        if pool.password.is_some() && pool.protocol == Protocol::Memcache {
            let name = &pool.name;
            let text =
                format!("pool '{name}', redis_auth: the pool is not Redis'; add redis: true");
            return Err(Fault::new(self.password_line, text));
        }
        if pool.protocol == Protocol::Memcache {
            // twemproxy selects nothing there, either.
            pool.database = 0;
        }
        // Whoever goes anywhere at random does not hash.
        if pool.placement.distribution == Distribution::Random {
            pool.placement.key_hash = None;
        }
        pool.notes.sort_by_key(|note| note.line);
        Ok(pool)
    }
}

/// `HOST:PORT`, read from the end as twemproxy does, so IPv6 has no brackets. Names are resolved.
fn listen(text: &str) -> Result<SocketAddr, String> {
    if text.starts_with('/') {
        return Err("unix sockets are not served; write HOST:PORT".into());
    }
    let parts = text.rsplit_once(':');
    let (host, port) = parts.ok_or("not an address and port; write for example 127.0.0.1:22121")?;
    let port = number(port).ok().and_then(|port| u16::try_from(port).ok());
    let port = port
        .filter(|port| *port > 0)
        .ok_or("the port is not a number from 1 to 65535; write HOST:PORT")?;
    let mut found = (host, port)
        .to_socket_addrs()
        .map_err(|error| format!("cannot be resolved ({error}); write an address"))?;
    let found = found.next();
    found.ok_or_else(|| "has no address; write one".into())
}

fn truth(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("neither true nor false; write one of them".into()),
    }
}

/// Digits, and no more than twemproxy's `int` holds.
fn number(text: &str) -> Result<u32, String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text
        .parse()
        .ok()
        .filter(|number| *number <= i32::MAX as u32);
    number
        .filter(|_| is_plain)
        .ok_or_else(|| format!("not a number; write one from 0 to {}", i32::MAX))
}
