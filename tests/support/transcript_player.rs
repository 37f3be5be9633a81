//! Plays a transcript: sends what its downstream says, cut as wanted, and holds the answers against the script.

use std::collections::HashMap;

use super::{
    Conversation, Cut, NAMESPACE_BYTES, Pattern, Protocol, ReplyLine, Script, Side, binary, render,
};

/// Plays one script once.
pub(crate) struct Player<'script, C> {
    script: &'script Script,
    side: Side,
    /// Stands for `~` in the script, so that plays on one server do not meet. Four bytes.
    namespace: String,
    captured: HashMap<String, i64>,
    conversation: C,
    /// Received and not yet matched.
    unread: Vec<u8>,
    sent: Cut,
    /// Exchanges whose replies have come.
    replied_count: usize,
}

impl<'script, C: Conversation> Player<'script, C> {
    /// Nothing is sent yet. `namespace` has four bytes.
    pub(crate) fn new(
        script: &'script Script,
        side: Side,
        namespace: String,
        conversation: C,
    ) -> Self {
        assert_eq!(namespace.len(), NAMESPACE_BYTES);
        Self {
            script,
            side,
            namespace,
            captured: HashMap::new(),
            conversation,
            unread: Vec::new(),
            sent: Cut {
                exchange: 0,
                offset: 0,
            },
            replied_count: 0,
        }
    }

    /// Sends all that stands before `cut`, pipelined; waits for replies only where a request quotes one.
    pub(crate) fn send_until(&mut self, cut: Cut) -> Result<(), String> {
        let mut bytes = Vec::new();
        while self.sent < cut && self.sent.exchange < self.script.exchanges.len() {
            let exchange = &self.script.exchanges[self.sent.exchange];
            if exchange
                .sends
                .iter()
                .any(|piece| piece.is_unknown(&self.captured))
            {
                self.conversation.send(&std::mem::take(&mut bytes));
                self.expect_until(self.sent.exchange)?;
            }
            let request = render(&exchange.sends, &self.namespace, &self.captured);
            let is_whole = self.sent.exchange < cut.exchange;
            let end = if is_whole {
                request.len()
            } else {
                cut.offset.min(request.len())
            };
            bytes.extend_from_slice(&request[self.sent.offset.min(end)..end]);
            self.sent = match is_whole {
                true => Cut {
                    exchange: self.sent.exchange + 1,
                    offset: 0,
                },
                false => cut,
            };
        }
        self.conversation.send(&bytes);
        Ok(())
    }

    /// Sends the rest at once and expects every reply, and then nothing but the close.
    pub(crate) fn finish(mut self) -> Result<(), String> {
        let count = self.script.exchanges.len();
        self.send_until(Cut {
            exchange: count,
            offset: 0,
        })?;
        self.expect_until(count)?;
        self.take_leave()
    }

    /// Sends exchange by exchange, each after the replies to the one before.
    pub(crate) fn turn_by_turn(mut self) -> Result<(), String> {
        for exchange in 1..=self.script.exchanges.len() {
            self.send_until(Cut {
                exchange,
                offset: 0,
            })?;
            self.expect_until(exchange)?;
        }
        self.take_leave()
    }

    /// Sends byte by byte, without waiting.
    pub(crate) fn byte_by_byte(mut self) -> Result<(), String> {
        for cut in self.script.cuts() {
            self.send_until(cut)?;
        }
        self.finish()
    }

    /// A conversation that the server does not close ends by the protocol's own goodbye: what a server says
    /// beyond the script shows up before it.
    fn take_leave(&mut self) -> Result<(), String> {
        if !self
            .script
            .exchanges
            .last()
            .is_some_and(|exchange| exchange.closes)
        {
            let (goodbye, reply) = match self.script.protocol {
                Protocol::Memcache => (b"quit\r\n".to_vec(), Vec::new()),
                Protocol::Binary => binary::goodbye(),
                Protocol::Resp => (b"*1\r\n$4\r\nQUIT\r\n".to_vec(), b"+OK\r\n".to_vec()),
            };
            self.conversation.send(&goodbye);
            while self.unread.len() < reply.len() && self.receive() {}
            if !self.unread.starts_with(&reply) {
                return Err(self.mismatch("at the end", "nothing more"));
            }
            self.unread.drain(..reply.len());
        }
        self.expect_close()
    }

