//! Commands about what this server does not have: what a memcached says that was started without.

use super::super::reply;
use super::{outcome, refused};
use crate::protocol::testing::check_pieces;

#[test]
fn what_is_not_there_is_refused_as_memcached_refuses_it() {
    let table: &[(&[u8], &[u8])] = &[
        (b"cache_memlimit\r\n", reply::ERROR),
        (b"cache_memlimit x\r\n", reply::ERROR),
        (b"cache_memlimit noreply\r\n", b""),
        (b"cache_memlimit 1 2 3\r\n", reply::ERROR),
        (b"cache_memlimit 7\r\n", reply::MEMLIMIT_TOO_SMALL),
        (b"cache_memlimit 7 noreply\r\n", b""),
        (b"cache_memlimit 8 x\r\n", reply::MEMLIMIT_IS_FIXED),
        (
            b"cache_memlimit 2000000000\r\n",
            reply::MEMLIMIT_NOT_MEGABYTES,
        ),
        (b"slabs\r\n", reply::ERROR),
        (b"slabs reassign 1\r\n", reply::ERROR),
        (b"slabs reassign 1 2\r\n", reply::SLAB_REASSIGNMENT_DISABLED),
        (b"slabs reassign 1 2 noreply\r\n", reply::ERROR),
        (b"slabs automove 1\r\n", reply::ERROR),
        (b"slabs automove ratio 1 noreply\r\n", b""),
        (b"lru\r\n", reply::ERROR),
        (b"lru mode flat\r\n", reply::ERROR),
        (b"lru mode flat noreply\r\n", b""),
        (b"lru_crawler\r\n", reply::ERROR),
        (b"lru_crawler enable\r\n", reply::ERROR),
        (b"lru_crawler crawl\r\n", reply::ERROR),
        (b"lru_crawler crawl all\r\n", reply::LRU_CRAWLER_DISABLED),
        (b"lru_crawler metadump all\r\n", reply::LRU_CRAWLER_DISABLED),
        (b"watch\r\n", reply::WATCH_NOT_ALLOWED),
        (b"watch fetchers\r\n", reply::WATCH_NOT_ALLOWED),
        (b"watch noreply\r\n", b""),
    ];
    for &(wire, line) in table {
        let expected = refused(line, wire.len(), 0, false, None);
        assert_eq!(
            check_pieces(wire, outcome),
            expected,
            "{}",
            wire.escape_ascii()
        );
    }
}
