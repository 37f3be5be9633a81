//! The rings against vectors from the originals, and against a twin that looks for owners the slow
//! way.

mod others;

use proptest::prelude::*;

use super::HashRingMode::{
    Evcache, Libketama, Libmemcached, MemcachedProxy, Mncaudill, Spymemcached, Twemproxy,
};
use super::mode::Weights;
use super::*;

fn servers(lines: &[&str]) -> Vec<ServerSpec> {
    lines
        .iter()
        .map(|line| ServerSpec::parse_line(line).expect(line))
        .collect()
}

fn ring(mode: HashRingMode, lines: &[&str]) -> HashRing {
    HashRing::build(mode, &servers(lines)).expect("ring")
}

/// As pylibmc placed these keys, and as nutcracker 0.5 did with `hash: md5`.
#[test]
fn unix_sockets_have_the_labels_that_the_originals_give_them() {
    let names = ["a", "b", "c"].map(|name| format!("unix:/tmp/rf-unix/{name}.sock"));
    let names = names.each_ref().map(String::as_str);
    let owners = |ring: HashRing, key: &str| {
        let keys = (0..16).map(|number| format!("{key}-{number}"));
        keys.map(|key| ring.owner(key.as_bytes()).0)
            .collect::<Vec<_>>()
    };
    let libmemcached = [0, 2, 1, 0, 2, 2, 2, 2, 1, 2, 2, 2, 0, 2, 0, 1];
    assert_eq!(owners(ring(Libmemcached, &names), "key"), libmemcached);
    let twemproxy = HashRing::build_for(Twemproxy, KeyHash::Md5, &servers(&names));
    let expected = [1, 1, 1, 2, 0, 2, 1, 0, 1, 2, 1, 2, 0, 1, 2, 1];
    assert_eq!(owners(twemproxy.expect("ring"), "nkey"), expected);
    let error = HashRing::build(Libketama, &servers(&names)).expect_err("it has none");
    assert_eq!(
        error.to_string(),
        "libketama has no unix sockets; write unix:/tmp/rf-unix/a.sock as HOST:PORT or choose \
         another hash ring"
    );
}

fn weighted(mode: HashRingMode, weights: &[u32]) -> HashRing {
    let lines: Vec<String> = weights
        .iter()
        .enumerate()
        .map(|(n, weight)| format!("10.0.1.{n}:11211 {weight}"))
        .collect();
    ring(mode, &lines.iter().map(String::as_str).collect::<Vec<_>>())
}

fn point_counts(ring: &HashRing) -> Vec<usize> {
    let mut counts = vec![0; ring.label_texts.len()];
    for point in ring.points() {
        counts[point.server.index()] += 1;
    }
    counts
}

const FOUR: [&str; 4] = [
    "10.0.1.1:11211",
    "10.0.1.2:11211",
    "10.0.1.3:11211",
    "10.0.1.4:11212",
];

#[test]
fn owners_with_the_default_port_left_out() {
    let ring = ring(Libmemcached, &FOUR);
    for (key, owner) in [
        ("foo", 2),
        ("bar", 3),
        ("user:1", 0),
        ("key:42", 3),
        ("", 1),
    ] {
        assert_eq!(ring.owner(key.as_bytes()), ServerIndex(owner), "{key}");
    }
}

#[test]
fn owners_with_the_port_always_kept() {
    let ring = ring(Libketama, &FOUR);
    for (key, owner) in [
        ("foo", 1),
        ("bar", 3),
        ("user:1", 0),
        ("key:42", 2),
        ("", 3),
    ] {
        assert_eq!(ring.owner(key.as_bytes()), ServerIndex(owner), "{key}");
    }
}

/// What libketama itself answers (`ketama_get_server` of RJ/ketama, compiled for x86-64).
#[test]
fn libketama_points_with_weights() {
    let ring = ring(
        Libketama,
        &["10.0.1.1:11211 1", "10.0.1.2:11211 2", "10.0.1.3:11212 3"],
    );
    let vectors = [
        ("foo", 0xdb2c_29bb, 1),
        ("bar", 0x1a52_0f4a, 2),
        ("user:1", 0x110a_b57b, 2),
        ("key:42", 0x4b51_d197, 2),
        ("a", 0xb980_a5ae, 2),
        ("b", 0xfec6_7afb, 1),
    ];
    for (key, point, owner) in vectors {
        let explanation = ring.explain(key.as_bytes());
        assert_eq!(
            (explanation.point, explanation.server),
            (point, ServerIndex(owner)),
            "{key}"
        );
    }
}

#[test]
fn weights_become_points() {
    let memory = [600, 300, 200, 350, 1000, 800, 950, 100];
    for mode in [Libmemcached, Twemproxy, Libketama, Spymemcached] {
        let ring = weighted(mode, &memory);
        assert_eq!(
            point_counts(&ring),
            [176, 88, 56, 104, 296, 236, 280, 28],
            "{mode}"
        );
        assert_eq!(ring.points().len(), 1264, "{mode}");
        assert_eq!(
            point_counts(&weighted(mode, &[1, 2, 3])),
            [80, 160, 240],
            "{mode}"
        );
    }
}

