//! Replies of a cluster of three redis-servers 7.0.15, one of them a replica, byte for byte.

/// CLUSTER SHARDS.
pub(super) const SHARDS_RESP2: &[u8] =
    b"*2\r\n*4\r\n$5\r\nslots\r\n*2\r\n:5461\r\n:10922\r\n$5\r\nnodes\r\n*2\r\n*14\r\n$2\r\nid\r\n\
    $40\r\ndfc84502521c099687e7daa7a6433c4ef69834ed\r\n$4\r\nport\r\n:23812\r\n$2\r\nip\r\n\
    $9\r\n127.0.0.1\r\n$8\r\nendpoint\r\n$9\r\n127.0.0.1\r\n$4\r\nrole\r\n$6\r\nmaster\r\n\
    $18\r\nreplication-offset\r\n:252\r\n$6\r\nhealth\r\n$6\r\nonline\r\n*14\r\n$2\r\nid\r\n\
    $40\r\na22ab8e229917eab39e02f6cb57b158a897908fc\r\n$4\r\nport\r\n:23813\r\n$2\r\nip\r\n\
    $9\r\n127.0.0.1\r\n$8\r\nendpoint\r\n$9\r\n127.0.0.1\r\n$4\r\nrole\r\n$7\r\nreplica\r\n\
    $18\r\nreplication-offset\r\n:252\r\n$6\r\nhealth\r\n$6\r\nonline\r\n*4\r\n$5\r\nslots\r\n\
    *4\r\n:0\r\n:5460\r\n:10923\r\n:16383\r\n$5\r\nnodes\r\n*1\r\n*14\r\n$2\r\nid\r\n$40\r\n\
    2052f4f8c4c3bdd1258eb25e6a586b965f2ffd19\r\n$4\r\nport\r\n:23811\r\n$2\r\nip\r\n$9\r\n\
    127.0.0.1\r\n$8\r\nendpoint\r\n$9\r\n127.0.0.1\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$18\r\n\
    replication-offset\r\n:0\r\n$6\r\nhealth\r\n$6\r\nonline\r\n";

/// CLUSTER SLOTS.
pub(super) const SLOTS_RESP2: &[u8] =
    b"*3\r\n*3\r\n:0\r\n:5460\r\n*4\r\n$9\r\n127.0.0.1\r\n:23811\r\n$40\r\n\
    2052f4f8c4c3bdd1258eb25e6a586b965f2ffd19\r\n*0\r\n*4\r\n:5461\r\n:10922\r\n*4\r\n$9\r\n\
    127.0.0.1\r\n:23812\r\n$40\r\ndfc84502521c099687e7daa7a6433c4ef69834ed\r\n*0\r\n*4\r\n$9\r\n\
    127.0.0.1\r\n:23813\r\n$40\r\na22ab8e229917eab39e02f6cb57b158a897908fc\r\n*0\r\n*3\r\n\
    :10923\r\n:16383\r\n*4\r\n$9\r\n127.0.0.1\r\n:23811\r\n$40\r\n\
    2052f4f8c4c3bdd1258eb25e6a586b965f2ffd19\r\n*0\r\n";

