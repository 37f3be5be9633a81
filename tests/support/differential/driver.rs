//! Plays a sequence on two servers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use super::compare::{End, Outcome, Uniques, Verdict, compare};
use super::dice::Dice;
use super::known;
use super::{Batch, Protocol, Sequence, replies};
use crate::support::wire::Wire;

/// Two servers, and how patient one is with them.
pub(crate) struct Contest {
    protocol: Protocol,
    real: Side,
    ringfort: Side,
    /// Whether what explains a difference holds both ways: there is no ringfort.
    are_equals: bool,
}

/// How bytes reach the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Batches pipelined and cut anywhere, as the sequence's seed has it.
    Rough,
    /// Batch by batch, each in one piece.
    Plain,
}

/// What came of a sequence.
#[derive(Debug, Default)]
pub(crate) struct Played {
    /// Commands whose replies were compared.
    pub(crate) command_count: usize,
    /// How often each entry of the list of differences was needed.
    pub(crate) explained: HashMap<&'static str, usize>,
}

/// The first batch that was answered differently.
#[derive(Debug)]
pub(crate) struct Disagreement {
    /// What was said to each batch up to this one: really, and by ringfort. The last pair differs.
    pub(crate) heard: Vec<(Outcome, Outcome)>,
}

/// Batches that are sent at once, and where the bytes are cut.
struct Flight {
    batches: Range<usize>,
    /// In thousandths of the length.
    cuts: Vec<usize>,
    /// Whether the servers get the time to look at each part.
    is_slow: bool,
}

impl Contest {
    pub(crate) fn new(
        protocol: Protocol,
        real: SocketAddr,
        ringfort: SocketAddr,
        patience: Duration,
    ) -> Self {
        Self {
            protocol,
            real: Side::new(protocol, real, patience),
            ringfort: Side::new(protocol, ringfort, patience),
            are_equals: false,
        }
    }

    /// Both are real servers.
    pub(crate) fn between_equals(self) -> Self {
        Self {
            are_equals: true,
            ..self
        }
    }

    fn verdict(
        &self,
        batch: &Batch,
        real: &Outcome,
        ringfort: &Outcome,
        uniques: &mut Uniques,
    ) -> Verdict {
        let verdict = compare(self.protocol, batch, real, ringfort, uniques);
        if verdict != Verdict::Different || !self.are_equals {
            return verdict;
        }
        let mut swapped = uniques.swapped();
        let verdict = compare(self.protocol, batch, ringfort, real, &mut swapped);
        *uniques = swapped.swapped();
        verdict
    }

    /// Plays `sequence` from its start on flushed servers and new connections.
    pub(crate) fn play(
        &mut self,
        sequence: &Sequence,
        delivery: Delivery,
    ) -> Result<Played, Box<Disagreement>> {
        self.real.start();
        self.ringfort.start();
        let mut played = Played::default();
        let mut uniques = Uniques::default();
        let mut heard = Vec::new();
        for flight in flights(self.protocol, sequence, delivery) {
            self.real.send(sequence, &flight);
            self.ringfort.send(sequence, &flight);
            for index in flight.batches.clone() {
                let batch = &sequence.batches[index];
                let real = self.real.hear(batch, index);
                let ringfort = self.ringfort.hear(batch, index);
                let verdict = self.verdict(batch, &real, &ringfort, &mut uniques);
                let is_closed = real.end == End::Closed || ringfort.end == End::Closed;
                heard.push((real, ringfort));
                match verdict {
                    Verdict::Same => {}
                    Verdict::Explained { names, parts_ways } => {
                        for name in names {
                            *played.explained.entry(name).or_default() += 1;
                        }
                        if parts_ways {
                            return Ok(played);
                        }
                    }
                    Verdict::Different => return Err(Box::new(Disagreement { heard })),
                }
                played.command_count += batch.commands.len();
                if is_closed {
                    // What was sent behind is lost on both; the next flight finds a new connection.
                    let lost = flight.batches.end - index - 1;
                    heard.extend((0..lost).map(|_| Default::default()));
                    self.real.forget(batch.connection);
                    self.ringfort.forget(batch.connection);
                    break;
                }
            }
        }
        Ok(played)
    }
}

/// One server, and the connections to it.
struct Side {
    protocol: Protocol,
    address: SocketAddr,
    patience: Duration,
    /// To flush on, and to ask for nothing, so that the server has had its turn.
    control: Wire,
    /// The sequence's.
    wires: HashMap<usize, Ear>,
    /// The cas uniques that keys were last shown with.
    cas: HashMap<Vec<u8>, u64>,
}

/// A connection and what of it is not yet understood.
struct Ear {
    wire: Wire,
    unread: Vec<u8>,
}

impl Side {
    fn new(protocol: Protocol, address: SocketAddr, patience: Duration) -> Self {
        Self {
            protocol,
            address,
            patience,
            control: Wire::connect(address),
            wires: HashMap::new(),
            cas: HashMap::new(),
        }
    }

