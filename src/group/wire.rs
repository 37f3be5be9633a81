//! What peers say to each other: groupcache's messages, and the path that names a key.
//!
//! ```text
//!   GET /_groupcache/GROUP/KEY      200 GetResponse, 404 not found, 503 and why there is no value
//!   PUT /_groupcache/GROUP/KEY      SetRequest (mailgun/groupcache only)
//!   DELETE /_groupcache/GROUP/KEY   (mailgun/groupcache only)
//! ```
//!
//! There are two spellings of a path. golang/groupcache writes a blank as `+` and a plus as `%2B`
//! (Go's `QueryEscape`), and then its server takes `+` for a plus: keys with blanks are other keys
//! there. mailgun/groupcache writes a blank as `%20` and lets a plus be (`PathEscape`). Here
//! everything but letters, digits and `-_.~` is written with `%`, which everybody reads the same;
//! and both are [read](parse_path).

use std::borrow::Cow;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

/// In front of every path.
pub(super) const BASE: &str = "/_groupcache/";

/// What a [`GetResponse`] comes as.
pub(super) const PROTOBUF: &str = "application/x-protobuf";

/// The longest path, in bytes: `http`'s limit of 65,534 less some.
pub(super) const PATH_BYTES_MAX: usize = 65_000;

/// Bytes of a message beside a key, a group and a value.
pub(super) const MESSAGE_BYTES_OVER: usize = 64;

/// Letters that no spelling writes otherwise.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// groupcachepb.GetResponse
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetResponse {
    /// The value; one of no bytes may be left out.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub value: Option<Bytes>,
    /// Never filled in by anybody.
    #[prost(double, optional, tag = "2")]
    pub minute_qps: Option<f64>,
    /// Until when it is good, in nanoseconds since the unix epoch; 0 for ever. mailgun/groupcache's.
    #[prost(int64, optional, tag = "3")]
    pub expire: Option<i64>,
}

/// groupcachepb.SetRequest, of mailgun/groupcache.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SetRequest {
    /// A string, but not necessarily of UTF-8.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub group: Option<Bytes>,
    /// The same.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub key: Option<Bytes>,
    /// The value.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub value: Option<Bytes>,
    /// As in [`GetResponse`].
    #[prost(int64, optional, tag = "4")]
    pub expire: Option<i64>,
}

/// How a `+` in a path is meant where nothing else in it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// A blank: Go's `QueryEscape`.
    Query,
    /// A plus: Go's `PathEscape`.
    Path,
}

/// Why a path names no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    /// It is not below `/_groupcache/`.
    Elsewhere,
    /// There is no key behind the group.
    NoKey,
    /// `%` without two hexadecimal digits.
    Escape,
    /// The group's name is not UTF-8.
    Group,
}

/// The path of a key, if it is not too long for one.
pub fn path_of(group: &str, key: &[u8]) -> Option<String> {
    let group = utf8_percent_encode(group, UNRESERVED);
    let key = percent_encoding::percent_encode(key, UNRESERVED);
    let path = format!("{BASE}{group}/{key}");
    (path.len() <= PATH_BYTES_MAX).then_some(path)
}

/// Whether a key has a path.
pub(super) fn has_path(group: &str, key: &[u8]) -> bool {
    let bytes_max = BASE.len() + 1 + 3 * (group.len() + key.len());
    bytes_max <= PATH_BYTES_MAX || path_of(group, key).is_some()
}

/// Any bytes as a part of a URL that is nothing but them.
pub(super) fn escape(bytes: &[u8]) -> impl core::fmt::Display + '_ {
    percent_encoding::percent_encode(bytes, UNRESERVED)
}

