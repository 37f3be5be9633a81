//! The answering side of HTTP/1.1, as far as an origin needs it: GET without a body, and its answer.

use std::fmt::Write;

use httparse::{EMPTY_HEADER, Request, Status};
use percent_encoding::percent_decode;

/// Headers of a request at most; clients of an origin send about five.
const HEADER_COUNT_MAX: usize = 64;

/// What stands at the beginning of what has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The rest has not come yet.
    Incomplete,
    /// GET of a path, decoded and without its first slash; the request has so many bytes.
    Get { path: Vec<u8>, bytes: usize },
    /// Something else, after which nothing can be read.
    Invalid,
}

/// Reads one request.
pub(crate) fn parse(input: &[u8]) -> Asked {
    let mut headers = [EMPTY_HEADER; HEADER_COUNT_MAX];
    let mut request = Request::new(&mut headers);
    let bytes = match request.parse(input) {
        Ok(Status::Complete(bytes)) => bytes,
        Ok(Status::Partial) => return Asked::Incomplete,
        Err(_) => return Asked::Invalid,
    };
    match (
        request.method,
        request.path.and_then(|path| path.strip_prefix('/')),
    ) {
        (Some("GET"), Some(path)) => Asked::Get {
            path: percent_decode(path.as_bytes()).collect(),
            bytes,
        },
        _ => Asked::Invalid,
    }
}

/// Appends an answer's head, for a body of so many bytes that is good for `max_age_s`.
pub(crate) fn append_head(
    out: &mut Vec<u8>,
    status: &str,
    body_bytes: usize,
    max_age_s: Option<u32>,
) {
    let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {body_bytes}\r\n");
    if let Some(max_age_s) = max_age_s {
        // A String takes whatever is written to it.
        let _ = write!(head, "Cache-Control: max-age={max_age_s}\r\n");
    }
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_once_it_is_whole() {
        let request = b"GET /key%3A000000000042 HTTP/1.1\r\nhost: a\r\n\r\n";
        for cut in 0..request.len() {
            assert_eq!(parse(&request[..cut]), Asked::Incomplete, "{cut} bytes");
        }
        let two = [&request[..], &request[..]].concat();
        let asked = Asked::Get {
            path: b"key:000000000042".to_vec(),
            bytes: request.len(),
        };
        assert_eq!(parse(&two), asked);
    }

    #[test]
    fn what_is_no_get_of_a_path_is_refused() {
        for request in [
            "POST / HTTP/1.1\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\n\r\n",
            "get none\r\n",
        ] {
            assert_eq!(parse(request.as_bytes()), Asked::Invalid, "{request:?}");
        }
    }

    #[test]
    fn a_head_tells_the_length_and_how_long_the_value_is_good() {
        let head = |max_age_s| {
            let mut out = Vec::new();
            append_head(&mut out, "200 OK", 64, max_age_s);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(head(None), "HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n");
        assert_eq!(
            head(Some(60)),
            "HTTP/1.1 200 OK\r\nContent-Length: 64\r\nCache-Control: max-age=60\r\n\r\n"
        );
    }
}
