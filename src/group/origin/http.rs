//! Values from an HTTP server: a key is a part of a URL.
//!
//! | answer | is |
//! |---|---|
//! | 200 | the value, good as long as [`freshness`] says |
//! | 404, 410 | not found; how long that is good, if it says so |
//! | anything else | an error: redirects are not followed, as what they lead to is another source |
//!
//! A body is taken as it is: none is asked for that is encoded, and one that is all the same is an
//! error.

use std::time::SystemTime;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, StatusCode,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, USER_AGENT},
};

use super::freshness;
use crate::{
    config::HttpOriginSpec,
    group::{
        LoadError, LoadFuture, Loaded, Loader, Wanted,
        connections::{Answer, AskError, Connections},
        wire::{PATH_BYTES_MAX, escape},
    },
};

/// Who asks.
pub(in crate::group) const AGENT: &str = concat!("ringfort/", env!("CARGO_PKG_VERSION"));

/// A loader.
pub(super) struct HttpOrigin {
    spec: HttpOriginSpec,
    connections: Connections,
    /// The longest value, in bytes.
    value_bytes_max: usize,
}

impl HttpOrigin {
    pub(super) fn new(spec: HttpOriginSpec, value_bytes_max: usize) -> Self {
        Self {
            spec,
            connections: Connections::default(),
            value_bytes_max,
        }
    }

    async fn load(&self, wanted: &Wanted) -> Result<Loaded, LoadError> {
        let path = path_of(&self.spec, &wanted.key)
            .ok_or_else(|| LoadError::failed("origin cannot be asked for such a key"))?;
        let request = Request::get(path)
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, "*/*")
            .header(ACCEPT_ENCODING, "identity")
            .body(Full::default())
            .map_err(LoadError::failed)?;
        let answer = self
            .connections
            .ask(
                &self.spec.address,
                request,
                self.value_bytes_max,
                wanted.deadline,
            )
            .await;
        match answer {
            Ok(answer) => judge(answer),
            Err(AskError::Late) => Err(LoadError::Late),
            Err(error) => Err(LoadError::failed(format_args!("origin {error}"))),
        }
    }
}

impl Loader for HttpOrigin {
    fn load<'a>(&'a self, wanted: &'a Wanted) -> LoadFuture<'a> {
        Box::pin(self.load(wanted))
    }
}

