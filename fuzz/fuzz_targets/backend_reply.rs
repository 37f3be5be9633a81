//! What a backend may answer, in both protocols; the first byte says which.
#![no_main]

mod walk;

use libfuzzer_sys::fuzz_target;
use ringfort::protocol::{memcache, resp};

fuzz_target!(|input: &[u8]| {
    let Some((kind, bytes)) = input.split_first() else {
        return;
    };
    if kind % 2 == 0 {
        walk::walk(bytes, |bytes| memcache::reply::parse_reply(bytes, 4096));
    } else {
        let limits = resp::Limits::for_replies(4096);
        walk::walk(bytes, |bytes| resp::reply::parse_reply(bytes, &limits));
    }
});
