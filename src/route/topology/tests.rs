//! What real servers tell, and what nobody should.

mod captured;

use super::*;

const LIMITS: Limits = Limits {
    inline_bytes_max: 1024,
    args_max: 65_536,
    bulk_bytes_max: 1024,
};

fn shards(frame: &[u8]) -> Result<Topology, TopologyError> {
    Topology::from_shards(frame, &LIMITS)
}

fn slots(frame: &[u8]) -> Result<Topology, TopologyError> {
    Topology::from_slots(frame, &LIMITS)
}

/// Ports of masters and of replicas that can be used, and how many slots each group has.
fn outline(topology: &Topology) -> Vec<(Option<u16>, Vec<Option<u16>>, usize)> {
    let mut outline: Vec<_> = topology
        .groups
        .iter()
        .map(|group| {
            let master = group.master().and_then(|node| node.port);
            let replicas = group.replicas().map(|node| node.port).collect();
            let count = group.ranges.iter().map(|range| range.slots().count()).sum();
            (master, replicas, count)
        })
        .collect();
    outline.sort();
    outline
}

fn endpoints(topology: &Topology) -> Vec<(u16, Endpoint)> {
    let nodes = topology.groups.iter().flat_map(|group| &group.nodes);
    let mut endpoints: Vec<_> = nodes
        .map(|node| (node.port.expect("a port"), node.endpoint.clone()))
        .collect();
    endpoints.sort_by_key(|(port, _)| *port);
    endpoints
}

fn at(address: &str) -> Endpoint {
    Endpoint::At(address.to_owned())
}

#[test]
fn both_commands_and_both_versions_tell_the_same() {
    let told = [
        shards(captured::SHARDS_RESP2),
        shards(captured::SHARDS_RESP3),
        slots(captured::SLOTS_RESP2),
        slots(captured::SLOTS_RESP3),
    ];
    for topology in told {
        let topology = topology.expect("a topology");
        assert_eq!(
            outline(&topology),
            [
                (Some(23811), vec![], 5461 + 5461),
                (Some(23812), vec![Some(23813)], 5462)
            ]
        );
        let local = at("127.0.0.1");
        assert_eq!(
            endpoints(&topology),
            [
                (23811, local.clone()),
                (23812, local.clone()),
                (23813, local)
            ]
        );
        let map = topology.slot_map();
        assert_eq!(map.uncovered_count(), 0);
        let port = |slot| {
            let group = map
                .holder(Slot::new(slot).expect("a slot"))
                .expect("a holder");
            topology.groups[usize::from(group)]
                .master()
                .and_then(|node| node.port)
        };
        let ports = [0, 5460, 5461, 10_922, 10_923, 16_383].map(port);
        let [one, two] = [Some(23811), Some(23812)];
        assert_eq!(ports, [one, one, two, two, one, one]);
    }
}

#[test]
fn a_node_keeps_its_id() {
    let by_shards = shards(captured::SHARDS_RESP2).expect("a topology");
    let by_slots = slots(captured::SLOTS_RESP2).expect("a topology");
    let ids = |topology: &Topology| {
        let nodes = topology.groups.iter().flat_map(|group| &group.nodes);
        let mut ids: Vec<_> = nodes.map(|node| (node.port, node.id.clone())).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&by_shards), ids(&by_slots));
    assert!(ids(&by_shards).iter().all(|(_, id)| id.len() == 40));
}

#[test]
fn a_host_name_is_an_endpoint_and_who_has_none_has_an_address() {
    let told = [
        shards(captured::SHARDS_HOSTNAMES),
        slots(captured::SLOTS_HOSTNAMES),
    ];
    for topology in told {
        let local = at("127.0.0.1");
        assert_eq!(
            endpoints(&topology.expect("a topology")),
            [
                (23811, at("one.example")),
                (23812, local.clone()),
                (23813, local)
            ]
        );
    }
    // A node that does not even know that.
    let nameless = b"*1\r\n*3\r\n:0\r\n:1\r\n*4\r\n$1\r\n?\r\n:7000\r\n$1\r\na\r\n*0\r\n";
    let topology = slots(nameless).expect("a topology");
    assert_eq!(endpoints(&topology), [(7000, Endpoint::Unknown)]);
}

#[test]
fn an_empty_endpoint_is_where_one_asked() {
    for topology in [
        shards(captured::SHARDS_UNKNOWN),
        slots(captured::SLOTS_UNKNOWN),
    ] {
        let endpoints = endpoints(&topology.expect("a topology"));
        assert!(
            endpoints
                .iter()
                .all(|(_, endpoint)| *endpoint == Endpoint::AsAsked),
            "{endpoints:?}"
        );
    }
}