/// CLUSTER SHARDS after HELLO 3.
pub(super) const SHARDS_RESP3: &[u8] =
    b"*2\r\n%2\r\n$5\r\nslots\r\n*2\r\n:5461\r\n:10922\r\n$5\r\nnodes\r\n*2\r\n%7\r\n$2\r\nid\r\n\
    $40\r\ndfc84502521c099687e7daa7a6433c4ef69834ed\r\n$4\r\nport\r\n:23812\r\n$2\r\nip\r\n\
    $9\r\n127.0.0.1\r\n$8\r\nendpoint\r\n$9\r\n127.0.0.1\r\n$4\r\nrole\r\n$6\r\nmaster\r\n\
    $18\r\nreplication-offset\r\n:252\r\n$6\r\nhealth\r\n$6\r\nonline\r\n%7\r\n$2\r\nid\r\n\
    $40\r\na22ab8e229917eab39e02f6cb57b158a897908fc\r\n$4\r\nport\r\n:23813\r\n$2\r\nip\r\n\
    $9\r\n127.0.0.1\r\n$8\r\nendpoint\r\n$9\r\n127.0.0.1\r\n$4\r\nrole\r\n$7\r\nreplica\r\n\
    $18\r\nreplication-offset\r\n:266\r\n$6\r\nhealth\r\n$6\r\nonline\r\n%2\r\n$5\r\nslots\r\n\
    *4\r\n:0\r\n:5460\r\n:10923\r\n:16383\r\n$5\r\nnodes\r\n*1\r\n%7\r\n$2\r\nid\r\n$40\r\n\
    2052f4f8c4c3bdd1258eb25e6a586b965f2ffd19\r\n$4\r\nport\r\n:23811\r\n$2\r\nip\r\n$9\r\n\
    127.0.0.1\r\n$8\r\nendpoint\r\n$9\r\n127.0.0.1\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$18\r\n\
    replication-offset\r\n:0\r\n$6\r\nhealth\r\n$6\r\nonline\r\n";

/// CLUSTER SLOTS after HELLO 3.
pub(super) const SLOTS_RESP3: &[u8] =
    b"*3\r\n*3\r\n:0\r\n:5460\r\n*4\r\n$9\r\n127.0.0.1\r\n:23811\r\n$40\r\n\
    2052f4f8c4c3bdd1258eb25e6a586b965f2ffd19\r\n%0\r\n*4\r\n:5461\r\n:10922\r\n*4\r\n$9\r\n\
    127.0.0.1\r\n:23812\r\n$40\r\ndfc84502521c099687e7daa7a6433c4ef69834ed\r\n%0\r\n*4\r\n$9\r\n\
    127.0.0.1\r\n:23813\r\n$40\r\na22ab8e229917eab39e02f6cb57b158a897908fc\r\n%0\r\n*3\r\n\
    :10923\r\n:16383\r\n*4\r\n$9\r\n127.0.0.1\r\n:23811\r\n$40\r\n\
    2052f4f8c4c3bdd1258eb25e6a586b965f2ffd19\r\n%0\r\n";

/// CLUSTER SHARDS where host names are preferred and one node has one.
pub(super) const SHARDS_HOSTNAMES: &[u8] =
    b"*2\r\n*4\r\n$5\r\nslots\r\n*2\r\n:5461\r\n:10922\r\n$5\r\nnodes\r\n*2\r\n*14\r\n$2\r\nid\r\n\
    $40\r\ndfc84502521c099687e7daa7a6433c4ef69834ed\r\n$4\r\nport\r\n:23812\r\n$2\r\nip\r\n\
    $9\r\n127.0.0.1\r\n$8\r\nendpoint\r\n$1\r\n?\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$18\r\n\
    replication-offset\r\n:266\r\n$6\r\nhealth\r\n$6\r\nonline\r\n*14\r\n$2\r\nid\r\n$40\r\n\
    a22ab8e229917eab39e02f6cb57b158a897908fc\r\n$4\r\nport\r\n:23813\r\n$2\r\nip\r\n$9\r\n\
    127.0.0.1\r\n$8\r\nendpoint\r\n$1\r\n?\r\n$4\r\nrole\r\n$7\r\nreplica\r\n$18\r\n\
    replication-offset\r\n:266\r\n$6\r\nhealth\r\n$6\r\nonline\r\n*4\r\n$5\r\nslots\r\n*4\r\n\
    :0\r\n:5460\r\n:10923\r\n:16383\r\n$5\r\nnodes\r\n*1\r\n*16\r\n$2\r\nid\r\n$40\r\n\
    2052f4f8c4c3bdd1258eb25e6a586b965f2ffd19\r\n$4\r\nport\r\n:23811\r\n$2\r\nip\r\n$9\r\n\
    127.0.0.1\r\n$8\r\nendpoint\r\n$11\r\none.example\r\n$8\r\nhostname\r\n$11\r\n\
    one.example\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$18\r\nreplication-offset\r\n:0\r\n$6\r\n\
    health\r\n$6\r\nonline\r\n";

