//! A network of a test's own: ringfort and its clients on the near side of a wire, servers on the far side, and the
//! wire in the test's hands. Cut, it is silent as a machine is that lost its power: TCP hears no reset, and nothing
//! refuses.
//!
//! ```text
//!   near namespace                      the test                     far namespace
//!   ringfort, clients --- TUN device === Weather === TUN device --- memcached, redis-server
//!        198.18.0.1                                                      198.18.0.2
//! ```
//!
//! Namespaces keep all of it apart from the machine's own network, and from other tests'. The kernel's netem would
//! do the same to packets, but many kernels are built without; whoever holds both ends of a wire needs none. A
//! namespace has no name for longer than it takes to open it, and a device ends with its descriptor, so nothing
//! stays behind, however the test process ends.

use std::collections::BinaryHeap;
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tappers::{Interface, Tun};

/// Both are of the block that is set aside for tests of networks (RFC 2544).
pub(crate) const NEAR: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
pub(crate) const FAR: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);

const DEVICE: &str = "wire";

/// For whoever may not make what is made here.
const REMEDY: &str = "to mend it: run the tests as root; in a container, with --cap-add NET_ADMIN --cap-add SYS_ADMIN \
                      --device /dev/net/tun";

/// What becomes of packets that pass.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// Each takes so much longer.
    pub(crate) delay: Duration,
    /// And up to so much more, drawn for each, so that they overtake each other.
    pub(crate) jitter: Duration,
    /// Of a hundred, so many are lost.
    pub(crate) loss_percent: u32,
}

/// One way through the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    ToFar,
    ToNear,
}

/// Both sides and the wire between them.
pub(crate) struct Network {
    near: Namespace,
    far: Namespace,
    ways: [Arc<Way>; 2],
}

impl Network {
    /// Runs a test on the near side of a new network: what it connects to and starts is there.
    pub(crate) fn run(test: impl FnOnce(&Self) + Send) {
        thread::scope(|scope| {
            let on_near_side = || {
                let network = Self::new();
                network.near.enter();
                test(&network);
            };
            // The test's own panic, not one about a thread.
            if let Err(panic) = scope.spawn(on_near_side).join() {
                std::panic::resume_unwind(panic);
            }
        });
    }

    fn new() -> Self {
        let (near, far) = (Namespace::new(), Namespace::new());
        let near_end = near.run(|| wire_end(NEAR, FAR));
        let far_end = far.run(|| wire_end(FAR, NEAR));
        let ways = [
            Way::open(&near_end, &far_end, 1),
            Way::open(&far_end, &near_end, 2),
        ];
        Self { near, far, ways }
    }

    /// Does something on the far side.
    pub(crate) fn there<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        self.far.run(what)
    }

    /// From here on nothing passes, either way.
    pub(crate) fn cut(&self) {
        for direction in [Direction::ToFar, Direction::ToNear] {
            self.cut_one_way(direction);
        }
    }

    /// From here on nothing passes this way.
    pub(crate) fn cut_one_way(&self, direction: Direction) {
        self.way(direction).is_cut.store(true, Ordering::SeqCst);
    }

    /// Has packets pass again, as they are.
    pub(crate) fn heal(&self) {
        self.set_weather(Weather::default());
        for way in &self.ways {
            way.is_cut.store(false, Ordering::SeqCst);
        }
    }

    /// Has this befall all packets from here on.
    pub(crate) fn set_weather(&self, weather: Weather) {
        for way in &self.ways {
            way.queue.lock().expect("no panic").weather = weather;
        }
    }

    /// How many packets were lost to the weather, and how many were overtaken.
    pub(crate) fn casualties(&self) -> (usize, usize) {
        let sum = |count: fn(&Queue) -> usize| {
            let ways = self.ways.iter();
            ways.map(|way| count(&way.queue.lock().expect("no panic")))
                .sum()
        };
        (
            sum(|queue| queue.lost_count),
            sum(|queue| queue.overtaken_count),
        )
    }

    fn way(&self, direction: Direction) -> &Way {
        match direction {
            Direction::ToFar => &self.ways[0],
            Direction::ToNear => &self.ways[1],
        }
    }
}

impl Drop for Network {
    /// Ends the devices, and with them the threads that read from them.
    fn drop(&mut self) {
        for way in &self.ways {
            // With the lock, so that nobody who waits misses it.
            let _queue = way.queue.lock();
            way.is_over.store(true, Ordering::SeqCst);
            way.has_come.notify_all();
        }
        for side in [&self.near, &self.far] {
            let delete = || Command::new("ip").args(["link", "delete", DEVICE]).output();
            let _ = side.run(delete);
        }
    }
}

/// A namespace for whoever enters it.
struct Namespace(File);

impl Namespace {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ringfort-{}-{number}", std::process::id());
        ip(&format!("netns add {name}"));
        let file = File::open(format!("/run/netns/{name}"));
        ip(&format!("netns delete {name}"));
        Self(file.unwrap_or_else(|error| panic!("a namespace cannot be opened: {error}; {REMEDY}")))
    }

    /// Has this thread, and what it starts, be in it.
    fn enter(&self) {
        let kind = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(self.0.as_fd(), kind)
            .unwrap_or_else(|error| panic!("a namespace cannot be entered: {error}; {REMEDY}"));
    }

    fn run<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = || {
                self.enter();
                what()
            };
            match scope.spawn(inside).join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

