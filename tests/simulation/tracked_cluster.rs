//! In front of a Redis Cluster whose nodes tell of changes: whatever slots move, whoever takes over and whatever breaks,
//! no read goes back behind what was acknowledged or seen, and old copies are gone in the time that is promised.

use std::cell::RefCell;
use std::rc::Rc;

use ringfort::io::sim::{Faults, ServerState};
use ringfort::route::Slot;

use crate::embedded::PATIENCE_MS;
use crate::for_each_seed;
use crate::l1::end;
use crate::pool::change_ways;
use crate::sim::cluster::Cluster;
use crate::sim::redis::request;
use crate::sim::{Fleet, Setup, address};
use crate::tracked::{KEYS, Readers, check_quiet, check_value, client, get_count, stranger};

/// How long a copy of a node that has been replaced may be shown: a second until the node is asked how it sees the
/// cluster. The rest is for the answer, and for asking who has its slots.
const REPLACED_MS: u64 = 1_000 + 200;

/// How long a node may take to say that.
const ANSWER_MS: u64 = 1_000;

#[test]
fn no_read_goes_back_whatever_moves_and_breaks() {
    for_each_seed(600, |seed| {
        let mut fleet = fleet(seed);
        let keys = KEYS.map(|key| key.as_bytes().to_vec());
        let mut world = Readers::new(&fleet, 5);
        for number in 0..200 {
            if fleet.rng.chance(250) {
                nodes(&fleet).borrow_mut().move_some(&keys);
            }
            if seed % 3 > 0 && fleet.rng.chance(40) {
                trouble(&mut fleet, &world);
            }
            if seed % 3 == 2 && fleet.rng.chance(60) {
                break_one(&mut fleet);
            }
            let key = KEYS[fleet.rng.below(KEYS.len())];
            let value = format!("v{number}");
            let client = fleet.rng.below(world.clients.len());
            match fleet.rng.below(10) {
                0 => stranger(&fleet, key, &["SET", key, &value]),
                1 if fleet.rng.chance(200) => stranger(&fleet, key, &["DEL", key]),
                1 | 2 => world.set(&fleet, client, key, &value),
                _ => world.get(&fleet, client, key),
            }
            for _ in 0..fleet.rng.below(6) {
                fleet.round();
                world.hear(&fleet);
            }
            if world.is_answered() {
                nodes(&fleet).borrow_mut().rest();
            }
        }
        nodes(&fleet).borrow_mut().settle();
        fleet.heal();
        let is_answered = fleet.run_until(PATIENCE_MS, |fleet| {
            world.hear(fleet);
            world.is_answered()
        });
        assert!(is_answered);
        nodes(&fleet).borrow_mut().rest();
        nodes(&fleet).borrow_mut().settle();
        // Whoever has not been asked for long may still believe in an old node.
        fleet.run_until(20_000, |_| false);
        check_quiet(&mut fleet);
        let clients: Vec<_> = world.clients.iter().map(|client| client.id).collect();
        end(&mut fleet, &clients);
    });
}

/// It heard of that, as it does when a replica takes over by order. All reads are answered out of copies, so nobody is
/// told MOVED.
#[test]
fn copies_of_a_node_that_has_stepped_down_go_soon() {
    for_each_seed(200, |seed| {
        let mut fleet = fleet(seed);
        keep(&mut fleet, "a", "old");
        let owner = owner_of_a(&fleet);
        nodes(&fleet).borrow_mut().fail_over(owner);
        stranger(&fleet, "a", &["SET", "a", "new"]);
        fleet.run_until(REPLACED_MS, |_| false);
        check_value(&mut fleet, "a", "new");
        end(&mut fleet, &[]);
    });
}

