//! The promise: what the server says of itself and of its clients is true, whichever shard is asked, and what is done
//! to clients is done to all of them, whichever protocol they speak.

mod support;

#[path = "admin/pause.rs"]
mod pause;

use std::collections::{BTreeMap, BTreeSet};

use support::backends::Backend;
use support::ringfort::{Ringfort, redis_pool};
use support::wait_for;
use support::wire::Wire;

/// Enough that no shard is left without one, as the kernel spreads them.
const CONNECTION_COUNT: usize = 16;

/// Fields of Redis' INFO that have no counterpart: it has a thread that counts as its main one, ringfort has none.
const MISSING_FIELDS: &[&str] = &["used_cpu_sys_main_thread", "used_cpu_user_main_thread"];

/// A bulk or verbatim reply.
fn text(wire: &mut Wire, request: &str) -> String {
    wire.send(format!("{request}\r\n").as_bytes());
    let header = wire.line();
    let length = header
        .strip_prefix(['$', '='])
        .unwrap_or_else(|| panic!("{request}: {header}"));
    let length: usize = length.parse().expect("a length");
    let bytes = wire.bytes(length);
    wire.expect(b"\r\n");
    String::from_utf8(bytes).expect("text")
}

/// An integer reply.
fn number(wire: &mut Wire, request: &str) -> i64 {
    wire.send(format!("{request}\r\n").as_bytes());
    let line = wire.line();
    let number = line
        .strip_prefix(':')
        .unwrap_or_else(|| panic!("{request}: {line}"));
    number.parse().expect("a number")
}

/// INFO's fields.
fn info(wire: &mut Wire, sections: &str) -> BTreeMap<String, String> {
    text(wire, &format!("INFO {sections}"))
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn figure(wire: &mut Wire, name: &str) -> u64 {
    let fields = info(wire, "all");
    let value = fields
        .get(name)
        .unwrap_or_else(|| panic!("{name} in {fields:?}"));
    value.parse().expect("a number")
}

/// A field of CLIENT LIST's line.
fn field<'l>(line: &'l str, name: &str) -> &'l str {
    let prefix = format!("{name}=");
    line.split(' ')
        .find_map(|pair| pair.strip_prefix(prefix.as_str()))
        .unwrap_or_else(|| panic!("{name} in {line}"))
}

fn connect_all(ringfort: &Ringfort) -> (Vec<Wire>, Vec<Wire>) {
    let mut resp: Vec<_> = (0..CONNECTION_COUNT)
        .map(|_| Wire::connect(ringfort.resp()))
        .collect();
    let mut memcache: Vec<_> = (0..CONNECTION_COUNT)
        .map(|_| Wire::connect(ringfort.memcache()))
        .collect();
    for wire in &mut resp {
        wire.ask("PING\r\n", "+PONG\r\n");
    }
    for wire in &mut memcache {
        wire.ask("mn\r\n", "MN\r\n");
    }
    (resp, memcache)
}

#[test]
fn every_shard_lists_all_clients_in_order() {
    let ringfort = Ringfort::embedded();
    let (mut resp, _memcache) = connect_all(&ringfort);
    for (place, wire) in resp.iter_mut().enumerate() {
        wire.ask(format!("CLIENT SETNAME client-{place}\r\n"), "+OK\r\n");
    }
    for (place, wire) in resp.iter_mut().enumerate() {
        let id = number(wire, "CLIENT ID");
        let list = text(wire, "CLIENT LIST");
        let lines: Vec<_> = list.lines().collect();
        assert_eq!(lines.len(), 2 * CONNECTION_COUNT, "{list}");
        let ids: Vec<i64> = lines
            .iter()
            .map(|line| field(line, "id").parse().expect("a number"))
            .collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
        let own = lines[ids.iter().position(|other| *other == id).expect("itself")];
        assert_eq!(field(own, "name"), format!("client-{place}"));
        assert_eq!(field(own, "cmd"), "client|list");
        assert_eq!(field(own, "laddr"), ringfort.resp().to_string());
        let memcache = ringfort.memcache().to_string();
        let others = lines.iter().filter(|line| field(line, "laddr") == memcache);
        assert_eq!(others.count(), CONNECTION_COUNT);
        // In the order asked for, and again if asked for again.
        let wanted = [ids[5], ids[0], ids[5], 1 << 40, ids[9]];
        let request = format!(
            "CLIENT LIST ID {}",
            wanted.map(|id| id.to_string()).join(" ")
        );
        let list = text(wire, &request);
        let listed: Vec<_> = list.lines().map(|line| field(line, "id")).collect();
        assert_eq!(
            listed,
            [ids[5], ids[0], ids[5], ids[9]].map(|id| id.to_string())
        );
        assert_eq!(
            field(text(wire, "CLIENT INFO").trim(), "id"),
            id.to_string()
        );
    }
}

