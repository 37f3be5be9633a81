//! A promise: once warm, shard threads allocate nothing, whatever they serve.
//!
//! The server runs in this process, under an allocator that counts what threads named `shard-*`
//! allocate. Hits, misses and sets in all protocols, across shards, pipelined and cut; then
//! reads through pools of a real memcached, a real redis-server and a Redis Cluster, with and without
//! L1, and writes that are queued for them. By way of the disk, a shard allocates now and then what wakes the thread
//! that writes there: that is bounded.

#[path = "no_alloc/batches.rs"]
mod batches;
mod support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread::JoinHandle,
    time::Duration,
};

use batches::{
    Batch, binary_batches, changes, large_batches, memcache_batches, resp_batches, writes,
};
use ringfort::{
    cli::Command,
    server::{self},
};
use support::{backends::Backend, process::ScratchFolder, wire::Wire};

struct Counting;

static IS_COUNTING: AtomicBool = AtomicBool::new(false);
/// Whether the first round is over: what is allocated now can be told, with RINGFORT_ALLOC_TRACE set.
static IS_WARM: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);

#[expect(unsafe_code, reason = "an allocator is unsafe to implement")]
// SAFETY: all work is the system allocator's; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: passed on from the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: passed on from the caller.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: passed on from the caller.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    /// Whether this thread is telling of an allocation: what it allocates for that is not counted.
    static IS_TELLING: Cell<bool> = const { Cell::new(false) };
}

fn note() {
    if IS_COUNTING.load(Ordering::Relaxed) && !IS_TELLING.get() && is_shard_thread() {
        COUNT.fetch_add(1, Ordering::Relaxed);
        IS_TELLING.set(true);
        if IS_WARM.load(Ordering::Relaxed) && std::env::var_os("RINGFORT_ALLOC_TRACE").is_some() {
            eprintln!("{}", std::backtrace::Backtrace::force_capture());
        }
        IS_TELLING.set(false);
    }
}

#[expect(
    unsafe_code,
    reason = "asks the kernel for the thread's name without allocating"
)]
fn is_shard_thread() -> bool {
    let mut name = [0_u8; 16];
    // SAFETY: PR_GET_NAME writes at most 16 bytes to the buffer given.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    name.starts_with(b"shard-")
}

/// A server of this process.
struct Server {
    thread: JoinHandle<()>,
    address: SocketAddr,
}

impl Server {
    fn start(protocol: &str, arguments: &[String]) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], support::process::free_port()));
        let other = if protocol == "memcache" {
            "--resp"
        } else {
            "--memcache"
        };
        let mut line: Vec<String> = ["ringfort", "--shards", "2", "--memory", "256MiB"]
            .map(str::to_owned)
            .to_vec();
        line.extend([format!("--{protocol}"), address.to_string()]);
        if arguments.is_empty() {
            line.extend([other.to_owned(), "off".to_owned()]);
        }
        line.extend_from_slice(arguments);
        let Ok(Command::Serve(config)) = Command::parse_from(line) else {
            panic!("the command line is good")
        };
        let thread = std::thread::spawn(move || {
            server::run(&config)
                .expect("it starts")
                .expect("it ends well");
        });
        support::wait_for("the server", || TcpStream::connect(address).ok());
        Self { thread, address }
    }

    fn stop(self) {
        let me = rustix::process::getpid();
        rustix::process::kill_process(me, rustix::process::Signal::TERM).unwrap();
        self.thread.join().unwrap();
    }

    /// Enough connections that the kernel gives some to each shard.
    fn connect(&self) -> Vec<TcpStream> {
        (0..16)
            .map(|_| {
                let stream = TcpStream::connect(self.address).unwrap();
                stream.set_nodelay(true).unwrap();
                stream
                    .set_read_timeout(Some(Duration::from_secs(20)))
                    .unwrap();
                stream
            })
            .collect()
    }
}

/// Sends a request whole, then again in two pieces, and waits for the replies' last bytes.
fn exchange(stream: &mut TcpStream, request: &[u8], reply: &[u8]) {
    let mut got = vec![0; reply.len()];
    for cut in [request.len(), request.len() / 2] {
        stream.write_all(&request[..cut]).unwrap();
        stream.write_all(&request[cut..]).unwrap();
        if let Err(error) = stream.read_exact(&mut got) {
            panic!("{error}; {}", what_threads_do());
        }
        forget_cas(&mut got);
        assert!(
            got == reply,
            "expected {}\n     got {}",
            reply.escape_ascii(),
            got.escape_ascii()
        );
    }
}