/// Its old node hears of that, throws the keys away and tells nobody. What else it has is kept.
#[test]
fn copies_of_a_slot_that_is_taken_by_force_go_soon() {
    for_each_seed(200, |seed| {
        let mut fleet = fleet(seed);
        let owner = owner_of_a(&fleet);
        let is_near = |key: &&str| {
            let slot = Slot::of(key.as_bytes()).index();
            nodes(&fleet).borrow().owner(slot) == owner && *key != "a"
        };
        let near = ["b", "c", "d", "e", "f"].into_iter().find(is_near);
        let near = near.expect("one of the same node");
        keep(&mut fleet, near, "kept");
        keep(&mut fleet, "a", "old");
        nodes(&fleet).borrow_mut().begin_move(b"a");
        nodes(&fleet).borrow_mut().settle();
        stranger(&fleet, "a", &["SET", "a", "new"]);
        fleet.run_until(REPLACED_MS, |_| false);
        check_value(&mut fleet, "a", "new");
        let count = get_count(&fleet, near);
        check_value(&mut fleet, near, "kept");
        assert_eq!(get_count(&fleet, near), count, "it is kept all the while");
        end(&mut fleet, &[]);
    });
}

/// It may be that it sees no majority, and others have taken over. Its connections stand.
#[test]
fn copies_of_a_node_that_does_not_say_how_it_sees_the_cluster_go_soon() {
    for_each_seed(200, |seed| {
        let mut fleet = fleet(seed);
        keep(&mut fleet, "a", "old");
        let owner = owner_of_a(&fleet);
        let pairs = nodes(&fleet).borrow().tracked[owner].pairs();
        let hold = |fleet: &Fleet, is_held| {
            for shard in 0..fleet.shard_count() {
                fleet.world.hold_answers(address(owner), shard, is_held);
            }
        };
        hold(&fleet, true);
        fleet.run_until(REPLACED_MS + ANSWER_MS, |_| false);
        hold(&fleet, false);
        fleet.run_until_idle();
        assert_eq!(nodes(&fleet).borrow().tracked[owner].pairs(), pairs);
        for fetch_count in [1, 0] {
            let count = get_count(&fleet, "a");
            check_value(&mut fleet, "a", "old");
            assert_eq!(get_count(&fleet, "a"), count + fetch_count);
        }
        end(&mut fleet, &[]);
    });
}

/// It hears nothing of the others, and only it is to be reached from here.
#[test]
fn copies_of_a_node_that_is_cut_off_with_us_go_soon() {
    for_each_seed(200, |seed| {
        let mut fleet = fleet(seed);
        keep(&mut fleet, "a", "old");
        let owner = owner_of_a(&fleet);
        let node_count = nodes(&fleet).borrow().node_count();
        for other in (0..node_count).filter(|number| *number != owner) {
            fleet
                .world
                .set_server(address(other), ServerState::Unreachable);
        }
        fleet.run_until(15_000, |_| false);
        let count = get_count(&fleet, "a");
        check_value(&mut fleet, "a", "old");
        assert_eq!(get_count(&fleet, "a"), count, "it is kept all the while");
        nodes(&fleet).borrow_mut().cut_off(owner);
        stranger(&fleet, "a", &["SET", "a", "new"]);
        fleet.run_until(REPLACED_MS, |_| false);
        nodes(&fleet).borrow_mut().settle();
        fleet.heal();
        for shard in 0..fleet.shard_count() {
            expect_in_the_end(&mut fleet, shard, "a", "new");
        }
        end(&mut fleet, &[]);
    });
}

fn owner_of_a(fleet: &Fleet) -> usize {
    nodes(fleet).borrow().owner(Slot::of(b"a").index())
}

