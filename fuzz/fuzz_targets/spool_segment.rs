//! A segment as a crash, a disk or somebody else has left it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfort::spool::segment::fuzz_scan;

fuzz_target!(|bytes: &[u8]| fuzz_scan(bytes));
