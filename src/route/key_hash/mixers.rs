//! Hashes that mix words: Jenkins' two, Hsieh's and MurmurHash2.

use super::signed;

pub(super) fn one_at_a_time(key: &[u8]) -> u32 {
    let mut hash = key.iter().fold(0_u32, |hash, &byte| {
        let hash = hash.wrapping_add(signed(byte));
        let hash = hash.wrapping_add(hash << 10);
        hash ^ (hash >> 6)
    });
    hash = hash.wrapping_add(hash << 3);
    hash ^= hash >> 11;
    hash.wrapping_add(hash << 15)
}

pub(super) fn hsieh(key: &[u8]) -> u32 {
    let (quads, tail) = key.as_chunks::<4>();
    let mut hash = quads.iter().fold(0_u32, |hash, &[a, b, c, d]| {
        let hash = hash.wrapping_add(pair(a, b));
        let hash = (hash << 16) ^ (pair(c, d) << 11) ^ hash;
        hash.wrapping_add(hash >> 11)
    });
    match *tail {
        [a, b, c] => {
            hash = hash.wrapping_add(pair(a, b));
            hash ^= hash << 16;
            hash ^= signed(c) << 18;
            hash = hash.wrapping_add(hash >> 11);
        }
        [a, b] => {
            hash = hash.wrapping_add(pair(a, b));
            hash ^= hash << 11;
            hash = hash.wrapping_add(hash >> 17);
        }
        [a] => {
            hash = hash.wrapping_add(u32::from(a));
            hash ^= hash << 10;
            hash = hash.wrapping_add(hash >> 1);
        }
        _ => {}
    }
    hash ^= hash << 3;
    hash = hash.wrapping_add(hash >> 5);
    hash ^= hash << 4;
    hash = hash.wrapping_add(hash >> 17);
    hash ^= hash << 25;
    hash.wrapping_add(hash >> 6)
}

pub(super) fn murmur(key: &[u8]) -> u32 {
    const MIX: u32 = 0x5bd1_e995;
    let length = key.len() as u32;
    let seed = 0xdead_beef_u32.wrapping_mul(length);
    let (quads, tail) = key.as_chunks::<4>();
    let mut hash = quads.iter().fold(seed ^ length, |hash, quad| {
        let word = u32::from_le_bytes(*quad).wrapping_mul(MIX);
        let word = (word ^ (word >> 24)).wrapping_mul(MIX);
        hash.wrapping_mul(MIX) ^ word
    });
    if !tail.is_empty() {
        hash = (hash ^ word(tail)).wrapping_mul(MIX);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MIX);
    hash ^ (hash >> 15)
}

/// lookup3's `hashlittle`. The original reads words where the key's address allows it, which
/// changes nothing but its speed.
pub(super) fn jenkins(key: &[u8]) -> u32 {
    const INIT: u32 = 0xdead_beef + 13;
    let begin = INIT.wrapping_add(key.len() as u32);
    let [mut a, mut b, mut c] = [begin; 3];
    if key.is_empty() {
        return c;
    }
    let mut rest = key;
    // The last block, whole or not, is mixed in another way.
    while rest.len() > 12 {
        let (block, after) = rest.split_at(12);
        a = a.wrapping_add(word(&block[..4]));
        b = b.wrapping_add(word(&block[4..8]));
        c = c.wrapping_add(word(&block[8..]));
        [a, b, c] = jenkins_mix(a, b, c);
        rest = after;
    }
    let mut words = rest.chunks(4).map(word);
    let mut next = || words.next().unwrap_or(0);
    a = a.wrapping_add(next());
    b = b.wrapping_add(next());
    c = c.wrapping_add(next());
    jenkins_final(a, b, c)
}

fn jenkins_mix(mut a: u32, mut b: u32, mut c: u32) -> [u32; 3] {
    for rotation in [4, 6, 8, 16, 19, 4] {
        a = a.wrapping_sub(c) ^ c.rotate_left(rotation);
        c = c.wrapping_add(b);
        // The words change places with each step, and six steps bring them back.
        (a, b, c) = (b, c, a);
    }
    [a, b, c]
}

fn jenkins_final(mut a: u32, mut b: u32, mut c: u32) -> u32 {
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

/// Two bytes, little-endian.
fn pair(low: u8, high: u8) -> u32 {
    u32::from(u16::from_le_bytes([low, high]))
}

/// Up to four bytes, little-endian; what is missing is 0.
fn word(bytes: &[u8]) -> u32 {
    let mut quad = [0; 4];
    quad[..bytes.len()].copy_from_slice(bytes);
    u32::from_le_bytes(quad)
}
