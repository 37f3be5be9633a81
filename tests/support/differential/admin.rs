//! RESP commands about the server itself.

use super::dice::Dice;
use super::generate::{Family, Made};
use super::{Command, pools};

pub(super) const FAMILIES: &[Family] = &[
    family("info", 2, info),
    family("time", 1, time),
    family("config", 4, config),
    family("command", 3, command),
];

const fn family(name: &'static str, weight: u32, make: fn(&mut Dice) -> Made) -> Family {
    Family {
        name,
        weight,
        is_served: true,
        make,
    }
}

fn one(words: Vec<Vec<u8>>) -> Made {
    Made::One(Command::resp(words))
}

/// So many of the words, in any case.
fn some(dice: &mut Dice, words: &[&str], count_max: usize) -> Vec<Vec<u8>> {
    let count = dice.below(count_max + 1);
    let mut picked = Vec::new();
    for _ in 0..count {
        let word = *dice.pick(words);
        picked.push(pools::any_case(dice, word));
    }
    picked
}

fn info(dice: &mut Dice) -> Made {
    const SECTIONS: &[&str] = &[
        "server",
        "clients",
        "memory",
        "persistence",
        "stats",
        "replication",
        "cpu",
        "modules",
        "commandstats",
        "errorstats",
        "latencystats",
        "cluster",
        "keyspace",
        "sentinel",
        "all",
        "default",
        "everything",
        "nosuch",
        "",
        "server ",
        "*",
    ];
    let mut words = vec![pools::any_case(dice, "INFO")];
    words.extend(some(dice, SECTIONS, 4));
    one(words)
}

fn time(dice: &mut Dice) -> Made {
    let mut words = vec![pools::any_case(dice, "TIME")];
    if dice.chance(200) {
        words.push(pools::odd_word(dice));
    }
    one(words)
}

/// Settings that can be changed on both, with no effect on what else is asked.
pub(crate) const SETTINGS: &[&str] = &[
    "slowlog-log-slower-than",
    "slowlog-max-len",
    "latency-monitor-threshold",
    "latency-tracking",
    "tracking-table-max-keys",
    "timeout",
];

/// Settings that are the same on both and stay so.
pub(crate) const SAME_SETTINGS: &[&str] = &[
    "appendonly",
    "appendfsync",
    "cluster-enabled",
    "daemonize",
    "hz",
    "io-threads",
    "latency-tracking-info-percentiles",
    "loglevel",
    "maxmemory-clients",
    "notify-keyspace-events",
    "replica-read-only",
    "requirepass",
    "save",
    "slave-read-only",
    "tls-port",
];

fn config(dice: &mut Dice) -> Made {
    let mut words = vec![pools::any_case(dice, "CONFIG")];
    match dice.below(20) {
        0..=7 => {
            words.push(pools::any_case(dice, "GET"));
            words.extend(patterns(dice));
        }
        8..=16 => {
            words.push(pools::any_case(dice, "SET"));
            for _ in 0..*dice.pick(&[0, 1, 1, 1, 1, 2, 2, 3]) {
                let name = setting(dice);
                words.push(pools::any_case(dice, name));
                words.push(value(dice, name));
            }
            if dice.chance(80) {
                words.push(b"timeout".to_vec());
            }
        }
        17 => words.push(pools::any_case(dice, "RESETSTAT")),
        18 => words.push(pools::any_case(dice, "REWRITE")),
        _ => words.extend(some(
            dice,
            &["FROBNICATE", "GE", "", "HELP", "RESETSTAT"],
            1,
        )),
    }
    if dice.chance(30) {
        words.push(pools::odd_word(dice));
    }
    one(words)
}

fn patterns(dice: &mut Dice) -> Vec<Vec<u8>> {
    const GLOBS: &[&str] = &[
        "*",
        "slowlog-*",
        "slowlog-max-le?",
        "[st]*",
        "*track*",
        "latency-*",
        "",
        "nosuch",
        "no*such",
        "[",
        "append*",
        "\\*",
    ];
    (0..dice.below(4))
        .map(|_| match dice.below(3) {
            0 => {
                let glob = dice.pick(GLOBS);
                pools::any_case(dice, glob)
            }
            1 => dice.word(SAME_SETTINGS),
            _ => {
                let name = setting(dice);
                pools::any_case(dice, name)
            }
        })
        .collect()
}