    fn start(&mut self) {
        self.wires.clear();
        self.cas.clear();
        match self.protocol {
            Protocol::Resp => self.control.ask("FLUSHALL\r\n", "+OK\r\n"),
            _ => self
                .control
                .ask("verbosity 0\r\nflush_all\r\n", "OK\r\nOK\r\n"),
        }
    }

    fn ask_for_nothing(&mut self) {
        match self.protocol {
            Protocol::Resp => self.control.ask("PING\r\n", "+PONG\r\n"),
            _ => self.control.ask("mn\r\n", "MN\r\n"),
        }
    }

    fn send(&mut self, sequence: &Sequence, flight: &Flight) {
        let mut bytes = Vec::new();
        for index in flight.batches.clone() {
            for command in &sequence.batches[index].commands {
                bytes.extend(command.bytes(&self.cas));
            }
            bytes.extend(replies::marker(self.protocol, index as u32));
        }
        let connection = sequence.batches[flight.batches.start].connection;
        self.wires.entry(connection).or_insert_with(|| Ear {
            wire: Wire::connect(self.address).reset_on_close(),
            unread: Vec::new(),
        });
        let mut start = 0;
        for cut in flight.cuts.iter().chain([&1000]) {
            let end = bytes.len() * cut / 1000;
            if let Some(ear) = self.wires.get_mut(&connection) {
                // A server that has closed shows in what it said, not here.
                ear.wire.try_send(&bytes[start..end]);
            }
            start = end;
            if flight.is_slow {
                self.ask_for_nothing();
            }
        }
    }

    /// All that is said to the batch at `index`.
    fn hear(&mut self, batch: &Batch, index: usize) -> Outcome {
        let marker = replies::marker_reply(self.protocol, index as u32);
        let mut outcome = Outcome::default();
        let ear = self
            .wires
            .get_mut(&batch.connection)
            .expect("it was sent on");
        loop {
            if let Some(length) = replies::reply_length(self.protocol, &ear.unread) {
                let reply: Vec<u8> = ear.unread.drain(..length).collect();
                if reply == marker {
                    break;
                }
                if let Some(shown) = replies::shown_cas(self.protocol, batch, &reply)
                    && let Some(key) = shown.key
                {
                    self.cas.insert(key, shown.unique);
                }
                outcome.replies.push(reply);
                continue;
            }
            match ear.wire.some_within(self.patience) {
                Some(Some(bytes)) => ear.unread.extend(bytes),
                other => {
                    outcome.end = if other.is_some() {
                        End::Closed
                    } else {
                        End::Silent
                    };
                    if !ear.unread.is_empty() {
                        outcome.replies.push(std::mem::take(&mut ear.unread));
                    }
                    break;
                }
            }
        }
        outcome
    }

    fn forget(&mut self, connection: usize) {
        self.wires.remove(&connection);
    }
}

/// What is sent together. A flight is small enough for the buffers of the sockets: nobody waits for us to read.
fn flights(protocol: Protocol, sequence: &Sequence, delivery: Delivery) -> Vec<Flight> {
    const FLIGHT_BYTES_MAX: usize = 32 * 1024;
    let mut dice = Dice::new(sequence.seed);
    let mut flights: Vec<Flight> = Vec::new();
    let mut depth_left = 0;
    let mut bytes = 0;
    for (index, batch) in sequence.batches.iter().enumerate() {
        let batch_bytes: usize = batch
            .commands
            .iter()
            .map(|command| command.bytes(&HashMap::new()).len())
            .sum();
        bytes += batch_bytes;
        let connection_changes =
            index > 0 && sequence.batches[index - 1].connection != batch.connection;
        let needs_replies = batch
            .commands
            .iter()
            .any(|command| command.needs_replies() || known::stands_alone(protocol, command));
        if depth_left == 0 || connection_changes || needs_replies || bytes > FLIGHT_BYTES_MAX {
            depth_left = if delivery == Delivery::Plain {
                1
            } else {
                *dice.pick(&[1, 1, 2, 4, 8, 16])
            };
            bytes = batch_bytes;
            flights.push(Flight {
                batches: index..index,
                cuts: cuts(&mut dice, delivery),
                is_slow: dice.chance(300),
            });
        }
        if let Some(flight) = flights.last_mut() {
            flight.batches.end = index + 1;
        }
        depth_left -= 1;
    }
    flights
}

fn cuts(dice: &mut Dice, delivery: Delivery) -> Vec<usize> {
    let count = match (delivery, dice.below(20)) {
        (Delivery::Plain, _) | (_, 0..=13) => 0,
        (_, 14) => 50,
        _ => dice.between(1, 4),
    };
    let mut cuts: Vec<_> = (0..count).map(|_| dice.below(1000)).collect();
    cuts.sort_unstable();
    cuts
}
