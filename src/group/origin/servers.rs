//! Values from memcached or Redis servers: one connection to each, on which requests are pipelined.
//!
//! | | Redis | memcached |
//! |---|---|---|
//! | load | GET and PTTL | `mg` with `v`, `t` and `f` |
//! | set | SET, with PX | `set`; `ms` for keys that are no text |
//! | delete | DEL | `md` |
//!
//! Of several servers a key's is the one that a pool of them with the default ring has. memcache flags are kept;
//! in Redis as pools keep them there.

use core::cell::{Cell, RefCell};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::{
    backend::VALUE_TOO_LARGE,
    client::{Client, Config, Error, Expects, Value},
    config::{Protocol, ServersOriginSpec},
    group::{
        ChangeFuture, LoadError, LoadFuture, Loaded, Loader, Wanted, loader::reason, port::Change,
        turns::Turns,
    },
    protocol::{
        Parsed,
        memcache::{
            Spelling,
            flagged::{self, HEADER_BYTES},
            meta::reply::{MetaReply, parse_reply, returned},
            push_meta_key, push_meta_key_flag,
            reply::STORED,
        },
    },
    route::{HashRingMode, Placement, Router},
};

/// A server that could not be connected to is not tried again for so long: all who want something of it would try
/// one after the other.
const PAUSE: Duration = Duration::from_millis(200);

/// Times to live beyond this are dates to memcached, in seconds: thirty days.
const RELATIVE_SECONDS_MAX: u64 = 30 * 24 * 60 * 60;

/// A loader that takes changes, too.
pub(super) struct Servers {
    router: Router,
    servers: Vec<Server>,
    protocol: Protocol,
    value_bytes_max: usize,
}

/// One of them.
struct Server {
    config: Config,
    client: RefCell<Option<Client>>,
    /// One connects at a time.
    turns: Turns,
    failure: RefCell<Option<(Instant, Error)>>,
    /// memcached: it has answered a meta command. One that knows none would take the value of the next for
    /// requests.
    knows_meta: Cell<bool>,
}

impl Servers {
    pub(super) fn new(spec: &ServersOriginSpec, value_bytes_max: usize) -> Result<Self, String> {
        let placement = Placement::of(HashRingMode::Libmemcached);
        let router = Router::build(placement, &spec.servers).map_err(|error| error.to_string())?;
        let server = |address: String| {
            let config = match spec.protocol {
                Protocol::Memcache => Config::memcache(address),
                Protocol::Resp => Config::resp(address)
                    .database(spec.database)
                    .name("ringfort"),
            };
            let config = match &spec.password {
                Some(password) => config.password(password.bytes()),
                None => config,
            };
            let config = match &spec.user {
                Some(user) => config.user(user),
                None => config,
            };
            Server {
                config: config.value_bytes_max(value_bytes_max + HEADER_BYTES),
                client: RefCell::default(),
                turns: Turns::new(1),
                failure: RefCell::default(),
                knows_meta: Cell::new(false),
            }
        };
        Ok(Self {
            router,
            servers: spec
                .servers
                .iter()
                .map(|spec| server(spec.address()))
                .collect(),
            protocol: spec.protocol,
            value_bytes_max,
        })
    }

    fn server_of(&self, key: &[u8]) -> &Server {
        &self.servers[usize::from(self.router.owner(key).0)]
    }

    async fn load(&self, wanted: &Wanted) -> Result<Loaded, LoadError> {
        let server = self.server_of(&wanted.key);
        let client = server.client(wanted.deadline).await.map_err(told)?;
        let loaded = match self.protocol {
            Protocol::Memcache => load_memcache(server, &client, &wanted.key).await,
            Protocol::Resp => load_resp(&client, &wanted.key).await,
        };
        match loaded.map_err(told)? {
            None => Err(LoadError::NotFound { ttl: None }),
            Some(loaded) if loaded.value.len() > self.value_bytes_max => Err(LoadError::TooLarge),
            Some(loaded) => Ok(loaded),
        }
    }

