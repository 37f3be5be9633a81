//! A link driven by hand: each test says what happens and hears what is wanted.

use super::*;
use crate::{
    backend::{Expects, OnLoss, REPEATS_MAX, Terms},
    config::{Protocol, Secret},
    store::KeyHasher,
};

const SILENCE_MS: u64 = 1_000;

/// A link, the time, and what came of both.
struct Bench {
    link: Link<u32>,
    now: UnixMs,
}

impl Bench {
    fn new(protocol: Protocol, access: &Access, hold_ms: Option<u64>) -> Self {
        let now = UnixMs(1_000_000);
        let settings = LinkSettings {
            protocol,
            greeting: Greeting::new(protocol, access),
            hasher: KeyHasher::new(1),
            value_bytes_max: 100,
            silence_ms: SILENCE_MS,
            heartbeat_ms: HEARTBEAT_MS,
            hold_ms,
            seed: 7,
        };
        Self {
            link: Link::new(settings, now),
            now,
        }
    }

    fn resp() -> Self {
        Self::new(Protocol::Resp, &Access::default(), Some(HOLD_MS))
    }

    /// One that has been up for long.
    fn serving(protocol: Protocol) -> Self {
        let mut bench = Self::new(protocol, &Access::default(), Some(HOLD_MS));
        bench.come_up();
        bench.now.0 += 2 * RECONNECT_MS_MAX;
        bench
    }

    fn come_up(&mut self) {
        assert_eq!(self.effects(), ["connect"]);
        self.link.handle_connected(self.now);
        let (asked, answer) = match self.link.settings.protocol {
            Protocol::Resp => ("send *1 $4 PING", "+PONG\r\n"),
            Protocol::Memcache => ("send version", "VERSION 1.6.18\r\n"),
        };
        assert_eq!(self.effects(), [asked]);
        assert_eq!(self.hear(answer), ["unheard"]);
        assert!(self.link.is_serving());
    }

    fn ask(&mut self, tag: u32, on_loss: OnLoss) {
        assert!(self.link.takes_requests(self.now));
        let terms = Terms {
            on_loss,
            patience_ms: 700,
        };
        let line = format!("r{tag}\r\n");
        let pipeline = self.link.pipeline();
        pipeline
            .push(tag, Expects::Line, terms, self.now)
            .extend_from_slice(line.as_bytes());
    }

    /// What is wanted now; what is to be sent is sent.
    fn effects(&mut self) -> Vec<String> {
        let mut effects = Vec::new();
        while let Some(effect) = self.link.poll_effect(self.now, Vec::new) {
            effects.push(match effect {
                Effect::Connect => "connect".to_owned(),
                Effect::Close => "close".to_owned(),
                Effect::Send(bytes) => {
                    let text = String::from_utf8(bytes.clone()).unwrap();
                    self.link.handle_sent(bytes);
                    format!("send {}", text.trim_end().replace("\r\n", " "))
                }
            });
        }
        effects
    }

    fn hear(&mut self, wire: &str) -> Vec<String> {
        self.link.handle_heard(self.now);
        let mut bytes = wire.as_bytes();
        let mut heard = Vec::new();
        while !bytes.is_empty() {
            let (what, consumed) = match self.link.receive(bytes, self.now) {
                Received::Complete { tag, consumed, .. } => (tag.to_string(), consumed),
                Received::Unheard { consumed } => ("unheard".to_owned(), consumed),
                Received::Skipped { consumed } => ("skipped".to_owned(), consumed),
                Received::Push { consumed, .. } => ("push".to_owned(), consumed),
                Received::Incomplete { .. } => ("incomplete".to_owned(), bytes.len()),
                Received::Broken => ("broken".to_owned(), bytes.len()),
            };
            heard.push(what);
            bytes = &bytes[consumed..];
        }
        heard
    }

    fn failed(&mut self) -> Vec<(u32, Failure)> {
        std::iter::from_fn(|| self.link.poll_failed()).collect()
    }

