//! What a meta or a binary request has done on a Redis server, in one step.

use super::{
    asked::Asked, call as call_script, compare_and_swap, digest, encode_get_and_touch,
    encode_store, item_bytes_max, lifetime::Lifetime, stored,
};
use crate::{
    protocol::{
        memcache::{Direction, StoreVerb},
        resp::reply as resp,
    },
    shard::core::Core,
    store::Key,
};

/// What is done with one key. A CAS id to compare must be that of what is there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Call<'b> {
    /// The value is read, and then lives as long as is given.
    Look {
        touch: Option<Lifetime>,
        tells_end: bool,
        /// Where there is none, a promise with this number is put, and lives so long.
        promises: Option<(u64, Lifetime)>,
    },
    /// The value is put; not `Append` or `Prepend`.
    Store {
        verb: StoreVerb,
        flags: u32,
        value: &'b [u8],
        lifetime: Lifetime,
    },
    /// The value is joined to the one that is there, or put with these flags.
    Join {
        verb: StoreVerb,
        value: &'b [u8],
        compared: Option<u64>,
        creates: Option<(u32, Lifetime)>,
    },
    /// The key is removed.
    Delete { compared: Option<u64> },
    /// The number is counted up or down, and then lives as long as is given; or begins with this.
    Count {
        direction: Direction,
        delta: u64,
        compared: Option<u64>,
        touch: Option<Lifetime>,
        creates: Option<(u64, Lifetime)>,
    },
}

impl Call<'_> {
    /// Appends the command, and says what its reply means.
    pub(super) fn encode(self, out: &mut Vec<u8>, core: &Core, key: Key<'_>) -> Asked {
        match self {
            Self::Look {
                touch: None,
                tells_end: false,
                promises: None,
            } => {
                resp::encode_command(out, &[b"GET", key.bytes]);
                Asked::Value
            }
            Self::Look {
                touch: Some(lifetime),
                tells_end: false,
                promises: None,
            } => {
                encode_get_and_touch(out, key.bytes, lifetime);
                Asked::Value
            }
            Self::Look {
                touch, promises, ..
            } => {
                let [mut digits, mut life] = std::array::from_fn(|_| itoa::Buffer::new());
                let touch = milliseconds(touch, &mut digits);
                match promises {
                    None => call_script(out, core, key, &[b"look", touch]),
                    Some((number, lifetime)) => {
                        let lifetime = milliseconds(Some(lifetime), &mut life);
                        let promise = stored::promise(number);
                        call_script(out, core, key, &[b"look", touch, &promise, lifetime]);
                    }
                }
                Asked::Look
            }
            Self::Store {
                verb,
                flags,
                value,
                lifetime,
            } => {
                let wanted = if let StoreVerb::Cas(id) = verb {
                    compare_and_swap(out, core, key, id, (flags, value), lifetime);
                    super::ReplyWanted::Cas
                } else {
                    encode_store(out, core, key, verb, (flags, value), lifetime)
                };
                Asked::Stored {
                    wanted,
                    cas: stored::cas_of(flags, value),
                    value_bytes: value.len(),
                }
            }
            Self::Join {
                verb,
                value,
                compared,
                creates,
            } => encode_join(out, core, key, (verb, value), compared, creates),
            Self::Delete { compared: None } => {
                resp::encode_command(out, &[b"DEL", key.bytes]);
                Asked::Deleted(super::ReplyWanted::Delete)
            }
            Self::Delete { compared } => {
                call_script(out, core, key, &[b"remove", digest(compared).as_bytes()]);
                Asked::Deleted(super::ReplyWanted::Cas)
            }
            Self::Count { .. } => self.encode_count(out, core, key),
        }
    }

    fn encode_count(self, out: &mut Vec<u8>, core: &Core, key: Key<'_>) -> Asked {
        let Self::Count {
            direction,
            delta,
            compared,
            touch,
            creates,
        } = self
        else {
            return Asked::Number;
        };
        let name: &[u8] = match direction {
            Direction::Incr => b"incr",
            Direction::Decr => b"decr",
        };
        let [mut delta_digits, mut touch_digits, mut number, mut life] =
            std::array::from_fn(|_| itoa::Buffer::new());
        let delta = delta_digits.format(delta).as_bytes();
        let touch = milliseconds(touch, &mut touch_digits);
        let digest = digest(compared);
        let arguments = [b"tally", name, delta, digest.as_bytes(), touch];
        match creates {
            None => call_script(out, core, key, &arguments),
            Some((initial, lifetime)) => {
                let initial = number.format(initial).as_bytes();
                let lifetime = milliseconds(Some(lifetime), &mut life);
                let [tally, name, delta, digest, touch] = arguments;
                let arguments = [tally, name, delta, digest, touch, initial, lifetime];
                call_script(out, core, key, &arguments);
            }
        }
        Asked::Number
    }
}

fn encode_join(
    out: &mut Vec<u8>,
    core: &Core,
    key: Key<'_>,
    (verb, value): (StoreVerb, &[u8]),
    compared: Option<u64>,
    creates: Option<(u32, Lifetime)>,
) -> Asked {
    let asked = Asked::Joined {
        value_bytes: value.len(),
    };
    let Some(script) = core.script() else {
        return asked;
    };
    let side: &[u8] = match verb {
        StoreVerb::Append => b"append",
        _ => b"prepend",
    };
    script.begin(out, key.bytes, 5 + 2 * usize::from(creates.is_some()));
    let mut digits = itoa::Buffer::new();
    let bytes_max = digits.format(item_bytes_max(core)).as_bytes();
    let digest = digest(compared);
    for argument in [b"join", side, value, bytes_max, digest.as_bytes()] {
        resp::bulk(out, argument);
    }
    if let Some((flags, lifetime)) = creates {
        stored::push_bulk(out, flags, value);
        let mut digits = itoa::Buffer::new();
        resp::bulk(out, milliseconds(Some(lifetime), &mut digits));
    }
    asked
}

/// A lifetime as the script has it; none is to leave it as it is.
fn milliseconds(lifetime: Option<Lifetime>, digits: &mut itoa::Buffer) -> &[u8] {
    match lifetime {
        None => b"",
        Some(Lifetime::ForGood) => b"ever",
        Some(Lifetime::Over) => b"0",
        Some(Lifetime::Ms(ms)) => digits.format(ms).as_bytes(),
    }
}
