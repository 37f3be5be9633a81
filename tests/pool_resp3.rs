//! The promise: a client that said `HELLO 3` gets, through a pool, what the server itself would say in RESP3.

mod support;

use support::ringfort::redis_pool;
use support::wire::Wire;

/// Each is asked of the server in RESP3 and through ringfort; what must not be done twice, on two keys.
const REQUESTS: &[&str] = &[
    "HGETALL h",
    "HGETALL none",
    "HGET h none",
    "HMGET h f none g",
    "HRANDFIELD h 9 WITHVALUES",
    "HRANDFIELD h 9",
    "SMEMBERS s",
    "SINTER s s",
    "SUNION s none",
    "SDIFF s none",
    "SMISMEMBER s a none",
    "SRANDMEMBER s 9",
    "SRANDMEMBER none",
    "ZSCORE z a",
    "ZSCORE z none",
    "ZMSCORE z a none b",
    "ZRANGE z 0 -1",
    "ZRANGE z 0 -1 WITHSCORES",
    "ZRANGE none 0 -1 WITHSCORES",
    "ZREVRANGE z 0 -1 WITHSCORES",
    "ZRANGEBYSCORE z -inf +inf WITHSCORES LIMIT 0 2",
    "ZREVRANGEBYSCORE z +inf -inf WITHSCORES",
    "ZUNION 2 z none WITHSCORES",
    "ZINTER 1 z WITHSCORES",
    "ZDIFF 1 z WITHSCORES",
    "ZDIFF 1 z",
    "ZRANK z none",
    "ZRANK z b",
    "ZINCRBY z 0 b",
    "ZADD z INCR 0 b",
    "ZADD z XX INCR 1 none",
    "ZADD z CH 1 a",
    "ZSCAN z 0",
    "LRANGE l 0 -1",
    "LPOS l none",
    "LPOP none",
    "LPOP none 2",
    "LMPOP 1 none LEFT",
    "ZMPOP 1 none MIN",
    "ZPOPMIN none",
    "ZPOPMAX none 2",
    "SPOP none",
    "SPOP none 2",
    "GEOPOS geo Palermo none",
    "GEODIST geo Palermo Catania km",
    "GEOSEARCH geo FROMMEMBER Palermo BYRADIUS 200 km ASC WITHCOORD WITHDIST WITHHASH",
    "GEOSEARCH geo FROMMEMBER Palermo BYRADIUS 200 km ASC WITHDIST",
    "GEORADIUS_RO geo 15 37 200 km WITHCOORD ASC",
    "GEOHASH geo Palermo none",
    "XRANGE x - +",
    "XREAD STREAMS x 0",
    "XREAD STREAMS none 0",
    "XINFO STREAM x",
    "XINFO STREAM x FULL",
    "XINFO GROUPS x",
    "XPENDING x g",
    "XINFO STREAM none",
    "LCS t u IDX",
    "LCS t u",
    "SORT l ALPHA GET none-*",
    "BITFIELD t GET u8 0",
    "OBJECT ENCODING none",
    "GETRANGE t 0 1",
    "DUMP none",
    "EVAL \"return {1, false, {'a', false}, {ok = 'fine'}}\" 1 t",
    "EVAL \"return false\" 1 t",
    "EVAL \"return redis.call('HGETALL', KEYS[1])\" 1 h",
    "HGET s f",
];

/// What changes what it answers, so that each side has keys of its own.
const ONCE: &[&str] = &[
    "SPOP s 3",
    "ZPOPMIN z",
    "ZPOPMAX z 2",
    "ZMPOP 1 z MIN COUNT 2",
    "LMPOP 1 l LEFT COUNT 2",
    "XREADGROUP GROUP g c STREAMS x >",
    "XAUTOCLAIM x g d 0 0",
];

const FILL: &str = "HSET h f 1 g 2\r\nSADD s a b c\r\nZADD z 1 a 2.5 b inf c -0.1 d\r\nRPUSH l a b c\r\n\
    GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania\r\nXADD x 1-1 f v\r\n\
    XGROUP CREATE x g 0\r\nSET t ohmytext\r\nSET u mynewtext\r\n";

#[test]
fn replies_are_those_of_the_server_in_resp3() {
    let (backends, ringfort) = redis_pool(1, &["--l1", "off"]);
    let mut direct = Wire::connect(backends[0].address());
    let mut through = Wire::connect(ringfort.resp());
    direct.send(format!("{FILL}ECHO filled\r\n").as_bytes());
    until(&mut direct, "filled");
    for wire in [&mut direct, &mut through] {
        wire.send(b"HELLO 3\r\nECHO greeted\r\n");
        until(wire, "greeted");
    }
    let mut different = Vec::new();
    for request in REQUESTS {
        let [wanted, seen] = [&mut direct, &mut through].map(|wire| answer(wire, request));
        // A time of last use.
        if !(wanted == seen || (request.contains("XINFO") && wanted.len() == seen.len())) {
            different.push(format!("{request}\n{wanted}\n{seen}"));
        }
    }
    for request in ONCE {
        let seen = answer(&mut through, request);
        direct.send(format!("FLUSHALL\r\n{FILL}ECHO filled\r\n").as_bytes());
        until(&mut direct, "filled");
        let wanted = answer(&mut direct, request);
        direct.send(format!("FLUSHALL\r\n{FILL}ECHO filled\r\n").as_bytes());
        until(&mut direct, "filled");
        if !(wanted == seen || (request.contains("SPOP") && wanted.len() == seen.len())) {
            different.push(format!("{request}\n{wanted}\n{seen}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n\n"));
    // So in transactions, element by element.
    let queued = [
        "HGETALL h",
        "GET none",
        "ZSCORE z b",
        "SMEMBERS none",
        "HGET h none",
    ];
    let transaction = format!("MULTI\r\n{}\r\nEXEC", queued.join("\r\n"));
    let [wanted, seen] = [&mut direct, &mut through].map(|wire| answer(wire, &transaction));
    assert_eq!(wanted, seen);
}

/// What is answered up to a mark.
fn answer(wire: &mut Wire, request: &str) -> String {
    wire.send(format!("{request}\r\nECHO end-of-answer\r\n").as_bytes());
    until(wire, "end-of-answer")
}

fn until(wire: &mut Wire, end: &str) -> String {
    let mut lines = Vec::new();
    loop {
        let line = wire.line();
        if line == end {
            lines.pop();
            return lines.join(" ");
        }
        lines.push(line);
    }
}
