//! COMMAND's replies about a row.

use super::{CommandSpec, KeySpec, bits};
use crate::protocol::resp::{Version, reply};

/// Appends a command's entry of COMMAND and COMMAND INFO.
pub fn encode_info(spec: &CommandSpec, version: Version, out: &mut Vec<u8>) {
    reply::array_header(out, 10);
    reply::bulk(out, spec.name.as_bytes());
    reply::integer(out, spec.arity.into());
    let flags = bits::names(bits::FLAGS, spec.flags);
    reply::set_header(out, flags.clone().count(), version);
    flags.for_each(|flag| reply::simple(out, flag));
    let (first, last, step) = spec.key_range();
    [first, last, step]
        .into_iter()
        .for_each(|position| reply::integer(out, position));
    let categories = bits::names(bits::CATEGORIES, spec.all_categories());
    reply::set_header(out, categories.clone().count(), version);
    categories.for_each(|category| reply::simple(out, ["@", category].concat()));
    reply::set_header(out, spec.tips.len(), version);
    spec.tips
        .iter()
        .for_each(|tip| reply::bulk(out, tip.as_bytes()));
    reply::set_header(out, spec.keys.len(), version);
    spec.keys
        .iter()
        .for_each(|keys| encode_key_spec(keys, version, out));
    // A set only where it is empty: so it is in Redis.
    if spec.subcommands.is_empty() {
        reply::set_header(out, 0, version);
    } else {
        reply::array_header(out, spec.subcommands.len());
    }
    spec.subcommands
        .iter()
        .for_each(|sub| encode_info(sub, version, out));
}

fn encode_key_spec(keys: &KeySpec, version: Version, out: &mut Vec<u8>) {
    reply::map_header(out, if keys.notes.is_empty() { 3 } else { 4 }, version);
    if !keys.notes.is_empty() {
        reply::bulk(out, b"notes");
        reply::bulk(out, keys.notes.as_bytes());
    }
    reply::bulk(out, b"flags");
    let flags = bits::names(bits::KEY_FLAGS, keys.flags);
    reply::set_header(out, flags.clone().count(), version);
    flags.for_each(|flag| reply::simple(out, flag));
    let begin = [("index", i64::from(keys.first))];
    encode_step("begin_search", "index", &begin, version, out);
    let range = [
        ("lastkey", i64::from(keys.last)),
        ("keystep", i64::from(keys.step)),
        ("limit", 0),
    ];
    encode_step("find_keys", "range", &range, version, out);
}

/// One of the two steps in which a client finds keys.
fn encode_step(
    name: &str,
    kind: &str,
    numbers: &[(&str, i64)],
    version: Version,
    out: &mut Vec<u8>,
) {
    reply::bulk(out, name.as_bytes());
    reply::map_header(out, 2, version);
    reply::bulk(out, b"type");
    reply::bulk(out, kind.as_bytes());
    reply::bulk(out, b"spec");
    reply::map_header(out, numbers.len(), version);
    for (name, number) in numbers {
        reply::bulk(out, name.as_bytes());
        reply::integer(out, *number);
    }
}
