//! Asking another peer: a ringfort, or one of the Go packages.

use core::{fmt, time::Duration};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT},
};
use prost::Message;

use super::{
    Hop, LoadError, Loaded,
    connections::{Answer, AskError, Connections},
    headers::{PATIENCE_MS, flags_of, insert_flags, insert_ttl, ttl_of},
    loader::short_line,
    origin::AGENT,
    peer_server::{expire_after, ttl_until},
    wire::{GetResponse, MESSAGE_BYTES_OVER, PROTOBUF, SetRequest, path_of},
};
use crate::config::{PeerUrl, Secret, check_peer_secret};

/// Connections to peers; on one executor.
pub struct PeerClient {
    connections: Connections,
    /// The header that lets us in.
    secret: Option<HeaderValue>,
    value_bytes_max: usize,
}

/// What goes with a request.
#[derive(Default)]
struct Content {
    body: Bytes,
    /// The flags of the value in it.
    flags: u32,
    /// How long that is good.
    ttl: Option<Duration>,
}

/// Why a peer gave no value, or made no change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerError {
    /// The peer asked its source, and that came of it: to ask the source here, too, would have every
    /// peer ask one that is in trouble.
    Source(LoadError),
    /// The peer is at fault, in one line: the source may be asked here.
    Peer(String),
    /// No connection to the peer can be had, in one line. It did not refuse one, which costs no time.
    Unreachable(String),
    /// The peer did not answer in time.
    Late,
    /// The peer knows nothing of changes, as golang/groupcache does not.
    ReadsOnly,
}

impl PeerClient {
    /// Without connections. A value of more than `value_bytes_max` bytes is an error.
    ///
    /// # Errors
    /// The secret cannot be sent in a header.
    pub fn new(secret: Option<&Secret>, value_bytes_max: usize) -> Result<Self, String> {
        let header = |secret: &Secret| {
            check_peer_secret(secret)?;
            let value = [b"Bearer ", secret.bytes()].concat();
            let mut value = HeaderValue::from_bytes(&value).map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            Ok::<_, String>(value)
        };
        Ok(Self {
            connections: Connections::default(),
            secret: secret.map(header).transpose()?,
            value_bytes_max,
        })
    }

    /// Asks a peer for the value of a key. It does not pass that on to another peer if it is a ringfort.
    ///
    /// # Errors
    /// There is none, or the peer cannot be asked.
    pub async fn get(
        &self,
        peer: &PeerUrl,
        group: &str,
        key: &[u8],
        deadline: Instant,
    ) -> Result<Loaded, PeerError> {
        let content = Content::default();
        let answer = self
            .ask(
                peer,
                Method::GET,
                (group, key),
                content,
                Hop::First,
                deadline,
            )
            .await?;
        if answer.status != StatusCode::OK {
            return Err(refused(peer, &answer));
        }
        if !answer.is_whole {
            return Err(PeerError::Source(LoadError::TooLarge));
        }
        if !is_message(&answer) {
            return Err(unreadable(peer));
        }
        let (flags, ttl) = (flags_of(&answer.headers), ttl_of(&answer.headers));
        let message = GetResponse::decode(answer.body).map_err(|_| unreadable(peer))?;
        let value = message.value.unwrap_or_default();
        match value.len() <= self.value_bytes_max {
            true => Ok(Loaded {
                value,
                flags,
                ttl: ttl.or_else(|| message.expire.and_then(ttl_until)),
            }),
            false => Err(PeerError::Source(LoadError::TooLarge)),
        }
    }

    /// Has a peer keep a value; whether it is a ringfort, which has told others if it was to.
    ///
    /// # Errors
    /// It may not have.
    pub async fn set(
        &self,
        peer: &PeerUrl,
        group: &str,
        key: &[u8],
        value: Loaded,
        hop: Hop,
        deadline: Instant,
    ) -> Result<bool, PeerError> {
        let message = SetRequest {
            group: Some(Bytes::copy_from_slice(group.as_bytes())),
            key: Some(Bytes::copy_from_slice(key)),
            value: Some(value.value),
            expire: value.ttl.map(expire_after),
        };
        let content = Content {
            body: message.encode_to_vec().into(),
            flags: value.flags,
            ttl: value.ttl,
        };
        self.change(peer, Method::PUT, (group, key), content, hop, deadline)
            .await
    }

