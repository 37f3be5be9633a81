use super::*;

#[test]
fn what_is_given_back_is_taken_again() {
    let mut pool = BufferPool::new(1 << 30);
    let buffer = pool.copy(&[b"ab", b"c"]);
    assert_eq!(buffer, b"abc");
    let address = buffer.as_ptr();
    pool.put(buffer);
    let again = pool.take();
    assert!(again.is_empty());
    assert_eq!(again.as_ptr(), address);
}

#[test]
fn consumed_inputs_come_back_whole() {
    let mut pool = BufferPool::new(1 << 30);
    let mut input = pool.take_input(1, 1);
    let capacity = input.capacity();
    input.extend_from_slice(b"half a request");
    bytes::Buf::advance(&mut input, 14);
    pool.put_input(input);
    assert_eq!(pool.take_input(1, 1).capacity(), capacity);
    assert_eq!(pool.free_inputs.len(), START_COUNT - 1);
}

#[test]
fn what_is_left_of_a_large_request_takes_little() {
    let mut pool = BufferPool::new(1 << 30);
    // What was taken last is large for a small one.
    pool.put_input(BytesMut::with_capacity(SMALL_BYTES_MAX / 2));
    let mut input = BytesMut::with_capacity(1 << 20);
    input.extend_from_slice(&[b'v'; 1 << 20][3..]);
    bytes::Buf::advance(&mut input, (1 << 20) - 6);
    pool.shrink_input(&mut input, (1 << 20) - 6);
    assert_eq!((&input[..], input.capacity()), (&b"vvv"[..], NEW_BYTES));
    check(&pool);
    // A pool that has none of that size makes one.
    pool.free_inputs.drain(..START_COUNT - 1);
    pool.free_inputs_bytes = SMALL_BYTES_MAX / 2;
    assert_eq!(pool.take_input(3, 3).capacity(), NEW_BYTES);
    check(&pool);
}

#[test]
fn sizes_that_were_used_give_way_to_those_that_are() {
    let mut pool = BufferPool::new(1 << 30);
    pool.free_inputs.clear();
    pool.free_inputs_bytes = 0;
    for _ in 0..FREE_BYTES_MAX / SMALL_BYTES_MAX {
        pool.put_input(BytesMut::with_capacity(SMALL_BYTES_MAX));
    }
    assert_eq!(pool.free_inputs_bytes, FREE_BYTES_MAX);
    let small = pool.take_input(3, 3);
    pool.put_input(small);
    check(&pool);
    assert_eq!(pool.take_input(3, 3).capacity(), NEW_BYTES);
    let left = pool.free_inputs.len();
    assert_eq!(
        left,
        FREE_BYTES_MAX / SMALL_BYTES_MAX - 1,
        "it was a kept one"
    );
}

#[test]
fn what_is_kept_is_bounded_in_bytes() {
    for bytes in [
        NEW_BYTES,
        SMALL_BYTES_MAX,
        SMALL_BYTES_MAX + 1,
        1 << 20,
        8 << 20,
    ] {
        let mut pool = BufferPool::new(1 << 30);
        for _ in 0..2 * FREE_BYTES_MAX.max(LARGE_FREE_BYTES_MAX) / bytes + 1 {
            pool.put(Vec::with_capacity(bytes));
            pool.put_input(BytesMut::with_capacity(bytes));
            check(&pool);
        }
    }
}

fn check(pool: &BufferPool) {
    let small: usize = pool.free.iter().map(Vec::capacity).sum();
    let small_inputs: usize = pool.free_inputs.iter().map(BytesMut::capacity).sum();
    let large: usize = pool.large.iter().map(Vec::capacity).sum();
    let large_inputs: usize = pool.large_inputs.iter().map(BytesMut::capacity).sum();
    assert_eq!(
        (small, small_inputs, large + large_inputs),
        (pool.free_bytes, pool.free_inputs_bytes, pool.large_bytes)
    );
    assert!(small.max(small_inputs) <= FREE_BYTES_MAX);
    assert!(pool.large_bytes <= pool.large_bytes_max);
    assert!(pool.large_bytes_max <= LARGE_FREE_BYTES_MAX);
}

#[test]
fn who_has_little_memory_keeps_little() {
    let mut pool = BufferPool::new(32 << 20);
    pool.put(Vec::with_capacity((1 << 20) + 1));
    assert_eq!(pool.large_bytes, 0);
    pool.put(Vec::with_capacity(1 << 20));
    pool.put(Vec::with_capacity(1 << 20));
    assert_eq!(pool.large.len(), 1);
    check(&pool);
}

#[test]
fn large_ones_are_used_again_and_small_ones_stay_small() {
    let mut pool = BufferPool::new(1 << 30);
    let mut buffer = pool.copy(&[b"head "]);
    pool.make_room(&mut buffer, 1 << 20);
    assert_eq!(buffer, b"head ");
    buffer.resize(1 << 20, b'v');
    let address = buffer.as_ptr();
    pool.put(buffer);
    check(&pool);
    assert!(pool.take().capacity() <= SMALL_BYTES_MAX);
    let again = pool.copy(&[&[b'w'; 1 << 20], b"\r\n"]);
    assert_eq!((again.as_ptr(), again.len()), (address, (1 << 20) + 2));
    pool.put(again);
    pool.put(Vec::new());
    check(&pool);
}

#[test]
fn the_kind_that_is_used_is_kept() {
    let mut pool = BufferPool::new(1 << 30);
    for _ in 0..3 {
        pool.put_input(BytesMut::with_capacity((1 << 20) + 1));
    }
    assert_eq!((pool.large_inputs.len(), pool.large.len()), (2, 0));
    for _ in 0..3 {
        pool.put(Vec::with_capacity((1 << 20) + 1));
    }
    assert_eq!((pool.large_inputs.len(), pool.large.len()), (0, 2));
    check(&pool);
}

#[test]
fn an_input_grows_with_what_comes_and_goes_back_whole() {
    const WANT: usize = 1 << 20;
    let announced = Announced {
        want: WANT,
        proven: 0,
    };
    let mut pool = BufferPool::new(1 << 30);
    let mut input = pool.take_input(1, 1);
    while input.len() < WANT {
        let room = input.capacity().max(8 * 1024);
        pool.append_input(&mut input, &[b'v'; 8 * 1024], announced);
        assert!(input.capacity() <= INPUT_GROWTH_MAX * (room + 8 * 1024));
    }
    assert!(input.iter().all(|byte| *byte == b'v') && input.len() == WANT);
    bytes::Buf::advance(&mut input, WANT - 3);
    let address = input.as_ptr() as usize + 3 - WANT;
    pool.shrink_input(&mut input, WANT - 3);
    assert_eq!(input, b"vvv"[..]);
    assert!(input.capacity() <= SMALL_BYTES_MAX);
    check(&pool);
    // The next one gets it with its first bytes.
    let mut next = pool.take_input(1, 1);
    pool.append_input(&mut next, &[b'w'; 8 * 1024], announced);
    assert_eq!(next.as_ptr() as usize, address);
    check(&pool);
}
