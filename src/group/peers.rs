//! Which peer owns a key.
//!
//! golang/groupcache's ring: each peer has 50 points, the CRC-32 of a number in decimal and its URL; the
//! owner of a key is the peer of the first point that is not below the key's CRC-32, or of the
//! first of all. mailgun/groupcache's: a point is the FNV-1 hash of the MD5 sum of the same text, in
//! hexadecimal digits, a key's is its FNV-1 hash; 64 bits, ordered **as signed numbers**, as Go's
//! `int` is. In both, of two peers with the same point the one that was named later has it.

use std::collections::HashMap;

use md5::{Digest, Md5};

use crate::config::{PeerRing, PeerUrl};

/// Points of each peer, as both have them.
const REPLICAS: usize = 50;

/// The peers of a group, this process among them or not.
#[derive(Debug, Clone)]
pub struct Peers {
    me: PeerUrl,
    peers: Vec<PeerUrl>,
    ring: PeerRing,
    /// By position; each position once.
    points: Vec<(i64, usize)>,
}

impl Peers {
    /// Exactly the peers that are named: who is not among them owns nothing, this process included.
    pub fn new(me: &PeerUrl, peers: &[PeerUrl], ring: PeerRing) -> Self {
        let mut points = HashMap::new();
        for (index, peer) in peers.iter().enumerate() {
            for replica in 0..REPLICAS {
                points.insert(point(ring, replica, peer.as_str()), index);
            }
        }
        let mut points: Vec<_> = points.into_iter().collect();
        points.sort_unstable();
        Self {
            me: me.clone(),
            peers: peers.to_vec(),
            ring,
            points,
        }
    }

    /// The owner of a key; `None` if it is this process, or if there are no peers.
    pub fn owner(&self, key: &[u8]) -> Option<&PeerUrl> {
        let hash = hash(self.ring, key);
        let at = self.points.partition_point(|point| point.0 < hash);
        let (_, index) = self.points.get(at).or_else(|| self.points.first())?;
        let owner = &self.peers[*index];
        (*owner != self.me).then_some(owner)
    }

    /// All but this process.
    pub fn others(&self) -> impl Iterator<Item = &PeerUrl> {
        self.peers.iter().filter(|peer| **peer != self.me)
    }

    /// Whether this process is among them.
    pub fn has_me(&self) -> bool {
        self.peers.contains(&self.me)
    }
}

fn point(ring: PeerRing, replica: usize, url: &str) -> i64 {
    let text = format!("{replica}{url}");
    match ring {
        PeerRing::Groupcache => hash(ring, text.as_bytes()),
        PeerRing::Fnv => {
            let sum: [u8; 16] = Md5::digest(text.as_bytes()).into();
            let digits = format!("{:032x}", u128::from_be_bytes(sum));
            hash(ring, digits.as_bytes())
        }
    }
}

fn hash(ring: PeerRing, bytes: &[u8]) -> i64 {
    match ring {
        PeerRing::Groupcache => i64::from(crc32fast::hash(bytes)),
        PeerRing::Fnv => fnv1(bytes).cast_signed(),
    }
}

/// FNV-1 of 64 bits: multiply, then xor.
fn fnv1(bytes: &[u8]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(BASIS, |hash, byte| {
        hash.wrapping_mul(PRIME) ^ u64::from(*byte)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(texts: &[String]) -> Vec<PeerUrl> {
        let url = |text: &String| text.parse().expect("a peer");
        texts.iter().map(url).collect()
    }

    fn ring(ring: PeerRing, texts: &[String]) -> Peers {
        let me = "http://nobody:1".parse().expect("a peer");
        Peers::new(&me, &urls(texts), ring)
    }

    fn name_of<'p>(peers: &'p Peers, key: &[u8]) -> &'p str {
        peers.owner(key).map_or("me", PeerUrl::as_str)
    }

    /// What Go's packages say of the rings, as `tests/peers/go/ring.go` prints it: a line for
    /// each ring and list, then lines of an owner's place in it and a key in hexadecimal digits.
    const GO_RINGS: &str = include_str!("../../tests/peers/go/rings.txt");

    #[test]
    fn keys_have_the_owners_that_go_gives_them() {
        let mut peers = None;
        let mut list: Vec<String> = Vec::new();
        let mut seen = [0, 0];
        for line in GO_RINGS.lines() {
            if let Some(head) = line.strip_prefix("ring ") {
                let (kind, names) = head.split_once(' ').expect("a kind");
                let kind: PeerRing = kind.parse().expect("a ring");
                list = names.split(' ').map(str::to_owned).collect();
                peers = Some((kind, ring(kind, &list)));
                continue;
            }
            let (owner, digits) = line.split_once(' ').expect("two columns");
            let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex");
            let key: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
            let (kind, peers) = peers.as_ref().expect("a ring");
            let index: usize = owner.parse().expect("an index");
            assert_eq!(
                name_of(peers, &key),
                list[index],
                "{kind} {list:?} {digits}"
            );
            seen[usize::from(*kind == PeerRing::Fnv)] += 1;
        }
        assert!(seen[0] >= 1000 && seen[1] >= 1000, "{seen:?}");
    }

    #[test]
    fn fnv_is_the_first_of_its_kind() {
        // Of the authors' list of test vectors.
        assert_eq!(fnv1(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1(b"a"), 0xaf63_bd4c_8601_b7be);
        assert_eq!(fnv1(b"foobar"), 0x340d_8765_a4dd_a9c2);
    }

    #[test]
    fn nobody_owns_the_keys_of_no_peers() {
        for kind in [PeerRing::Groupcache, PeerRing::Fnv] {
            assert_eq!(ring(kind, &[]).owner(b"a"), None);
        }
    }

    #[test]
    fn my_keys_are_those_that_others_find_with_me() {
        let list = ["http://a:1".to_owned(), "http://b:1".to_owned()];
        let seen_by = |me: &str| {
            let me = me.parse().expect("a peer");
            Peers::new(&me, &urls(&list), PeerRing::Groupcache)
        };
        let (a, b, stranger) = (
            seen_by("http://a:1"),
            seen_by("http://b:1"),
            seen_by("http://c:1"),
        );
        assert!(a.has_me() && b.has_me() && !stranger.has_me());
        assert_eq!(a.others().count(), 1);
        assert_eq!(stranger.others().count(), 2);
        let mut counts = [0, 0];
        for number in 0..1000 {
            let key = format!("key-{number}");
            let owner = name_of(&stranger, key.as_bytes());
            let is_of_a = owner == "http://a:1";
            assert_eq!(a.owner(key.as_bytes()).is_none(), is_of_a, "{key}");
            assert_eq!(b.owner(key.as_bytes()).is_none(), !is_of_a, "{key}");
            counts[usize::from(is_of_a)] += 1;
        }
        assert!(counts.iter().all(|count| *count > 200), "{counts:?}");
    }
}
