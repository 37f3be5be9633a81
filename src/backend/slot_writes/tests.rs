use super::*;
use crate::store::KeyHasher;

const A: usize = 0;
const B: usize = 1;
const NOW: UnixMs = UnixMs(1_000);

fn key(bytes: &[u8]) -> Key<'_> {
    KeyHasher::new(3).key(bytes)
}

fn set_to(value: &str) -> Operation<'_> {
    Operation::Set {
        flags: 7,
        exptime: 9,
        value: value.as_bytes(),
    }
}

fn set(writes: &mut SlotWrites, link: usize, name: &[u8], value: &str, lsn: Option<u64>) {
    let pushed = writes.push(link, key(name), set_to(value), lsn.map(Lsn));
    assert_eq!(pushed, Ok(()));
}

fn told((key, operation): (&[u8], Operation<'_>)) -> String {
    let key = String::from_utf8_lossy(key);
    match operation {
        Operation::Delete => key.into_owned(),
        Operation::Set { value, .. } => format!("{key}={}", String::from_utf8_lossy(value)),
    }
}

/// What goes over a link if it is all keys' own.
fn send_all(writes: &mut SlotWrites, link: usize) -> Vec<String> {
    send_where(writes, link, link)
}

/// The same while all keys belong to `home`.
fn send_where(writes: &mut SlotWrites, link: usize, home: usize) -> Vec<String> {
    let mut sent = Vec::new();
    while let Some(write) = writes.next_unsent(link, NOW, |_| home) {
        sent.push(told(write));
    }
    sent
}

#[test]
fn a_write_goes_to_whoever_has_its_slot_by_then() {
    let mut writes = SlotWrites::default();
    set(&mut writes, A, b"a", "1", None);
    set(&mut writes, A, b"b", "1", None);
    assert_eq!(send_where(&mut writes, A, B), [""; 0], "B has the slots");
    assert_eq!((writes.count_at(A), writes.count_at(B)), (0, 2));
    assert_eq!(send_all(&mut writes, B), ["a=1", "b=1"]);
    set(&mut writes, B, b"c", "1", None);
    writes.rehome(B, |_| A);
    assert_eq!(send_all(&mut writes, A), ["c=1"], "what is sent stays");
    writes.confirm(B);
    assert!(!writes.contains(key(b"a")) && writes.contains(key(b"b")));
    writes.confirm(B);
    writes.confirm(A);
    assert!(writes.is_empty());
    assert_eq!((writes.count_at(A), writes.count_at(B)), (0, 0));
}

#[test]
fn of_a_key_the_newest_is_sent_and_seen() {
    let mut writes = SlotWrites::default();
    set(&mut writes, A, b"k", "1", Some(1));
    set(&mut writes, A, b"k", "2", Some(2));
    assert_eq!(writes.get(key(b"k")), Some(set_to("2")));
    assert_eq!(send_all(&mut writes, A), ["k=2"]);
    set(&mut writes, A, b"k", "3", Some(4));
    set(&mut writes, A, b"k", "old", Some(3));
    assert_eq!(send_all(&mut writes, A), ["k=3"]);
    assert_eq!(writes.confirm(A), Some(Lsn(2)));
    assert_eq!(writes.get(key(b"k")), Some(set_to("3")));
    assert_eq!(writes.confirm(A), Some(Lsn(4)));
    assert_eq!(writes.get(key(b"k")), None);
}

#[test]
fn what_is_sent_on_is_confirmed_where_it_went() {
    let mut writes = SlotWrites::default();
    set(&mut writes, A, b"a", "1", Some(1));
    set(&mut writes, A, b"b", "1", Some(2));
    set(&mut writes, B, b"c", "1", Some(3));
    send_all(&mut writes, A);
    send_all(&mut writes, B);
    writes.send_on(A, B);
    assert_eq!(writes.confirm(A), Some(Lsn(2)));
    assert_eq!(writes.confirm(B), Some(Lsn(3)));
    assert_eq!(writes.confirm(B), Some(Lsn(1)));
    assert!(writes.is_empty());
}

#[test]
fn what_a_lost_connection_had_goes_again_once() {
    let mut writes = SlotWrites::default();
    set(&mut writes, A, b"k", "1", Some(1));
    set(&mut writes, A, b"a", "1", Some(2));
    send_all(&mut writes, A);
    set(&mut writes, A, b"k", "2", Some(3));
    send_all(&mut writes, A);
    let turns = writes.lose(A, |_| B);
    assert!(turns > 0, "it may do what it has received yet");
    assert_eq!(writes.lose(A, |_| B), 0);
    assert_eq!((writes.len(), writes.count_at(B)), (2, 2));
    assert_eq!(send_all(&mut writes, A), [""; 0]);
    assert_eq!(send_all(&mut writes, B), ["a=1", "k=2"]);
}

#[test]
fn what_followed_a_lost_write_does_not_go_on_without_it() {
    let k = key(b"k");
    for is_replaced in [false, true] {
        let mut writes = SlotWrites::default();
        set(&mut writes, A, b"k", "1", None);
        assert_eq!(writes.next_ahead(k, A).map(told), Some("k=1".into()));
        let moment = writes.follow(k, true).expect("it is on its way");
        let is_torn = |writes: &SlotWrites| writes.is_torn_since(k, moment);
        assert_eq!(writes.get(k), None, "the server knows");
        if is_replaced {
            set(&mut writes, A, b"k", "2", None);
            send_all(&mut writes, A);
        }
        writes.send_on(A, B);
        assert!(!is_torn(&writes));
        writes.lose(B, |_| A);
        assert!(is_torn(&writes), "it is lost");
        send_all(&mut writes, A);
        assert!(is_torn(&writes), "it comes later");
        let next = writes.follow(k, true).expect("it is on its way again");
        let relies = writes.is_torn_since(k, next);
        assert!(
            !relies,
            "what follows it now relies on nothing that is lost"
        );
        writes.confirm(A);
        assert!(!is_torn(&writes), "it is done");
    }
}

#[test]
fn a_value_that_is_refused_becomes_a_delete() {
    let mut writes = SlotWrites::default();
    set(&mut writes, A, b"k", "1", Some(1));
    send_all(&mut writes, A);
    assert!(writes.is_set_first(A));
    assert_eq!(writes.refuse(A, |_| A), None);
    assert_eq!(writes.get(key(b"k")), Some(Operation::Delete));
    assert_eq!(send_all(&mut writes, A), ["k"]);
    assert_eq!(writes.confirm(A), Some(Lsn(1)));
    set(&mut writes, A, b"k", "2", Some(2));
    send_all(&mut writes, A);
    set(&mut writes, A, b"k", "3", Some(3));
    assert_eq!(writes.refuse(A, |_| A), Some(Lsn(2)), "a newer one waits");
    assert_eq!(send_all(&mut writes, A), ["k=3"]);
    writes.confirm(A);
    let share = &writes.links[A];
    assert_eq!((share.count, share.bytes, share.sent_bytes), (0, 0, 0));
}

#[test]
fn a_flush_leaves_only_deletes() {
    let mut writes = SlotWrites::default();
    set(&mut writes, A, b"sent", "1", Some(1));
    send_all(&mut writes, A);
    set(&mut writes, A, b"unsent", "1", Some(2));
    assert_eq!(writes.demote_all(), 2);
    assert_eq!(writes.get(key(b"sent")), Some(Operation::Delete));
    assert_eq!(send_all(&mut writes, A), ["unsent", "sent"]);
    assert_eq!(writes.confirm(A), None, "its record is the delete's");
    assert_eq!(writes.confirm(A), Some(Lsn(2)));
    assert_eq!(writes.confirm(A), Some(Lsn(1)));
}

#[test]
fn a_link_that_is_stalled_sends_nothing_until_then() {
    let mut writes = SlotWrites::default();
    let until = UnixMs(NOW.0 + 5);
    writes.stall(A, until);
    writes.stall(B, UnixMs(until.0 + 5));
    assert_eq!(writes.stalled_until(), Some(until), "it may be used then");
    set(&mut writes, A, b"k", "1", None);
    assert_eq!(send_all(&mut writes, A), [""; 0]);
    writes.end_stalls(NOW);
    assert_eq!(writes.stalled_until(), Some(until));
    writes.end_stalls(until);
    assert_eq!(writes.stalled_until(), Some(UnixMs(until.0 + 5)));
    writes.end_stalls(UnixMs(until.0 + 5));
    assert_eq!(writes.stalled_until(), None);
    assert_eq!(send_all(&mut writes, A), ["k=1"]);
}

#[test]
fn a_link_holds_so_many_and_what_moves_there_always_fits() {
    let mut writes = SlotWrites::default();
    let name = |number: usize| format!("k{number}").into_bytes();
    for number in 0..WRITE_COUNT_MAX {
        set(&mut writes, A, &name(number), "", None);
    }
    let one_more = writes.push(A, key(b"more"), set_to(""), None);
    assert_eq!(one_more, Err(QueueFull));
    set(&mut writes, B, b"more", "", None);
    writes.rehome(B, |_| A);
    assert_eq!(writes.count_at(A), WRITE_COUNT_MAX + 1);
    set(&mut writes, A, b"more", "in its place", None);
    let large = vec![0; WRITE_BYTES_MAX + 1];
    let large = Operation::Set {
        flags: 0,
        exptime: 0,
        value: &large,
    };
    assert_eq!(writes.push(A, key(b"more"), large, None), Err(QueueFull));
    assert_eq!(writes.push(B, key(b"other"), large, None), Err(QueueFull));
}

#[test]
fn a_write_that_is_sent_out_of_turn_again_and_again_is_listed_once() {
    let mut writes = SlotWrites::default();
    set(&mut writes, A, b"k", "1", None);
    for _ in 0..10 {
        assert!(writes.next_ahead(key(b"k"), A).is_some());
        assert!(writes.next_ahead(key(b"k"), A).is_none());
        writes.take_back(A, |_| A);
    }
    assert_eq!(writes.links[A].unsent.len(), 1);
    assert_eq!(send_all(&mut writes, A), ["k=1"]);
}

#[test]
fn an_older_write_that_is_not_taken_is_over() {
    let mut writes = SlotWrites::default();
    set(&mut writes, A, b"k", "1", None);
    send_all(&mut writes, A);
    assert!(!writes.drop_if_older(A), "it is the newest");
    set(&mut writes, A, b"k", "2", None);
    send_all(&mut writes, A);
    assert!(writes.drop_if_older(A));
    assert!(!writes.drop_if_older(A));
    writes.follow(key(b"k"), true);
    set(&mut writes, A, b"k", "3", None);
    assert!(!writes.drop_if_older(A), "something came between");
    assert_eq!(writes.len(), 2);
}

#[test]
fn what_came_with_a_slot_beyond_the_limit_may_still_shrink() {
    let mut writes = SlotWrites::default();
    let large = "x".repeat(WRITE_BYTES_MAX - 1_000);
    set(&mut writes, A, b"a", &large, None);
    set(&mut writes, B, b"b", &large, None);
    writes.rehome(A, |_| B);
    assert_eq!(writes.push(B, key(b"c"), set_to("1"), None), Err(QueueFull));
    let larger = "x".repeat(WRITE_BYTES_MAX);
    assert_eq!(
        writes.push(B, key(b"b"), set_to(&larger), None),
        Err(QueueFull)
    );
    set(&mut writes, B, b"b", "1", None);
    assert_eq!(writes.push(B, key(b"a"), Operation::Delete, None), Ok(()));
    set(&mut writes, B, b"c", "1", None);
    assert_eq!(send_all(&mut writes, B).len(), 3);
}

/// A slot went to B and came back: what A has done meanwhile is newer than what B did not take.
#[test]
fn what_is_outdone_does_not_go_again() {
    for is_lost in [false, true] {
        let mut writes = SlotWrites::default();
        set(&mut writes, B, b"a", "1", Some(1));
        assert_eq!(send_all(&mut writes, B), ["a=1"]);
        set(&mut writes, A, b"a", "2", Some(2));
        assert_eq!(send_all(&mut writes, A), ["a=2"]);
        assert_eq!(writes.confirm(A), Some(Lsn(2)));
        if is_lost {
            writes.lose(B, |_| A);
        } else {
            assert!(writes.drop_if_older(B));
        }
        assert!(writes.is_empty(), "lost: {is_lost}");
        assert_eq!(send_all(&mut writes, A), [""; 0]);
    }
}