/// A shard shows this value, and nothing but errors before.
fn expect_in_the_end(fleet: &mut Fleet, shard: usize, key: &str, value: &str) {
    let client = client(fleet, shard);
    let expected = format!("${}\r\n{value}\r\n", value.len());
    let get = request(&[b"GET", key.as_bytes()]);
    fleet.world.send(client, &get);
    let mut heard = Vec::new();
    let is_shown = fleet.run_until(PATIENCE_MS, |fleet| {
        heard.extend(fleet.world.take_received(client));
        let is_error = heard.starts_with(b"-");
        let is_fit = is_error || expected.as_bytes().starts_with(&heard);
        assert!(is_fit, "{}", heard.escape_ascii());
        if is_error && heard.ends_with(b"\r\n") {
            heard.clear();
            fleet.world.send(client, &get);
        }
        heard == expected.as_bytes()
    });
    assert!(is_shown, "shard {shard} shows nothing");
    fleet.world.close(client);
}

/// The node that has a key says that it is gone when it has moved; until the slot has moved, too, what is read of it is
/// not kept.
#[test]
fn a_key_that_moves_takes_its_copy_with_it() {
    for_each_seed(200, |seed| {
        let mut fleet = fleet(seed);
        keep(&mut fleet, "a", "old");
        nodes(&fleet).borrow_mut().begin_move(b"a");
        check_value(&mut fleet, "a", "old");
        nodes(&fleet).borrow_mut().move_key(b"a");
        stranger(&fleet, "a", &["SET", "a", "new"]);
        fleet.run_until_idle();
        for _ in 0..2 {
            let count = get_count(&fleet, "a");
            check_value(&mut fleet, "a", "new");
            assert_eq!(get_count(&fleet, "a"), count + fleet.shard_count());
        }
        nodes(&fleet).borrow_mut().settle();
        check_value(&mut fleet, "a", "new");
        stranger(&fleet, "a", &["SET", "a", "newer"]);
        fleet.run_until_idle();
        check_value(&mut fleet, "a", "newer");
        let count = get_count(&fleet, "a");
        check_value(&mut fleet, "a", "newer");
        assert_eq!(get_count(&fleet, "a"), count, "it is kept");
        end(&mut fleet, &[]);
    });
}

/// Writes a key past us, and has all shards keep it.
fn keep(fleet: &mut Fleet, key: &str, value: &str) {
    fleet.run_until(5_000, |_| false);
    stranger(fleet, key, &["SET", key, value]);
    fleet.run_until_idle();
    check_value(fleet, key, value);
    let count = get_count(fleet, key);
    check_value(fleet, key, value);
    assert_eq!(get_count(fleet, key), count, "{key} is kept");
}

/// A node is replaced, if nothing is under way, or one of them changes its ways, or time passes.
fn trouble(fleet: &mut Fleet, world: &Readers) {
    let number = fleet.rng.below(nodes(fleet).borrow().node_count());
    match fleet.rng.below(9) {
        5 if world.is_answered() => {
            let nodes = nodes(fleet);
            nodes.borrow_mut().rest();
            nodes.borrow_mut().fail_over(number);
        }
        5 => {}
        choice => change_ways(fleet, number, choice),
    }
}

/// Breaks one connection that hears of changes, or one that others hear for.
fn break_one(fleet: &mut Fleet) {
    let number = fleet.rng.below(nodes(fleet).borrow().node_count());
    let pairs = nodes(fleet).borrow().tracked[number].pairs();
    if pairs.is_empty() {
        return;
    }
    let (link, listener) = pairs[fleet.rng.below(pairs.len())];
    let victim = if fleet.rng.chance(500) {
        listener
    } else {
        link
    };
    fleet.world.break_connection(address(number), victim);
}

fn nodes(fleet: &Fleet) -> Rc<RefCell<Cluster>> {
    Rc::clone(fleet.nodes.as_ref().expect("a cluster"))
}

/// Two to four nodes, one to three shards.
fn fleet(seed: u64) -> Fleet {
    let cluster = Setup::cluster(1 + seed as usize % 3, 2 + seed as usize % 3, None);
    let setup = Setup {
        is_tracked: true,
        ..cluster
    };
    let fleet = Fleet::new(seed, &setup);
    fleet.world.set_faults(Faults::NETWORK);
    fleet
}