/// CLUSTER SLOTS of the same, after HELLO 3.
pub(super) const SLOTS_HOSTNAMES: &[u8] =
    b"*3\r\n*3\r\n:0\r\n:5460\r\n*4\r\n$11\r\none.example\r\n:23811\r\n$40\r\n\
    2052f4f8c4c3bdd1258eb25e6a586b965f2ffd19\r\n%1\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n*4\r\n\
    :5461\r\n:10922\r\n*4\r\n$1\r\n?\r\n:23812\r\n$40\r\n\
    dfc84502521c099687e7daa7a6433c4ef69834ed\r\n%1\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n*4\r\n\
    $1\r\n?\r\n:23813\r\n$40\r\na22ab8e229917eab39e02f6cb57b158a897908fc\r\n%1\r\n$2\r\nip\r\n\
    $9\r\n127.0.0.1\r\n*3\r\n:10923\r\n:16383\r\n*4\r\n$11\r\none.example\r\n:23811\r\n$40\r\n\
    2052f4f8c4c3bdd1258eb25e6a586b965f2ffd19\r\n%1\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n";

/// CLUSTER SHARDS where no endpoint is told.
pub(super) const SHARDS_UNKNOWN: &[u8] =
    b"*2\r\n*4\r\n$5\r\nslots\r\n*2\r\n:5461\r\n:10922\r\n$5\r\nnodes\r\n*2\r\n*14\r\n$2\r\nid\r\n\
    $40\r\ndfc84502521c099687e7daa7a6433c4ef69834ed\r\n$4\r\nport\r\n:23812\r\n$2\r\nip\r\n\
    $9\r\n127.0.0.1\r\n$8\r\nendpoint\r\n$0\r\n\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$18\r\n\
    replication-offset\r\n:266\r\n$6\r\nhealth\r\n$6\r\nonline\r\n*14\r\n$2\r\nid\r\n$40\r\n\
    a22ab8e229917eab39e02f6cb57b158a897908fc\r\n$4\r\nport\r\n:23813\r\n$2\r\nip\r\n$9\r\n\
    127.0.0.1\r\n$8\r\nendpoint\r\n$0\r\n\r\n$4\r\nrole\r\n$7\r\nreplica\r\n$18\r\n\
    replication-offset\r\n:266\r\n$6\r\nhealth\r\n$6\r\nonline\r\n*4\r\n$5\r\nslots\r\n*4\r\n\
    :0\r\n:5460\r\n:10923\r\n:16383\r\n$5\r\nnodes\r\n*1\r\n*16\r\n$2\r\nid\r\n$40\r\n\
    2052f4f8c4c3bdd1258eb25e6a586b965f2ffd19\r\n$4\r\nport\r\n:23811\r\n$2\r\nip\r\n$9\r\n\
    127.0.0.1\r\n$8\r\nendpoint\r\n$0\r\n\r\n$8\r\nhostname\r\n$11\r\none.example\r\n$4\r\n\
    role\r\n$6\r\nmaster\r\n$18\r\nreplication-offset\r\n:0\r\n$6\r\nhealth\r\n$6\r\nonline\r\n";