    /// Matches the replies to all exchanges before `end`.
    fn expect_until(&mut self, end: usize) -> Result<(), String> {
        let script = self.script;
        while self.replied_count < end {
            let exchange = &script.exchanges[self.replied_count];
            for line in &exchange.replies {
                if line.only.is_none_or(|only| only == self.side) {
                    self.expect_line(line)?;
                }
            }
            if exchange.closes {
                self.expect_close()?;
            }
            self.replied_count += 1;
        }
        Ok(())
    }

    fn expect_line(&mut self, line: &ReplyLine) -> Result<(), String> {
        let mut count = 0;
        loop {
            match self.matches(line) {
                Match::Whole { bytes, captured } => {
                    self.unread.drain(..bytes);
                    self.captured.extend(captured);
                    count += 1;
                    if !line.repeats {
                        return Ok(());
                    }
                }
                Match::Wrong if count > 0 => return Ok(()),
                Match::Incomplete if self.receive() => {}
                Match::Incomplete | Match::Wrong => {
                    let place = format!("line {}", line.line_number);
                    let wanted = format!(
                        "{:?}",
                        line.patterns.iter().map(Pattern::show).collect::<String>()
                    );
                    return Err(self.mismatch(&place, &wanted));
                }
            }
        }
    }

    fn expect_close(&mut self) -> Result<(), String> {
        if self.unread.is_empty() {
            match self.conversation.receive() {
                None => return Ok(()),
                Some(bytes) => self.unread = bytes,
            }
        }
        Err(self.mismatch("at the end", "the server to close"))
    }

    /// False when nothing more comes.
    fn receive(&mut self) -> bool {
        match self.conversation.receive() {
            Some(bytes) if !bytes.is_empty() => {
                self.unread.extend_from_slice(&bytes);
                true
            }
            _ => false,
        }
    }

    fn matches(&self, line: &ReplyLine) -> Match {
        let mut rest = &self.unread[..];
        let mut captured = Vec::new();
        for pattern in &line.patterns {
            let taken = match pattern {
                Pattern::Exactly(piece) => {
                    let expected =
                        render(std::slice::from_ref(piece), &self.namespace, &self.captured);
                    let shared = expected.len().min(rest.len());
                    if expected[..shared] != rest[..shared] {
                        return Match::Wrong;
                    }
                    (shared == expected.len()).then_some(shared)
                }
                Pattern::Int { min, max, name } => {
                    let is_digit = |byte: &u8| byte.is_ascii_digit() || *byte == b'-';
                    let count = rest.iter().take_while(|byte| is_digit(byte)).count();
                    if count < rest.len() {
                        let digits = std::str::from_utf8(&rest[..count]).unwrap_or_default();
                        match digits.parse() {
                            Ok(number) if (*min..=*max).contains(&number) => {
                                captured.extend(name.clone().map(|name| (name, number)));
                            }
                            _ => return Match::Wrong,
                        }
                    }
                    (count < rest.len()).then_some(count)
                }
                Pattern::Text => rest.windows(2).position(|pair| pair == b"\r\n"),
                Pattern::Cas { name } => match rest.first_chunk() {
                    Some(&[0, 0, 0, 0, 0, 0, 0, 0]) => return Match::Wrong,
                    Some(cas) => {
                        let cas = i64::from_be_bytes(*cas);
                        captured.extend(name.clone().map(|name| (name, cas)));
                        Some(cas.to_be_bytes().len())
                    }
                    None => None,
                },
                Pattern::Frame { opcode, has_key } => match binary::body(rest, *opcode, *has_key) {
                    Some(taken) => taken,
                    None => return Match::Wrong,
                },
            };
            let Some(taken) = taken else {
                return Match::Incomplete;
            };
            rest = &rest[taken..];
        }
        Match::Whole {
            bytes: self.unread.len() - rest.len(),
            captured,
        }
    }

    fn mismatch(&self, place: &str, wanted: &str) -> String {
        const SHOWN_BYTES_MAX: usize = 300;
        let got = &self.unread[..self.unread.len().min(SHOWN_BYTES_MAX)];
        format!(
            "{}, {place}, {:?}, played up to {:?}:\nexpected {wanted}\n     got \"{}\"",
            self.script.name,
            self.side,
            self.sent,
            got.escape_ascii()
        )
    }
}

enum Match {
    Whole {
        bytes: usize,
        captured: Vec<(String, i64)>,
    },
    Incomplete,
    Wrong,
}