/// What an answer says of its key.
fn judge(answer: Answer) -> Result<Loaded, LoadError> {
    let ttl = freshness::ttl(&answer.headers, SystemTime::now());
    match answer.status {
        StatusCode::OK => {
            let encoding = answer.headers.get(CONTENT_ENCODING);
            if let Some(encoding) = encoding.filter(|encoding| !is_identity(encoding.as_bytes())) {
                let encoding = String::from_utf8_lossy(encoding.as_bytes());
                let why = format_args!("origin answered with content-encoding {encoding}");
                return Err(LoadError::failed(why));
            }
            match answer.is_whole {
                true => Ok(Loaded {
                    value: answer.body,
                    flags: 0,
                    ttl,
                }),
                false => Err(LoadError::TooLarge),
            }
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(LoadError::NotFound { ttl }),
        status => Err(LoadError::failed(format_args!("origin answered {status}"))),
    }
}

fn is_identity(encoding: &[u8]) -> bool {
    encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity")
}

/// The path of a key, if it has one: one that would have `.` or `..` between slashes has none, as on
/// the way to the source that may be taken for a step up. Slashes of the key count, though they are
/// escaped, as some servers turn them back first; and so do backslashes.
fn path_of(spec: &HttpOriginSpec, key: &Bytes) -> Option<String> {
    let HttpOriginSpec { before, after, .. } = spec;
    let path = format!("{before}{}{after}", escape(key));
    let from = before.rfind('/').map_or(0, |at| at + 1);
    let to = after.find(['/', '?']).unwrap_or(after.len());
    let told = [&before.as_bytes()[from..], key, &after.as_bytes()[..to]].concat();
    let mut segments = told.split(|byte| b"/\\".contains(byte));
    let is_step = !before.contains('?') && segments.any(|one| one == b"." || one == b"..");
    (!is_step && path.len() <= PATH_BYTES_MAX).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(before: &str, key: &'static [u8], after: &str) -> Option<String> {
        let spec: crate::config::OriginSpec = format!("http://a{before}{{key}}{after}")
            .parse()
            .expect("an origin");
        let crate::config::OriginSpec::Http(spec) = spec else {
            panic!("HTTP")
        };
        path_of(&spec, &Bytes::from_static(key))
    }

    #[test]
    fn a_key_is_one_part_of_a_path_whatever_is_in_it() {
        for (key, text) in [
            (&b"a"[..], "/items/a.json"),
            (b"a b+c", "/items/a%20b%2Bc.json"),
            (b"a/..b\\x", "/items/a%2F..b%5Cx.json"),
            (b"?q#f&%2f", "/items/%3Fq%23f%26%252f.json"),
            (b"\r\n\0\xff", "/items/%0D%0A%00%FF.json"),
            (b"..", "/items/...json"),
            (b"", "/items/.json"),
        ] {
            assert_eq!(path("/items/", key, ".json").as_deref(), Some(text));
        }
        let query = path("/?q=", b"a b&c=d", "&x=1");
        assert_eq!(query.as_deref(), Some("/?q=a%20b%26c%3Dd&x=1"));
    }

    #[test]
    fn no_key_is_a_step_up() {
        for (before, key, after) in [
            ("/items/", &b".."[..], ""),
            ("/items/", b".", ""),
            ("/items/", b"..", "/value"),
            ("/items/", b"..", "?full"),
            ("/items/.", b".", ""),
            ("/items/.", b"", "./x"),
            ("/items/", b"../../x", ".json"),
            ("/items/", b"a/./x", ".json"),
            ("/items/", b"a\\..\\x", ".json"),
            ("/items/", b"a/..", "/x"),
        ] {
            assert_eq!(path(before, key, after), None, "{before} {after}");
        }
        assert!(path("/items/", b"...", "").is_some());
        assert!(path("/?q=/", b"..", "").is_some());
        assert!(path("/items/x", b"..", "").is_some());
    }

    fn answer(status: u16, headers: &[(&'static str, &'static str)]) -> Answer {
        let mut map = hyper::HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a header"));
        }
        Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: map,
            body: Bytes::from_static(b"body"),
            is_whole: true,
        }
    }

    #[test]
    fn a_status_says_what_became_of_it() {
        use core::time::Duration;
        let minute = Some(Duration::from_secs(60));
        let control = &[("cache-control", "max-age=60")];
        assert_eq!(judge(answer(200, &[])), Ok(Loaded::forever("body")));
        let kept = Loaded {
            value: "body".into(),
            flags: 0,
            ttl: minute,
        };
        assert_eq!(judge(answer(200, control)), Ok(kept));
        for status in [404, 410] {
            let missing = |ttl| Err(LoadError::NotFound { ttl });
            assert_eq!(judge(answer(status, &[])), missing(None));
            assert_eq!(judge(answer(status, control)), missing(minute));
        }
        for status in [204, 206, 301, 302, 304, 400, 401, 403, 429, 500, 503] {
            let Err(LoadError::Failed(why)) = judge(answer(status, control)) else {
                panic!("{status}")
            };
            assert!(
                why.starts_with(&format!("origin answered {status}")),
                "{why}"
            );
        }
    }

    #[test]
    fn a_body_is_taken_as_it_is_and_whole() {
        let gzip = answer(200, &[("content-encoding", "gzip")]);
        let why = "origin answered with content-encoding gzip".to_owned();
        assert_eq!(judge(gzip), Err(LoadError::Failed(why)));
        judge(answer(200, &[("content-encoding", "Identity")])).expect("a value");
        let mut cut = answer(200, &[]);
        cut.is_whole = false;
        assert_eq!(judge(cut), Err(LoadError::TooLarge));
    }
}