/// The name of a setting, now and then of none, and of one that nobody can change.
fn setting(dice: &mut Dice) -> &'static str {
    const OTHERS: &[&str] = &[
        "nosuch",
        "",
        "no\r\nsuch",
        "databases",
        "daemonize",
        "port ",
    ];
    match dice.below(10) {
        0 => dice.pick::<&str>(OTHERS),
        _ => dice.pick::<&str>(SETTINGS),
    }
}

/// Something for a setting, right or wrong. Who says nothing for long is never closed.
fn value(dice: &mut Dice, name: &str) -> Vec<u8> {
    const NUMBERS: &[&str] = &[
        "0",
        "1",
        "128",
        "10000",
        "1000000",
        "-1",
        "-2",
        "2147483647",
        "2147483648",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "01",
        "+1",
        " 1",
        "1 ",
        "1.5",
        "0x10",
        "1k",
        "1mb",
        "10%",
        "abc",
        "",
        "yes",
    ];
    match name {
        "timeout" => dice.word(&["0", "100000", "-1", "abc", "", "2147483648", "1s"]),
        "latency-tracking" => {
            let word = dice.pick(&["yes", "no", "maybe", "1", "", "ye", "yes "]);
            pools::any_case(dice, word)
        }
        _ => dice.word(NUMBERS),
    }
}

/// Names of commands that both have and that have none below them, and of none.
const NAMES: &[&str] = &[
    "get",
    "set",
    "mget",
    "copy",
    "lcs",
    "scan",
    "substr",
    "getset",
    "expire",
    "ping",
    "hello",
    "client|kill",
    "client|tracking",
    "client|list",
    "config|set",
    "object|freq",
    "memory|usage",
    "command|docs",
    "module|loadex",
    "latency|histogram",
    "slowlog|get",
    "subscribe",
    "watch",
    "wait",
    "get|x",
    "client|nosuch",
    "client|list|x",
    "nosuch",
    "",
    "get ",
    "|",
];

/// Commands whose keys are asked for.
const CALLS: &[&str] = &[
    "get a",
    "mget a b c",
    "mset a 1 b 2",
    "set a 1 get",
    "copy a b replace",
    "lcs a b len",
    "object freq a",
    "memory usage a",
    "getex a persist",
    "rename a b",
    "del",
    "ping",
    "client kill x",
    "get",
    "get a b",
    "nosuch a",
    "object nosuch a",
    "touch a b",
    "watch a b",
    "msetnx a 1 b",
];

/// COMMAND's subcommands.
fn command(dice: &mut Dice) -> Made {
    let mut words = vec![pools::any_case(dice, "COMMAND")];
    match dice.below(20) {
        0..=6 => {
            words.push(pools::any_case(dice, "DOCS"));
            words.push(dice.word(NAMES));
            words.extend(some(dice, NAMES, 3));
        }
        7..=10 => {
            words.push(pools::any_case(dice, "INFO"));
            words.push(dice.word(NAMES));
            words.extend(some(dice, NAMES, 3));
        }
        11..=17 => {
            let verb = *dice.pick(&["GETKEYS", "GETKEYSANDFLAGS"]);
            words.push(pools::any_case(dice, verb));
            let call = dice.pick(CALLS);
            words.extend(call.split(' ').map(|word| word.as_bytes().to_vec()));
            if dice.chance(50) {
                words.truncate(2);
            }
        }
        18 => words.push(pools::any_case(dice, "COUNT")),
        _ => words.extend([b"FROBNICATE".to_vec(), b"get".to_vec()]),
    }
    if words.len() == 2 && dice.chance(200) {
        words.push(pools::odd_word(dice));
    }
    one(words)
}
