//! Reading requests.
//!
//! Errors are those of memcached 1.6.18, with these exceptions, which keep the stream in step where
//! that version loses it:
//! - The key and extras of an unknown command are thrown away once, not twice.
//! - A body with more than key and extras where no value belongs (touch, gat, stat) is refused;
//!   there the rest is taken for the next header, which it hardly ever is, so the connection ends
//!   either way.
//! - A wrong magic is noticed with its byte, not with the header.

use super::header::{HEADER_BYTES, REQUEST_MAGIC, RequestHeader};
use super::opcode::{Verb, verb};
use super::reply::Status;
use super::request::{Command, Echo, KeyCommand, Limits, Refusal, Request};
use crate::protocol::Parsed;
use crate::protocol::memcache::{Exptime, KEY_BYTES_MAX, StoreVerb};

/// An increment's expiry that says that a missing entry is not to be made.
const NOT_TO_BE_MADE: u32 = u32::MAX;

type Outcome<'b> = Parsed<Request<'b>, Refusal<'b>>;

/// Reads one request from the start of `input`.
#[inline]
pub fn parse<'b>(input: &'b [u8], limits: &Limits) -> Outcome<'b> {
    match input.first() {
        Some(&REQUEST_MAGIC) => {}
        Some(_) => return hang_up(input.len()),
        None => return Parsed::Incomplete { want: 1 },
    }
    let Some((header, body)) = input.split_first_chunk::<HEADER_BYTES>() else {
        return Parsed::Incomplete { want: HEADER_BYTES };
    };
    let header = RequestHeader::read(header);
    let start_bytes = header.extras_bytes + header.key_bytes;
    // As memcached does, nothing is judged before extras and key are there.
    let Some((start, value)) = body.split_at_checked(start_bytes) else {
        return Parsed::Incomplete {
            want: HEADER_BYTES + start_bytes,
        };
    };
    let (extras, key) = start.split_at(header.extras_bytes);
    let packet = Packet {
        header,
        extras,
        key,
        value,
    };
    if header.body_bytes < start_bytes {
        return packet.refuse(Status::UnknownCommand, true);
    }
    if key.len() > KEY_BYTES_MAX {
        return packet.refuse(Status::InvalidArguments, true);
    }
    packet.read(limits)
}

/// A request of which all but the value is there.
#[derive(Clone, Copy)]
struct Packet<'b> {
    header: RequestHeader,
    extras: &'b [u8],
    key: &'b [u8],
    /// What follows the key: of the value as much as there is, and what follows that.
    value: &'b [u8],
}

