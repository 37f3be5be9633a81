//! The requests of one shard that took long.

use std::collections::VecDeque;

use crate::io::Token;

/// Arguments of a request that are kept; the last one then tells how many are not. Redis'.
const ARGS_MAX: usize = 32;

/// Bytes of an argument that are kept, as in Redis.
const ARG_BYTES_MAX: usize = 128;

/// Bytes that a shard's log may take, whatever `slowlog-max-len` says; the oldest go first. A
/// thousand of the largest requests.
const LOG_BYTES_MAX: usize = 4 << 20;

/// One request.
#[derive(Debug, Clone)]
pub(in crate::shard) struct SlowRequest {
    /// Counts up over all shards.
    pub(in crate::shard) id: u64,
    /// When it was executed, in seconds of unix time.
    pub(in crate::shard) unix_seconds: u64,
    /// How long that took.
    pub(in crate::shard) us: u64,
    pub(in crate::shard) args: Vec<Vec<u8>>,
    /// Who asked; the address is found out once the request is served.
    pub(in crate::shard) token: Token,
    pub(in crate::shard) address: String,
    pub(in crate::shard) name: Vec<u8>,
}

impl SlowRequest {
    fn bytes(&self) -> usize {
        let args: usize = self.args.iter().map(Vec::capacity).sum();
        size_of::<Self>() + args + self.args.len() * size_of::<Vec<u8>>() + self.name.len()
    }
}

/// The newest slow requests of a shard, newest first.
#[derive(Debug, Default)]
pub(in crate::shard) struct SlowLog {
    requests: VecDeque<SlowRequest>,
    bytes: usize,
    /// Requests at the front whose address is not known yet.
    unaddressed: usize,
}

impl SlowLog {
    /// Logs a request, and forgets the oldest beyond `len_max`.
    pub(in crate::shard) fn push(&mut self, request: SlowRequest, len_max: u64) {
        self.bytes += request.bytes();
        self.requests.push_front(request);
        self.unaddressed += 1;
        self.trim(len_max);
    }

    /// Forgets the oldest beyond `len_max`.
    pub(in crate::shard) fn trim(&mut self, len_max: u64) {
        while self.requests.len() as u64 > len_max || self.bytes > LOG_BYTES_MAX {
            let Some(oldest) = self.requests.pop_back() else {
                return;
            };
            self.bytes -= oldest.bytes();
        }
        self.unaddressed = self.unaddressed.min(self.requests.len());
    }

    /// Forgets the requests before one of this number.
    pub(in crate::shard) fn clear(&mut self, before: u64) {
        self.requests.retain(|request| request.id >= before);
        self.bytes = self.requests.iter().map(SlowRequest::bytes).sum();
        self.unaddressed = self.unaddressed.min(self.requests.len());
    }

    /// The requests before one of this number, the newest first.
    pub(in crate::shard) fn before(&self, id: u64) -> impl Iterator<Item = &SlowRequest> {
        self.requests.iter().filter(move |request| request.id < id)
    }

    /// Fills in the addresses that are not known yet.
    pub(in crate::shard) fn fill_addresses(&mut self, address: impl Fn(Token) -> String) {
        let count = std::mem::take(&mut self.unaddressed);
        for request in self.requests.iter_mut().take(count) {
            request.address = address(request.token);
        }
    }

    /// Whether [`Self::fill_addresses`] has something to do.
    pub(in crate::shard) fn is_unaddressed(&self) -> bool {
        self.unaddressed > 0
    }
}

/// What is kept of a request's arguments. `is_secret` tells which of them nobody may see.
pub(in crate::shard) fn keep_args<'b>(
    args: impl ExactSizeIterator<Item = &'b [u8]>,
    is_secret: impl Fn(usize) -> bool,
) -> Vec<Vec<u8>> {
    let count = args.len();
    let kept = if count > ARGS_MAX {
        ARGS_MAX - 1
    } else {
        count
    };
    let mut list: Vec<_> = args
        .take(kept)
        .enumerate()
        .map(|(index, arg)| {
            if is_secret(index) {
                b"(redacted)".to_vec()
            } else if arg.len() > ARG_BYTES_MAX {
                let rest = format!("... ({} more bytes)", arg.len() - ARG_BYTES_MAX);
                [&arg[..ARG_BYTES_MAX], rest.as_bytes()].concat()
            } else {
                arg.to_vec()
            }
        })
        .collect();
    if kept < count {
        list.push(format!("... ({} more arguments)", count - kept).into_bytes());
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::sim::SimWorld;

    fn request(id: u64, arg_bytes: usize) -> SlowRequest {
        SlowRequest {
            id,
            unix_seconds: 0,
            us: 1,
            args: vec![vec![b'x'; arg_bytes]],
            token: token(),
            address: String::new(),
            name: Vec::new(),
        }
    }

    fn ids(log: &SlowLog) -> Vec<u64> {
        log.before(u64::MAX).map(|request| request.id).collect()
    }

    fn token() -> Token {
        use crate::io::{Completion, Io, ListenerId, Wait};
        let world = SimWorld::new(1, 1);
        let mut io = world.io(0);
        io.accept(ListenerId::Resp);
        world.connect(0, ListenerId::Resp);
        let mut completions = Vec::new();
        loop {
            // A turn with nothing to do says so, which is no matter here.
            let _ = io.turn(Wait::Poll, &mut completions);
            if let Some(Completion::Accepted { token, .. }) = completions.pop() {
                return token;
            }
        }
    }

    #[test]
    fn the_newest_are_kept_by_number_and_by_bytes() {
        let mut log = SlowLog::default();
        (0..5).for_each(|id| log.push(request(id, 10), 3));
        assert_eq!(ids(&log), [4, 3, 2]);
        assert!(log.before(4).map(|request| request.id).eq([3, 2]));
        log.fill_addresses(|_| "somewhere".to_owned());
        let mut requests = log.before(u64::MAX);
        assert!(requests.all(|request| request.address == "somewhere"));
        drop(requests);
        assert!(!log.is_unaddressed());
        log.push(request(5, LOG_BYTES_MAX / 2), u64::MAX);
        log.push(request(6, LOG_BYTES_MAX / 2), u64::MAX);
        assert_eq!(ids(&log), [6]);
        log.trim(0);
        assert_eq!((ids(&log), log.bytes), (vec![], 0));
        (7..10).for_each(|id| log.push(request(id, 10), 3));
        log.clear(9);
        assert_eq!(ids(&log), [9]);
        let bytes = log.bytes;
        log.push(request(10, 10), 1);
        assert_eq!(log.bytes, bytes, "one left, one came");
    }

    #[test]
    fn long_requests_are_cut_as_redis_cuts_them() {
        let long = [b'x'; 130];
        let args: Vec<&[u8]> = std::iter::repeat_n(&b"a"[..], 33).collect();
        let kept = keep_args(args.into_iter(), |_| false);
        assert_eq!(kept.len(), 32);
        assert_eq!(kept[31], b"... (2 more arguments)");
        let kept = keep_args([&b"AUTH"[..], b"secret", &long].into_iter(), |at| at == 1);
        assert_eq!(kept[1], b"(redacted)");
        assert!(kept[2].ends_with(b"xx... (2 more bytes)") && kept[2].len() == 128 + 18);
        assert_eq!(keep_args([&b"a"[..]; 32].into_iter(), |_| false).len(), 32);
    }
}