/// The server counts up to 122 at which equal weights fall one label short, and how many do up to
/// 512.
#[test]
fn equal_weights_fall_short_as_the_original_float_does() {
    let float32: &[usize] = &[25, 47, 50, 55, 61, 71, 94, 100, 107, 109, 110, 115, 122];
    let cases = [
        (Libmemcached, float32, 54),
        (Twemproxy, float32, 54),
        (Libketama, &[61, 122], 6),
    ];
    for (mode, to_122, to_512) in cases {
        let server = &servers(&["a:1"])[0];
        let label_count = |count: usize| {
            let weights = Weights {
                count,
                total: count as u64,
                is_all_one: true,
            };
            mode.label_count(server, weights)
        };
        let short: Vec<usize> = (1..=512)
            .filter(|&count| label_count(count) != 40)
            .collect();
        assert!(
            short.iter().all(|&count| label_count(count) == 39),
            "{mode}"
        );
        let first: Vec<usize> = short
            .iter()
            .copied()
            .filter(|&count| count <= 122)
            .collect();
        assert_eq!((&first[..], short.len()), (to_122, to_512), "{mode}");
    }
    assert_eq!(point_counts(&weighted(Libmemcached, &[1; 25])), [156; 25]);
    assert_eq!(point_counts(&weighted(Libketama, &[1; 25])), [160; 25]);
    assert_eq!(point_counts(&weighted(Libketama, &[1; 61])), [156; 61]);
}

#[test]
fn a_weight_too_small_for_a_label_owns_nothing() {
    assert_eq!(point_counts(&weighted(Libmemcached, &[1, 1000])), [0, 316]);
}

#[test]
fn a_name_takes_the_place_of_the_address() {
    let named = ["10.0.1.1:11211:1 alpha", "10.0.1.2:11212:1 beta"];
    for mode in [Libmemcached, Twemproxy] {
        let named = ring(mode, &named);
        assert_eq!(&named.label_texts[..], ["alpha", "beta"]);
        let moved = ring(mode, &["10.9.9.9:1:1 alpha", "10.9.9.8:2:1 beta"]);
        assert_eq!(named.points(), moved.points());
    }
}

#[test]
fn an_ipv6_label_has_the_brackets_that_its_original_has() {
    let lines = ["[::1]:11211", "[::1]:11212"];
    assert_eq!(
        &ring(MemcachedProxy, &lines).label_texts[..],
        ["::1:11211", "::1:11212"]
    );
    assert_eq!(
        &ring(Libmemcached, &lines).label_texts[..],
        ["::1", "::1:11212"]
    );
    assert_eq!(
        &ring(Libketama, &lines).label_texts[..],
        ["[::1]:11211", "[::1]:11212"]
    );
}

#[test]
fn an_explanation_shows_the_way_to_the_owner() {
    for mode in HashRingMode::ALL {
        let ring = ring(mode, &FOUR);
        for key in ["foo", "bar", "user:1"].map(str::as_bytes) {
            let explanation = ring.explain(key);
            assert_eq!(explanation.server, ring.owner(key));
            assert_eq!(explanation.key_hash, mode.key_hash_default().of(key));
            let mut values = mode.values(&explanation.label);
            assert!(values.any(|value| value == explanation.point));
            let text = &ring.label_texts[explanation.server.index()];
            assert!(explanation.label.starts_with(text.as_str()));
        }
    }
}

#[test]
fn one_server_owns_everything() {
    for mode in HashRingMode::ALL {
        let ring = ring(mode, &["10.0.1.1:11211"]);
        let points = if matches!(mode, Mncaudill { .. }) {
            200
        } else {
            160
        };
        assert_eq!(point_counts(&ring), [points], "{mode}");
        assert_eq!(ring.owner(b"foo"), ServerIndex(0));
        assert_eq!(ring.explain(b"foo").server, ServerIndex(0));
    }
}

