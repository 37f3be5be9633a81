//! The port that peers ask: groupcache's protocol over HTTP/1.1.
//!
//! What is answered is what Go's servers answer, errors and their texts included, but for two things:
//! methods count, and a request that has gone through too many peers is refused.

use core::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
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
    header::{ALLOW, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS},
    server::conn::http1,
    service::service_fn,
};
use prost::Message;
use subtle::ConstantTimeEq;

use super::{
    Hop, LoadError, LoadFuture, Loaded,
    connections::read_body,
    headers::{PATIENCE_MS, flags_of, insert_flags, insert_ttl, ttl_of},
    places::{Place, Places},
    stream::{PeerLimits, Progress, Wire},
    wire::{
        GetResponse, MESSAGE_BYTES_OVER, PATH_BYTES_MAX, PROTOBUF, PathError, SetRequest, Spelling,
        parse_path,
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
        let places = Rc::new(Places::new(shared.settings.limits));
        loop {
            match listener.accept().await {
                Ok(stream) => {
                    // Who comes back after a restart is to have its port; without this it still works.
                    let _ = stream.tcp().map_or(Ok(()), leave_port);
                    let place = Places::take(&places).await;
                    net::spawn_local(serve(stream, place, Rc::clone(&shared)));
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

/// Answers on a connection until it ends, however it does.
async fn serve(stream: Stream, place: Place, shared: Rc<Shared>) {
    let wire = Wire::of_server(stream, place.progress().clone());
    let service = service_fn(|request| {
        let (shared, place) = (&shared, &place);
        async move {
            let response = match shared.answer(request, place.progress()).await {
                Ok(response) | Err(response) => response,
            };
            place.note_answer();
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            // It would need a timer that may move between threads; `Wire` has the patience instead.
            .header_read_timeout(None)
            .serve_connection(wire, service)
    );
    let served = poll_fn(|context| {
        // What has come is read first: a request that is there is answered.
        let polled = connection.as_mut().poll(context);
        if polled.is_ready() || !place.progress().has_to_leave(context.waker()) {
            return polled;
        }
        if place.progress().is_new() {
            return Poll::Ready(Ok(()));
        }
        connection.as_mut().graceful_shutdown();
        connection.as_mut().poll(context)
    });
    if let Err(error) = served.await {
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
            let mut refusal = text(StatusCode::UNAUTHORIZED, "wrong secret, or none");
            let close = HeaderValue::from_static("close");
            refusal.headers_mut().insert(CONNECTION, close);
            return Err(refusal);
        }
        progress.note_head();
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
                let (key, value) = self.read_set(&group, key, &head.headers, body).await?;
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
        insert_flags(headers, loaded.flags);
        insert_ttl(headers, loaded.ttl);
        Ok(answer)
    }

    /// What a PUT is to set, for so long if a ringfort says so: its clock may be another. The key of the
    /// message counts, which is written in one way only.
    async fn read_set(
        &self,
        group: &str,
        key: Bytes,
        headers: &HeaderMap,
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
            flags: flags_of(headers),
            ttl: ttl_of(headers).or_else(|| request.expire.and_then(ttl_until)),
        };
        match value.value.len() <= self.settings.value_bytes_max {
            true => Ok((request.key.unwrap_or(key), value)),
            false => Err(too_large()),
        }
    }
}

/// What is said of a change. Who does not know groupcache's fork from a ringfort sees by the header that others
/// were told if that was wanted.
fn done(changed: Result<(), LoadError>) -> Answer {
    changed.map_or_else(refusal, |()| {
        let mut answer = Response::default();
        Hop::First.insert(answer.headers_mut());
        answer
    })
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