/// Where in the kernel each thread waits, for who has waited in vain.
fn what_threads_do() -> String {
    let tasks = std::fs::read_dir("/proc/self/task").expect("the threads");
    let lines = tasks.map(|task| {
        let path = task.expect("a thread").path();
        let read = |name: &str| std::fs::read_to_string(path.join(name)).unwrap_or_default();
        format!(
            "{}: {}\n{}",
            read("comm").trim_end(),
            read("wchan"),
            read("stack")
        )
    });
    lines.collect()
}

/// Blanks the CAS ids of binary replies, which are the server's to choose.
fn forget_cas(mut replies: &mut [u8]) {
    while let Some((header, rest)) = replies.split_first_chunk_mut::<24>()
        && header[0] == 0x81
    {
        header[16..].fill(0);
        let body_bytes = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
        replies = rest.split_at_mut(body_bytes as usize).1;
    }
}

/// How often a batch is repeated while allocations are counted.
const ROUND_COUNT: usize = 10;

/// Rounds after which one without an allocation must have been seen.
const ROUNDS_MAX: usize = 40;

/// Runs the batches on all connections until warm, then counts.
fn assert_allocates_nothing(what: &str, server: &Server, batches: &[Batch]) {
    let counts = count_allocations(server, batches, || 0);
    assert!(
        counts.contains(&0),
        "allocations on shard threads, {what}: {counts:?}"
    );
}

/// Allocations of each round, without those that go with what happened in it by the way: `excused`
/// is how many that is so far.
fn count_allocations(
    server: &Server,
    batches: &[Batch],
    mut excused: impl FnMut() -> u64,
) -> Vec<u64> {
    let mut streams = server.connect();
    let mut round = |count: usize| {
        for _ in 0..count {
            for stream in &mut streams {
                batches
                    .iter()
                    .for_each(|(request, reply)| exchange(stream, request, reply));
            }
        }
    };
    // Each connection's queues grow when more of its requests than ever meet by chance, so how many
    // rounds it takes is chance, too; who allocates for requests never has a round of thousands without.
    let mut counts = Vec::new();
    while counts.len() < ROUNDS_MAX && counts.last() != Some(&0) {
        let before = excused();
        COUNT.store(0, Ordering::Relaxed);
        IS_WARM.store(!counts.is_empty(), Ordering::Relaxed);
        IS_COUNTING.store(true, Ordering::Relaxed);
        round(ROUND_COUNT);
        IS_COUNTING.store(false, Ordering::Relaxed);
        let count = COUNT.load(Ordering::Relaxed);
        counts.push(count.saturating_sub(excused() - before));
    }
    counts
}

#[test]
fn shards_allocate_nothing_once_warm() {
    the_counter_counts();
    for protocol in ["memcache", "resp"] {
        let (sets, reads) = if protocol == "memcache" {
            (memcache_batches(true), memcache_batches(false))
        } else {
            (resp_batches(true), resp_batches(false))
        };
        let server = Server::start(protocol, &[]);
        assert_allocates_nothing(&format!("{protocol}, sets and gets"), &server, &sets);
        assert_allocates_nothing(&format!("{protocol}, gets"), &server, &reads);
        let large = large_batches(protocol);
        assert_allocates_nothing(&format!("{protocol}, large values"), &server, &large);
        if protocol == "memcache" {
            assert_allocates_nothing("binary, sets and gets", &server, &binary_batches(true));
            assert_allocates_nothing("binary, gets", &server, &binary_batches(false));
        }
        server.stop();

        let backend = if protocol == "memcache" {
            Backend::memcached()
        } else {
            Backend::redis()
        };
        for l1 in ["off", "20ms", "60s", "tracked"] {
            if (l1, protocol) == ("tracked", "memcache") {
                continue;
            }
            let arguments = [
                "--pool",
                protocol,
                "--server",
                &backend.address().to_string(),
                "--l1",
                l1,
            ]
            .map(str::to_owned);
            let server = Server::start(protocol, &arguments);
            let mut writer = server.connect().remove(0);
            sets.iter()
                .for_each(|(request, reply)| exchange(&mut writer, request, reply));
            let what = format!("{protocol} pool, L1 {l1}");
            assert_allocates_nothing(&what, &server, &reads);
            if l1 == "tracked" {
                let what = format!("{what}, copies dropped and fetched again");
                assert_allocates_nothing(&what, &server, &changes());
            }
            server.stop();
        }
        if protocol == "resp" {
            assert_allocates_for_no_request_of_a_cluster(&sets, &reads);
        }
        let batches = writes(protocol);
        for more in [&["--write", "behind"][..], &["--write", "invalidate"]] {
            let server_of_pool = backend.address().to_string();
            let pool = ["--pool", protocol, "--server", &server_of_pool];
            let arguments = [&pool[..], more].concat();
            let arguments: Vec<_> = arguments.into_iter().map(str::to_owned).collect();
            let server = Server::start(protocol, &arguments);
            let what = format!("{protocol} pool, {more:?}");
            assert_allocates_nothing(&what, &server, &batches);
            server.stop();
        }
        if protocol == "memcache" {
            assert_hardly_allocates_for_a_spool(&backend);
        }
    }
}

