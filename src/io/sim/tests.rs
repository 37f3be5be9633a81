//! The fake keeps the ring's rules.

use bytes::BytesMut;

use super::*;
use crate::io::{Completion, Io, Room, Token, Wait};

const ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 11_211);

/// Answers each byte with itself.
struct Echo;

impl SimServer for Echo {
    fn received(&mut self, _: usize, bytes: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(bytes);
    }

    fn closed(&mut self, _: usize) {}
}

/// Polls once; received bytes are read and released.
fn poll(io: &mut SimIo) -> Vec<String> {
    let mut completions = Vec::new();
    io.turn(Wait::Poll, &mut completions).unwrap();
    completions
        .into_iter()
        .map(|completion| match completion {
            Completion::Received { buffer, .. } => {
                let text = String::from_utf8(io.bytes(&buffer).to_vec()).unwrap();
                io.release(buffer);
                text
            }
            Completion::Accepted { .. } => "accepted".into(),
            Completion::AcceptFailed { .. } => "accept failed".into(),
            Completion::Connected { result, .. } => format!("connected {}", result.is_ok()),
            Completion::Ended { errno, .. } => format!("ended {}", errno.is_none()),
            Completion::Sent { result, .. } => format!("sent {}", result.is_ok()),
            Completion::Paused { .. } => "paused".into(),
            Completion::Filled { room, count, .. } => {
                let Room::Input(input) = room else {
                    panic!("a buffer was given")
                };
                let text = String::from_utf8(input.to_vec()).unwrap();
                format!("filled {text} {count}")
            }
            Completion::Woken => "woken".into(),
        })
        .collect()
}

/// A world with one shard and one client that it has accepted.
fn accepted(seed: u64) -> (SimWorld, SimIo, ClientId, Token) {
    let world = SimWorld::new(seed, 1);
    let mut io = world.io(0);
    let client = world.connect(0, ListenerId::Memcache);
    let mut completions = Vec::new();
    io.turn(Wait::Poll, &mut completions).unwrap();
    assert!(completions.is_empty(), "not asked for yet");
    io.accept(ListenerId::Memcache);
    while completions.is_empty() {
        io.turn(Wait::Poll, &mut completions).unwrap();
    }
    let Some(Completion::Accepted { token, .. }) = completions.pop() else {
        panic!("accepted");
    };
    (world, io, client, token)
}

#[test]
fn bytes_keep_their_order_however_they_are_cut() {
    let run = |seed| {
        let (world, mut io, client, token) = accepted(seed);
        world.set_faults(Faults::NETWORK);
        let text: String = (0..30_000).map(|number| format!("{number} ")).collect();
        world.send(client, text.as_bytes());
        world.finish(client);
        assert_eq!(poll(&mut io), [""; 0], "not before it is asked for");
        io.recv(token);
        let mut pieces = Vec::new();
        while pieces.last().is_none_or(|last| last != "ended true") {
            pieces.extend(poll(&mut io));
        }
        pieces.pop();
        assert!(pieces.len() > 2);
        assert_eq!(pieces.concat(), text);
        assert_eq!(world.buffers_out(0), 0);
        pieces
    };
    assert_eq!(run(1), run(1), "a seed makes the same run");
    assert_ne!(run(1), run(2));
}

#[test]
fn nothing_is_heard_of_a_closed_socket() {
    let (world, mut io, client, token) = accepted(3);
    io.recv(token);
    world.send(client, b"hello");
    io.send(token, b"bye".to_vec().into());
    io.close(token);
    assert_eq!(poll(&mut io), [""; 0]);
    assert!(world.is_closed(client));
    assert_eq!(world.open_sockets(0), 0);
}

#[test]
fn a_pause_stops_what_comes_later() {
    let mut outrun_count = 0;
    for seed in 0..20 {
        let (world, mut io, client, token) = accepted(seed);
        io.recv(token);
        world.send(client, b"a");
        io.recv_pause(token);
        let mut outrun = poll(&mut io);
        assert_eq!(outrun.pop().as_deref(), Some("paused"));
        assert!(outrun.is_empty() || outrun == ["a"]);
        outrun_count += outrun.len();
        world.send(client, b"b");
        assert_eq!(poll(&mut io), [""; 0]);
        io.recv(token);
        let rest = if outrun.is_empty() { "ab" } else { "b" };
        assert_eq!(poll(&mut io), [rest]);
    }
    assert!((1..20).contains(&outrun_count));
}

#[test]
fn a_receive_of_one_brings_one() {
    let (world, mut io, client, token) = accepted(5);
    world.send(client, b"a");
    io.recv_once(token);
    assert_eq!(poll(&mut io), ["a"]);
    world.send(client, b"b");
    assert_eq!(poll(&mut io), [""; 0]);
    world.finish(client);
    io.recv_once(token);
    assert_eq!(poll(&mut io), ["b"]);
    io.recv_once(token);
    assert_eq!(poll(&mut io), ["ended true"]);
}

/// Room for what is to come behind what has.
fn input(text: &str, room: usize) -> BytesMut {
    let mut input = BytesMut::with_capacity(text.len() + room);
    input.extend_from_slice(text.as_bytes());
    input
}

