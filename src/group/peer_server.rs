//! The port that peers ask: groupcache's protocol over HTTP/1.1.
//!
//! What is answered is what Go's servers answer, errors and their texts included, but for two things:
//! methods count, and a request that has gone through too many peers is refused.

use core::{
    cell::{Cell, RefCell},
    convert::Infallible,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Poll, Waker},
    time::Duration,
};
use std::{
    io,
    net::SocketAddr,
    rc::Rc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS},
    server::conn::http1,
    service::service_fn,
};
use prost::Message;
use subtle::ConstantTimeEq;

use super::{
    LoadError, LoadFuture, Loaded,
    connections::read_body,
    stream::{PeerLimits, Progress, Wire},
    wire::{
        GetResponse, HOPS, MESSAGE_BYTES_OVER, PATH_BYTES_MAX, PATIENCE_MS, PROTOBUF, PathError,
        SetRequest, Spelling, TTL_MS, parse_path,
    },
};
use crate::{
    config::Secret,
    io::leave_port,
    runtime::{
        self,
        net::{self, Listener, Stream},
    },
};

/// Bytes of a request's head: a path and headers.
const HEAD_BYTES_MAX: usize = 2 * PATH_BYTES_MAX;

/// The longest time that anybody is taken to wait: longer than any load.
const PATIENCE_MAX: Duration = Duration::from_secs(3600);

/// How long nothing is accepted after an error: most are that there are too many files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who asks, and how long that one waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// How many ringforts the request has gone through.
    pub hop: Hop,
    /// When nobody waits for the answer any more, if that was said.
    pub until: Option<Instant>,
}

impl Asker {
    /// What the headers say; nothing if the request has been through too many, or nobody can tell.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let hop = Hop::of(headers)?;
        let patience = headers.get(PATIENCE_MS).and_then(|ms| ms.to_str().ok());
        let ms = patience.and_then(|ms| ms.parse().ok());
        let until = ms.map(|ms: u64| Instant::now() + Duration::from_millis(ms).min(PATIENCE_MAX));
        Some(Self { hop, until })
    }
}

/// How many ringforts a request has gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// None: a peer of another make asks. It tells all other peers of a change itself.
    Foreign,
    /// The one that asks, for a client: the owner of a key is to tell others of a change.
    First,
    /// An owner, which has told all it had to.
    Last,
}

impl Hop {
    /// As the header has it, if it is there.
    pub(super) fn header(self) -> Option<HeaderValue> {
        match self {
            Self::Foreign => None,
            Self::First => Some(HeaderValue::from_static("1")),
            Self::Last => Some(HeaderValue::from_static("2")),
        }
    }

    /// What the headers say; nothing if it has been through too many, or nobody can tell.
    fn of(headers: &HeaderMap) -> Option<Self> {
        match headers.get(HOPS).map(HeaderValue::as_bytes) {
            None => Some(Self::Foreign),
            Some(b"1") => Some(Self::First),
            Some(b"2") => Some(Self::Last),
            Some(_) => None,
        }
    }
}

/// A change under way.
pub type ChangeFuture<'a> = Pin<Box<dyn Future<Output = Result<(), LoadError>> + 'a>>;

/// Who answers peers. A request whose peer goes away is dropped.
pub trait PeerHandler {
    /// Whether there is such a group.
    fn has_group(&self, group: &str) -> bool;

    /// The value of a key: from memory, or from the source here, whoever owns it. It is never asked
    /// of another peer: of two with different lists each would wait for the other.
    fn get<'a>(&'a self, group: &'a str, key: Bytes, asker: Asker) -> LoadFuture<'a>;

    /// Keeps a value.
    fn set<'a>(
        &'a self,
        group: &'a str,
        key: Bytes,
        value: Loaded,
        asker: Asker,
    ) -> ChangeFuture<'a>;

    /// Forgets a value.
    fn delete<'a>(&'a self, group: &'a str, key: Bytes, asker: Asker) -> ChangeFuture<'a>;
}