#[test]
fn a_failed_replica_is_not_used() {
    for topology in [
        shards(captured::SHARDS_FAILED),
        slots(captured::SLOTS_FAILED),
    ] {
        let topology = topology.expect("a topology");
        assert_eq!(
            outline(&topology),
            [
                (Some(23811), vec![], 5461 + 5461),
                (Some(23812), vec![], 5462)
            ]
        );
    }
    let topology = shards(captured::SHARDS_FAILED).expect("a topology");
    let failed = topology.groups.iter().flat_map(|group| &group.nodes);
    let failed = failed.filter(|node| node.health == NodeHealth::Failed);
    assert_eq!(
        failed.map(|node| node.port).collect::<Vec<_>>(),
        [Some(23813)]
    );
}

#[test]
fn the_old_master_is_not_the_master() {
    let node = |port, health| {
        format!(
            "*8\r\n$2\r\nid\r\n$1\r\nx\r\n$8\r\ntls-port\r\n:{port}\r\n$4\r\nrole\r\n$6\r\nmaster\r\n\
             $6\r\nhealth\r\n{health}\r\n"
        )
    };
    let nodes = node(7001, "$4\r\nfail") + &node(7002, "$6\r\nonline");
    let frame =
        format!("*1\r\n*4\r\n$5\r\nslots\r\n*2\r\n:0\r\n:0\r\n$5\r\nnodes\r\n*2\r\n{nodes}");
    let topology = shards(frame.as_bytes()).expect("a topology");
    let master = topology.groups[0].master().expect("a master");
    assert_eq!((master.port, master.tls_port), (None, Some(7002)));
}

#[test]
fn a_server_without_a_cluster_says_so() {
    let answer = b"-ERR This instance has cluster support disabled\r\n";
    let error = TopologyError::Answered("ERR This instance has cluster support disabled".into());
    assert_eq!(shards(answer), Err(error.clone()));
    assert_eq!(slots(answer), Err(error));
    let none = Topology { groups: Vec::new() };
    assert_eq!(shards(b"*0\r\n"), Ok(none.clone()));
    assert_eq!(slots(b"*0\r\n"), Ok(none));
}

#[test]
fn what_is_cut_or_changed_is_an_error_and_no_panic() {
    for (frame, read) in [
        (
            captured::SHARDS_RESP2,
            shards as fn(&[u8]) -> Result<Topology, TopologyError>,
        ),
        (captured::SHARDS_RESP3, shards),
        (captured::SLOTS_RESP2, slots),
        (captured::SLOTS_RESP3, slots),
        (captured::SLOTS_UNKNOWN, slots),
    ] {
        for end in 0..frame.len() {
            assert!(read(&frame[..end]).is_err(), "{end} of {}", frame.len());
        }
        // Not every change is wrong: a port is a port.
        for index in 0..frame.len() {
            for byte in [b'*', b'$', b':', b'_', b'9', b'\r', 0xff] {
                let mut changed = frame.to_vec();
                changed[index] = byte;
                drop(read(&changed));
            }
        }
    }
}

#[test]
fn what_has_no_place_in_a_topology_is_named() {
    let cases: [(&[u8], &str); 7] = [
        (b"+OK\r\n", "list"),
        (b"*1\r\n*2\r\n:0\r\n:1\r\n", "master"),
        (b"*1\r\n*3\r\n:1\r\n:0\r\n*0\r\n", "range of slots"),
        (b"*1\r\n*3\r\n:0\r\n:16384\r\n*0\r\n", "range of slots"),
        (b"*1\r\n*3\r\n$1\r\n0\r\n:1\r\n*0\r\n", "slot"),
        (b"*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$0\r\n\r\n:1\r\n", "node"),
        (
            b"*1\r\n*3\r\n:0\r\n:1\r\n*3\r\n$0\r\n\r\n:65536\r\n$1\r\na\r\n",
            "port",
        ),
    ];
    for (frame, what) in cases {
        assert_eq!(slots(frame), Err(TopologyError::Unexpected(what)), "{what}");
    }
}

#[test]
fn more_slots_than_there_are_are_nobodys() {
    let range = |first: u16| {
        format!("*3\r\n:{first}\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:7000\r\n$2\r\nid\r\n")
    };
    let of = |ranges: &[u16]| {
        let count = ranges.len();
        let ranges: String = ranges.iter().map(|first| range(*first)).collect();
        slots(format!("*{count}\r\n{ranges}").as_bytes())
    };
    assert!(of(&[0]).is_ok());
    assert_eq!(
        of(&[0, 16_383]),
        Err(TopologyError::Unexpected("range of slots"))
    );
}