/// What a node says of its cluster is read into lists, every few seconds; each answer allocates fewer
/// than this, as the cluster is one node.
const PER_REFRESH: u64 = 20;

/// Runs reads through a cluster of one node, and writes that are queued for it. What it tells of the
/// cluster now and then is not a request's.
fn assert_allocates_for_no_request_of_a_cluster(sets: &[Batch], reads: &[Batch]) {
    let node = Backend::cluster_redis();
    node.connect()
        .ask("CLUSTER ADDSLOTSRANGE 0 16383\r\n", "+OK\r\n");
    let (changes, writes) = (changes(), writes("resp"));
    for (l1, write, batches) in [
        ("off", "through", &[reads, &changes][..]),
        ("60s", "through", &[reads, &changes]),
        ("tracked", "through", &[reads, &changes]),
        ("off", "behind", &[&writes]),
        ("off", "invalidate", &[&writes]),
    ] {
        let seed = node.address().to_string();
        let arguments = ["--pool", "cluster", "--server", &seed];
        let arguments = [&arguments[..], &["--l1", l1, "--write", write]].concat();
        let arguments: Vec<_> = arguments.into_iter().map(str::to_owned).collect();
        let server = Server::start("resp", &arguments);
        let mut writer = server.connect().remove(0);
        support::wait_for("the cluster to be well", || {
            writer.write_all(b"SET well 1\r\n").unwrap();
            let mut line = Vec::new();
            while !line.ends_with(b"\n") {
                let mut byte = [0];
                // Unlike a plain read it goes on after a signal: servers are stopped by one.
                writer.read_exact(&mut byte).unwrap();
                line.extend(byte);
            }
            line.starts_with(b"+OK").then_some(())
        });
        if write == "through" {
            sets.iter()
                .for_each(|(request, reply)| exchange(&mut writer, request, reply));
        }
        let mut asker = Wire::connect(server.address);
        for batches in batches {
            let counts = count_allocations(&server, batches, || {
                PER_REFRESH * asker.info("stats", "cluster_refreshes")
            });
            assert!(
                counts.contains(&0),
                "allocations on shard threads beside refreshes, cluster, L1 {l1}, writes {write}: \
                 {counts:?}"
            );
        }
        server.stop();
    }
}

/// What wakes the spool's thread is put into a list that has room for so many, and then takes a new
/// piece of memory. It is woken only while it sleeps, so less than once a write.
const WAKES_PER_ALLOCATION: u64 = 31;

/// Runs writes by way of the disk.
fn assert_hardly_allocates_for_a_spool(backend: &Backend) {
    let folder = ScratchFolder::new();
    let spool = folder.path().display().to_string();
    let server_of_pool = backend.address().to_string();
    let arguments = [
        "--pool",
        "memcache",
        "--server",
        &server_of_pool,
        "--write",
        "invalidate",
        "--spool",
        &spool,
        "--spool-sync",
        "none",
    ];
    let server = Server::start("memcache", &arguments.map(str::to_owned));
    let batches = writes("memcache");
    let counts = count_allocations(&server, &batches, || 0);
    server.stop();
    let least = counts.iter().min().copied().unwrap_or_default();
    // Of the four requests about a key three are writes; each batch is sent twice by each of 16.
    let write_count = ROUND_COUNT as u64 * 16 * 2 * 8 * 3;
    assert!(
        least <= write_count / WAKES_PER_ALLOCATION,
        "allocations on shard threads for {write_count} writes: {counts:?}"
    );
}

/// The test can fail: an allocation on a thread named like a shard is noticed.
fn the_counter_counts() {
    IS_COUNTING.store(true, Ordering::Relaxed);
    let thread = std::thread::Builder::new().name("shard-test".into());
    thread
        .spawn(|| drop(std::hint::black_box(vec![1_u8; 100])))
        .unwrap()
        .join()
        .unwrap();
    IS_COUNTING.store(false, Ordering::Relaxed);
    assert!(COUNT.load(Ordering::Relaxed) > 0);
}
