//! Requests in memcache's words.

use std::{rc::Rc, time::Duration};

use super::{
    Answer, Client, Error,
    answer::{Raw, Slot, Ticket, Wants},
};
use crate::{
    backend::{Expects, OnLoss, Terms},
    config::Protocol,
    protocol::{
        memcache::{
            Exptime, StoreVerb,
            reply::{DELETED, NOT_FOUND, NOT_STORED, STORED, TOUCHED, encode_delete, encode_store},
        },
        number,
    },
};

/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 250;

/// Times to live beyond this are taken for dates, in seconds: thirty days.
const RELATIVE_SECONDS_MAX: u64 = 30 * 24 * 60 * 60;

const CHANGE: (Expects, OnLoss) = (Expects::Line, OnLoss::Fail);

pub(super) fn get(client: &Client, key: &[u8]) -> Answer<Option<Vec<u8>>> {
    if let Err(error) = check(key) {
        return Answer::failed(error);
    }
    let slot = Rc::new(Slot::default());
    let ticket = Ticket::new(Rc::clone(&slot), Wants::Value);
    let terms = Terms {
        on_loss: OnLoss::Repeat,
        patience_ms: client.patience_ms,
    };
    match client.shared().push_get(ticket, key, terms) {
        Ok(()) => Answer::waiting(slot, value),
        Err(error) => Answer::failed(error),
    }
}

pub(super) fn value(raw: Raw) -> Result<Option<Vec<u8>>, Error> {
    match raw {
        Raw::Value(value) => Ok(value),
        Raw::Frame(_) => Err(Error::Unexpected),
    }
}

pub(super) fn set(client: &Client, key: &[u8], value: &[u8], life: Option<Duration>) -> Answer<()> {
    store(client, StoreVerb::Set, key, value, life, |raw| {
        line(raw, STORED, STORED).map(drop)
    })
}

pub(super) fn add(client: &Client, key: &[u8], value: &[u8]) -> Answer<bool> {
    store(client, StoreVerb::Add, key, value, None, |raw| {
        line(raw, STORED, NOT_STORED)
    })
}

fn store<T>(
    client: &Client,
    verb: StoreVerb,
    key: &[u8],
    value: &[u8],
    life: Option<Duration>,
    read: fn(Raw) -> Result<T, Error>,
) -> Answer<T> {
    let exptime = match check(key).and_then(|()| exptime(client, life)) {
        Ok(exptime) => exptime,
        Err(error) => return Answer::failed(error),
    };
    client.ask(CHANGE, Wants::Frame, read, |out| {
        encode_store(out, verb, key, 0, exptime, value);
    })
}

pub(super) fn delete(client: &Client, key: &[u8]) -> Answer<bool> {
    if let Err(error) = check(key) {
        return Answer::failed(error);
    }
    let read = |raw| line(raw, DELETED, NOT_FOUND);
    client.ask(CHANGE, Wants::Frame, read, |out| encode_delete(out, key))
}

pub(super) fn incr(client: &Client, key: &[u8], delta: u32) -> Answer<Option<u64>> {
    if let Err(error) = check(key) {
        return Answer::failed(error);
    }
    let read = |raw| match raw {
        Raw::Frame(line) if line == NOT_FOUND => Ok(None),
        // memcached pads a number that got shorter with blanks.
        Raw::Frame(line) => match number::unsigned(line.trim_ascii_end()) {
            Some(number) => Ok(Some(number)),
            None => Err(Error::Unexpected),
        },
        Raw::Value(_) => Err(Error::Unexpected),
    };
    client.ask(CHANGE, Wants::Frame, read, |out| {
        out.extend_from_slice(b"incr ");
        out.extend_from_slice(key);
        out.push(b' ');
        number::write(out, delta);
        out.extend_from_slice(b"\r\n");
    })
}

pub(super) fn touch(client: &Client, key: &[u8], life: Duration) -> Answer<bool> {
    let exptime = match check(key).and_then(|()| exptime(client, Some(life))) {
        Ok(exptime) => exptime,
        Err(error) => return Answer::failed(error),
    };
    let read = |raw| line(raw, TOUCHED, NOT_FOUND);
    client.ask(CHANGE, Wants::Frame, read, |out| {
        out.extend_from_slice(b"touch ");
        out.extend_from_slice(key);
        out.push(b' ');
        number::write(out, exptime.0);
        out.extend_from_slice(b"\r\n");
    })
}

pub(super) fn raw(client: &Client, request: &[u8], expects: Expects) -> Answer<Vec<u8>> {
    if client.shared().protocol() != Protocol::Memcache {
        return Answer::failed(Error::Invalid("the server speaks RESP: use command"));
    }
    if !request.ends_with(b"\r\n") {
        return Answer::failed(Error::Invalid("a request ends in CRLF"));
    }
    let read = |raw| match raw {
        Raw::Frame(frame) => Ok(frame),
        Raw::Value(_) => Err(Error::Unexpected),
    };
    client.ask((expects, OnLoss::Fail), Wants::Frame, read, |out| {
        out.extend_from_slice(request);
    })
}

/// Whether the reply is the one line or the other.
fn line(raw: Raw, yes: &[u8], no: &[u8]) -> Result<bool, Error> {
    match raw {
        Raw::Frame(line) if line == yes => Ok(true),
        Raw::Frame(line) if line == no => Ok(false),
        _ => Err(Error::Unexpected),
    }
}

fn check(key: &[u8]) -> Result<(), Error> {
    let is_plain = key.iter().all(|byte| *byte > b' ' && *byte != 0x7f);
    match key.len() {
        1..=KEY_BYTES_MAX if is_plain => Ok(()),
        _ => Err(Error::Invalid(
            "a key of memcache has 1 to 250 bytes without blanks and control characters",
        )),
    }
}

fn exptime(client: &Client, life: Option<Duration>) -> Result<Exptime, Error> {
    let Some(life) = life else {
        return Ok(Exptime::NEVER);
    };
    let seconds = life.as_secs() + u64::from(life.subsec_nanos() > 0);
    let seconds = match seconds {
        0 => return Err(Error::Invalid("a life of no time")),
        1..=RELATIVE_SECONDS_MAX => seconds,
        _ => seconds.saturating_add(client.shared().now().seconds()),
    };
    let seconds = i64::try_from(seconds).map_err(|_| Error::Invalid("a life beyond all time"))?;
    Ok(Exptime(seconds))
}