impl<'b> Packet<'b> {
    #[inline]
    fn read(&self, limits: &Limits) -> Outcome<'b> {
        let (verb, is_quiet) = verb(self.header.echo.opcode);
        let key = self.key;
        let command = match verb {
            Verb::Get { shows_key } if self.is_bare_key() => {
                Command::OfKey(KeyCommand::Get { key, shows_key })
            }
            Verb::Store(verb) => return self.store(verb, is_quiet, limits),
            Verb::Concat(verb) => return self.concat(verb, is_quiet, limits),
            Verb::Unknown => return self.refuse(Status::UnknownCommand, false),
            Verb::SaslList if self.is_bare() => {
                return self.refuse(Status::UnknownCommand, false);
            }
            Verb::SaslStep if self.extras.is_empty() && !key.is_empty() => {
                return self.refuse(Status::UnknownCommand, false);
            }
            _ => match self.rare(verb) {
                Some(command) => command,
                None => return self.refuse(Status::InvalidArguments, true),
            },
        };
        self.complete(command, is_quiet)
    }

    /// Commands without a value; `None` if the lengths are not theirs.
    fn rare(&self, verb: Verb) -> Option<Command<'b>> {
        if self.value_bytes() > 0 {
            return None;
        }
        if let Some(command) = self.rare_of_key(verb) {
            return Some(Command::OfKey(command));
        }
        let key = self.key;
        Some(match verb {
            Verb::Flush if key.is_empty() && self.extras.is_empty() => Command::Flush {
                delay: Exptime::NEVER,
            },
            Verb::Flush if key.is_empty() => Command::Flush {
                delay: self.exptime()?,
            },
            Verb::Stat if self.extras.is_empty() => Command::Stat { argument: key },
            Verb::Version if self.is_bare() => Command::Version,
            Verb::NoOp if self.is_bare() => Command::NoOp,
            Verb::Quit if self.is_bare() => Command::Quit,
            _ => return None,
        })
    }

    /// Those of them that are about a key.
    fn rare_of_key(&self, verb: Verb) -> Option<KeyCommand<'b>> {
        let (key, cas) = (self.key, self.header.cas);
        Some(match verb {
            Verb::GetAndTouch { shows_key } if !key.is_empty() => KeyCommand::GetAndTouch {
                key,
                shows_key,
                exptime: self.exptime()?,
            },
            Verb::Touch if !key.is_empty() => KeyCommand::Touch {
                key,
                exptime: self.exptime()?,
            },
            Verb::Delete if self.is_bare_key() => KeyCommand::Delete { key, cas },
            Verb::Count(direction) if !key.is_empty() => {
                let (delta, rest) = self.extras.split_first_chunk()?;
                let (initial, rest) = rest.split_first_chunk()?;
                let exptime = u32::from_be_bytes(rest.try_into().ok()?);
                let initial = u64::from_be_bytes(*initial);
                KeyCommand::Count {
                    key,
                    direction,
                    delta: u64::from_be_bytes(*delta),
                    initial: (exptime != NOT_TO_BE_MADE)
                        .then_some((initial, Exptime(exptime.into()))),
                    cas,
                }
            }
            _ => return None,
        })
    }

    /// set, add, replace.
    #[inline]
    fn store(&self, verb: StoreVerb, is_quiet: bool, limits: &Limits) -> Outcome<'b> {
        let Ok([f0, f1, f2, f3, e0, e1, e2, e3]) = <[u8; 8]>::try_from(self.extras) else {
            return self.refuse(Status::InvalidArguments, true);
        };
        if self.key.is_empty() {
            return self.refuse(Status::InvalidArguments, true);
        }
        if self.value_bytes() > limits.value_bytes_max {
            let unlink = (verb == StoreVerb::Set).then_some(self.key);
            return self.refuse_too_large(unlink);
        }
        let Some(value) = self.value.get(..self.value_bytes()) else {
            return self.incomplete();
        };
        let store = KeyCommand::Store {
            verb,
            key: self.key,
            flags: u32::from_be_bytes([f0, f1, f2, f3]),
            exptime: Exptime(u32::from_be_bytes([e0, e1, e2, e3]).into()),
            value,
            cas: self.header.cas,
        };
        self.complete(Command::OfKey(store), is_quiet)
    }

    /// append, prepend.
    fn concat(&self, verb: StoreVerb, is_quiet: bool, limits: &Limits) -> Outcome<'b> {
        if self.key.is_empty() || !self.extras.is_empty() {
            return self.refuse(Status::InvalidArguments, true);
        }
        if self.value_bytes() > limits.value_bytes_max {
            return self.refuse_too_large(None);
        }
        let Some(value) = self.value.get(..self.value_bytes()) else {
            return self.incomplete();
        };
        let concat = KeyCommand::Store {
            verb,
            key: self.key,
            flags: 0,
            exptime: Exptime::NEVER,
            value,
            cas: self.header.cas,
        };
        self.complete(Command::OfKey(concat), is_quiet)
    }

    /// Extras that are one time.
    fn exptime(&self) -> Option<Exptime> {
        let seconds = self.extras.try_into().ok()?;
        Some(Exptime(u32::from_be_bytes(seconds).into()))
    }

    /// A key and nothing else.
    fn is_bare_key(&self) -> bool {
        !self.key.is_empty() && self.header.body_bytes == self.key.len()
    }

    /// No body at all.
    fn is_bare(&self) -> bool {
        self.header.body_bytes == 0
    }

    /// Bytes of the value, which may still be on their way. 0 in a body that is too short.
    fn value_bytes(&self) -> usize {
        self.header.body_bytes.saturating_sub(self.start_bytes())
    }

    fn start_bytes(&self) -> usize {
        self.extras.len() + self.key.len()
    }

    fn incomplete(&self) -> Outcome<'b> {
        Parsed::Incomplete {
            want: HEADER_BYTES + self.header.body_bytes,
        }
    }

    fn complete(&self, command: Command<'b>, is_quiet: bool) -> Outcome<'b> {
        Parsed::Complete {
            request: Request {
                echo: self.header.echo,
                is_quiet,
                command,
            },
            consumed: HEADER_BYTES + self.header.body_bytes,
        }
    }

    /// Refuses with an error, and closes or has the value thrown away.
    fn refuse(&self, status: Status, close: bool) -> Outcome<'b> {
        let swallow = if close { 0 } else { self.value_bytes() };
        self.refuse_with(status, swallow, close, None)
    }

    fn refuse_too_large(&self, unlink: Option<&'b [u8]>) -> Outcome<'b> {
        self.refuse_with(Status::TooLarge, self.value_bytes(), false, unlink)
    }

    fn refuse_with(
        &self,
        status: Status,
        swallow: usize,
        close: bool,
        unlink: Option<&'b [u8]>,
    ) -> Outcome<'b> {
        Parsed::Refused {
            refusal: Refusal {
                echo: self.header.echo,
                status: Some(status),
                swallow,
                close,
                unlink,
            },
            consumed: HEADER_BYTES + self.start_bytes(),
        }
    }
}

/// Closes without a word.
const fn hang_up<'b>(consumed: usize) -> Outcome<'b> {
    let refusal = Refusal {
        echo: Echo {
            opcode: 0,
            opaque: 0,
        },
        status: None,
        swallow: 0,
        close: true,
        unlink: None,
    };
    Parsed::Refused { refusal, consumed }
}