#[test]
fn clients_are_killed_wherever_they_are() {
    let ringfort = Ringfort::embedded();
    let (mut resp, mut memcache) = connect_all(&ringfort);
    let mut killer = resp.pop().expect("a connection");
    // By number and by address, one at a time.
    let mut victim = resp.pop().expect("a connection");
    let id = number(&mut victim, "CLIENT ID");
    assert_eq!(number(&mut killer, &format!("CLIENT KILL ID {id}")), 1);
    victim.expect_close();
    assert_eq!(number(&mut killer, &format!("CLIENT KILL ID {id}")), 0);
    let mut victim = resp.pop().expect("a connection");
    let line = text(&mut victim, "CLIENT INFO");
    let address = field(line.trim(), "addr");
    killer.ask(format!("CLIENT KILL {address}\r\n"), "+OK\r\n");
    victim.expect_close();
    killer.ask(
        format!("CLIENT KILL {address}\r\n"),
        "-ERR No such client\r\n",
    );
    // All who came to one door, then everybody else.
    let door = ringfort.memcache();
    let killed = number(&mut killer, &format!("CLIENT KILL LADDR {door}"));
    assert_eq!(killed, CONNECTION_COUNT as i64);
    memcache.iter_mut().for_each(Wire::expect_close);
    let killed = number(&mut killer, "CLIENT KILL TYPE normal");
    assert_eq!(killed, resp.len() as i64);
    resp.iter_mut().for_each(Wire::expect_close);
    assert_eq!(text(&mut killer, "CLIENT LIST").lines().count(), 1);
    killer.ask("CLIENT KILL TYPE normal SKIPME no\r\nPING\r\n", ":1\r\n");
    killer.expect_close();
}

#[test]
fn what_is_slow_is_logged_by_every_shard() {
    let ringfort = Ringfort::embedded();
    let (mut resp, _memcache) = connect_all(&ringfort);
    resp[0].ask("CONFIG SET slowlog-log-slower-than 0\r\n", "+OK\r\n");
    for wire in &mut resp {
        wire.ask("SET key value\r\nAUTH default secret\r\n", "+OK\r\n+OK\r\n");
    }
    resp[3].ask("CONFIG SET slowlog-log-slower-than 10000\r\n", "+OK\r\n");
    // The two settings, and everybody's requests.
    let expected = 1 + 2 * CONNECTION_COUNT as i64;
    for wire in &mut resp {
        let len = number(wire, "SLOWLOG LEN");
        assert!((expected..=expected + 1).contains(&len), "{len}");
    }
    let wire = &mut resp[5];
    wire.send(b"SLOWLOG GET -1\r\n");
    let count: usize = wire.line()[1..].parse().expect("a count");
    let (mut last, mut redacted) = (i64::MAX, 0);
    for _ in 0..count {
        wire.expect(b"*6\r\n");
        let id: i64 = wire.line()[1..].parse().expect("a number");
        assert!(id < last, "the newest first: {id} after {last}");
        last = id;
        let (_time, _us) = (wire.line(), wire.line());
        let args: usize = wire.line()[1..].parse().expect("a count");
        for _ in 0..args {
            let _length = wire.line();
            redacted += usize::from(wire.line() == "(redacted)");
        }
        let (_length, address) = (wire.line(), wire.line());
        assert!(address.starts_with("127.0.0.1:"), "{address}");
        wire.expect(b"$0\r\n\r\n");
    }
    assert_eq!(redacted, 2 * CONNECTION_COUNT, "no password is shown");
    wire.ask("CONFIG SET slowlog-max-len 3\r\n", "+OK\r\n");
    assert_eq!(number(&mut resp[1], "SLOWLOG LEN"), 3);
    resp[2].ask("SLOWLOG RESET\r\n", "+OK\r\n");
    assert_eq!(number(&mut resp[4], "SLOWLOG LEN"), 0);
}

