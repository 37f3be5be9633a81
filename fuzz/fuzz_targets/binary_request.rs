//! What a memcache client may send, binary.
#![no_main]

mod walk;

use libfuzzer_sys::fuzz_target;
use ringfort::protocol::binary::{Limits, parse};

const LIMITS: Limits = Limits {
    value_bytes_max: 4096,
};

fuzz_target!(|input: &[u8]| walk::walk(input, |bytes| parse(bytes, &LIMITS)));
