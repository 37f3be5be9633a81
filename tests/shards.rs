//! The promise: nobody sees that there are shards. A key written over one connection is read over every other, and
//! a pipelining connection reads its own writes, wherever the keys live.

mod support;

use support::ringfort::Ringfort;
use support::wire::Wire;

/// Enough that no shard is left without one, as the kernel spreads them.
const CONNECTION_COUNT: usize = 32;

#[test]
fn what_one_connection_writes_all_others_read() {
    let ringfort = Ringfort::embedded();
    let mut wires: Vec<_> = (0..CONNECTION_COUNT)
        .map(|_| Wire::connect(ringfort.memcache()))
        .collect();
    for writer in 0..CONNECTION_COUNT {
        let value = format!("value-{writer}");
        let entry = format!("shared 0 0 {}\r\n{value}\r\n", value.len());
        wires[writer].ask(format!("set {entry}"), "STORED\r\n");
        for reader in &mut wires {
            let reply = format!("VALUE shared 0 {}\r\n{value}\r\nEND\r\n", value.len());
            reader.ask("get shared\r\n", reply);
        }
    }
}

#[test]
fn what_is_deleted_is_gone_for_all() {
    let ringfort = Ringfort::embedded();
    let mut wires: Vec<_> = (0..CONNECTION_COUNT)
        .map(|_| Wire::connect(ringfort.resp()))
        .collect();
    for number in 0..CONNECTION_COUNT {
        wires[number].ask("SET shared x\r\n", "+OK\r\n");
        wires[(number + 7) % CONNECTION_COUNT].ask("DEL shared\r\n", ":1\r\n");
        wires
            .iter_mut()
            .for_each(|wire| wire.ask("EXISTS shared\r\n", ":0\r\n"));
    }
}

#[test]
fn both_protocols_see_the_same_entry() {
    let ringfort = Ringfort::embedded();
    let mut memcache = Wire::connect(ringfort.memcache());
    let mut resp = Wire::connect(ringfort.resp());
    for number in 0..100 {
        memcache.ask(format!("set m{number} 5 0 2\r\n10\r\n"), "STORED\r\n");
        resp.ask(format!("GET m{number}\r\n"), "$2\r\n10\r\n");
        resp.ask(format!("INCR m{number}\r\n"), ":11\r\n");
        memcache.ask(format!("incr m{number} 1\r\n"), "12\r\n");
        resp.ask(format!("SET r{number} 1 EX 1000\r\n"), "+OK\r\n");
        memcache.ask(
            format!("get r{number}\r\n"),
            format!("VALUE r{number} 0 1\r\n1\r\nEND\r\n"),
        );
        memcache.ask(format!("delete r{number}\r\n"), "DELETED\r\n");
        resp.ask(format!("TTL r{number}\r\n"), ":-2\r\n");
    }
    resp.ask("DBSIZE\r\n", ":100\r\n");
    memcache.ask("flush_all\r\n", "OK\r\n");
    resp.ask("GET m7\r\n", "$-1\r\n");
}

#[test]
fn a_pipelining_memcache_connection_reads_its_own_writes() {
    let ringfort = Ringfort::embedded();
    let address = ringfort.memcache();
    at_once(CONNECTION_COUNT, |connection| {
        let mut wire = Wire::connect(address);
        let (mut requests, mut replies) = (String::new(), String::new());
        for round in 0..50 {
            // Keys of all shards, mixed; each request depends on one that has no answer yet.
            for key in 0..20 {
                let name = format!("c{connection}k{key}");
                requests += &format!("set {name} 0 0 4\r\n{:04}\r\n", round);
                replies += "STORED\r\n";
                requests += &format!("incr {name} 1000\r\nget {name}\r\n");
                replies += &format!(
                    "{}\r\nVALUE {name} 0 4\r\n{}\r\nEND\r\n",
                    1000 + round,
                    1000 + round
                );
                if key % 3 == 0 {
                    requests += &format!("delete {name} noreply\r\nget {name}\r\n");
                    replies += "END\r\n";
                }
            }
            requests += &format!("get c{connection}k1 c{connection}k0 c{connection}k2\r\n");
            let value = |key| format!("VALUE c{connection}k{key} 0 4\r\n{}\r\n", 1000 + round);
            replies += &format!("{}{}END\r\n", value(1), value(2));
        }
        wire.ask(requests, replies);
    });
}

