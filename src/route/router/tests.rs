//! Placements that need no real proxy to be known.

use super::*;

fn servers(lines: &[&str]) -> Vec<ServerSpec> {
    lines
        .iter()
        .map(|line| ServerSpec::parse_line(line).expect(line))
        .collect()
}

fn router(placement: Placement, lines: &[&str]) -> Router {
    Router::build(placement, &servers(lines)).expect("a router")
}

fn modula(hash_ring: HashRingMode) -> Placement {
    Placement {
        key_hash: Some(KeyHash::Crc32a),
        distribution: Distribution::Modula,
        ..Placement::of(hash_ring)
    }
}

#[test]
fn twemproxy_divides_among_servers_by_name_and_weight() {
    // By length, then by letters: b:1, aa:1, ab:1 with 2, 1 and 3 of 6 remainders.
    let router = router(
        modula(HashRingMode::Twemproxy),
        &["ab:1 3", "aa:1", "b:1 2"],
    );
    let remainder = |key: &[u8]| KeyHash::Crc32a.of(key) % 6;
    for key in (0..600_u32).map(|n| n.to_string()) {
        let expected = match remainder(key.as_bytes()) {
            0 | 1 => 2,
            2 => 1,
            _ => 0,
        };
        assert_eq!(router.owner(key.as_bytes()), ServerIndex(expected), "{key}");
    }
}

#[test]
fn libmemcached_divides_among_servers_as_listed() {
    let router = router(
        modula(HashRingMode::Libmemcached),
        &["ab:1 3", "aa:1", "b:1 2"],
    );
    for key in (0..600_u32).map(|n| n.to_string()) {
        let expected = KeyHash::Crc32a.of(key.as_bytes()) % 3;
        assert_eq!(router.owner(key.as_bytes()), ServerIndex(expected as u16));
    }
}

#[test]
fn an_empty_key_has_the_hash_0_in_twemproxy() {
    let placement = Placement {
        key_hash: Some(KeyHash::Md5),
        ..Placement::of(HashRingMode::Twemproxy)
    };
    let lines = ["a:1", "b:1", "c:1"];
    let Step::Point { key_hash, .. } = router(placement, &lines).explain(b"").step else {
        panic!("a ring");
    };
    assert_eq!(key_hash, 0);
    let placement = Placement::of(HashRingMode::Libmemcached);
    let Step::Point { key_hash, .. } = router(placement, &lines).explain(b"").step else {
        panic!("a ring");
    };
    assert_eq!(key_hash, 0xd98c_1dd4);
}

#[test]
fn random_reaches_every_server() {
    let placement = Placement {
        distribution: Distribution::Random,
        ..Placement::of(HashRingMode::Twemproxy)
    };
    let router = router(placement, &["a:1", "b:1 9", "c:1"]);
    let mut counts = [0; 3];
    for _ in 0..3000 {
        counts[router.owner(b"key").index()] += 1;
    }
    assert!(
        counts.iter().all(|count| (850..1150).contains(count)),
        "{counts:?}"
    );
    assert_eq!(router.explain(b"key").step, Step::Random);
}

#[test]
fn one_server_owns_everything() {
    for distribution in Distribution::ALL {
        let placement = Placement {
            distribution,
            ..Placement::of(HashRingMode::Twemproxy)
        };
        let router = router(placement, &["a:1 7"]);
        assert_eq!(router.owner(b"key"), ServerIndex(0), "{distribution}");
        assert_eq!(router.explain(b"key").server, ServerIndex(0));
    }
}

#[test]
fn keys_with_one_tag_have_one_owner() {
    for hash_ring in HashRingMode::ALL {
        let placement = Placement {
            hash_tag: Some(HashTag::BRACES),
            ..Placement::of(hash_ring)
        };
        let tagged = router(placement, &["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]);
        let plain = router(
            Placement::of(hash_ring),
            &["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"],
        );
        for n in 0..50 {
            let key = format!("{{user:{n}}}:{}", n * 7);
            let owner = tagged.owner(key.as_bytes());
            assert_eq!(owner, plain.owner(format!("user:{n}").as_bytes()), "{key}");
            let reason = tagged.explain(key.as_bytes());
            assert_eq!(reason.hashed, Some(format!("user:{n}").into_bytes()));
            assert_eq!(reason.server, owner);
        }
    }
}

#[test]
fn only_two_modes_leave_a_choice() {
    for hash_ring in HashRingMode::ALL {
        let has_choice = matches!(
            hash_ring,
            HashRingMode::Libmemcached | HashRingMode::Twemproxy
        );
        let lines = servers(&["10.0.0.1:1"]);
        let modula = Router::build(modula(hash_ring), &lines);
        let random = Placement {
            distribution: Distribution::Random,
            ..Placement::of(hash_ring)
        };
        let error = HashRingError::NoChoice { mode: hash_ring };
        assert_eq!(modula.err(), (!has_choice).then(|| error.clone()));
        let expected = match hash_ring {
            HashRingMode::Twemproxy => None,
            HashRingMode::Libmemcached => Some(HashRingError::NoRandom { mode: hash_ring }),
            _ => Some(error),
        };
        assert_eq!(Router::build(random, &lines).err(), expected);
    }
}
