//! Requests to a memcache server, for keys that may have to be spelled in base64.
//!
//! Where classic commands and a key that is text suffice, they are used; else meta commands.

use crate::protocol::{
    memcache::{Exptime, Spelling, StoreVerb, push_meta_key, push_meta_key_flag, reply},
    number,
};

/// A key and how it is spelled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<'k> {
    pub(super) key: &'k [u8],
    pub(super) spelling: Spelling,
}

/// Appends a store of a value without flags.
pub(super) fn store(
    out: &mut Vec<u8>,
    verb: StoreVerb,
    name: Name<'_>,
    exptime: Exptime,
    value: &[u8],
) {
    if name.spelling == Spelling::Text {
        return reply::encode_store(out, verb, name.key, 0, exptime, value);
    }
    out.extend_from_slice(b"ms ");
    push_meta_key(out, name.key, name.spelling);
    out.push(b' ');
    number::write(out, value.len());
    push_meta_key_flag(out, name.spelling);
    out.extend_from_slice(match verb {
        StoreVerb::Add => b" ME",
        StoreVerb::Replace => b" MR",
        StoreVerb::Append => b" MA",
        _ => b" MS",
    });
    if exptime != Exptime::NEVER {
        out.extend_from_slice(b" T");
        number::write(out, exptime.0);
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends a set of a value without flags to a key in base64.
pub(in crate::shard::pool) fn set(out: &mut Vec<u8>, key: &[u8], exptime: Exptime, value: &[u8]) {
    let spelling = Spelling::Base64;
    store(out, StoreVerb::Set, Name { key, spelling }, exptime, value);
}

/// Appends a delete.
pub(in crate::shard::pool) fn delete(out: &mut Vec<u8>, key: &[u8], spelling: Spelling) {
    if spelling == Spelling::Text {
        return reply::encode_delete(out, key);
    }
    meta(out, b"md ", Name { key, spelling }, b"");
}

/// Appends a meta get with these flags.
pub(super) fn meta_get(out: &mut Vec<u8>, name: Name<'_>, flags: &[u8]) {
    meta(out, b"mg ", name, flags);
}

/// Appends a meta get with these flags that gives a new life.
pub(super) fn meta_touch(out: &mut Vec<u8>, name: Name<'_>, flags: &[u8], exptime: Exptime) {
    meta(out, b"mg ", name, flags);
    flag_at_end(out, b" T", exptime.0);
}

/// Appends an increment that begins at the delta where there is nothing.
pub(super) fn increment(out: &mut Vec<u8>, name: Name<'_>, delta: u64) {
    meta(out, b"ma ", name, b" MI v N0");
    flag_at_end(out, b" J", delta);
    flag_at_end(out, b" D", delta);
}

/// Appends a decrement of the version that was read.
pub(super) fn decrement(out: &mut Vec<u8>, name: Name<'_>, delta: u64, cas: u64) {
    meta(out, b"ma ", name, b" MD v");
    flag_at_end(out, b" D", delta);
    flag_at_end(out, b" C", cas);
}

fn meta(out: &mut Vec<u8>, verb: &[u8], name: Name<'_>, flags: &[u8]) {
    out.extend_from_slice(verb);
    push_meta_key(out, name.key, name.spelling);
    push_meta_key_flag(out, name.spelling);
    out.extend_from_slice(flags);
    out.extend_from_slice(b"\r\n");
}

/// Adds a flag with a number to the line at the end of `out`.
fn flag_at_end(out: &mut Vec<u8>, flag: &[u8], number: impl itoa::Integer) {
    out.truncate(out.len() - b"\r\n".len());
    out.extend_from_slice(flag);
    number::write(out, number);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(encode: impl FnOnce(&mut Vec<u8>, Name<'_>), key: &str) -> String {
        let mut out = Vec::new();
        let key = key.as_bytes();
        let spelling = Spelling::of(key).unwrap();
        encode(&mut out, Name { key, spelling });
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_goes_classic_and_the_rest_by_meta() {
        let set = |out: &mut Vec<u8>, name: Name<'_>| {
            store(out, StoreVerb::Add, name, Exptime(9), b"v");
        };
        assert_eq!(wire(set, "a"), "add a 0 9 1\r\nv\r\n");
        assert_eq!(wire(set, "a b"), "ms YSBi 1 b ME T9\r\nv\r\n");
        let del = |out: &mut Vec<u8>, name: Name<'_>| delete(out, name.key, name.spelling);
        assert_eq!(wire(del, "a"), "delete a\r\n");
        assert_eq!(wire(del, "a b"), "md YSBi b\r\n");
    }

    #[test]
    fn flags_stand_on_one_line() {
        let touch = |out: &mut Vec<u8>, name: Name<'_>| meta_touch(out, name, b" v", Exptime(-1));
        assert_eq!(wire(touch, "a"), "mg a v T-1\r\n");
        let up = |out: &mut Vec<u8>, name: Name<'_>| increment(out, name, 5);
        assert_eq!(wire(up, "a b"), "ma YSBi b MI v N0 J5 D5\r\n");
        let down = |out: &mut Vec<u8>, name: Name<'_>| decrement(out, name, 5, 77);
        assert_eq!(wire(down, "a"), "ma a MD v D5 C77\r\n");
    }
}
