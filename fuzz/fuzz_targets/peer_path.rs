//! A path that a peer asks for: it names a key or it does not, and what it names has one path of ours.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfort::group::wire::{Spelling, parse_path, path_of};

fuzz_target!(|text: &str| {
    for spelling in [Spelling::Query, Spelling::Path] {
        let Ok((group, key)) = parse_path(text, spelling) else {
            continue;
        };
        let Some(path) = path_of(&group, &key) else {
            continue;
        };
        for read_as in [Spelling::Query, Spelling::Path] {
            let named = parse_path(&path, read_as);
            assert_eq!(named, Ok((group.clone(), key.clone())), "{path}");
        }
    }
});
