//! The rings that are not libketama's own, against what their originals answer: memcached's
//! `proxy_ring_hash.c`, compiled with its own XXH3 and MD5; spymemcached's and mncaudill's rings
//! computed from their sources with other hash libraries.

use super::*;

/// The owner of each of 10,000 keys: how many each server has, and a sum over all in order.
fn summary(ring: &HashRing) -> (Vec<u32>, u32) {
    let mut counts = vec![0; ring.label_texts.len()];
    let mut sum = 0_u32;
    for number in 0..10_000 {
        let ServerIndex(owner) = ring.owner(format!("user:{number}").as_bytes());
        counts[usize::from(owner)] += 1;
        sum = sum.wrapping_mul(31).wrapping_add(u32::from(owner));
    }
    (counts, sum)
}

fn assert_owners(ring: &HashRing, vectors: [(&[u8], u32, u16); 5]) {
    for (key, key_hash, owner) in vectors {
        let explanation = ring.explain(key);
        assert_eq!(
            (explanation.key_hash, explanation.server),
            (key_hash, ServerIndex(owner)),
            "{}",
            key.escape_ascii()
        );
    }
}

#[test]
fn memcacheds_proxy_hashes_labels_and_keys_with_xxh3() {
    let ring = ring(MemcachedProxy, &FOUR);
    let values = ring.points().iter().map(|point| point.value);
    assert_eq!(
        (values.clone().min(), values.max()),
        (Some(0x000f_5cae), Some(0xffc8_dbd6))
    );
    assert_owners(
        &ring,
        [
            (b"foo", 0x077e_7d8a, 1),
            (b"bar", 0xa032_d362, 3),
            (b"user:1", 0x7fed_9501, 0),
            (b"key:42", 0x1b11_dfed, 0),
            (b"\xff\xfe", 0xd388_c786, 3),
        ],
    );
    assert_eq!(summary(&ring), (vec![2622, 2792, 2164, 2422], 0xe09c_daf0));
}

#[test]
fn evcache_names_the_host_twice() {
    let ring = ring(Evcache, &FOUR);
    let values = ring.points().iter().map(|point| point.value);
    assert_eq!(
        (values.clone().min(), values.max()),
        (Some(0x0049_bc5b), Some(0xffe7_969c))
    );
    assert_owners(
        &ring,
        [
            (b"foo", 0xdb18_bdac, 3),
            (b"bar", 0x191d_b537, 2),
            (b"user:1", 0x10dd_b1bd, 3),
            (b"key:42", 0x4b01_5929, 3),
            (b"\xff\xfe", 0x0157_b2f3, 1),
        ],
    );
    assert_eq!(summary(&ring), (vec![2328, 2568, 2520, 2584], 0x1917_b840));
}

#[test]
fn mncaudill_counts_labels_from_one_and_weighs_by_them() {
    let lines = [
        "10.0.1.1:11211",
        "10.0.1.2:11211 2",
        "10.0.1.3:11212:3 gamma",
    ];
    let ring = ring(Mncaudill { spots: 200 }, &lines);
    assert_eq!(point_counts(&ring), [200, 400, 600]);
    assert_owners(
        &ring,
        [
            (b"foo", 0x75da_8a33, 2),
            (b"bar", 0xd1f0_1f4d, 1),
            (b"user:1", 0x82f2_33ba, 2),
            (b"key:42", 0x9e39_8caf, 2),
            (b"\xff\xfe", 0xeb02_4bbb, 1),
        ],
    );
    assert_eq!(summary(&ring), (vec![1701, 3387, 4912], 0xa93d_3209));
}

#[test]
fn spymemcached_takes_what_java_prints_as_a_name() {
    let lines = [
        "10.0.1.1:11211",
        "10.0.1.2:11211",
        "cache:11211:1 cache/10.0.1.3:11211",
        "10.0.1.4:11212",
    ];
    let named = ring(Spymemcached, &lines);
    assert_eq!(summary(&named), (vec![2536, 2589, 2402, 2473], 0x7997_a97c));
    // By address alone it is libketama's ring, but for its rounding.
    let plain = ring(Spymemcached, &FOUR);
    assert_eq!(plain.points(), ring(Libketama, &FOUR).points());
    assert_eq!(point_counts(&weighted(Spymemcached, &[1; 61])), [160; 61]);
    assert_eq!(point_counts(&weighted(Spymemcached, &[2; 25])), [156; 25]);
}