    /// Lets time pass to when the link wants to be looked at, and does that.
    fn sleep(&mut self) -> Option<GaveUp> {
        self.now = self.link.poll_timeout().unwrap().max(self.now);
        self.link.handle_timeout(self.now, |_| None)
    }

    fn pass(&mut self, ms: u64) -> Option<GaveUp> {
        self.now.0 += ms;
        self.link.handle_timeout(self.now, |_| None)
    }
}

#[test]
fn requests_wait_for_the_greeting_and_go_out_behind_it() {
    let mut bench = Bench::resp();
    bench.ask(1, OnLoss::Fail);
    assert_eq!(bench.effects(), ["connect"]);
    bench.link.handle_connected(bench.now);
    assert_eq!(bench.effects(), ["send *1 $4 PING"]);
    assert_eq!(bench.hear("+PO"), ["incomplete"]);
    bench.ask(2, OnLoss::Fail);
    assert_eq!(bench.effects(), [""; 0]);
    assert_eq!(bench.hear(">1\r\n+hi\r\n+PONG\r\n"), ["push", "unheard"]);
    assert_eq!(bench.effects(), ["send r1 r2"]);
    assert_eq!(bench.hear(":1\r\n:2\r\n"), ["1", "2"]);
}

#[test]
fn a_server_that_takes_connections_and_says_nothing_is_down() {
    let mut bench = Bench::resp();
    bench.ask(1, OnLoss::Fail);
    bench.effects();
    bench.link.handle_connected(bench.now);
    bench.effects();
    assert_eq!(bench.pass(HOLD_MS), None);
    assert_eq!(bench.failed(), [(1, Failure::Unsent)]);
    assert!(!bench.link.takes_requests(bench.now));
    assert_eq!(bench.sleep(), Some(GaveUp::Greeting));
    assert_eq!(bench.effects(), ["close"]);
    // From now on nobody waits for it, while it is being tried.
    for _ in 0..5 {
        assert_eq!(bench.sleep(), None);
        assert_eq!(bench.effects(), ["connect"]);
        bench.link.handle_connected(bench.now);
        bench.effects();
        assert!(!bench.link.takes_requests(bench.now));
        assert_eq!(bench.sleep(), Some(GaveUp::Greeting));
        assert_eq!(bench.effects(), ["close"]);
    }
    assert_eq!(bench.link.failure_count(), 6);
    assert_eq!(bench.sleep(), None);
    bench.come_up();
    assert!(bench.link.takes_requests(bench.now));
}

#[test]
fn a_connect_that_does_not_end_is_given_up() {
    let mut bench = Bench::resp();
    assert_eq!(bench.effects(), ["connect"]);
    let begin = bench.now;
    assert_eq!(bench.sleep(), Some(GaveUp::Connect));
    assert_eq!(bench.now.0 - begin.0, SILENCE_MS);
    assert_eq!(bench.effects(), ["close"]);
}

#[test]
fn a_connection_that_was_fine_is_made_again_at_once_and_nothing_fails_in_between() {
    let mut bench = Bench::serving(Protocol::Resp);
    bench.ask(1, OnLoss::Repeat);
    bench.ask(2, OnLoss::Fail);
    assert_eq!(bench.effects(), ["send r1 r2"]);
    bench.ask(3, OnLoss::Fail);
    bench.link.handle_lost(bench.now);
    assert_eq!(bench.failed(), [(2, Failure::Lost)]);
    assert_eq!(bench.effects(), ["close", "connect"]);
    bench.ask(4, OnLoss::Fail);
    bench.link.handle_connected(bench.now);
    assert_eq!(bench.effects(), ["send *1 $4 PING"]);
    assert_eq!(bench.hear("+PONG\r\n"), ["unheard"]);
    assert_eq!(bench.effects(), ["send r1 r3 r4"]);
    assert_eq!(bench.hear(":1\r\n:3\r\n:4\r\n"), ["1", "3", "4"]);
}

