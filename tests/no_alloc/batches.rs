//! What is asked while allocations are counted, and what is to be answered.

/// One pipelined batch and its replies.
pub(crate) type Batch = (Vec<u8>, Vec<u8>);

pub(crate) fn memcache_batches(sets: bool) -> Vec<Batch> {
    let mut batches = Vec::new();
    for round in 0..4 {
        let (mut request, mut reply) = (Vec::new(), Vec::new());
        for key in 0..8 {
            if sets {
                request.extend(format!("set k{round}-{key} 5 0 4\r\ndata\r\n").bytes());
                reply.extend(b"STORED\r\n");
                request.extend(format!("ms k{round}-{key} 4 F5\r\ndata\r\n").bytes());
                request.extend(format!("ma n{round}-{key} N0 J5\r\n").bytes());
                request.extend(format!("md n{round}-{key}\r\n").bytes());
                reply.extend(b"HD\r\nHD\r\nHD\r\n");
            }
            request.extend(format!("get k{round}-{key}\r\nget no{key}\r\n").bytes());
            let hit = format!("VALUE k{round}-{key} 5 4\r\ndata\r\nEND\r\nEND\r\n");
            reply.extend(hit.bytes());
            request.extend(format!("mg k{round}-{key} v f s k q\r\nmg no{key} q\r\n").bytes());
            reply.extend(format!("VA 4 f5 s4 kk{round}-{key}\r\ndata\r\n").bytes());
            // A key in base64 is decoded on the way: the same one.
            request.extend(format!("mg {} b t O{key}\r\nmn\r\n", base64(round, key)).bytes());
            reply.extend(format!("HD t-1 O{key}\r\nMN\r\n").bytes());
        }
        request.extend(format!("get k{round}-0 no k{round}-1\r\n").bytes());
        for key in 0..2 {
            reply.extend(format!("VALUE k{round}-{key} 5 4\r\ndata\r\n").bytes());
        }
        reply.extend(b"END\r\n");
        batches.push((request, reply));
    }
    batches
}

