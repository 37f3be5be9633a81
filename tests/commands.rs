//! The promise: ringfort tells of its commands what redis-server tells of them, so clients that ask before they
//! talk (for key positions, flags, arities) talk to both alike.

mod support;

use support::backends::Backend;
use support::ringfort::Ringfort;
use support::wire::Wire;

/// Redis 7.2's, which libraries send unasked; 7.0.15 does not have them.
const NEWER: &[&str] = &["client|setinfo", "client|no-touch"];
const CONTAINERS: &[&str] = &[
    "client", "command", "config", "latency", "memory", "module", "object", "slowlog",
];

#[test]
fn details_are_those_of_redis() {
    is_told_alike("COMMAND INFO", Value::without_order);
}

#[test]
fn documentation_is_that_of_redis() {
    is_told_alike("COMMAND DOCS", |value, _| value.without_subcommands());
}

/// Asks both servers about each of our commands, in both versions. `comparable` makes of a reply, and of all names,
/// what is to be the same.
fn is_told_alike(request: &str, comparable: fn(Value, &[String]) -> Value) {
    let (ringfort, redis) = (Ringfort::embedded(), Backend::redis());
    for hello in ["HELLO 2\r\n", "HELLO 3\r\n"] {
        let [mut ours, mut theirs] = [ringfort.resp(), redis.address()].map(Wire::connect);
        for wire in [&mut ours, &mut theirs] {
            wire.send(hello.as_bytes());
            value(wire);
        }
        let names = names(&mut ours);
        assert!(names.len() > 100, "{names:?}");
        for name in names.iter().filter(|name| !NEWER.contains(&name.as_str())) {
            let [ours, theirs] = [&mut ours, &mut theirs].map(|wire| {
                wire.send(format!("{request} {name}\r\n").as_bytes());
                comparable(value(wire), &names)
            });
            assert_eq!(ours, theirs, "{name}");
        }
    }
}

#[test]
fn help_is_that_of_redis() {
    let (ringfort, redis) = (Ringfort::embedded(), Backend::redis());
    let [mut ours, mut theirs] = [ringfort.resp(), redis.address()].map(Wire::connect);
    for container in CONTAINERS {
        for request in [
            format!("{container} HELP\r\n"),
            format!("{container} help x\r\n"),
            format!("{container} xyzzy\r\n"),
        ] {
            let [ours, theirs] = [&mut ours, &mut theirs].map(|wire| {
                wire.send(request.as_bytes());
                value(wire)
            });
            assert_eq!(ours, theirs, "{request}");
        }
    }
}

#[test]
fn documentation_has_every_command() {
    let ringfort = Ringfort::embedded();
    let mut wire = Wire::connect(ringfort.resp());
    let count = names(&mut wire)
        .iter()
        .filter(|name| !name.contains('|'))
        .count();
    wire.send(b"HELLO 3\r\nCOMMAND DOCS\r\nCOMMAND COUNT\r\nCOMMAND DOCS config|get nope\r\n");
    value(&mut wire);
    let Value::Many('%', docs) = value(&mut wire) else {
        panic!("a map");
    };
    assert_eq!(docs.len(), 2 * count);
    assert_eq!(value(&mut wire), Value::One(format!(":{count}")));
    let Value::Many('%', docs) = value(&mut wire) else {
        panic!("a map");
    };
    assert_eq!(docs[0], Value::One("config|get".into()));
    let Value::Many('%', lines) = &docs[1] else {
        panic!("a map");
    };
    assert_eq!(
        lines[2..6],
        ["since", "2.0.0", "group", "server"].map(|word| Value::One(word.into()))
    );
}

/// A reply, by what it is made of: lines with their sign, bulks without.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    One(String),
    Many(char, Vec<Self>),
}

impl Value {
    /// The same with the words of flags and categories and the subcommands in one order: Redis' is that of a
    /// hash table. And without subcommands that only one of both has.
    fn without_order(self, names: &[String]) -> Self {
        let Self::Many(sign, values) = self else {
            return self;
        };
        let mut values: Vec<_> = values
            .into_iter()
            .filter(|value| value.is_common(names))
            .map(|value| value.without_order(names))
            .collect();
        // Empty ones may be so only now, and Redis has two kinds of those.
        let sign = if values.is_empty() { '*' } else { sign };
        let is_word = |value: &Self| matches!(value, Self::One(line) if line.starts_with('+'));
        let is_entry = |value: &Self| matches!(value, Self::Many(_, parts) if parts.len() == 10);
        if values.iter().all(is_word) || values.iter().all(is_entry) {
            values.sort();
        }
        Self::Many(sign, values)
    }

    /// The same without a container's subcommands: each is asked for by itself.
    fn without_subcommands(self) -> Self {
        let Self::Many(sign, values) = self else {
            return self;
        };
        let is_title = |value: &Self| *value == Self::One("subcommands".into());
        let kept = match values.iter().position(is_title) {
            Some(place) => values[..place].to_vec(),
            None => values,
        };
        let values = kept.into_iter().map(Self::without_subcommands).collect();
        Self::Many(sign, values)
    }

    fn is_common(&self, names: &[String]) -> bool {
        let Self::Many(_, parts) = self else {
            return true;
        };
        match parts.as_slice() {
            [Self::One(name), rest @ ..] if rest.len() == 9 => {
                names.contains(name) && !NEWER.contains(&name.as_str())
            }
            _ => true,
        }
    }
}

fn names(wire: &mut Wire) -> Vec<String> {
    wire.send(b"COMMAND LIST\r\n");
    let Value::Many('*', names) = value(wire) else {
        panic!("an array");
    };
    let names = names.into_iter().map(|name| match name {
        Value::One(name) => name,
        Value::Many(..) => panic!("a name"),
    });
    names.collect()
}

fn value(wire: &mut Wire) -> Value {
    let line = wire.line();
    let (sign, rest) = line.split_at(1);
    let sign = sign.chars().next().expect("a sign");
    match (sign, rest.parse::<usize>()) {
        ('$', Ok(length)) => {
            let bytes = wire.bytes(length);
            wire.expect(b"\r\n");
            Value::One(String::from_utf8(bytes).expect("text"))
        }
        ('*' | '~', Ok(count)) => Value::Many(sign, (0..count).map(|_| value(wire)).collect()),
        ('%', Ok(count)) => Value::Many(sign, (0..2 * count).map(|_| value(wire)).collect()),
        _ => Value::One(line),
    }
}