#[test]
fn when_the_second_connect_fails_the_server_is_down_for_all() {
    let mut bench = Bench::serving(Protocol::Resp);
    bench.ask(1, OnLoss::Repeat);
    bench.effects();
    bench.ask(2, OnLoss::Fail);
    bench.link.handle_lost(bench.now);
    assert_eq!(bench.effects(), ["close", "connect"]);
    bench.link.handle_lost(bench.now);
    let failed = [(1, Failure::Lost), (2, Failure::Unsent)];
    assert_eq!(bench.failed(), failed);
    assert_eq!(bench.effects(), ["close"]);
    assert!(!bench.link.takes_requests(bench.now));
}

#[test]
fn what_waits_for_a_name_waits_as_for_a_connect() {
    let mut bench = Bench::resp();
    assert_eq!(bench.effects(), ["connect"]);
    bench.ask(1, OnLoss::Fail);
    let mut looked_up = 0;
    while bench.link.postpone(bench.now) {
        looked_up += 1;
        assert_eq!(bench.failed(), []);
        bench.sleep();
        if bench.link.takes_requests(bench.now) {
            assert_eq!(bench.effects(), ["connect"]);
        }
    }
    assert!(looked_up > 3, "{looked_up}");
    assert_eq!(bench.failed(), [(1, Failure::Unsent)]);
    bench.effects();
    bench.link.handle_lost(bench.now);
    assert!(!bench.link.takes_requests(bench.now));
}

#[test]
fn without_a_limit_requests_are_held_until_their_deadlines() {
    let mut bench = Bench::new(Protocol::Resp, &Access::default(), None);
    bench.come_up();
    bench.ask(1, OnLoss::Repeat);
    assert_eq!(bench.effects(), ["send r1"]);
    for _ in 0..REPEATS_MAX {
        bench.link.handle_lost(bench.now);
        bench.effects();
        bench.link.handle_lost(bench.now);
        assert_eq!(bench.failed(), []);
    }
    bench.ask(2, OnLoss::Fail);
    while bench.link.in_flight() > 0 {
        bench.sleep();
        bench.effects();
        bench.link.handle_lost(bench.now);
    }
    let failed = [(1, Failure::Lost), (2, Failure::Unsent)];
    assert_eq!(bench.failed(), failed);
    assert!(bench.link.takes_requests(bench.now));
}

#[test]
fn one_late_reply_costs_one_request_and_silence_the_connection() {
    let mut bench = Bench::serving(Protocol::Resp);
    bench.ask(1, OnLoss::Fail);
    bench.effects();
    bench.pass(600);
    bench.ask(2, OnLoss::Fail);
    bench.effects();
    assert_eq!(bench.pass(100), None);
    assert_eq!(bench.failed(), [(1, Failure::Late)]);
    assert_eq!(bench.hear(":1\r\n:2\r\n"), ["unheard", "2"]);
    bench.ask(3, OnLoss::Fail);
    bench.effects();
    assert_eq!(bench.sleep(), None);
    assert_eq!(bench.failed(), [(3, Failure::Late)]);
    bench.ask(4, OnLoss::Fail);
    assert_eq!(bench.effects(), ["send r4"]);
    // Bytes of a long reply are no silence.
    bench.hear("$50\r\n");
    assert_eq!(bench.pass(699), None);
    assert_eq!(bench.sleep(), None, "only the deadline");
    assert_eq!(bench.sleep(), Some(GaveUp::Silence));
    assert_eq!(bench.failed(), [(4, Failure::Late)]);
    assert_eq!(bench.effects(), ["close"]);
    assert!(!bench.link.takes_requests(bench.now));
}