pub(crate) fn binary_batches(sets: bool) -> Vec<Batch> {
    let [get, set, no_op, getkq, setq] = [0x00, 0x01, 0x0a, 0x0d, 0x11];
    let frame = |magic: u8, opcode: u8, status: u8, extras: &[u8], key: &str, value: &[u8]| {
        let body_bytes = extras.len() + key.len() + value.len();
        let mut frame = vec![
            magic,
            opcode,
            0,
            key.len() as u8,
            extras.len() as u8,
            0,
            0,
            status,
        ];
        frame.extend((body_bytes as u32).to_be_bytes());
        frame.extend([7, 7, 7, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
        frame.extend([extras, key.as_bytes(), value].concat());
        frame
    };
    let mut batches = Vec::new();
    for round in 0..4 {
        let (mut request, mut reply) = (Vec::new(), Vec::new());
        for key in 0..8 {
            let key = format!("k{round}-{key}");
            if sets {
                let extras = [0, 0, 0, 5, 0, 0, 0, 0];
                for opcode in [setq, set] {
                    request.extend(frame(0x80, opcode, 0, &extras, &key, b"data"));
                }
                reply.extend(frame(0x81, set, 0, &[], "", b""));
            }
            for key in [&key, "no"] {
                request.extend(frame(0x80, get, 0, &[], key, b""));
                request.extend(frame(0x80, getkq, 0, &[], key, b""));
            }
            reply.extend(frame(0x81, get, 0, &[0, 0, 0, 5], "", b"data"));
            reply.extend(frame(0x81, getkq, 0, &[0, 0, 0, 5], &key, b"data"));
            reply.extend(frame(0x81, get, 1, &[], "", b"Not found"));
        }
        request.extend(frame(0x80, no_op, 0, &[], "", b""));
        reply.extend(frame(0x81, no_op, 0, &[], "", b""));
        batches.push((request, reply));
    }
    batches
}

/// `k0-0` and so on in base64, which has six bits to a digit.
fn base64(round: usize, key: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let name = format!("k{round}-{key}");
    let bits = name
        .bytes()
        .fold(0_u64, |bits, byte| bits << 8 | u64::from(byte))
        << 4;
    let digit = |place: u32| char::from(DIGITS[(bits >> (6 * place)) as usize & 63]);
    (0..6).rev().map(digit).chain(['=', '=']).collect()
}

/// A command as an array.
fn command(words: &[&str]) -> String {
    let mut wire = format!("*{}\r\n", words.len());
    for word in words {
        wire += &format!("${}\r\n{word}\r\n", word.len());
    }
    wire
}

pub(crate) fn resp_batches(sets: bool) -> Vec<Batch> {
    let command = |words: &[&str]| command(words).into_bytes();
    let mut batches = Vec::new();
    for round in 0..4 {
        let (mut request, mut reply) = (Vec::new(), Vec::new());
        for key in 0..8 {
            let name = format!("k{round}-{key}");
            if sets {
                request.extend(command(&["SET", &name, "data", "EX", "1000"]));
                let number = format!("n{round}-{key}");
                request.extend(command(&["INCR", &number]));
                request.extend(command(&["DEL", &number]));
                reply.extend(b"+OK\r\n:1\r\n:1\r\n");
            }
            request.extend(command(&["GET", &name]));
            reply.extend(b"$4\r\ndata\r\n");
            request.extend(command(&["GET", "no"]));
            reply.extend(b"$-1\r\n");
        }
        request.extend(command(&[
            "MGET",
            &format!("k{round}-0"),
            "no",
            &format!("k{round}-1"),
        ]));
        reply.extend(b"*3\r\n$4\r\ndata\r\n$-1\r\n$4\r\ndata\r\n");
        batches.push((request, reply));
    }
    batches
}

/// Values that need large buffers on their way in, to another shard, and out.
pub(crate) fn large_batches(protocol: &str) -> Vec<Batch> {
    let value = "v".repeat(70_000);
    let one = |key: usize| {
        let name = format!("large-{key}");
        let (request, reply) = match protocol {
            "memcache" => (
                format!(
                    "set {name} 0 0 70000\r\n{value}\r\nget {name}\r\ngets no {name}x\r\nmg {name} v\r\n"
                ),
                format!(
                    "STORED\r\nVALUE {name} 0 70000\r\n{value}\r\nEND\r\nEND\r\nVA 70000\r\n{value}\r\n"
                ),
            ),
            _ => (
                command(&["SET", &name, &value]) + &command(&["GET", &name]),
                format!("+OK\r\n$70000\r\n{value}\r\n"),
            ),
        };
        (request.into_bytes(), reply.into_bytes())
    };
    (0..2).map(one).collect()
}

/// A key that is changed, fetched, and answered out of its copy; its server tells of each change.
pub(crate) fn changes() -> Vec<Batch> {
    let get = "*2\r\n$3\r\nGET\r\n$1\r\nc\r\n";
    let set = "*3\r\n$3\r\nSET\r\n$1\r\nc\r\n$4\r\ndata\r\n";
    let request = [set, get, get].concat().into_bytes();
    let reply = b"+OK\r\n$4\r\ndata\r\n$4\r\ndata\r\n".to_vec();
    vec![(request, reply)]
}

/// Writes that are answered before their servers have them. What is queued is kept in buffers that
/// were in the queue before.
pub(crate) fn writes(protocol: &str) -> Vec<Batch> {
    let (mut request, mut reply) = (Vec::new(), Vec::new());
    for key in 0..8 {
        let name = format!("w{key}");
        let (requests, replies) = match protocol {
            "memcache" => (
                format!(
                    "set {name} 5 0 4\r\ndata\r\nms {name} 4\r\ndata\r\ndelete {name}\r\nget {name}\r\n"
                ),
                "STORED\r\nHD\r\nDELETED\r\nEND\r\n",
            ),
            _ => {
                let words = [
                    format!("SET {name} data"),
                    format!("SETEX {name} 100 data"),
                    format!("DEL {name}"),
                    format!("GET {name}"),
                ];
                let requests = words.map(|line| command(&line.split(' ').collect::<Vec<_>>()));
                let replies = "+OK\r\n+OK\r\n:1\r\n$-1\r\n";
                (requests.concat(), replies)
            }
        };
        request.extend(requests.bytes());
        reply.extend(replies.bytes());
    }
    vec![(request, reply)]
}
