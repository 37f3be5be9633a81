//! What parsing and encoding cost: nanoseconds a request, and bytes a second.
//!
//! `cargo bench -p ringfort-bench --bench protocol [FILTER]`. Each bench goes through a batch of
//! requests that lie behind each other, as they do in a connection's buffer; the figures are of one
//! request.

use divan::{
    Bencher, black_box,
    counter::{BytesCount, ItemsCount},
};
use ringfort::protocol::{
    Parsed,
    memcache::{self, reply as memcache_reply},
    resp::{self, Request, Version, reply as resp_reply},
};

fn main() {
    divan::main();
}

/// Requests in a batch: what a receive buffer of 16 KiB holds of small ones.
const BATCH: usize = 256;

const VALUE_BYTES: [usize; 3] = [16, 64, 1024];

fn key(number: usize) -> Vec<u8> {
    format!("key:{number:012}").into_bytes()
}

/// `BATCH` requests behind each other.
fn batch(request: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    (0..BATCH).flat_map(request).collect()
}

fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut wire = Vec::new();
    resp_reply::encode_command(&mut wire, words);
    wire
}

/// Parses a batch with `parse`, which returns how many bytes a request took.
fn parse_all(bencher: Bencher<'_, '_>, wire: &[u8], parse: impl Fn(&[u8]) -> usize + Sync) {
    bencher
        .counter(ItemsCount::new(BATCH))
        .counter(BytesCount::new(wire.len()))
        .bench(|| {
            let mut rest = black_box(wire);
            while !rest.is_empty() {
                rest = &rest[parse(rest)..];
            }
        });
}

fn parse_memcache(wire: &[u8]) -> usize {
    let limits = memcache::Limits {
        value_bytes_max: 1 << 20,
        line_bytes_max: 1 << 20,
    };
    match memcache::parse(wire, &limits) {
        Parsed::Complete { request, consumed } => {
            black_box(request);
            consumed
        }
        other => unreachable!("the batch is whole: {other:?}"),
    }
}

fn parse_resp(wire: &[u8]) -> usize {
    let limits = resp::Limits {
        bulk_bytes_max: 1 << 20,
        args_max: 1 << 20,
        inline_bytes_max: 1 << 16,
    };
    match resp::parse(wire, &limits) {
        Parsed::Complete {
            request: args,
            consumed,
        } => {
            assert!(black_box(Request::from_args(args)).is_ok());
            consumed
        }
        other => unreachable!("the batch is whole: {other:?}"),
    }
}

#[divan::bench]
fn memcache_parse_get(bencher: Bencher<'_, '_>) {
    let wire = batch(|n| [b"get ", &key(n)[..], b"\r\n"].concat());
    parse_all(bencher, &wire, parse_memcache);
}

#[divan::bench(args = VALUE_BYTES)]
fn memcache_parse_set(bencher: Bencher<'_, '_>, value_bytes: usize) {
    let wire = batch(|n| {
        let head = format!(" 0 0 {value_bytes}\r\n");
        [
            b"set ",
            &key(n)[..],
            head.as_bytes(),
            &vec![b'v'; value_bytes],
            b"\r\n",
        ]
        .concat()
    });
    parse_all(bencher, &wire, parse_memcache);
}

#[divan::bench]
fn resp_parse_get(bencher: Bencher<'_, '_>) {
    let wire = batch(|n| command(&[b"GET", &key(n)]));
    parse_all(bencher, &wire, parse_resp);
}

#[divan::bench(args = VALUE_BYTES)]
fn resp_parse_set(bencher: Bencher<'_, '_>, value_bytes: usize) {
    let wire = batch(|n| command(&[b"SET", &key(n), &vec![b'v'; value_bytes]]));
    parse_all(bencher, &wire, parse_resp);
}

#[divan::bench]
fn resp_parse_set_with_expiry(bencher: Bencher<'_, '_>) {
    let wire = batch(|n| command(&[b"SET", &key(n), &[b'v'; 64], b"EX", b"3600", b"NX"]));
    parse_all(bencher, &wire, parse_resp);
}

#[divan::bench]
fn resp_parse_rare_command(bencher: Bencher<'_, '_>) {
    let wire = batch(|n| command(&[b"GETEX", &key(n), b"PERSIST"]));
    parse_all(bencher, &wire, parse_resp);
}

/// Ten keys a request: the figures are of one request.
#[divan::bench]
fn resp_parse_mget(bencher: Bencher<'_, '_>) {
    let wire = batch(|n| {
        let keys: Vec<_> = (0..10).map(|k| key(10 * n + k)).collect();
        let words: Vec<&[u8]> = [&b"MGET"[..]]
            .into_iter()
            .chain(keys.iter().map(|k| &k[..]))
            .collect();
        command(&words)
    });
    parse_all(bencher, &wire, parse_resp);
}

/// Appends a batch of replies with `encode` to a buffer that is large enough already.
fn encode_all(bencher: Bencher<'_, '_>, encode: impl Fn(&mut Vec<u8>, usize) + Sync) {
    let mut out = Vec::new();
    (0..BATCH).for_each(|number| encode(&mut out, number));
    let bytes = out.len();
    bencher
        .counter(ItemsCount::new(BATCH))
        .counter(BytesCount::new(bytes))
        .with_inputs(|| Vec::with_capacity(2 * bytes))
        .bench_refs(|out| {
            (0..BATCH).for_each(|number| encode(out, black_box(number)));
        });
}

#[divan::bench(args = VALUE_BYTES)]
fn memcache_encode_value(bencher: Bencher<'_, '_>, value_bytes: usize) {
    let (key, value) = (key(1), vec![b'v'; value_bytes]);
    encode_all(bencher, |out, number| {
        let cas = (number == BATCH).then_some(1);
        memcache_reply::value(out, &key, 0, &value, cas);
    });
}

#[divan::bench(args = VALUE_BYTES)]
fn resp_encode_bulk(bencher: Bencher<'_, '_>, value_bytes: usize) {
    let value = vec![b'v'; value_bytes];
    encode_all(bencher, |out, _| resp_reply::bulk(out, &value));
}

#[divan::bench]
fn resp_encode_integer(bencher: Bencher<'_, '_>) {
    encode_all(bencher, |out, number| {
        resp_reply::integer(out, number as i64 * 1_000_003)
    });
}

#[divan::bench]
fn resp_encode_null(bencher: Bencher<'_, '_>) {
    encode_all(bencher, |out, _| resp_reply::null(out, Version::Resp3));
}
