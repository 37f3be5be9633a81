//! Binary requests as meta commands.

use crate::protocol::{
    binary::KeyCommand,
    memcache::{Direction, Exptime, Spelling, StoreVerb, push_meta_key, push_meta_key_flag},
    number,
};

/// Latest time that memcached reads in text, in seconds; later ones, which it takes in binary, are
/// brought forward to this.
const EXPTIME_MAX: i64 = i32::MAX as i64;

/// Appends the meta command of a request about a key.
pub(super) fn command(out: &mut Vec<u8>, command: &KeyCommand<'_>, spelling: Spelling) {
    let mut line = Line { out, spelling };
    match *command {
        KeyCommand::Get { key, .. } => line.begin(b"mg ", key, b" v f c"),
        KeyCommand::GetAndTouch { key, exptime, .. } => {
            line.begin(b"mg ", key, b" v f c");
            line.time(b'T', exptime);
        }
        KeyCommand::Touch { key, exptime } => {
            line.begin(b"mg ", key, b" f c");
            line.time(b'T', exptime);
        }
        KeyCommand::Store {
            verb,
            key,
            flags,
            exptime,
            value,
            cas,
        } => {
            let joins = matches!(verb, StoreVerb::Append | StoreVerb::Prepend);
            // A CAS id makes set, add and replace the same.
            let compares = cas != 0 && !joins;
            let verb = if compares { StoreVerb::Set } else { verb };
            line.begin_store(verb, key, value.len());
            if !joins {
                line.number(b'F', u64::from(flags));
                line.time(b'T', exptime);
            }
            line.cas(cas);
            line.end();
            out.extend_from_slice(value);
            return out.extend_from_slice(b"\r\n");
        }
        KeyCommand::Delete { key, cas } => {
            line.begin(b"md ", key, b"");
            line.cas(cas);
        }
        KeyCommand::Count {
            key,
            direction,
            delta,
            initial,
            cas,
        } => {
            let flags: &[u8] = match direction {
                Direction::Incr => b" v c MI",
                Direction::Decr => b" v c MD",
            };
            line.begin(b"ma ", key, flags);
            line.number(b'D', delta);
            if let Some((initial, exptime)) = initial {
                line.number(b'J', initial);
                line.time(b'N', exptime);
            }
            line.cas(cas);
        }
    }
    line.end();
}

/// A command line in the making.
struct Line<'o> {
    out: &'o mut Vec<u8>,
    spelling: Spelling,
}

impl Line<'_> {
    fn begin(&mut self, verb: &[u8], key: &[u8], flags: &[u8]) {
        self.out.extend_from_slice(verb);
        push_meta_key(self.out, key, self.spelling);
        push_meta_key_flag(self.out, self.spelling);
        self.out.extend_from_slice(flags);
    }

    fn begin_store(&mut self, verb: StoreVerb, key: &[u8], value_bytes: usize) {
        self.out.extend_from_slice(b"ms ");
        push_meta_key(self.out, key, self.spelling);
        self.out.push(b' ');
        number::write(self.out, value_bytes);
        push_meta_key_flag(self.out, self.spelling);
        self.out.extend_from_slice(match verb {
            StoreVerb::Add => b" c ME",
            StoreVerb::Replace => b" c MR",
            StoreVerb::Append => b" c MA",
            StoreVerb::Prepend => b" c MP",
            StoreVerb::Set | StoreVerb::Cas(_) => b" c MS",
        });
    }

    fn number(&mut self, flag: u8, number: u64) {
        self.out.extend_from_slice(&[b' ', flag]);
        number::write(self.out, number);
    }

    fn time(&mut self, flag: u8, Exptime(seconds): Exptime) {
        self.out.extend_from_slice(&[b' ', flag]);
        number::write(self.out, seconds.min(EXPTIME_MAX));
    }

    /// A CAS id to compare, if there is one.
    fn cas(&mut self, cas: u64) {
        if cas != 0 {
            self.number(b'C', cas);
        }
    }

    fn end(&mut self) {
        self.out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(request: KeyCommand<'_>, spelling: Spelling) -> String {
        let mut out = Vec::new();
        command(&mut out, &request, spelling);
        out.escape_ascii().to_string()
    }

    fn store(verb: StoreVerb, cas: u64) -> String {
        let store = KeyCommand::Store {
            verb,
            key: b"k",
            flags: 5,
            exptime: Exptime(u32::MAX.into()),
            value: b"a b",
            cas,
        };
        encoded(store, Spelling::Text)
    }

    #[test]
    fn requests_are_meta_commands() {
        let key = b"k";
        let count = KeyCommand::Count {
            key,
            direction: Direction::Decr,
            delta: 3,
            initial: Some((u64::MAX, Exptime(100))),
            cas: 9,
        };
        let table = [
            (
                KeyCommand::Get {
                    key,
                    shows_key: true,
                },
                r"mg k v f c\r\n",
            ),
            (
                KeyCommand::GetAndTouch {
                    key,
                    shows_key: false,
                    exptime: Exptime(0),
                },
                r"mg k v f c T0\r\n",
            ),
            (
                KeyCommand::Touch {
                    key,
                    exptime: Exptime(9),
                },
                r"mg k f c T9\r\n",
            ),
            (KeyCommand::Delete { key, cas: 0 }, r"md k\r\n"),
            (KeyCommand::Delete { key, cas: 9 }, r"md k C9\r\n"),
            (count, r"ma k v c MD D3 J18446744073709551615 N100 C9\r\n"),
        ];
        for (request, line) in table {
            assert_eq!(encoded(request, Spelling::Text), line);
        }
        let odd = KeyCommand::Delete {
            key: b"a b",
            cas: 9,
        };
        assert_eq!(encoded(odd, Spelling::Base64), r"md YSBi b C9\r\n");
    }

    #[test]
    fn stores_bring_their_block() {
        let late = r"T2147483647";
        for (verb, cas, line) in [
            (StoreVerb::Set, 0, format!(r"ms k 3 c MS F5 {late}")),
            (StoreVerb::Add, 0, format!(r"ms k 3 c ME F5 {late}")),
            (StoreVerb::Replace, 0, format!(r"ms k 3 c MR F5 {late}")),
            (StoreVerb::Add, 9, format!(r"ms k 3 c MS F5 {late} C9")),
            (StoreVerb::Append, 0, r"ms k 3 c MA".to_owned()),
            (StoreVerb::Prepend, 9, r"ms k 3 c MP C9".to_owned()),
        ] {
            assert_eq!(store(verb, cas), format!(r"{line}\r\na b\r\n"));
        }
    }
}