#[test]
fn a_buffer_is_given_back_when_it_is_full() {
    for seed in 0..20 {
        let (world, mut io, client, token) = accepted(seed);
        world.set_faults(Faults::NETWORK);
        io.recv_into(token, input("head ", 7).into(), 7);
        world.send(client, b"bod");
        let early = poll(&mut io);
        assert_eq!(early, [""; 0]);
        world.send(client, b"y endnext");
        let mut filled = Vec::new();
        while filled.is_empty() {
            filled = poll(&mut io);
        }
        assert_eq!(filled, ["filled head body en 7"]);
    }
}

#[test]
fn a_buffer_is_given_back_at_the_end_or_when_it_is_wanted() {
    let mut kinds = [0; 3];
    for seed in 0..60 {
        let (world, mut io, client, token) = accepted(seed);
        io.recv_into(token, input("", 9).into(), 9);
        world.send(client, b"abc");
        if seed % 2 == 0 {
            world.finish(client);
            assert_eq!(poll(&mut io), ["filled abc 3"]);
            io.recv_into(token, input("abc", 6).into(), 6);
            assert_eq!(poll(&mut io), ["filled abc 0", "ended true"]);
            kinds[0] += 1;
            continue;
        }
        io.recv_pause(token);
        let stopped = poll(&mut io);
        let kind = match &stopped[0][..] {
            "filled  0" => 1,
            "filled abc 3" => 2,
            other => panic!("{other}"),
        };
        kinds[kind] += 1;
        assert_eq!(stopped[1..], ["paused"]);
        io.recv(token);
        let rest = poll(&mut io);
        assert_eq!(rest.concat(), if kind == 1 { "abc" } else { "" });
    }
    assert!(kinds.iter().all(|count| *count > 0), "{kinds:?}");
}

#[test]
fn a_client_that_does_not_read_stops_a_send() {
    let (world, mut io, client, token) = accepted(4);
    world.set_window(client, 2);
    io.send(token, b"abcd".to_vec().into());
    assert_eq!(poll(&mut io), [""; 0]);
    assert_eq!(world.take_received(client), b"ab");
    assert!(!world.is_ready(0) || poll(&mut io).is_empty());
    world.set_window(client, usize::MAX);
    assert_eq!(poll(&mut io), ["sent true"]);
    assert_eq!(world.take_received(client), b"cd");
}

#[test]
fn a_turn_that_would_block_says_so_until_something_happens() {
    let (world, mut io, _, _) = accepted(5);
    let mut completions = Vec::new();
    let mut would_block = |io: &mut SimIo, wait| {
        let result = io.turn(wait, &mut completions);
        result.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    };
    assert!(would_block(&mut io, Wait::Forever));
    assert!(!world.is_ready(0));
    assert_eq!(world.next_alarm(), None);
    world.wake(0);
    assert!(world.is_ready(0));
    assert!(!would_block(&mut io, Wait::Forever));
    let patience = Wait::Until(UnixMs(world.now().0 + 7));
    assert!(would_block(&mut io, patience));
    assert_eq!(world.next_alarm(), Some(UnixMs(world.now().0 + 7)));
    world.advance(6);
    assert!(!world.is_ready(0) && would_block(&mut io, patience));
    world.advance(1);
    assert!(world.is_ready(0));
    assert!(!would_block(&mut io, patience));
}

#[test]
fn servers_answer_hang_refuse_and_break() {
    let world = SimWorld::new(6, 1);
    let mut io = world.io(0);
    world.serve(ADDRESS, Rc::new(RefCell::new(Echo)));
    let token = io.connect(&ADDRESS.into()).unwrap();
    assert_eq!(poll(&mut io), ["connected true"]);
    io.recv(token);
    io.send(token, b"hi".to_vec().into());
    assert_eq!(poll(&mut io), ["sent true"]);
    assert!(world.is_busy());
    world.hold_answers(ADDRESS, 0, true);
    world.step();
    assert_eq!(poll(&mut io), [""; 0]);
    world.hold_answers(ADDRESS, 0, false);
    assert_eq!(poll(&mut io), ["hi"]);
    world.set_server(ADDRESS, ServerState::Hanging);
    io.send(token, b"hi".to_vec().into());
    assert_eq!(poll(&mut io), ["sent true"]);
    world.step();
    assert!(!world.is_busy());
    assert_eq!(poll(&mut io), [""; 0]);
    world.break_connections(ADDRESS);
    assert_eq!(poll(&mut io), ["ended false"]);
    world.set_server(ADDRESS, ServerState::Unreachable);
    io.connect(&ADDRESS.into()).unwrap();
    assert_eq!(poll(&mut io), [""; 0]);
    world.set_server(ADDRESS, ServerState::Refusing);
    assert_eq!(poll(&mut io), ["connected false"]);
}

#[test]
fn accepting_fails_until_it_is_asked_for_again() {
    let (world, mut io, _, _) = accepted(7);
    world.connect(0, ListenerId::Memcache);
    world.set_faults(Faults {
        accept_failure: 1_000,
        ..Faults::NONE
    });
    assert_eq!(poll(&mut io), ["accept failed"]);
    world.set_faults(Faults::NONE);
    assert_eq!(poll(&mut io), [""; 0]);
    io.accept(ListenerId::Memcache);
    assert_eq!(poll(&mut io), ["accepted"]);
    io.accept_stop(ListenerId::Memcache);
    let late = world.connect(0, ListenerId::Memcache);
    assert!(world.is_closed(late));
}
