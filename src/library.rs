//! A group in a program of one's own: a cache that loads what is missing once for all threads that ask
//! for it, with memcache and RESP listeners if they are wanted.
//!
//! ```no_run
//! use ringfort::{group::{Loaded, Wanted}, library::Group};
//!
//! let group = Group::builder("squares").start(|| {
//!     |wanted: Wanted| async move { Ok(Loaded::forever(wanted.key)) }
//! })?;
//! assert_eq!(group.get(b"7")?.as_deref(), Some(&b"7"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::time::Duration;
use std::{io, net::SocketAddr, rc::Rc};

use bytes::Bytes;

use crate::{
    config::{
        CONNECTIONS_MAX_DEFAULT, Config, Eviction, GroupConfig, ITEM_BYTES_MAX_DEFAULT,
        LOAD_QUEUE_MAX_DEFAULT, LOAD_QUEUE_MAX_MAX, LOAD_TIMEOUT_DEFAULT, LOAD_TIMEOUT_MAX,
        LOAD_TIMEOUT_MIN, LOADS_MAX_DEFAULT, LOADS_MAX_MAX, Mode, NEGATIVE_TTL_MAX, PeersConfig,
        STALE_MAX, SpeedConfig, check_group_name, memory_bytes_min,
    },
    group::{
        LoadError, Loaded, Loader,
        calls::Caller,
        port::{Reach, Wish},
    },
    runtime,
    server::{Running, StartError},
};

/// Memory of a group of which nothing else is said, in bytes.
const MEMORY_BYTES: usize = 64 << 20;

/// A group that runs, on threads of its own. Dropping it ends them.
#[derive(Debug)]
pub struct Group {
    caller: Caller,
    running: Running,
}

/// What a group is to be like.
#[derive(Debug, Clone)]
pub struct Builder {
    config: GroupConfig,
    cores: Vec<usize>,
    memory_bytes: usize,
    memcache: Option<SocketAddr>,
    resp: Option<SocketAddr>,
}

impl Group {
    /// A group of this name: one shard on the first core that the process may use, 64 MiB, no
    /// listeners, and the limits that the program `ringfort` has by default.
    pub fn builder(name: &str) -> Builder {
        let cores = core_affinity::get_core_ids().unwrap_or_default();
        Builder {
            config: GroupConfig {
                name: name.to_owned(),
                origin: None,
                writes_through: false,
                load_timeout: LOAD_TIMEOUT_DEFAULT,
                loads_max: LOADS_MAX_DEFAULT,
                load_queue_max: LOAD_QUEUE_MAX_DEFAULT,
                negative_ttl: Duration::ZERO,
                stale: Duration::ZERO,
                early_refresh: true,
                peers: None,
            },
            cores: vec![cores.first().map_or(0, |core| core.id)],
            memory_bytes: MEMORY_BYTES,
            memcache: None,
            resp: None,
        }
    }