#[test]
fn info_has_every_field_of_redis() {
    let (ringfort, redis) = (Ringfort::embedded(), Backend::redis());
    let names = |wire: &mut Wire| -> BTreeSet<String> {
        wire.ask(
            "SET key value EX 1000\r\nGET key\r\n",
            "+OK\r\n$5\r\nvalue\r\n",
        );
        let stay = |name: &String| !name.contains("stat_") && !name.contains("percentiles");
        info(wire, "everything").into_keys().filter(stay).collect()
    };
    let told = names(&mut Wire::connect(ringfort.resp()));
    let mut missing = names(&mut redis.connect());
    missing.retain(|name| !told.contains(name) && !MISSING_FIELDS.contains(&name.as_str()));
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn sections_are_chosen_as_redis_chooses_them() {
    let (ringfort, redis) = (Ringfort::embedded(), Backend::redis());
    let (mut ours, mut theirs) = (Wire::connect(ringfort.resp()), redis.connect());
    for sections in [
        "",
        "default",
        "all",
        "everything",
        "ALL server",
        "foo",
        "server foo CLIENTS clients",
        "default commandstats",
        "keyspace cpu latencystats",
        "modules errorstats",
    ] {
        let titles = |wire: &mut Wire| -> Vec<String> {
            let lines = text(wire, &format!("INFO {sections}"));
            let titles = lines.lines().filter(|line| line.starts_with('#'));
            titles.map(str::to_owned).collect()
        };
        assert_eq!(titles(&mut ours), titles(&mut theirs), "INFO {sections}");
    }
}

#[test]
fn figures_are_true_and_start_again() {
    let ringfort = Ringfort::embedded();
    let (mut resp, _memcache) = connect_all(&ringfort);
    for (place, wire) in resp.iter_mut().enumerate() {
        wire.ask(
            format!("SET key-{place} 1\r\nSET timed-{place} 1 EX 1000\r\nGET key-{place}\r\nGET none\r\n"),
            "+OK\r\n+OK\r\n$1\r\n1\r\n$-1\r\n",
        );
        wire.ask(
            "GET\r\n",
            "-ERR wrong number of arguments for 'get' command\r\n",
        );
        wire.ask("SET a b c\r\n", "-ERR syntax error\r\n");
        wire.ask("HELLO 5\r\n", "-NOPROTO unsupported protocol version\r\n");
    }
    let count = CONNECTION_COUNT as u64;
    let wire = &mut resp[0];
    let fields = info(wire, "everything");
    let get = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    assert_eq!(get("connected_clients"), (2 * count).to_string());
    assert_eq!(get("total_commands_processed"), (5 * count).to_string());
    assert_eq!(get("keyspace_hits"), count.to_string());
    assert_eq!(get("keyspace_misses"), count.to_string());
    let keys = format!("keys={},expires={count},avg_ttl=0", 2 * count);
    assert_eq!(get("db0"), keys);
    assert_eq!(get("errorstat_ERR"), format!("count={}", 2 * count));
    assert_eq!(get("errorstat_NOPROTO"), format!("count={count}"));
    let gets = format!("calls={},", 2 * count);
    assert!(
        get("cmdstat_get").starts_with(&gets),
        "{}",
        get("cmdstat_get")
    );
    let rejected = format!("rejected_calls={count},failed_calls=0");
    assert!(get("cmdstat_get").ends_with(&rejected));
    let failed = format!("rejected_calls=0,failed_calls={count}");
    assert!(get("cmdstat_set").ends_with(&failed));
    assert!(
        figure(wire, "used_memory_rss") > 32 << 20,
        "memory is taken at start"
    );
    wire.ask("CONFIG RESETSTAT\r\n", "+OK\r\n");
    let fields = info(wire, "everything");
    for name in ["keyspace_hits", "keyspace_misses", "total_error_replies"] {
        assert_eq!(fields[name], "0", "{name}");
    }
    assert!(!fields.contains_key("cmdstat_get"), "{fields:?}");
    assert_eq!(fields["connected_clients"], (2 * count).to_string());
    assert_eq!(fields["db0"], keys);
}

#[test]
fn what_was_timed_is_told_by_percentile_and_power_of_two() {
    let ringfort = Ringfort::embedded();
    let mut wire = Wire::connect(ringfort.resp());
    let requests = "GET key\r\n".repeat(500);
    wire.ask(requests, "$-1\r\n".repeat(500));
    wire.send(b"LATENCY HISTOGRAM get\r\n");
    wire.expect(b"*2\r\n$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n");
    let calls: u64 = wire.line()[1..].parse().expect("a number");
    assert!(
        (500 / 100..=500 / 30).contains(&calls),
        "one in some is timed: {calls}"
    );
    wire.expect(b"$14\r\nhistogram_usec\r\n");
    let bounds: usize = wire.line()[1..].parse().expect("a count");
    let numbers: Vec<u64> = (0..bounds)
        .map(|_| wire.line()[1..].parse().expect("a number"))
        .collect();
    let (mut last_us, mut last_count) = (0, 0);
    for pair in numbers.chunks(2) {
        assert!(pair[0] > last_us && pair[1] > last_count, "{numbers:?}");
        (last_us, last_count) = (pair[0], pair[1]);
    }
    assert_eq!(last_count, calls);
    let fields = info(&mut wire, "latencystats");
    let percentiles = &fields["latency_percentiles_usec_get"];
    let values: Vec<f64> = percentiles
        .split(',')
        .map(|pair| pair.split_once('=').expect("a pair").1)
        .map(|value| value.parse().expect("a number"))
        .collect();
    assert!(values.is_sorted() && values[0] > 0.0, "{percentiles}");
    wire.ask(
        "CONFIG SET latency-tracking no\r\nCONFIG RESETSTAT\r\n",
        "+OK\r\n+OK\r\n",
    );
    wire.ask("PING\r\n".repeat(500), "+PONG\r\n".repeat(500));
    wire.ask("LATENCY HISTOGRAM ping\r\n", "*0\r\n");
}

#[test]
fn clients_that_say_nothing_are_closed_if_wanted() {
    let ringfort = Ringfort::embedded();
    let (mut resp, mut memcache) = connect_all(&ringfort);
    let mut controller = resp.pop().expect("a connection");
    controller.ask("CONFIG SET timeout 1\r\n", "+OK\r\n");
    wait_for("the others to be closed", || {
        let list = text(&mut controller, "CLIENT LIST");
        (list.lines().count() == 1).then_some(())
    });
    resp.iter_mut().for_each(Wire::expect_close);
    memcache.iter_mut().for_each(Wire::expect_close);
}

#[test]
fn no_more_clients_come_in_than_are_wanted() {
    let ringfort = Ringfort::embedded();
    let mut first = Wire::connect(ringfort.resp());
    first.ask("CONFIG SET maxclients 2\r\n", "+OK\r\n");
    let mut second = Wire::connect(ringfort.resp());
    second.ask("PING\r\n", "+PONG\r\n");
    let mut third = Wire::connect(ringfort.resp());
    third.expect(b"-ERR max number of clients reached\r\n");
    third.expect_close();
    let too_many = "-ERR CONFIG SET failed (possibly related to argument 'maxclients') - The operating system is \
                    not able to handle the specified number of clients, try with 10000\r\n";
    first.ask("CONFIG SET maxclients 10001\r\n", too_many);
}

#[test]
fn a_pool_answers_for_itself() {
    let (_redis, ringfort) = redis_pool(1, &[]);
    let mut wire = Wire::connect(ringfort.resp());
    wire.ask("SET key value\r\nGET key\r\n", "+OK\r\n$5\r\nvalue\r\n");
    wire.ask(
        "INCR key\r\n",
        "-ERR value is not an integer or out of range\r\n",
    );
    let fields = info(&mut wire, "all");
    assert_eq!(fields["tcp_port"], ringfort.resp().port().to_string());
    assert_eq!(fields["backend_requests"], "3");
    assert_eq!(fields["errorstat_ERR"], "count=1");
    assert!(fields["cmdstat_get"].starts_with("calls=1,"));
    assert_eq!(
        text(&mut wire, "CLIENT LIST").lines().count(),
        1,
        "servers are no clients"
    );
    wire.ask(
        "CLIENT REPLY OFF\r\nGET key\r\nMGET key key\r\nCLIENT REPLY ON\r\n",
        "+OK\r\n",
    );
    wire.ask("CLIENT PAUSE 1\r\nGET key\r\n", "+OK\r\n$5\r\nvalue\r\n");
}

#[test]
fn who_is_not_answered_is_closed_all_the_same() {
    // Redis 7.0 forgets to: it closes once a reply is out, and there is none.
    let ringfort = Ringfort::embedded();
    for request in [
        "CLIENT REPLY OFF\r\nPING\r\n*x\r\n",
        "CLIENT REPLY SKIP\r\nQUIT\r\n",
    ] {
        let mut wire = Wire::connect(ringfort.resp());
        wire.send(request.as_bytes());
        wire.expect_close();
    }
}