/// CLUSTER SLOTS of the same.
pub(super) const SLOTS_UNKNOWN: &[u8] =
    b"*3\r\n*3\r\n:0\r\n:5460\r\n*4\r\n$-1\r\n:23811\r\n$40\r\n\
    2052f4f8c4c3bdd1258eb25e6a586b965f2ffd19\r\n*4\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n$8\r\n\
    hostname\r\n$11\r\none.example\r\n*4\r\n:5461\r\n:10922\r\n*4\r\n$-1\r\n:23812\r\n$40\r\n\
    dfc84502521c099687e7daa7a6433c4ef69834ed\r\n*2\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n*4\r\n\
    $-1\r\n:23813\r\n$40\r\na22ab8e229917eab39e02f6cb57b158a897908fc\r\n*2\r\n$2\r\nip\r\n$9\r\n\
    127.0.0.1\r\n*3\r\n:10923\r\n:16383\r\n*4\r\n$-1\r\n:23811\r\n$40\r\n\
    2052f4f8c4c3bdd1258eb25e6a586b965f2ffd19\r\n*4\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n$8\r\n\
    hostname\r\n$11\r\none.example\r\n";

/// CLUSTER SHARDS after the replica was killed.
pub(super) const SHARDS_FAILED: &[u8] =
    b"*2\r\n*4\r\n$5\r\nslots\r\n*2\r\n:5461\r\n:10922\r\n$5\r\nnodes\r\n*2\r\n*14\r\n$2\r\nid\r\n\
    $40\r\ndfc84502521c099687e7daa7a6433c4ef69834ed\r\n$4\r\nport\r\n:23812\r\n$2\r\nip\r\n\
    $9\r\n127.0.0.1\r\n$8\r\nendpoint\r\n$9\r\n127.0.0.1\r\n$4\r\nrole\r\n$6\r\nmaster\r\n\
    $18\r\nreplication-offset\r\n:266\r\n$6\r\nhealth\r\n$6\r\nonline\r\n*14\r\n$2\r\nid\r\n\
    $40\r\na22ab8e229917eab39e02f6cb57b158a897908fc\r\n$4\r\nport\r\n:23813\r\n$2\r\nip\r\n\
    $9\r\n127.0.0.1\r\n$8\r\nendpoint\r\n$9\r\n127.0.0.1\r\n$4\r\nrole\r\n$7\r\nreplica\r\n\
    $18\r\nreplication-offset\r\n:266\r\n$6\r\nhealth\r\n$4\r\nfail\r\n*4\r\n$5\r\nslots\r\n\
    *4\r\n:0\r\n:5460\r\n:10923\r\n:16383\r\n$5\r\nnodes\r\n*1\r\n*16\r\n$2\r\nid\r\n$40\r\n\
    2052f4f8c4c3bdd1258eb25e6a586b965f2ffd19\r\n$4\r\nport\r\n:23811\r\n$2\r\nip\r\n$9\r\n\
    127.0.0.1\r\n$8\r\nendpoint\r\n$9\r\n127.0.0.1\r\n$8\r\nhostname\r\n$11\r\none.example\r\n\
    $4\r\nrole\r\n$6\r\nmaster\r\n$18\r\nreplication-offset\r\n:0\r\n$6\r\nhealth\r\n$6\r\n\
    online\r\n";

/// CLUSTER SLOTS of the same.
pub(super) const SLOTS_FAILED: &[u8] =
    b"*3\r\n*3\r\n:0\r\n:5460\r\n*4\r\n$9\r\n127.0.0.1\r\n:23811\r\n$40\r\n\
    2052f4f8c4c3bdd1258eb25e6a586b965f2ffd19\r\n*2\r\n$8\r\nhostname\r\n$11\r\none.example\r\n\
    *3\r\n:5461\r\n:10922\r\n*4\r\n$9\r\n127.0.0.1\r\n:23812\r\n$40\r\n\
    dfc84502521c099687e7daa7a6433c4ef69834ed\r\n*0\r\n*3\r\n:10923\r\n:16383\r\n*4\r\n$9\r\n\
    127.0.0.1\r\n:23811\r\n$40\r\n2052f4f8c4c3bdd1258eb25e6a586b965f2ffd19\r\n*2\r\n$8\r\n\
    hostname\r\n$11\r\none.example\r\n";
