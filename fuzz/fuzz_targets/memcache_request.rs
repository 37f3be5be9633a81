//! What a memcache client may send, text.
#![no_main]

mod walk;

use libfuzzer_sys::fuzz_target;
use ringfort::protocol::memcache::{Limits, parse};

const LIMITS: Limits = Limits {
    value_bytes_max: 4096,
    line_bytes_max: 8192,
};

fuzz_target!(|input: &[u8]| walk::walk(input, |bytes| parse(bytes, &LIMITS)));