    /// A key's value, from memory or loaded; `None` if its source has none. It blocks the thread for
    /// as long as a load may take at most.
    ///
    /// # Errors
    /// The source failed or was late, or too many loads wait.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, LoadError> {
        match self.caller.call(key, Wish::Get(Reach::Peers)) {
            Ok(Loaded { value, .. }) => Ok(Some(value)),
            Err(LoadError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives a key a value. What is being loaded of it is not kept.
    ///
    /// # Errors
    /// Too much waits to be done.
    pub fn set(&self, key: &[u8], value: Loaded) -> Result<(), LoadError> {
        self.caller.call(key, Wish::Set(value)).map(drop)
    }

    /// Forgets a key: it is loaded again when somebody asks for it.
    ///
    /// # Errors
    /// Too much waits to be done.
    pub fn delete(&self, key: &[u8]) -> Result<(), LoadError> {
        match self.caller.call(key, Wish::Delete) {
            Ok(_) | Err(LoadError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What the group has counted, by groupcache's names, as `stats groups` tells it: docs/group.md has the
    /// meanings. It asks no thread.
    pub fn statistics(&self) -> Vec<(&'static str, u64)> {
        self.running.figures()
    }

    /// Where memcache is served.
    pub fn memcache(&self) -> Option<SocketAddr> {
        self.running.memcache
    }

    /// Where RESP is served.
    pub fn resp(&self) -> Option<SocketAddr> {
        self.running.resp
    }

    /// Ends it: clients' requests are answered, then the threads end.
    ///
    /// # Errors
    /// A thread had ended before.
    pub fn end(mut self) -> io::Result<()> {
        self.running.end()
    }
}

impl Builder {
    /// Runs a shard on each of these cores; with none named nothing changes.
    #[must_use]
    pub fn cores(mut self, cores: &[usize]) -> Self {
        if !cores.is_empty() {
            self.cores = cores.to_vec();
        }
        self
    }

    /// Memory of all shards together, in bytes; each takes 16 MiB at least.
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// Serves memcache clients, too; port 0 chooses one.
    #[must_use]
    pub fn listen_memcache(mut self, address: SocketAddr) -> Self {
        self.memcache = Some(address);
        self
    }

    /// Serves RESP clients, too; port 0 chooses one.
    #[must_use]
    pub fn listen_resp(mut self, address: SocketAddr) -> Self {
        self.resp = Some(address);
        self
    }

    /// Has sets and deletes, of the program and of clients, written through by the source's
    /// [`change`](Loader::change) before they are answered, and lets memcache clients set values with flags.
    #[must_use]
    pub fn write_through(mut self) -> Self {
        self.config.writes_through = true;
        self
    }

    /// How long a load may take, with its time in the queue: a millisecond to 10 minutes; what is
    /// outside counts as the nearer one.
    #[must_use]
    pub fn load_timeout(mut self, timeout: Duration) -> Self {
        self.config.load_timeout = timeout.clamp(LOAD_TIMEOUT_MIN, LOAD_TIMEOUT_MAX);
        self
    }

    /// Loads under way at a time, 1 to 4,096, and how many may wait for that, at most 65,536; what is
    /// outside counts as the nearest.
    #[must_use]
    pub fn loads_max(mut self, under_way: usize, waiting: usize) -> Self {
        self.config.loads_max = under_way.clamp(1, LOADS_MAX_MAX);
        self.config.load_queue_max = waiting.min(LOAD_QUEUE_MAX_MAX);
        self
    }

    /// Remembers for so long that a key has no value, or that its load failed; at most 24 hours.
    #[must_use]
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.config.negative_ttl = ttl.min(NEGATIVE_TTL_MAX);
        self
    }

    /// Shows a value for so long after its end, while the next one is loaded or cannot be; at most 7 days.
    #[must_use]
    pub fn stale(mut self, stale: Duration) -> Self {
        self.config.stale = stale.min(STALE_MAX);
        self
    }

    /// Whether values that are read are loaded anew shortly before their end, by chance, so that
    /// nobody waits for them; they are, unless told otherwise.
    #[must_use]
    pub fn early_refresh(mut self, early_refresh: bool) -> Self {
        self.config.early_refresh = early_refresh;
        self
    }

    /// Shares the group's keys with peers: other programs, ringforts, or Go's groupcache. Whoever reaches
    /// the address that it listens on reads and changes all of the group, unless there is a secret.
    #[must_use]
    pub fn peers(mut self, peers: PeersConfig) -> Self {
        self.config.peers = Some(peers);
        self
    }

    /// Starts the group. The source is made on the thread that will ask it.
    ///
    /// # Errors
    /// The group cannot be called so (letters, digits, and `-_.`), the machine lacks something, or an
    /// address is taken.
    pub fn start<L: Loader + 'static>(
        self,
        source: impl FnOnce() -> L + Send + 'static,
    ) -> Result<Group, StartError> {
        let name = &self.config.name;
        check_group_name(name).map_err(|reason| StartError::Group {
            name: name.clone(),
            reason,
        })?;
        let item_bytes_max = ITEM_BYTES_MAX_DEFAULT;
        let eviction = Eviction::default();
        let memory_bytes_min = memory_bytes_min(self.cores.len(), item_bytes_max, eviction);
        let config = Config {
            memcache: self.memcache,
            resp: self.resp,
            cores: self.cores,
            memory_bytes: self.memory_bytes.max(memory_bytes_min),
            item_bytes_max,
            eviction,
            connections_max: CONNECTIONS_MAX_DEFAULT,
            allows_shutdown: false,
            speed: SpeedConfig::default(),
            mode: Mode::Group(self.config),
            log: tracing::Level::WARN,
        };
        let open = move || -> Result<Rc<dyn Loader>, String> { Ok(Rc::new(source())) };
        let (running, caller) = Running::start(&config, Box::new(open))?;
        Ok(Group { caller, running })
    }
}

/// Waits, in a source that a group asks.
pub async fn sleep(duration: Duration) {
    runtime::sleep(duration).await;
}
