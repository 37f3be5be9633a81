//! Requests in Redis' words.

use std::time::Duration;

use super::{
    Answer, Client, Error, Value,
    answer::{Raw, Wants},
    memcache,
};
use crate::{
    backend::{Expects, OnLoss},
    config::Protocol,
    protocol::resp::reply::encode_command,
};

const CHANGE: (Expects, OnLoss) = (Expects::Line, OnLoss::Fail);

pub(super) fn get(client: &Client, key: &[u8]) -> Answer<Option<Vec<u8>>> {
    let terms = (Expects::Line, OnLoss::Repeat);
    client.ask(terms, Wants::Value, memcache::value, |out| {
        encode_command(out, &[b"GET", key]);
    })
}

pub(super) fn set(client: &Client, key: &[u8], value: &[u8], life: Option<Duration>) -> Answer<()> {
    let life = match life.map(milliseconds).transpose() {
        Ok(life) => life,
        Err(error) => return Answer::failed(error),
    };
    client.ask(CHANGE, Wants::Frame, done, |out| match &life {
        None => encode_command(out, &[b"SET", key, value]),
        Some(ms) => encode_command(out, &[b"SET", key, value, b"PX", ms.as_bytes()]),
    })
}

pub(super) fn add(client: &Client, key: &[u8], value: &[u8]) -> Answer<bool> {
    client.ask(CHANGE, Wants::Frame, yes_or_no, |out| {
        encode_command(out, &[b"SETNX", key, value]);
    })
}

pub(super) fn delete(client: &Client, key: &[u8]) -> Answer<bool> {
    client.ask(CHANGE, Wants::Frame, yes_or_no, |out| {
        encode_command(out, &[b"DEL", key]);
    })
}

pub(super) fn incr(client: &Client, key: &[u8], delta: u32) -> Answer<Option<u64>> {
    let read = |raw| match parse(raw)? {
        Value::Integer(number) => match u64::try_from(number) {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Error::Unexpected),
        },
        _ => Err(Error::Unexpected),
    };
    let delta = delta.to_string();
    client.ask(CHANGE, Wants::Frame, read, |out| {
        encode_command(out, &[b"INCRBY", key, delta.as_bytes()]);
    })
}

pub(super) fn touch(client: &Client, key: &[u8], life: Duration) -> Answer<bool> {
    let ms = match milliseconds(life) {
        Ok(ms) => ms,
        Err(error) => return Answer::failed(error),
    };
    client.ask(CHANGE, Wants::Frame, yes_or_no, |out| {
        encode_command(out, &[b"PEXPIRE", key, ms.as_bytes()]);
    })
}

pub(super) fn command<W: AsRef<[u8]>>(
    client: &Client,
    words: &[W],
    on_loss: OnLoss,
) -> Answer<Value> {
    if client.shared().protocol() != Protocol::Resp {
        return Answer::failed(Error::Invalid("the server speaks memcache: use raw"));
    }
    if words.is_empty() {
        return Answer::failed(Error::Invalid("a command has a name"));
    }
    let words: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
    if is_answered_otherwise(&words) {
        return Answer::failed(Error::Invalid(
            "this command changes what the server answers, and to what",
        ));
    }
    client.ask((Expects::Line, on_loss), Wants::Frame, parse, |out| {
        encode_command(out, &words);
    })
}

/// After these, or to them, there is not one reply to one request.
fn is_answered_otherwise(words: &[&[u8]]) -> bool {
    const NAMES: [&str; 11] = [
        "HELLO",
        "MONITOR",
        "PSUBSCRIBE",
        "PSYNC",
        "PUNSUBSCRIBE",
        "QUIT",
        "SSUBSCRIBE",
        "SUBSCRIBE",
        "SUNSUBSCRIBE",
        "SYNC",
        "UNSUBSCRIBE",
    ];
    let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    match words {
        [client, reply, ..] if is(client, "CLIENT") && is(reply, "REPLY") => true,
        [name, ..] => NAMES.iter().any(|other| is(name, other)),
        [] => false,
    }
}

fn parse(raw: Raw) -> Result<Value, Error> {
    match raw {
        Raw::Frame(frame) => Value::parse(&frame).ok_or(Error::Unexpected),
        Raw::Value(_) => Err(Error::Unexpected),
    }
}

fn done(raw: Raw) -> Result<(), Error> {
    match parse(raw)? {
        Value::Simple(_) => Ok(()),
        _ => Err(Error::Unexpected),
    }
}

fn yes_or_no(raw: Raw) -> Result<bool, Error> {
    match parse(raw)? {
        Value::Integer(number) => Ok(number != 0),
        _ => Err(Error::Unexpected),
    }
}

fn milliseconds(life: Duration) -> Result<String, Error> {
    match life.as_millis() {
        0 => Err(Error::Invalid("a life of no time")),
        ms => Ok(ms.to_string()),
    }
}