/// The group and the key that a path names, in either spelling.
///
/// # Errors
/// It names none.
pub fn parse_path(path: &str, spelling: Spelling) -> Result<(String, Bytes), PathError> {
    let rest = path.strip_prefix(BASE).ok_or(PathError::Elsewhere)?;
    let (group, key) = rest.split_once('/').ok_or(PathError::NoKey)?;
    if !is_escaped(rest.as_bytes()) {
        return Err(PathError::Escape);
    }
    let spelling = spelling_of(rest.as_bytes()).unwrap_or(spelling);
    let group = String::from_utf8(unescape(group, spelling)).map_err(|_| PathError::Group)?;
    Ok((group, unescape(key, spelling).into()))
}

/// Whether each `%` has its digits.
fn is_escaped(text: &[u8]) -> bool {
    let is_hex = |at: usize| text.get(at).is_some_and(u8::is_ascii_hexdigit);
    let mut signs = memchr::memchr_iter(b'%', text);
    signs.all(|at| is_hex(at + 1) && is_hex(at + 2))
}

/// The spelling, if a letter tells: one that only `PathEscape` leaves as it is or writes so, or one
/// that only `QueryEscape` writes with `%`.
fn spelling_of(text: &[u8]) -> Option<Spelling> {
    let has = |part: &[u8]| memchr::memmem::find(text, part).is_some();
    let is_path = text.iter().any(|byte| b"$&:=@".contains(byte)) || has(b"%20");
    if is_path {
        return Some(Spelling::Path);
    }
    let escapes: [&[u8]; 9] = [
        b"%24", b"%26", b"%2B", b"%2b", b"%3A", b"%3a", b"%3D", b"%3d", b"%40",
    ];
    let is_query = escapes.into_iter().any(has);
    is_query.then_some(Spelling::Query)
}

