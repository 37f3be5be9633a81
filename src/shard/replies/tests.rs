//! Replies come out in the order of their requests.

use super::*;

fn output(replies: &mut Replies) -> String {
    String::from_utf8(replies.take_output().bytes).unwrap()
}

#[test]
fn replies_leave_in_the_order_of_requests() {
    let mut buffers = BufferPool::new(1 << 30);
    let mut replies = Replies::default();
    replies.ready(&mut buffers).extend_from_slice(b"1 ");
    let second = replies.defer(Form::Verbatim, Covers::Nothing, 1);
    replies.ready(&mut buffers).extend_from_slice(b"3 ");
    let fourth = replies.defer(Form::Verbatim, Covers::Nothing, 1);
    replies.ready(&mut buffers).extend_from_slice(b"5 ");
    assert_eq!(output(&mut replies), "1 ");
    replies.resolve(fourth, Part::Bytes(b"4 "), &mut buffers);
    assert!(!replies.has_output());
    replies.resolve(second, Part::Bytes(b"2 "), &mut buffers);
    assert_eq!(output(&mut replies), "2 3 4 5 ");
    assert_eq!(replies.pending_count(), 0);
    replies.ready(&mut buffers).extend_from_slice(b"6");
    assert_eq!(output(&mut replies), "6");
}

#[test]
fn what_is_put_behind_a_reply_comes_before_all_later_ones() {
    let mut buffers = BufferPool::new(1 << 30);
    let mut replies = Replies::default();
    let first = replies.defer(Form::Verbatim, Covers::Nothing, 1);
    replies.insert_behind(first, b"a ", &mut buffers);
    let second = replies.defer(Form::Verbatim, Covers::Nothing, 1);
    replies.ready(&mut buffers).extend_from_slice(b"3 ");
    let fourth = replies.defer(Form::Verbatim, Covers::Nothing, 1);
    replies.ready(&mut buffers).extend_from_slice(b"5 ");
    replies.insert_behind(second, b"push ", &mut buffers);
    replies.insert_behind(first, b"b ", &mut buffers);
    for (seq, bytes) in [(fourth, b"4 "), (second, b"2 "), (first, b"1 ")] {
        replies.resolve(seq, Part::Bytes(bytes), &mut buffers);
    }
    replies.insert_behind(first, b"late", &mut buffers);
    assert_eq!(output(&mut replies), "1 a b 2 push 3 4 5 late");
}

#[test]
fn a_sum_waits_for_all_its_parts() {
    let mut buffers = BufferPool::new(1 << 30);
    let mut replies = Replies::default();
    let sum = replies.defer(Form::RespSum, Covers::Nothing, 3);
    for count in [1, 0, 1] {
        assert!(!replies.has_output());
        replies.resolve(sum, Part::Add(count), &mut buffers);
    }
    assert_eq!(output(&mut replies), ":2\r\n");
}

#[test]
fn what_is_dropped_is_not_sent_and_leaves_the_rest_in_order() {
    for pending_before in [false, true] {
        let mut buffers = BufferPool::new(1 << 30);
        let mut replies = Replies::default();
        replies.ready(&mut buffers).extend_from_slice(b"1 ");
        let second = pending_before.then(|| replies.defer(Form::Verbatim, Covers::Nothing, 1));
        let mark = replies.mark();
        replies.ready(&mut buffers).extend_from_slice(b"dropped ");
        let late = replies.defer(Form::Verbatim, Covers::Nothing, 1);
        replies
            .ready(&mut buffers)
            .extend_from_slice(b"dropped, too ");
        let sum = replies.defer(Form::RespSum, Covers::Nothing, 2);
        replies.drop_since(mark);
        replies.ready(&mut buffers).extend_from_slice(b"3 ");
        replies.resolve(sum, Part::Add(1), &mut buffers);
        replies.resolve(late, Part::Bytes(b"dropped "), &mut buffers);
        replies.resolve(sum, Part::Failure(b"-ERR dropped\r\n"), &mut buffers);
        if let Some(second) = second {
            assert_eq!(output(&mut replies), "1 ");
            replies.resolve(second, Part::Bytes(b"2 "), &mut buffers);
            assert_eq!(output(&mut replies), "2 3 ");
        } else {
            assert_eq!(output(&mut replies), "1 3 ");
        }
        assert_eq!(replies.pending_count(), 0);
    }
}

#[test]
fn a_failed_part_silences_the_rest_of_its_group() {
    let mut buffers = BufferPool::new(1 << 30);
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let mut replies = Replies::default();
        let parts = [0; 3].map(|_| replies.defer(Form::Part, Covers::Nothing, 1));
        let end = replies.defer(Form::GroupEnd, Covers::Nothing, 1);
        replies.resolve(end, Part::Bytes(b"END"), &mut buffers);
        let next = replies.defer(Form::Verbatim, Covers::Nothing, 1);
        replies.resolve(next, Part::Bytes(b"|next"), &mut buffers);
        for number in order {
            let part = match number {
                1 => Part::Failure(b"ERROR"),
                _ => Part::Bytes(b"value "),
            };
            replies.resolve(parts[number], part, &mut buffers);
        }
        assert_eq!(output(&mut replies), "value ERROR|next", "{order:?}");
    }
}

#[test]
fn a_failure_spoils_a_sum() {
    let mut buffers = BufferPool::new(1 << 30);
    let mut replies = Replies::default();
    let sum = replies.defer(Form::RespSum, Covers::Nothing, 2);
    replies.resolve(sum, Part::Failure(b"-ERR gone\r\n"), &mut buffers);
    replies.resolve(sum, Part::Add(1), &mut buffers);
    assert_eq!(output(&mut replies), "-ERR gone\r\n");
    let sum = replies.defer(Form::RespSum, Covers::Nothing, 2);
    replies.resolve(sum, Part::Failure(b"-ERR gone\r\n"), &mut buffers);
    // Once it has failed, its form does not add up any more and gets what it gets as bytes.
    replies.resolve(sum, Part::Bytes(b":1\r\n"), &mut buffers);
    assert_eq!(output(&mut replies), "-ERR gone\r\n");
}

#[test]
fn pending_keys_are_known_until_resolved() {
    let mut buffers = BufferPool::new(1 << 30);
    let mut replies = Replies::default();
    let seq = replies.defer(Form::Silent, Covers::Key(KeyHash(7)), 1);
    assert!(replies.is_pending(KeyHash(7)));
    assert!(!replies.is_pending(KeyHash(8)));
    replies.resolve(seq, Part::Add(0), &mut buffers);
    assert!(!replies.is_pending(KeyHash(7)));
    assert!(!replies.has_output(), "silent");
}
