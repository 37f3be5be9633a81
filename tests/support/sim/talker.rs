//! A RESP client that reads whatever it is answered, and one reply after the other.

use ringfort::io::ListenerId;
use ringfort::io::sim::ClientId;

use super::Fleet;
use super::redis::request;

pub(crate) struct Talker {
    pub(crate) client: ClientId,
    unread: Vec<u8>,
}

/// One reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Text(String),
    Number(i64),
    Error(String),
    List(Vec<Self>),
    /// What RESP3 is told without asking.
    Push(Vec<Self>),
}

impl Value {
    pub(crate) fn list(self) -> Vec<Self> {
        match self {
            Self::List(list) => list,
            other => panic!("{other:?} is no list"),
        }
    }

    /// The number that it is, or spells; 0 for null.
    pub(crate) fn number(&self) -> i64 {
        match self {
            Self::Null => 0,
            Self::Number(number) => *number,
            Self::Text(text) => text.parse().expect("a number"),
            other => panic!("{other:?} is no number"),
        }
    }
}

impl Talker {
    pub(crate) fn connect(fleet: &Fleet, shard: usize) -> Self {
        Self {
            client: fleet.world.connect(shard, ListenerId::Resp),
            unread: Vec::new(),
        }
    }

    /// Sends a request; its words stand between blanks.
    pub(crate) fn say(&self, fleet: &Fleet, line: &str) {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        fleet.world.send(self.client, &request(&words));
    }

    /// The next reply, if it is there whole.
    pub(crate) fn hear(&mut self, fleet: &Fleet) -> Option<Value> {
        self.unread.extend(fleet.world.take_received(self.client));
        let (value, count) = read(&self.unread)?;
        self.unread.drain(..count);
        Some(value)
    }

    /// Waits for the next reply.
    pub(crate) fn await_reply(&mut self, fleet: &mut Fleet) -> Value {
        let mut value = None;
        fleet.run_until(120_000, |fleet| {
            value = self.hear(fleet);
            value.is_some()
        });
        value.expect("an answer")
    }

    /// Says something and waits for the reply.
    pub(crate) fn ask(&mut self, fleet: &mut Fleet, line: &str) -> Value {
        self.say(fleet, line);
        self.await_reply(fleet)
    }

    /// Whether a part of a reply has come, and no more.
    pub(crate) fn has_partial_reply(&self) -> bool {
        !self.unread.is_empty()
    }
}

/// The reply at the front, and its length.
fn read(bytes: &[u8]) -> Option<(Value, usize)> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let line = std::str::from_utf8(&bytes[1..end]).expect("text");
    let mut at = end + 2;
    let value = match bytes[0] {
        b'+' => Value::Text(line.into()),
        b'-' => Value::Error(line.into()),
        b':' => Value::Number(line.parse().expect("a number")),
        b'_' => Value::Null,
        b'$' | b'*' if line == "-1" => Value::Null,
        b'$' => {
            let count: usize = line.parse().expect("a length");
            let text = bytes.get(at..at + count + 2)?;
            at += count + 2;
            Value::Text(String::from_utf8_lossy(&text[..count]).into_owned())
        }
        kind @ (b'*' | b'%' | b'>') => {
            let count: usize = line.parse().expect("a count");
            let count = if kind == b'%' { 2 * count } else { count };
            let mut list = Vec::new();
            for _ in 0..count {
                let (value, count) = read(&bytes[at..])?;
                list.push(value);
                at += count;
            }
            match kind {
                b'>' => Value::Push(list),
                _ => Value::List(list),
            }
        }
        other => panic!("a reply that begins with {other}"),
    };
    Some((value, at))
}

impl Fleet {
    /// A client of the last shard wants to hear of keys that nobody has. So somebody listens to every partition, and
    /// nothing is changed in the stead of a shard that sleeps: it is sent a message.
    pub(crate) fn eavesdrop(&mut self) {
        let talker = Talker::connect(self, self.shard_count() - 1);
        talker.say(self, "HELLO 3");
        talker.say(self, "CLIENT TRACKING ON BCAST PREFIX nobody:");
        self.run_until_idle();
        self.eavesdropper = Some(talker.client);
    }
}