/// One end of the wire, in the namespace of this thread.
fn wire_end(own: Ipv4Addr, other: Ipv4Addr) -> Arc<Tun> {
    let device = Interface::new(DEVICE)
        .and_then(Tun::new_named)
        .unwrap_or_else(|error| panic!("a TUN device cannot be made: {error}; {REMEDY}"));
    ip(&format!("address add {own} peer {other} dev {DEVICE}"));
    ip(&format!("link set {DEVICE} up"));
    ip("link set lo up");
    Arc::new(device)
}

/// Has iproute2 do something.
fn ip(args: &str) {
    let output = Command::new("ip")
        .args(args.split(' '))
        .output()
        .unwrap_or_else(|error| {
            panic!("cannot start ip: {error}; to mend it: apt-get install iproute2")
        });
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {args}: {told}{REMEDY}");
}

/// What passes one way, and what is on its way.
struct Way {
    from: Arc<Tun>,
    to: Arc<Tun>,
    is_cut: AtomicBool,
    is_over: AtomicBool,
    queue: Mutex<Queue>,
    has_come: Condvar,
}

struct Queue {
    weather: Weather,
    dice: u64,
    packets: BinaryHeap<Packet>,
    come_count: usize,
    /// The number of the last one that went on.
    last_number: usize,
    lost_count: usize,
    overtaken_count: usize,
}

struct Packet {
    due: Instant,
    number: usize,
    bytes: Vec<u8>,
}

impl Way {
    fn open(from: &Arc<Tun>, to: &Arc<Tun>, seed: u64) -> Arc<Self> {
        let way = Arc::new(Self {
            from: Arc::clone(from),
            to: Arc::clone(to),
            is_cut: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            queue: Mutex::new(Queue::new(seed)),
            has_come: Condvar::new(),
        });
        for carry in [Self::take_in, Self::pass_on] {
            let way = Arc::clone(&way);
            thread::spawn(move || carry(&way));
        }
        way
    }

    /// Takes in what one side sends, until its device is gone.
    fn take_in(&self) {
        let mut buffer = [0; 64 * 1024];
        while !self.is_over.load(Ordering::SeqCst) {
            let Ok(count) = self.from.recv(&mut buffer) else {
                return;
            };
            if self.is_cut.load(Ordering::SeqCst) {
                continue;
            }
            let mut queue = self.queue.lock().expect("no panic");
            queue.add(&buffer[..count]);
            self.has_come.notify_all();
        }
    }

    /// Gives the other side what is due.
    fn pass_on(&self) {
        let mut queue = self.queue.lock().expect("no panic");
        while !self.is_over.load(Ordering::SeqCst) {
            let due = queue.packets.peek().map(|packet| packet.due);
            let pause = due.map(|due| due.saturating_duration_since(Instant::now()));
            match pause {
                None => queue = self.has_come.wait(queue).expect("no panic"),
                Some(Duration::ZERO) => {
                    if let Some(bytes) = queue.take()
                        && !self.is_cut.load(Ordering::SeqCst)
                    {
                        drop(queue);
                        // A device that is gone takes nothing; then all is over.
                        let _ = self.to.send(&bytes);
                        queue = self.queue.lock().expect("no panic");
                    }
                }
                Some(pause) => {
                    let waited = self.has_come.wait_timeout(queue, pause);
                    queue = waited.expect("no panic").0;
                }
            }
        }
    }
}

impl Queue {
    fn new(seed: u64) -> Self {
        Self {
            weather: Weather::default(),
            dice: seed,
            packets: BinaryHeap::new(),
            come_count: 0,
            last_number: 0,
            lost_count: 0,
            overtaken_count: 0,
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        let weather = self.weather;
        if self.roll(100) < u64::from(weather.loss_percent) {
            self.lost_count += 1;
            return;
        }
        let jitter_us = self.roll(1 + weather.jitter.as_micros() as u64);
        self.come_count += 1;
        self.packets.push(Packet {
            due: Instant::now() + weather.delay + Duration::from_micros(jitter_us),
            number: self.come_count,
            bytes: bytes.to_vec(),
        });
    }

    fn take(&mut self) -> Option<Vec<u8>> {
        let packet = self.packets.pop()?;
        if packet.number < self.last_number {
            self.overtaken_count += 1;
        }
        self.last_number = packet.number;
        Some(packet.bytes)
    }

    /// A number below `end` (xorshift64*, Vigna 2016).
    fn roll(&mut self, end: u64) -> u64 {
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        (self.dice.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }
}

/// The one that is due first is the greatest.
impl Ord for Packet {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let place = |packet: &Self| (packet.due, packet.number);
        place(other).cmp(&place(self))
    }
}

impl PartialOrd for Packet {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Packet {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Packet {}