#[test]
fn a_pipelining_resp_connection_reads_its_own_writes() {
    let ringfort = Ringfort::embedded();
    let address = ringfort.resp();
    at_once(CONNECTION_COUNT, |connection| {
        let mut wire = Wire::connect(address);
        let (mut requests, mut replies) = (String::new(), String::new());
        for round in 1000..1050 {
            for key in 0..20 {
                let name = format!("c{connection}k{key}");
                requests += &format!("SET {name} {round}\r\nAPPEND {name} 0\r\nGET {name}\r\n");
                replies += &format!("+OK\r\n:5\r\n$5\r\n{round}0\r\n");
                if key % 3 == 0 {
                    requests += &format!("DEL {name}\r\nGET {name}\r\n");
                    replies += ":1\r\n$-1\r\n";
                }
            }
            let name = |key| format!("c{connection}k{key}");
            requests += &format!("MGET {} {} {}\r\n", name(1), name(0), name(2));
            replies += &format!("*3\r\n$5\r\n{round}0\r\n$-1\r\n$5\r\n{round}0\r\n");
            requests += &format!(
                "MSET {} a {} b\r\nMGET {} {}\r\n",
                name(1),
                name(2),
                name(2),
                name(1)
            );
            replies += "+OK\r\n*2\r\n$1\r\nb\r\n$1\r\na\r\n";
            requests += &format!(
                "DEL {} {} {}\r\nEXISTS {}\r\n",
                name(0),
                name(1),
                name(2),
                name(1)
            );
            replies += ":2\r\n:0\r\n";
        }
        wire.ask(requests, replies);
    });
}

/// A counter that everybody raises at once loses nothing.
#[test]
fn no_increment_is_lost() {
    const ROUNDS: usize = 500;
    let ringfort = Ringfort::embedded();
    Wire::connect(ringfort.memcache()).ask("set counter 0 0 1\r\n0\r\n", "STORED\r\n");
    let speakers = [
        (ringfort.memcache(), "incr counter 1\r\n"),
        (ringfort.resp(), "INCR counter\r\n"),
    ];
    at_once(CONNECTION_COUNT, |connection| {
        let (address, request) = speakers[connection % 2];
        let mut wire = Wire::connect(address);
        wire.send(request.repeat(ROUNDS).as_bytes());
        // Each sees the counter grow.
        let mut last = 0;
        for _ in 0..ROUNDS {
            let now = wire
                .line()
                .trim_start_matches(':')
                .parse()
                .expect("a number");
            assert!(last < now, "{now} came after {last}");
            last = now;
        }
    });
    let total = (CONNECTION_COUNT * ROUNDS).to_string();
    Wire::connect(ringfort.resp()).ask(
        "GET counter\r\n",
        format!("${}\r\n{total}\r\n", total.len()),
    );
}

/// Shards wake up and fall asleep all the time, and count for each other meanwhile.
#[test]
fn no_increment_is_lost_whoever_makes_it() {
    const KEY_COUNT: usize = 20;
    const ROUND_COUNT: usize = 400;
    let ringfort = Ringfort::embedded();
    let address = ringfort.resp();
    at_once(CONNECTION_COUNT, |connection| {
        let mut wire = Wire::connect(address);
        for round in 0..ROUND_COUNT {
            // One by one, so that others fall asleep, or some at once, so that they do not.
            let count = 1 + (connection + round) % 3 * 4;
            let requests: String = (0..count)
                .map(|number| format!("INCR n{}\r\n", (round + number) % KEY_COUNT))
                .collect();
            wire.send(requests.as_bytes());
            for _ in 0..count {
                assert!(wire.line().starts_with(':'));
            }
        }
    });
    let mut wire = Wire::connect(address);
    let total: usize = (0..KEY_COUNT)
        .map(|key| {
            wire.send(format!("GET n{key}\r\n").as_bytes());
            wire.line();
            wire.line().trim_end().parse::<usize>().expect("a number")
        })
        .sum();
    let made: usize = (0..CONNECTION_COUNT * ROUND_COUNT)
        .map(|sent| 1 + (sent / ROUND_COUNT + sent % ROUND_COUNT) % 3 * 4)
        .sum();
    assert_eq!(total, made);
    assert!(wire.info("stats", "shard_loans") > 0);
}

fn at_once(count: usize, work: impl Fn(usize) + Sync) {
    std::thread::scope(|scope| {
        for number in 0..count {
            let work = &work;
            scope.spawn(move || work(number));
        }
    });
}
