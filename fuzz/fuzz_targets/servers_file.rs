//! A file that an operator wrote: it names servers, or the error names its place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfort::route::parse_servers;

fuzz_target!(|text: &str| {
    if let Err(error) = parse_servers("servers.txt", text) {
        let line = error.to_string();
        assert!(
            line.starts_with("servers.txt") && !line.contains('\n'),
            "{line}"
        );
    }
});