    /// Has a peer forget a value; whether it is a ringfort, as above.
    ///
    /// # Errors
    /// It may not have.
    pub async fn delete(
        &self,
        peer: &PeerUrl,
        group: &str,
        key: &[u8],
        hop: Hop,
        deadline: Instant,
    ) -> Result<bool, PeerError> {
        let nothing = Content::default();
        self.change(peer, Method::DELETE, (group, key), nothing, hop, deadline)
            .await
    }

    async fn change(
        &self,
        peer: &PeerUrl,
        method: Method,
        name: (&str, &[u8]),
        content: Content,
        hop: Hop,
        deadline: Instant,
    ) -> Result<bool, PeerError> {
        let asking = self.ask(peer, method, name, content, hop, deadline);
        let answer = asking.await?;
        match answer.status {
            // golang/groupcache looks at no method, and answers with the value.
            StatusCode::OK if is_message(&answer) => Err(PeerError::ReadsOnly),
            StatusCode::OK if answer.body.is_empty() => {
                Ok(Hop::of(&answer.headers) == Some(Hop::First))
            }
            StatusCode::OK => Err(unreadable(peer)),
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
                Err(PeerError::ReadsOnly)
            }
            _ => Err(refused(peer, &answer)),
        }
    }

    async fn ask(
        &self,
        peer: &PeerUrl,
        method: Method,
        (group, key): (&str, &[u8]),
        Content { body, flags, ttl }: Content,
        hop: Hop,
        deadline: Instant,
    ) -> Result<Answer, PeerError> {
        let path = path_of(group, key)
            .ok_or_else(|| peer_error(peer, "cannot be asked for a key that is so long"))?;
        let mut request = Request::builder().method(method).uri(path);
        if let Some(headers) = request.headers_mut() {
            headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
            hop.insert(headers);
            insert_flags(headers, flags);
            insert_ttl(headers, ttl);
            headers.insert(PATIENCE_MS, HeaderValue::from(patience_ms(deadline)));
            if let Some(secret) = &self.secret {
                headers.insert(AUTHORIZATION, secret.clone());
            }
        }
        let request = request
            .body(Full::from(body))
            .map_err(|error| peer_error(peer, error))?;
        let room = self.value_bytes_max + MESSAGE_BYTES_OVER;
        let asking = self
            .connections
            .ask(peer.address(), request, room, deadline);
        asking.await.map_err(|error| match error {
            AskError::Late => PeerError::Late,
            error @ AskError::Unreachable {
                is_refused: false, ..
            } => PeerError::Unreachable(fault(peer, error)),
            error => peer_error(peer, error),
        })
    }
}

/// What a peer is told of the time that is left: a tenth less, for its answer's way.
fn patience_ms(deadline: Instant) -> u64 {
    let left = deadline.saturating_duration_since(Instant::now());
    let ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    ms - ms.div_ceil(10)
}

/// What an answer says that is none.
fn refused(peer: &PeerUrl, answer: &Answer) -> PeerError {
    let text = String::from_utf8_lossy(&answer.body);
    let text = text.trim();
    // A server that has no such group, or is none of groupcache, says 404, too.
    let is_lost = text.starts_with("no such group: ") || text == "404 page not found";
    match answer.status {
        StatusCode::NOT_FOUND if !is_lost => PeerError::Source(LoadError::NotFound {
            ttl: ttl_of(&answer.headers),
        }),
        // It has not asked its source.
        StatusCode::SERVICE_UNAVAILABLE if text == LoadError::Busy.to_string() => {
            peer_error(peer, format_args!("refused: {text}"))
        }
        StatusCode::SERVICE_UNAVAILABLE => PeerError::Source(LoadError::failed(text)),
        status => peer_error(peer, format_args!("answered {status}: {text}")),
    }
}

fn peer_error(peer: &PeerUrl, why: impl fmt::Display) -> PeerError {
    PeerError::Peer(fault(peer, why))
}

fn fault(peer: &PeerUrl, why: impl fmt::Display) -> String {
    short_line(format_args!("peer {peer} {why}"))
}

fn unreadable(peer: &PeerUrl) -> PeerError {
    peer_error(peer, "answered nothing that can be read")
}

fn is_message(answer: &Answer) -> bool {
    let content_type = answer.headers.get(CONTENT_TYPE);
    content_type
        .is_some_and(|content_type| content_type.as_bytes().starts_with(PROTOBUF.as_bytes()))
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(error) => error.fmt(f),
            Self::Peer(why) | Self::Unreachable(why) => f.write_str(why),
            Self::Late => f.write_str("peer did not answer in time"),
            Self::ReadsOnly => f.write_str("peer takes no changes"),
        }
    }
}

impl std::error::Error for PeerError {}