    async fn change(&self, wanted: &Wanted, change: &Change) -> Result<(), LoadError> {
        let server = self.server_of(&wanted.key);
        let client = server.client(wanted.deadline).await.map_err(told)?;
        let set = match change {
            // What is over at once is not there.
            Change::Set(loaded) if loaded.ttl != Some(Duration::ZERO) => Some(loaded),
            _ => None,
        };
        let changed = match (self.protocol, set) {
            (Protocol::Resp, Some(loaded)) => set_resp(&client, &wanted.key, loaded).await,
            (Protocol::Resp, None) => client.delete(&wanted.key).await.map(drop),
            (Protocol::Memcache, Some(loaded)) => {
                set_memcache(server, &client, &wanted.key, loaded).await
            }
            (Protocol::Memcache, None) => delete_memcache(&client, &wanted.key).await,
        };
        changed.map_err(told)
    }
}

impl Loader for Servers {
    fn load<'a>(&'a self, wanted: &'a Wanted) -> LoadFuture<'a> {
        Box::pin(self.load(wanted))
    }

    fn change<'a>(&'a self, wanted: &'a Wanted, change: &'a Change) -> ChangeFuture<'a> {
        Box::pin(self.change(wanted, change))
    }
}

impl Server {
    /// The connection, which is made for the first who asks; later ones it makes by itself.
    async fn client(&self, deadline: Instant) -> Result<Client, Error> {
        if self.client.borrow().is_none() {
            let _turn = self.turns.take().await;
            self.connect().await?;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let client = self.client.borrow();
        client
            .as_ref()
            .map(|client| client.within(left))
            .ok_or(Error::Closed)
    }

    async fn connect(&self) -> Result<(), Error> {
        if self.client.borrow().is_some() {
            return Ok(());
        }
        if let Some((at, error)) = &*self.failure.borrow()
            && at.elapsed() < PAUSE
        {
            return Err(error.clone());
        }
        match Client::connect(self.config.clone()).await {
            Ok(client) => {
                self.client.replace(Some(client));
                Ok(())
            }
            Err(error) => {
                self.failure.replace(Some((Instant::now(), error.clone())));
                Err(error)
            }
        }
    }
}

async fn load_resp(client: &Client, key: &[u8]) -> Result<Option<Loaded>, Error> {
    // Both are on their way before either is awaited, so that they are of one moment, or nearly.
    let value = client.get(key);
    let life = client.query(&[b"PTTL", key]);
    let Some(stored) = value.await? else {
        return Ok(None);
    };
    let ttl = match life.await? {
        Value::Integer(-1) => None,
        // -2: it has ended between the two.
        Value::Integer(ms) => Some(Duration::from_millis(u64::try_from(ms).unwrap_or(0))),
        _ => return Err(Error::Unexpected),
    };
    let stored = Bytes::from(stored);
    let (flags, value) = flagged::split(&stored);
    let value = stored.slice_ref(value);
    Ok(Some(Loaded { value, flags, ttl }))
}

async fn set_resp(client: &Client, key: &[u8], loaded: &Loaded) -> Result<(), Error> {
    let mut stored = Vec::with_capacity(HEADER_BYTES + loaded.value.len());
    flagged::push(&mut stored, loaded.flags, &loaded.value);
    match loaded.ttl {
        Some(ttl) => {
            client
                .set_for(key, stored, ttl.max(Duration::from_millis(1)))
                .await
        }
        None => client.set(key, stored).await,
    }
}

async fn load_memcache(
    server: &Server,
    client: &Client,
    key: &[u8],
) -> Result<Option<Loaded>, Error> {
    // What cannot be named is not there.
    let Some(request) = meta("mg", key, " v t f") else {
        return Ok(None);
    };
    let frame = match client.raw(&request, Expects::Meta).await {
        // It changes nothing.
        Err(Error::Lost) => client.raw(&request, Expects::Meta).await?,
        answered => answered?,
    };
    let Parsed::Complete { request: reply, .. } = parse_reply(&frame, usize::MAX) else {
        return Err(Error::Unexpected);
    };
    let data = match reply {
        MetaReply::Value { data } => data,
        MetaReply::Line(b"EN\r\n") => {
            server.knows_meta.set(true);
            return Ok(None);
        }
        MetaReply::Line(_) => return Err(Error::Unexpected),
    };
    server.knows_meta.set(true);
    let number = |letter| {
        let text = returned(&frame, letter).and_then(|text| core::str::from_utf8(text).ok());
        text.and_then(|text| text.parse::<i64>().ok())
            .ok_or(Error::Unexpected)
    };
    let seconds = u64::try_from(number(b't')?).ok();
    Ok(Some(Loaded {
        value: Bytes::copy_from_slice(data),
        flags: u32::try_from(number(b'f')?).map_err(|_| Error::Unexpected)?,
        ttl: seconds.map(Duration::from_secs),
    }))
}

async fn set_memcache(
    server: &Server,
    client: &Client,
    key: &[u8],
    loaded: &Loaded,
) -> Result<(), Error> {
    let (flags, seconds, value) = (loaded.flags, exptime(loaded.ttl), &loaded.value);
    let bytes = value.len();
    let done: (&[u8], Expects);
    let head = match Spelling::of(key) {
        None => return Err(Error::Invalid("memcached has no such keys")),
        Some(Spelling::Text) => {
            done = (STORED, Expects::Line);
            let end = format!(" {flags} {seconds} {bytes}\r\n");
            [b"set ", key, end.as_bytes()].concat()
        }
        Some(Spelling::Base64) => {
            if !server.knows_meta.get() {
                client.raw(b"mn\r\n", Expects::Meta).await?;
                server.knows_meta.set(true);
            }
            done = (b"HD\r\n", Expects::MetaData);
            let rest = format!(" {bytes} F{flags} T{seconds}");
            meta("ms", key, &rest).ok_or(Error::Unexpected)?
        }
    };
    let request = [&head[..], value, b"\r\n"].concat();
    match client.raw(&request, done.1).await? == done.0 {
        true => Ok(()),
        false => Err(Error::Unexpected),
    }
}

async fn delete_memcache(client: &Client, key: &[u8]) -> Result<(), Error> {
    let Some(request) = meta("md", key, "") else {
        return Ok(());
    };
    match client.raw(&request, Expects::Meta).await?.as_slice() {
        b"HD\r\n" | b"NF\r\n" => Ok(()),
        _ => Err(Error::Unexpected),
    }
}

/// A meta command without a value; none if its key cannot be named.
fn meta(command: &str, key: &[u8], rest: &str) -> Option<Vec<u8>> {
    let spelling = Spelling::of(key)?;
    let mut request = format!("{command} ").into_bytes();
    push_meta_key(&mut request, key, spelling);
    request.extend_from_slice(rest.as_bytes());
    push_meta_key_flag(&mut request, spelling);
    request.extend_from_slice(b"\r\n");
    Some(request)
}

/// A time to live as memcached is told it: a part of a second counts as one.
fn exptime(ttl: Option<Duration>) -> u64 {
    let Some(ttl) = ttl else { return 0 };
    match ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0) {
        seconds @ ..=RELATIVE_SECONDS_MAX => seconds,
        seconds => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            seconds.saturating_add(now.map_or(0, |now| now.as_secs()))
        }
    }
}

/// What clients are told of it.
fn told(error: Error) -> LoadError {
    match error {
        Error::Timeout => LoadError::Late,
        Error::Busy => LoadError::Busy,
        Error::Server(line) if line.as_bytes() == VALUE_TOO_LARGE[1..].trim_ascii_end() => {
            LoadError::TooLarge
        }
        Error::Server(line) => LoadError::failed(format_args!("origin said: {line}")),
        Error::Lost => LoadError::failed("connection to origin was lost"),
        Error::Unsent | Error::Closed => LoadError::failed("origin cannot be reached"),
        Error::Unreachable(why) => {
            LoadError::failed(format_args!("origin cannot be reached: {}", reason(why)))
        }
        Error::Refused(why) => LoadError::failed(format_args!("origin refused: {why}")),
        Error::Invalid(why) => LoadError::failed(why),
        Error::Unexpected => LoadError::failed("origin answered nothing that can be read"),
    }
}