/// What peers are held to.
#[derive(Debug, Clone)]
pub struct PeerServerSettings {
    /// What a peer must know to be answered.
    pub secret: Option<Secret>,
    /// How peers write a `+`.
    pub spelling: Spelling,
    /// The longest value, in bytes.
    pub value_bytes_max: usize,
    /// Limits of their connections.
    pub limits: PeerLimits,
}

/// The port, and what is told to who asks.
pub struct PeerServer {
    listener: Listener,
    settings: PeerServerSettings,
}

impl PeerServer {
    /// Listens; on the executor that will answer.
    ///
    /// # Errors
    /// The address is not this machine's, or is taken by who does not share it.
    pub fn bind(address: SocketAddr, settings: PeerServerSettings) -> io::Result<Self> {
        let listener = Listener::bind(address)?;
        Ok(Self { listener, settings })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.address()
    }

    /// Answers peers for ever.
    pub async fn run(self, handler: Rc<dyn PeerHandler>) {
        let Self { listener, settings } = self;
        let shared = Rc::new(Shared { handler, settings });
        let places = Rc::new(Places::new(shared.settings.limits.connections_max));
        loop {
            let place = Places::take(&places).await;
            match listener.accept().await {
                Ok(stream) => {
                    // Who comes back after a restart is to have its port; without this it still works.
                    let _ = stream.tcp().map_or(Ok(()), leave_port);
                    let shared = Rc::clone(&shared);
                    net::spawn_local(async move {
                        serve(stream, shared).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a peer's connection cannot be accepted");
                    runtime::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// What connections share.
struct Shared {
    handler: Rc<dyn PeerHandler>,
    settings: PeerServerSettings,
}

/// Who may have a connection.
struct Places {
    max: usize,
    taken: Cell<usize>,
    waiting: RefCell<Option<Waker>>,
}

/// A connection's place among them.
struct Place(Rc<Places>);

impl Places {
    fn new(max: usize) -> Self {
        Self {
            max,
            taken: Cell::new(0),
            waiting: RefCell::new(None),
        }
    }

    async fn take(places: &Rc<Self>) -> Place {
        poll_fn(|cx| {
            if places.taken.get() < places.max {
                return Poll::Ready(());
            }
            *places.waiting.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
        places.taken.set(places.taken.get() + 1);
        Place(Rc::clone(places))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get() - 1);
        if let Some(waiting) = self.0.waiting.take() {
            waiting.wake();
        }
    }
}

/// Answers on a connection until it ends, however it does.
async fn serve(stream: Stream, shared: Rc<Shared>) {
    let progress = Progress::new(shared.settings.limits);
    let wire = Wire::of_server(stream, progress.clone());
    let service = service_fn(move |request| {
        let (shared, progress) = (Rc::clone(&shared), progress.clone());
        async move {
            let response = match shared.answer(request, &progress).await {
                Ok(response) | Err(response) => response,
            };
            progress.note_answer();
            Ok::<_, Infallible>(response)
        }
    });
    let served = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        // It would need a timer that may move between threads; `Wire` has the patience instead.
        .header_read_timeout(None)
        .serve_connection(wire, service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a peer's connection has ended");
    }
}

type Answer = Response<Full<Bytes>>;

impl Shared {
    /// The answer to a request; `Err` for what is not done.
    async fn answer(
        &self,
        request: Request<Incoming>,
        progress: &Progress,
    ) -> Result<Answer, Answer> {
        let (head, body) = request.into_parts();
        if !self.is_allowed(&head.headers) {
            return Err(text(StatusCode::UNAUTHORIZED, "wrong secret, or none"));
        }
        let asker = Asker::of(&head.headers)
            .ok_or_else(|| text(StatusCode::LOOP_DETECTED, "gone through too many peers"))?;
        let (group, key) =
            parse_path(head.uri.path(), self.settings.spelling).map_err(|error| match error {
                PathError::Elsewhere => text(StatusCode::NOT_FOUND, "404 page not found"),
                PathError::NoKey | PathError::Escape | PathError::Group => bad_request(),
            })?;
        if !self.handler.has_group(&group) {
            let why = format!("no such group: {group}");
            return Err(text(StatusCode::NOT_FOUND, &why));
        }
        match head.method {
            Method::GET => {
                progress.note_request();
                self.get(&group, key, asker).await
            }
            Method::PUT => {
                let (key, value) = self.read_set(&group, key, body).await?;
                progress.note_request();
                Ok(done(self.handler.set(&group, key, value, asker).await))
            }
            Method::DELETE => {
                progress.note_request();
                Ok(done(self.handler.delete(&group, key, asker).await))
            }
            _ => {
                let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
                let allowed = HeaderValue::from_static("GET, PUT, DELETE");
                refusal.headers_mut().insert(ALLOW, allowed);
                Err(refusal)
            }
        }
    }

    fn is_allowed(&self, headers: &HeaderMap) -> bool {
        let Some(secret) = &self.settings.secret else {
            return true;
        };
        let given = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let given = given.and_then(|given| given.strip_prefix(b"Bearer "));
        given.is_some_and(|given| given.ct_eq(secret.bytes()).into())
    }

    async fn get(&self, group: &str, key: Bytes, asker: Asker) -> Result<Answer, Answer> {
        let loading = self.handler.get(group, key, asker);
        let loaded = loading.await.map_err(refusal)?;
        let message = GetResponse {
            value: Some(loaded.value),
            minute_qps: None,
            expire: loaded.ttl.map(expire_after),
        };
        let mut answer = Response::new(Full::from(message.encode_to_vec()));
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
        insert_ttl(headers, loaded.ttl);
        Ok(answer)
    }

    /// What a PUT is to set. The key of the message counts, which is written in one way only.
    async fn read_set(
        &self,
        group: &str,
        key: Bytes,
        body: Incoming,
    ) -> Result<(Bytes, Loaded), Answer> {
        let room = self.settings.value_bytes_max + MESSAGE_BYTES_OVER;
        let limit = room + group.len() + key.len();
        let (body, is_whole) = read_body(body, limit).await.map_err(|_| bad_request())?;
        let too_large = || text(StatusCode::PAYLOAD_TOO_LARGE, "value is too large");
        if !is_whole {
            return Err(too_large());
        }
        let request = SetRequest::decode(body).map_err(|_| bad_request())?;
        let value = Loaded {
            value: request.value.unwrap_or_default(),
            ttl: request.expire.and_then(ttl_until),
        };
        match value.value.len() <= self.settings.value_bytes_max {
            true => Ok((request.key.unwrap_or(key), value)),
            false => Err(too_large()),
        }
    }
}

fn done(changed: Result<(), LoadError>) -> Answer {
    changed.map_or_else(refusal, |()| Response::default())
}

/// Why there is no value, as mailgun/groupcache tells it: its clients and ours do not ask the source
/// again then.
fn refusal(error: LoadError) -> Answer {
    match error {
        LoadError::NotFound { ttl } => {
            let mut refusal = text(StatusCode::NOT_FOUND, &error.to_string());
            insert_ttl(refusal.headers_mut(), ttl);
            refusal
        }
        error => text(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

fn bad_request() -> Answer {
    text(StatusCode::BAD_REQUEST, "bad request")
}

/// A line of text, with the headers that Go's `http.Error` gives it.
fn text(status: StatusCode, line: &str) -> Answer {
    let mut answer = Response::new(Full::from(format!("{line}\n")));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, plain);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn insert_ttl(headers: &mut HeaderMap, ttl: Option<Duration>) {
    if let Some(ttl) = ttl {
        let ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        headers.insert(TTL_MS, HeaderValue::from(ms));
    }
}

/// Nanoseconds since the unix epoch.
fn unix_ns() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.map_or(0, clamped_ns)
}

fn clamped_ns(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// When a value expires that is good for so long.
pub(super) fn expire_after(ttl: Duration) -> i64 {
    unix_ns().saturating_add(clamped_ns(ttl))
}

/// How long a value is good that expires then; for ever if that is 0.
pub(super) fn ttl_until(expire: i64) -> Option<Duration> {
    let left = expire.saturating_sub(unix_ns());
    (expire != 0).then(|| Duration::from_nanos(left.max(0).unsigned_abs()))
}