/// 320,000 points in 2^32 places: about 12 collide.
#[test]
fn colliding_points_stand_in_the_order_of_the_original() {
    let lines: Vec<String> = (0..2000).rev().map(|n| format!("h{n}:11211")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    for mode in [Libmemcached, Twemproxy] {
        let ring = ring(mode, &lines);
        let order = |point: &Point| match mode {
            Twemproxy => {
                let text = &ring.label_texts[point.server.index()];
                (text.len(), text.clone())
            }
            _ => (point.server.index(), String::new()),
        };
        let pairs = ring
            .points()
            .windows(2)
            .filter(|pair| pair[0].value == pair[1].value);
        let mut collisions = 0;
        for pair in pairs {
            collisions += 1;
            assert!(order(&pair[0]) < order(&pair[1]), "{mode} {pair:?}");
        }
        assert!(collisions > 0, "the test needs a collision to look at");
    }
}

#[test]
fn lists_that_have_no_ring() {
    let error = |mode, lines: &[&str]| HashRing::build(mode, &servers(lines)).expect_err("error");
    assert_eq!(error(Libmemcached, &[]), HashRingError::NoServers);
    assert_eq!(
        error(Libmemcached, &["a:1", "b:1:1 a:1"]),
        HashRingError::DuplicateLabel { text: "a:1".into() }
    );
    assert_eq!(
        error(Libketama, &["a:1", "b:1:1 beta"]),
        HashRingError::NameUnknown {
            mode: Libketama,
            name: "beta".into()
        }
    );

    assert_eq!(
        error(Evcache, &["a:1", "b:1 2"]),
        HashRingError::WeightUnknown {
            mode: Evcache,
            server: "b:1".into()
        }
    );
    for line in ["cache:1", "[::1]:1"] {
        assert_eq!(
            error(Spymemcached, &[line]),
            HashRingError::LabelUnknown {
                server: line.into()
            }
        );
    }
    assert_eq!(
        error(Mncaudill { spots: 200 }, &["a:1 1000000"]),
        HashRingError::TooManyPoints { count: 200_000_000 }
    );

    let weightless = ServerSpec {
        weight: 0,
        ..servers(&["a:1"])[0].clone()
    };
    assert_eq!(
        HashRing::build(Libmemcached, &[weightless]).expect_err("error"),
        HashRingError::NoPoints
    );

    let too_many: Vec<String> = (0..=SERVERS_MAX).map(|n| format!("h{n}:1")).collect();
    let too_many: Vec<&str> = too_many.iter().map(String::as_str).collect();
    assert_eq!(
        error(Twemproxy, &too_many),
        HashRingError::TooManyServers {
            count: SERVERS_MAX + 1
        }
    );
}

#[test]
fn twemproxy_takes_labels_of_85_bytes() {
    // With two servers the last label is number 39: three bytes.
    let fits = format!("{}:11211", "h".repeat(82));
    let cut = format!("{}:11211", "h".repeat(83));
    assert_eq!(ring(Twemproxy, &["a:1", &fits]).points().len(), 320);
    assert_eq!(
        HashRing::build(Twemproxy, &servers(&["a:1", &cut])).expect_err("error"),
        HashRingError::LabelTooLong {
            text: "h".repeat(83)
        }
    );
    assert_eq!(ring(Libmemcached, &["a:1", &cut]).points().len(), 320);
}

#[test]
fn modes_read_back() {
    for mode in HashRingMode::ALL {
        assert_eq!(mode.to_string().parse(), Ok(mode));
    }
    let spots = |spots| Ok(Mncaudill { spots });
    assert_eq!("mncaudill:1".parse(), spots(1));
    assert_eq!("mncaudill:65535".parse(), spots(65535));
    for unknown in [
        "ketama",
        "mncaudill",
        "mncaudill:0",
        "mncaudill:65536",
        "twemproxy:1",
    ] {
        assert_eq!(unknown.parse::<HashRingMode>(), Err(()), "{unknown}");
    }
}

/// The owner, found with one pass over unsorted points.
fn owner_naive(mode: HashRingMode, servers: &[ServerSpec], key: &[u8]) -> ServerIndex {
    let hash = mode.key_hash_default().of(key);
    let hash = if mode == Twemproxy && key.is_empty() {
        0
    } else {
        hash
    };
    let mut candidates = Vec::new();
    for (index, server) in servers.iter().enumerate() {
        let text = mode.label_text(server).expect("a label");
        let rank = match mode {
            Twemproxy => (text.len() as isize, text.clone()),
            Spymemcached => (-(index as isize), String::new()),
            _ => (index as isize, String::new()),
        };
        for number in 0..mode.label_count(server, Weights::of(servers)) {
            for value in mode.values(&mode.label(&text, number)) {
                // The way around the circle, upward from the hash.
                candidates.push((value.wrapping_sub(hash), rank.clone(), index));
            }
        }
    }
    ServerIndex(candidates.into_iter().min().expect("a point").2 as u16)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn lookup_agrees_with_a_linear_scan(
        mode in prop::sample::select(&HashRingMode::ALL[..]),
        weights in prop::collection::vec(1..=50_u32, 1..8),
        port in prop::sample::select(&[11210_u16, 11211][..]),
        keys in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..20),
    ) {
        let servers: Vec<ServerSpec> = weights
            .iter()
            .enumerate()
            .map(|(n, &weight)| {
                let weight = if matches!(mode, Evcache | MemcachedProxy) { 1 } else { weight };
                ServerSpec { host: format!("10.0.0.{n}"), port, weight, name: None }
            })
            .collect();
        let ring = HashRing::build(mode, &servers).expect("ring");
        for key in keys {
            prop_assert_eq!(ring.owner(&key), owner_naive(mode, &servers, &key));
        }
    }
}
