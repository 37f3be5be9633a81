use super::*;
use crate::store::KeyHasher;

fn key(bytes: &[u8]) -> Key<'_> {
    KeyHasher::new(3).key(bytes)
}

fn delete(queue: &mut WriteQueue, name: &[u8], lsn: Option<u64>) {
    let pushed = queue.push(key(name), Operation::Delete, lsn.map(Lsn));
    assert_eq!(pushed, Ok(()));
}

fn set_to(value: &str) -> Operation<'_> {
    Operation::Set {
        flags: 7,
        exptime: 9,
        value: value.as_bytes(),
    }
}

fn set(queue: &mut WriteQueue, name: &[u8], value: &str, lsn: Option<u64>) {
    assert_eq!(queue.push(key(name), set_to(value), lsn.map(Lsn)), Ok(()));
}

fn told((key, operation): (&[u8], Operation<'_>)) -> String {
    let key = String::from_utf8_lossy(key);
    match operation {
        Operation::Delete => key.into_owned(),
        Operation::Set {
            flags: 7,
            exptime: 9,
            value,
        } => format!("{key}={}", String::from_utf8_lossy(value)),
        Operation::Set { .. } => panic!("flags and exptime stay"),
    }
}

fn send_all(queue: &mut WriteQueue) -> Vec<String> {
    let mut sent = Vec::new();
    while let Some(write) = queue.next_unsent() {
        sent.push(told(write));
    }
    sent
}

#[test]
fn unsent_keys_coalesce_and_sent_ones_do_not() {
    let mut queue = WriteQueue::default();
    for name in [&b"a"[..], b"b", b"a"] {
        delete(&mut queue, name, None);
    }
    assert_eq!(send_all(&mut queue), ["a", "b"]);
    delete(&mut queue, b"a", None);
    delete(&mut queue, b"a", None);
    assert_eq!(
        queue.len(),
        3,
        "a write after the delete was sent needs another"
    );
    assert_eq!(send_all(&mut queue), ["a"]);
    for _ in 0..2 {
        queue.confirm();
    }
    assert!(queue.contains(key(b"a")));
    assert!(!queue.contains(key(b"b")));
    queue.confirm();
    assert!(queue.is_empty());
    assert!(!queue.contains(key(b"a")));
}

#[test]
fn the_newest_value_of_a_key_is_sent_and_seen() {
    let mut queue = WriteQueue::default();
    set(&mut queue, b"a", "1", None);
    set(&mut queue, b"b", "1", None);
    set(&mut queue, b"a", "longer", None);
    assert_eq!(queue.get(key(b"a")), Some(set_to("longer")));
    assert_eq!(send_all(&mut queue), ["a=longer", "b=1"]);
    set(&mut queue, b"a", "3", None);
    delete(&mut queue, b"b", None);
    assert_eq!(queue.get(key(b"a")), Some(set_to("3")));
    assert_eq!(queue.get(key(b"b")), Some(Operation::Delete));
    queue.reset();
    assert_eq!(send_all(&mut queue), ["a=longer", "b=1", "a=3", "b"]);
    queue.reset();
    set(&mut queue, b"a", "4", None);
    assert_eq!(send_all(&mut queue), ["a=longer", "b=1", "a=4", "b"]);
    for _ in 0..4 {
        queue.confirm();
    }
    assert_eq!((queue.get(key(b"a")), queue.bytes), (None, 0));
    assert_eq!(queue.sent_bytes, 0);
}

#[test]
fn a_key_can_be_sent_ahead_of_its_turn() {
    let mut queue = WriteQueue::default();
    for number in 0..=SENT_COUNT_MAX as u32 {
        delete(&mut queue, &number.to_le_bytes(), None);
    }
    delete(&mut queue, b"behind", None);
    assert_eq!(send_all(&mut queue).len(), SENT_COUNT_MAX);
    let last = (SENT_COUNT_MAX as u32).to_le_bytes();
    assert!(queue.next_ahead(key(&7_u32.to_le_bytes())).is_none());
    assert_eq!(
        queue.next_ahead(key(&last)).map(|(key, _)| key.len()),
        Some(4)
    );
    assert!(queue.next_ahead(key(&last)).is_none());
    assert_eq!(queue.unsent_count(), 1, "what is behind it waits");
}

#[test]
fn a_flush_leaves_no_set() {
    let mut queue = WriteQueue::default();
    set(&mut queue, b"sent", "1", Some(3));
    set(&mut queue, b"twice", "1", Some(4));
    assert_eq!(send_all(&mut queue), ["sent=1", "twice=1"]);
    set(&mut queue, b"twice", "2", Some(5));
    set(&mut queue, b"unsent", "1", Some(6));
    delete(&mut queue, b"gone", Some(7));
    assert_eq!(queue.demote_all(), 4);
    for name in [&b"sent"[..], b"twice", b"unsent", b"gone"] {
        assert_eq!(queue.get(key(name)), Some(Operation::Delete));
    }
    assert_eq!(send_all(&mut queue), ["twice", "unsent", "gone", "sent"]);
    let confirmed: Vec<_> = (0..6).map(|_| queue.confirm()).collect();
    let expected = [None, None, Some(5), Some(6), Some(7), Some(3)];
    assert_eq!(confirmed, expected.map(|lsn| lsn.map(Lsn)));
    assert_eq!((queue.bytes, queue.len()), (0, 0));
}

#[test]
fn a_set_that_is_refused_becomes_a_delete() {
    let mut queue = WriteQueue::default();
    set(&mut queue, b"a", "1", Some(1));
    set(&mut queue, b"b", "1", Some(2));
    send_all(&mut queue);
    set(&mut queue, b"b", "2", Some(3));
    assert!(queue.is_set_first());
    assert_eq!(queue.refuse(), None, "its record waits for the delete");
    assert_eq!(queue.refuse(), Some(Lsn(2)), "there is a newer one");
    assert_eq!(queue.get(key(b"a")), Some(Operation::Delete));
    assert_eq!(send_all(&mut queue), ["b=2", "a"]);
    assert_eq!(
        (queue.confirm(), queue.confirm()),
        (Some(Lsn(3)), Some(Lsn(1)))
    );
    assert_eq!((queue.bytes, queue.len()), (0, 0));
}

#[test]
fn what_is_confirmed_is_the_newest_record_of_its_key() {
    let mut queue = WriteQueue::default();
    delete(&mut queue, b"a", Some(3));
    set(&mut queue, b"a", "5", Some(5));
    set(&mut queue, b"a", "4", Some(4));
    delete(&mut queue, b"b", None);
    assert_eq!(send_all(&mut queue), ["a=5", "b"]);
    set(&mut queue, b"a", "too late", Some(2));
    assert_eq!(send_all(&mut queue), [] as [&str; 0]);
    delete(&mut queue, b"a", Some(6));
    assert_eq!((queue.confirm(), queue.confirm()), (Some(Lsn(5)), None));
    send_all(&mut queue);
    assert_eq!(queue.confirm(), Some(Lsn(6)));
}

#[test]
fn a_lost_connection_sends_again_in_order() {
    let mut queue = WriteQueue::default();
    for name in [&b"a"[..], b"b", b"c"] {
        delete(&mut queue, name, None);
    }
    queue.next_unsent();
    queue.next_unsent();
    queue.confirm();
    assert_eq!(
        queue.reset(),
        8,
        "a late delete would take away what is newer"
    );
    assert_eq!(send_all(&mut queue), ["b", "c"]);
    set(&mut queue, b"d", &"v".repeat(160 << 10), None);
    assert_eq!(queue.reset(), 8, "the set was not in flight");
    send_all(&mut queue);
    assert_eq!(queue.reset(), 18, "8, and 10 times 16 KiB");
    assert_eq!(queue.reset(), 0, "nothing was in flight");
}

#[test]
fn is_full_at_its_limit_and_says_so() {
    let mut queue = WriteQueue::default();
    let push = |queue: &mut WriteQueue, name: &[u8]| queue.push(key(name), Operation::Delete, None);
    for number in 0..WRITE_COUNT_MAX as u32 {
        delete(&mut queue, &number.to_le_bytes(), None);
    }
    assert_eq!(push(&mut queue, b"more"), Err(QueueFull));
    delete(&mut queue, &7_u32.to_le_bytes(), None);
    queue.next_unsent();
    queue.confirm();
    delete(&mut queue, b"more", None);
    let long = vec![b'k'; WRITE_BYTES_MAX];
    assert_eq!(push(&mut queue, &long), Err(QueueFull));
    let value = "v".repeat(WRITE_BYTES_MAX - 4 * WRITE_COUNT_MAX);
    let fits = queue.push(key(b"more"), set_to(&value), None);
    assert_eq!(fits, Ok(()));
    let fits = queue.push(key(&7_u32.to_le_bytes()), set_to("v"), None);
    assert_eq!(fits, Err(QueueFull));
    let old = queue.get(key(&7_u32.to_le_bytes()));
    assert_eq!(old, Some(Operation::Delete), "it stays as it was");
}

#[test]
fn what_was_changed_behind_a_write_is_not_known() {
    let mut queue = WriteQueue::default();
    set(&mut queue, b"a", "1", None);
    send_all(&mut queue);
    queue.follow(key(b"a"), true);
    assert_eq!(queue.get(key(b"a")), None);
    assert!(queue.contains(key(b"a")));
    set(&mut queue, b"a", "2", None);
    assert_eq!(queue.get(key(b"a")), Some(set_to("2")));
    let mut queue = WriteQueue::default();
    set(&mut queue, b"a", "1", None);
    send_all(&mut queue);
    queue.follow(key(b"a"), true);
    queue.reset();
    assert_eq!(
        queue.get(key(b"a")),
        Some(set_to("1")),
        "it will be that again"
    );
}

#[test]
fn it_is_known_whether_something_was_sent_behind_the_oldest() {
    let mut queue = WriteQueue::default();
    set(&mut queue, b"a", "1", None);
    set(&mut queue, b"b", "1", None);
    send_all(&mut queue);
    queue.follow(key(b"b"), false);
    assert!(!queue.is_first_followed());
    queue.confirm();
    assert!(queue.is_first_followed());
    assert_eq!(
        queue.get(key(b"b")),
        Some(set_to("1")),
        "a read changes nothing"
    );
    queue.reset();
    assert!(!queue.is_first_followed());
}