fn unescape(text: &str, spelling: Spelling) -> Vec<u8> {
    let text: Cow<'_, str> = match spelling {
        Spelling::Query if text.contains('+') => text.replace('+', " ").into(),
        _ => text.into(),
    };
    percent_decode(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    fn parsed(path: &str, spelling: Spelling) -> Result<(String, Vec<u8>), PathError> {
        parse_path(path, spelling).map(|(group, key)| (group, key.to_vec()))
    }

    /// Key, and how Go 1.19 writes it by `QueryEscape` and by `PathEscape`.
    const SPELLED: &[(&[u8], &str, &str)] = &[
        (b"", "", ""),
        (b"a-Z_0.9~", "a-Z_0.9~", "a-Z_0.9~"),
        (b"a b", "a+b", "a%20b"),
        (b"a/b//c", "a%2Fb%2F%2Fc", "a%2Fb%2F%2Fc"),
        (b"a%2Fb", "a%252Fb", "a%252Fb"),
        (b"a+b=c d", "a%2Bb%3Dc+d", "a+b=c%20d"),
        (b"$&:@ ", "%24%26%3A%40+", "$&:@%20"),
        (b"?;,#", "%3F%3B%2C%23", "%3F%3B%2C%23"),
        (b"!'()*", "%21%27%28%29%2A", "%21%27%28%29%2A"),
        ("schlüssel".as_bytes(), "schl%C3%BCssel", "schl%C3%BCssel"),
        (b"\0\x7f\xff", "%00%7F%FF", "%00%7F%FF"),
    ];

    #[test]
    fn both_spellings_of_go_are_read() {
        for (key, query, path) in SPELLED {
            let expected = Ok(("g r".to_owned(), key.to_vec()));
            let read = parsed(&format!("{BASE}g+r/{query}"), Spelling::Query);
            assert_eq!(read, expected, "{query}");
            let read = parsed(&format!("{BASE}g%20r/{path}"), Spelling::Path);
            assert_eq!(read, expected, "{path}");
        }
    }

    #[test]
    fn what_is_in_a_path_tells_its_spelling() {
        for (path, key) in [
            ("a+b%3D", "a b="),
            ("a+b%2b", "a b+"),
            ("a+b=", "a+b="),
            ("a+b%20", "a+b "),
            // Nobody writes both; a letter that stands as it is weighs more.
            ("a+b=%3D", "a+b=="),
        ] {
            for spelling in [Spelling::Query, Spelling::Path] {
                let read = parsed(&format!("{BASE}g/{path}"), spelling);
                assert_eq!(read, Ok(("g".to_owned(), key.into())), "{path}");
            }
        }
        let ambiguous = format!("{BASE}g/a+b");
        let key = |spelling| parsed(&ambiguous, spelling).expect("a path").1;
        assert_eq!(key(Spelling::Query), b"a b");
        assert_eq!(key(Spelling::Path), b"a+b");
    }

    #[test]
    fn every_key_comes_back_from_its_path_whatever_is_expected() {
        let mut keys: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        keys.push((0..=255).collect());
        keys.push(Vec::new());
        keys.extend(SPELLED.iter().map(|spelled| spelled.0.to_vec()));
        for key in keys {
            for group in ["g", "a b", "a/b", "größe", "50%"] {
                let path = path_of(group, &key).expect("short");
                for spelling in [Spelling::Query, Spelling::Path] {
                    let read = parsed(&path, spelling);
                    assert_eq!(read, Ok((group.to_owned(), key.clone())), "{path}");
                }
            }
        }
    }

    #[test]
    fn a_path_has_an_end() {
        let room = PATH_BYTES_MAX - "/_groupcache/g/".len();
        assert!(path_of("g", &vec![b'a'; room]).is_some());
        assert!(path_of("g", &vec![b'a'; room + 1]).is_none());
        assert!(path_of("g", &vec![b' '; room / 3 + 1]).is_none());
    }

    #[test]
    fn what_names_no_key() {
        for (path, error) in [
            ("/", PathError::Elsewhere),
            ("/_groupcache", PathError::Elsewhere),
            ("/_groupcache/", PathError::NoKey),
            ("/_groupcache/g", PathError::NoKey),
            ("/_groupcache/g/%", PathError::Escape),
            ("/_groupcache/g/a%2", PathError::Escape),
            ("/_groupcache/g/%zz", PathError::Escape),
            ("/_groupcache/%f/a", PathError::Escape),
            ("/_groupcache/%FF/a", PathError::Group),
        ] {
            assert_eq!(parsed(path, Spelling::Query), Err(error), "{path}");
        }
        let empty = parsed("/_groupcache/g/", Spelling::Query);
        assert_eq!(empty, Ok(("g".to_owned(), Vec::new())));
        let deep = parsed("/_groupcache/g/a/b", Spelling::Query);
        assert_eq!(deep, Ok(("g".to_owned(), b"a/b".to_vec())));
    }

    #[test]
    fn messages_are_as_go_writes_them() {
        let response = GetResponse {
            value: Some(Bytes::from_static(b"v\xff")),
            minute_qps: None,
            expire: Some(1),
        };
        let bytes = b"\x0a\x02v\xff\x18\x01";
        assert_eq!(response.encode_to_vec(), bytes);
        assert_eq!(GetResponse::decode(&bytes[..]), Ok(response));
        // The original never has a third field, and may leave out a value of no bytes.
        let plain = GetResponse::decode(&b"\x0a\x01v"[..]).expect("a message");
        assert_eq!(plain.value.as_deref(), Some(&b"v"[..]));
        assert_eq!(plain.expire, None);
        assert_eq!(GetResponse::decode(&b""[..]).expect("none").value, None);
        let set = SetRequest {
            group: Some("g".into()),
            key: Some(Bytes::from_static(b"\xff")),
            value: Some(Bytes::new()),
            expire: Some(-1),
        };
        let bytes = b"\x0a\x01g\x12\x01\xff\x1a\x00\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        assert_eq!(set.encode_to_vec(), bytes);
        assert_eq!(SetRequest::decode(&bytes[..]), Ok(set));
        GetResponse::decode(&b"\x0a\x05v"[..]).expect_err("cut");
        GetResponse::decode(&b"<html>"[..]).expect_err("no message");
    }
}