#[test]
fn who_says_nothing_for_long_is_asked_whether_it_is_there() {
    for (protocol, question, answer) in [
        (Protocol::Resp, "send *1 $4 PING", "+PONG\r\n"),
        (Protocol::Memcache, "send version", "VERSION 1.6.18\r\n"),
    ] {
        let mut bench = Bench::serving(protocol);
        bench.hear("");
        let begin = bench.now;
        assert_eq!(bench.sleep(), None);
        assert_eq!(bench.now.0 - begin.0, HEARTBEAT_MS);
        assert_eq!(bench.effects(), [question]);
        assert_eq!(bench.hear(answer), ["unheard"]);
        assert_eq!(bench.sleep(), None);
        assert_eq!(bench.effects(), [question]);
        assert_eq!(bench.sleep(), Some(GaveUp::Silence));
        assert_eq!(bench.effects(), ["close"]);
    }
}

#[test]
fn a_refused_greeting_is_told_and_tried_again_slowly() {
    let access = Access {
        password: Some(Secret::new("wrong")),
        ..Access::default()
    };
    let mut bench = Bench::new(Protocol::Resp, &access, Some(HOLD_MS));
    let begin = bench.now;
    for round in 1..=10 {
        assert_eq!(bench.effects(), ["connect"]);
        bench.link.handle_connected(bench.now);
        assert_eq!(bench.effects(), ["send *2 $4 AUTH $5 wrong *1 $4 PING"]);
        let answer = "-WRONGPASS no\r\n-NOAUTH no\r\n";
        assert_eq!(bench.hear(answer), ["broken"]);
        bench.link.give_up(bench.now);
        let refusal = Some("AUTH was answered: WRONGPASS no");
        assert_eq!(bench.link.refusal(), refusal);
        assert_eq!(bench.link.failure_count(), round);
        assert_eq!(bench.effects(), ["close"]);
        assert!(!bench.link.takes_requests(bench.now));
        bench.sleep();
    }
    assert!(bench.now.0 - begin.0 > 3_000, "ten tries take seconds");
    bench.effects();
    bench.link.handle_connected(bench.now);
    bench.effects();
    bench.hear("+OK\r\n+PONG\r\n");
    assert!(bench.link.is_serving());
    assert_eq!(bench.link.refusal(), None);
}

#[test]
fn a_drain_finishes_what_is_in_flight_and_then_closes() {
    let mut bench = Bench::serving(Protocol::Resp);
    bench.ask(1, OnLoss::Fail);
    bench.effects();
    bench.ask(2, OnLoss::Fail);
    bench.link.drain();
    assert!(!bench.link.takes_requests(bench.now));
    assert_eq!(bench.effects(), ["send r2"]);
    assert_eq!(bench.hear(":1\r\n"), ["1"]);
    assert_eq!(bench.effects(), [""; 0]);
    assert!(!bench.link.is_closed());
    assert_eq!(bench.hear(":2\r\n"), ["2"]);
    assert_eq!(bench.effects(), ["close"]);
    assert!(bench.link.is_closed());
    assert_eq!(bench.link.poll_timeout(), None);
    assert_eq!(bench.effects(), [""; 0]);
}

#[test]
fn a_drain_with_nothing_to_finish_closes_whatever_there_is() {
    let mut bench = Bench::resp();
    bench.link.drain();
    assert_eq!(bench.effects(), [""; 0]);
    assert!(bench.link.is_closed());
    let mut bench = Bench::resp();
    assert_eq!(bench.effects(), ["connect"]);
    bench.link.drain();
    assert_eq!(bench.effects(), ["close"]);
    assert!(bench.link.is_closed());
}

#[test]
fn what_a_server_says_before_it_is_asked_is_not_listened_to() {
    let mut bench = Bench::resp();
    bench.effects();
    bench.link.handle_connected(bench.now);
    assert_eq!(bench.hear("-DENIED protected mode\r\n"), ["broken"]);
    bench.link.handle_lost(bench.now);
    assert_eq!(bench.effects(), ["close"]);
}

#[test]
fn a_memcached_is_known_by_its_version() {
    let mut bench = Bench::new(Protocol::Memcache, &Access::default(), Some(HOLD_MS));
    assert!(!bench.link.knew_meta());
    bench.come_up();
    assert!(bench.link.knew_meta());
    bench.link.handle_lost(bench.now);
    assert!(bench.link.knew_meta(), "it is likely to be the same again");
}
