//! Requests over HTTP/1.1, on connections that are kept for the next one.
//!
//! A request has a deadline and is dropped with its connection when that comes. One that fails on a kept
//! connection is sent again on a new one, once: the other side may have closed the old one as the
//! request was on its way. So what is sent here may be done twice.

use core::{
    cell::{Cell, RefCell},
    time::Duration,
};
use std::{collections::HashMap, fmt, io, time::Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Body, Incoming},
    client::conn::http1::{self, SendRequest},
    header::{HOST, HeaderValue},
};
use rustix::io::Errno;

use super::{loader::reason, stream::Wire};
use crate::{
    config::HttpAddress,
    runtime::{
        self,
        net::{self, Stream, Target},
    },
};

/// Connections that are kept to one server without a request; more are closed.
const IDLE_MAX: usize = 64;

/// How long one is kept: less than servers commonly do.
const IDLE_TIME_MAX: Duration = Duration::from_secs(55);

/// Bytes of what comes with an error that are read: for its first line.
const ERROR_BYTES_MAX: usize = 1024;

/// Connections to any servers.
#[derive(Default)]
pub(super) struct Connections {
    idle: RefCell<HashMap<HttpAddress, Vec<Idle>>>,
    /// When idle ones were last looked through.
    swept: Cell<Option<Instant>>,
}

/// What a server answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Whether that is all of it: it is cut where it is longer than may be.
    pub(super) is_whole: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum AskError {
    /// It did not come in time.
    Late,
    /// There is no connection to be had: who was asked for one refused it, or nobody answered.
    Unreachable { why: String, is_refused: bool },
    /// The connection was lost, or what came is no HTTP.
    Broken(String),
}

/// A connection without a request.
struct Idle {
    sender: SendRequest<Full<Bytes>>,
    since: Instant,
}

impl Connections {
    /// Asks a server. A body of more than `body_bytes_max` bytes is read only so far.
    pub(super) async fn ask(
        &self,
        address: &HttpAddress,
        mut request: Request<Full<Bytes>>,
        body_bytes_max: usize,
        deadline: Instant,
    ) -> Result<Answer, AskError> {
        let host = HeaderValue::from_str(&address.to_string());
        let host = host.map_err(|error| AskError::Unreachable {
            why: error.to_string(),
            is_refused: true,
        })?;
        request.headers_mut().insert(HOST, host);
        let left = deadline.saturating_duration_since(Instant::now());
        let asking = self.ask_patiently(address, request, body_bytes_max);
        runtime::within(left, asking)
            .await
            .unwrap_or(Err(AskError::Late))
    }

    async fn ask_patiently(
        &self,
        address: &HttpAddress,
        request: Request<Full<Bytes>>,
        body_bytes_max: usize,
    ) -> Result<Answer, AskError> {
        if let Some(mut sender) = self.take_idle(address)
            && let Ok(response) = sender.send_request(request.clone()).await
        {
            return self.read(address, sender, response, body_bytes_max).await;
        }
        let mut sender = connect(address).await?;
        let response = sender.send_request(request).await.map_err(broken)?;
        self.read(address, sender, response, body_bytes_max).await
    }

    /// A kept connection that was not closed meanwhile.
    fn take_idle(&self, address: &HttpAddress) -> Option<SendRequest<Full<Bytes>>> {
        loop {
            let idle = self.idle.borrow_mut().get_mut(address)?.pop()?;
            let is_old = idle.since.elapsed() > IDLE_TIME_MAX;
            if !is_old && idle.sender.is_ready() {
                return Some(idle.sender);
            }
        }
    }

    async fn read(
        &self,
        address: &HttpAddress,
        sender: SendRequest<Full<Bytes>>,
        response: Response<Incoming>,
        body_bytes_max: usize,
    ) -> Result<Answer, AskError> {
        let (parts, body) = response.into_parts();
        let limit = match parts.status {
            StatusCode::OK => body_bytes_max,
            _ => ERROR_BYTES_MAX,
        };
        let (body, is_whole) = read_body(body, limit).await.map_err(broken)?;
        if is_whole {
            self.keep(address, sender);
        }
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body,
            is_whole,
        })
    }

    fn keep(&self, address: &HttpAddress, sender: SendRequest<Full<Bytes>>) {
        let now = Instant::now();
        self.sweep(now);
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let list = idle.entry(address.clone()).or_default();
        if list.len() < IDLE_MAX {
            list.push(Idle { sender, since: now });
        }
    }

    /// Closes what was kept for too long, once a second: servers that nobody asks any more have
    /// connections, too.
    fn sweep(&self, now: Instant) {
        let is_due = |swept: Instant| now.duration_since(swept) >= Duration::from_secs(1);
        if !self.swept.get().is_none_or(is_due) {
            return;
        }
        self.swept.set(Some(now));
        self.idle.borrow_mut().retain(|_, list| {
            list.retain(|idle| {
                let is_young = now.duration_since(idle.since) <= IDLE_TIME_MAX;
                is_young && !idle.sender.is_closed()
            });
            !list.is_empty()
        });
    }
}

async fn connect(address: &HttpAddress) -> Result<SendRequest<Full<Bytes>>, AskError> {
    let target = Target::Tcp(address.host.clone(), address.port);
    let stream = Stream::connect(target)
        .await
        .map_err(|error| unreachable(&error))?;
    let (sender, connection) = http1::handshake(Wire::of_client(stream))
        .await
        .map_err(broken)?;
    net::spawn_local(async move {
        // Who asks hears of an error, too.
        drop(connection.await);
    });
    Ok(sender)
}

/// The front of a body, and whether that is all of it.
pub(super) async fn read_body(
    mut body: Incoming,
    limit: usize,
) -> Result<(Bytes, bool), hyper::Error> {
    let expected = body.size_hint().lower();
    let mut read = BytesMut::with_capacity(limit.min(expected as usize));
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        let room = limit - read.len();
        read.extend_from_slice(&data[..room.min(data.len())]);
        if data.len() > room {
            return Ok((read.freeze(), false));
        }
    }
    Ok((read.freeze(), true))
}

/// What is short here, sockets for instance, is as much as a refusal: it says nothing of the other side, and costs
/// no time.
fn unreachable(error: &io::Error) -> AskError {
    let is_short = matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::ADDRNOTAVAIL)
    );
    AskError::Unreachable {
        why: reason(error),
        is_refused: is_short || error.kind() == io::ErrorKind::ConnectionRefused,
    }
}

fn broken(error: hyper::Error) -> AskError {
    AskError::Broken(error.to_string())
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late => f.write_str("did not answer in time"),
            Self::Unreachable { why, .. } => write!(f, "cannot be reached: {why}"),
            Self::Broken(why) => write!(f, "answered nothing that can be read: {why}"),
        }
    }
}
