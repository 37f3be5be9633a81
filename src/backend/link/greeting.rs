//! What a server is asked before all else on a new connection, and whether the answers will do.
//!
//! There is always something to ask: a server counts as up once it has answered, not once the
//! kernel has taken the connection for it, which it does for a process that is stopped, too.

use std::fmt;

use crate::{
    config::{Protocol, Secret},
    protocol::{
        Parsed, memcache, number,
        resp::{self, Version, reply::encode_command},
    },
};

/// What any server answers at once, whoever asks: it says that it is there.
pub const fn hello(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Resp => b"*1\r\n$4\r\nPING\r\n",
        Protocol::Memcache => b"version\r\n",
    }
}

/// Who one is to a server, and where.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// A user; without one a password is the default user's.
    pub user: Option<String>,
    /// The password, if one is needed.
    pub password: Option<Secret>,
    /// RESP: the database.
    pub database: u32,
    /// RESP: what the connection is called in `CLIENT LIST`.
    pub name: Option<String>,
    /// RESP: what is spoken.
    pub version: Version,
}

/// What a connection begins with.
#[derive(Clone)]
pub struct Greeting {
    protocol: Protocol,
    request: Vec<u8>,
    steps: Vec<Step>,
}

/// A request of a greeting, by what its reply must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// memcache's `version`: anything but a demand for a password.
    Version,
    /// memcache's authentication, which looks like a set.
    MemcacheAuth,
    /// Anything but an error.
    Needed(&'static str),
    /// Anything.
    Wished,
}

impl Greeting {
    /// Asks a server who it is, and says who we are.
    pub fn new(protocol: Protocol, access: &Access) -> Self {
        let mut greeting = Self {
            protocol,
            request: Vec::new(),
            steps: Vec::new(),
        };
        match protocol {
            Protocol::Memcache => greeting.memcache(access),
            Protocol::Resp => greeting.resp(access),
        }
        greeting
    }

    /// Adds a request to which any answer will do.
    pub fn wish(mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Self {
        encode(&mut self.request);
        self.steps.push(Step::Wished);
        self
    }

    /// Adds a RESP command that must go well.
    pub fn insist(mut self, words: &[&[u8]]) -> Self {
        self.need("a command of the prelude", words);
        self
    }

    fn memcache(&mut self, access: &Access) {
        use memcache::{Exptime, StoreVerb};
        if let Some(password) = &access.password {
            let user = access.user.as_deref().unwrap_or_default();
            let content = [user.as_bytes(), b" ", password.bytes()].concat();
            memcache::reply::encode_store(
                &mut self.request,
                StoreVerb::Set,
                b"auth",
                0,
                Exptime::NEVER,
                &content,
            );
            self.steps.push(Step::MemcacheAuth);
        }
        self.request.extend_from_slice(hello(self.protocol));
        self.steps.push(Step::Version);
    }

    fn resp(&mut self, access: &Access) {
        let user = access.user.as_deref();
        let password = access.password.as_ref().map(Secret::bytes);
        let name = access.name.as_deref().map(str::as_bytes);
        match (access.version, password) {
            (Version::Resp3, password) => {
                let mut words = vec![&b"HELLO"[..], b"3"];
                if let Some(password) = password {
                    let user = user.unwrap_or(resp::DEFAULT_USER);
                    words.extend([b"AUTH", user.as_bytes(), password]);
                }
                if let Some(name) = name {
                    words.extend([b"SETNAME", name]);
                }
                self.need("HELLO", &words);
            }
            (Version::Resp2, Some(password)) => match user {
                Some(user) => self.need("AUTH", &[b"AUTH", user.as_bytes(), password]),
                None => self.need("AUTH", &[b"AUTH", password]),
            },
            (Version::Resp2, None) => {}
        }
        if access.database != 0 {
            let number = access.database.to_string();
            self.need("SELECT", &[b"SELECT", number.as_bytes()]);
        }
        if let (Version::Resp2, Some(name)) = (access.version, name) {
            encode_command(&mut self.request, &[b"CLIENT", b"SETNAME", name]);
            self.steps.push(Step::Wished);
        }
        self.request.extend_from_slice(hello(self.protocol));
        self.steps.push(Step::Needed("PING"));
    }

    fn need(&mut self, name: &'static str, words: &[&[u8]]) {
        encode_command(&mut self.request, words);
        self.steps.push(Step::Needed(name));
    }

    /// All of it, to be sent at once.
    pub(super) fn request(&self) -> &[u8] {
        &self.request
    }

    /// Reads the reply to the step of this number.
    pub(super) fn receive(&self, step: usize, bytes: &[u8]) -> Greeted {
        if bytes.is_empty() {
            return Greeted::Incomplete { want: 1 };
        }
        let Some(step) = self.steps.get(step) else {
            return Greeted::Broken;
        };
        match self.protocol {
            Protocol::Memcache => receive_memcache(*step, bytes),
            Protocol::Resp => receive_resp(*step, bytes),
        }
    }

    /// Whether there is no step of this number.
    pub(super) fn is_over(&self, step: usize) -> bool {
        step >= self.steps.len()
    }
}

impl fmt::Debug for Greeting {
    /// Without the request, which may have a password in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Greeting")
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

/// What the bytes so far amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Greeted {
    /// No whole reply.
    Incomplete { want: usize },
    /// The step went well.
    Well {
        consumed: usize,
        /// Whether the server has memcache's meta commands, if the reply tells.
        has_meta: Option<bool>,
    },
    /// Something unasked.
    Push { consumed: usize },
    /// The server will not have us: what it was asked, and what it said.
    Refused(String),
    /// This is no reply.
    Broken,
}

fn receive_memcache(step: Step, bytes: &[u8]) -> Greeted {
    use memcache::reply::{Reply, STORED, parse_reply};
    let (line, consumed) = match parse_reply(bytes, 0) {
        Parsed::Incomplete { want } => return Greeted::Incomplete { want },
        Parsed::Complete {
            request: Reply::Line(line),
            consumed,
        } => (line, consumed),
        Parsed::Complete { .. } | Parsed::Refused { .. } => return Greeted::Broken,
    };
    match step {
        Step::MemcacheAuth if line != STORED => refused("authentication", line),
        Step::Version if line.starts_with(b"CLIENT_ERROR") => refused("version", line),
        Step::Version => Greeted::Well {
            consumed,
            has_meta: Some(has_meta_commands(line)),
        },
        Step::MemcacheAuth | Step::Needed(_) | Step::Wished => Greeted::Well {
            consumed,
            has_meta: None,
        },
    }
}

fn receive_resp(step: Step, bytes: &[u8]) -> Greeted {
    use resp::reply::{Reply, parse_reply};
    // The longest reply here is HELLO's map.
    let limits = resp::Limits::for_replies(REPLY_BYTES_MAX);
    match parse_reply(bytes, &limits) {
        Parsed::Incomplete { want } => Greeted::Incomplete { want },
        Parsed::Refused { .. } => Greeted::Broken,
        Parsed::Complete {
            request: Reply::Push,
            consumed,
        } => Greeted::Push { consumed },
        Parsed::Complete { request, consumed } => match (step, request) {
            (Step::Needed(name), Reply::Error(line)) => refused(name, line),
            _ => Greeted::Well {
                consumed,
                has_meta: None,
            },
        },
    }
}

fn refused(what: &str, line: &[u8]) -> Greeted {
    let line = line.trim_ascii_end().escape_ascii();
    Greeted::Refused(format!("{what} was answered: {line}"))
}

/// Bytes of the longest string in a reply to a greeting.
const REPLY_BYTES_MAX: usize = 4 * 1024;

/// The first memcached whose meta commands are those of today, with keys in base64.
const META_SINCE: [u64; 3] = [1, 6, 10];

/// Whether a memcached of this version (`VERSION 1.6.18`) knows the meta commands.
fn has_meta_commands(line: &[u8]) -> bool {
    let Some(version) = line.strip_prefix(b"VERSION ") else {
        return false;
    };
    let is_digit = |byte: &&u8| byte.is_ascii_digit();
    let mut numbers = version.splitn(3, |byte| *byte == b'.').map(|part| {
        let digits = part.iter().take_while(is_digit).count();
        number::unsigned(&part[..digits]).unwrap_or(0)
    });
    let version: [u64; 3] = std::array::from_fn(|_| numbers.next().unwrap_or(0));
    version >= META_SINCE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(user: Option<&str>, password: Option<&str>) -> Access {
        Access {
            user: user.map(str::to_owned),
            password: password.map(Secret::new),
            ..Access::default()
        }
    }

    fn request(protocol: Protocol, access: &Access) -> String {
        let greeting = Greeting::new(protocol, access);
        let text = String::from_utf8(greeting.request().to_vec()).unwrap();
        let is_word = |line: &&str| !line.starts_with(['$', '*']);
        text.lines().filter(is_word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_greeting_says_who_and_where_in_the_order_that_servers_want() {
        use Protocol::{Memcache, Resp};
        assert_eq!(request(Resp, &Access::default()), "PING");
        let mut access = access(None, Some("secret"));
        assert_eq!(request(Resp, &access), "AUTH secret PING");
        assert_eq!(request(Memcache, &access), "set auth 0 0 7  secret version");
        access.user = Some("me".to_owned());
        access.database = 3;
        access.name = Some("shard-0".to_owned());
        let two = "AUTH me secret SELECT 3 CLIENT SETNAME shard-0 PING";
        assert_eq!(request(Resp, &access), two);
        access.version = Version::Resp3;
        let three = "HELLO 3 AUTH me secret SETNAME shard-0 SELECT 3 PING";
        assert_eq!(request(Resp, &access), three);
        assert_eq!(
            request(Memcache, &access),
            "set auth 0 0 9 me secret version"
        );
        let shown = format!("{access:?} {:?}", Greeting::new(Resp, &access));
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn a_server_that_will_not_have_us_is_quoted() {
        let greeting = Greeting::new(Protocol::Resp, &access(None, Some("x")));
        let line = b"-WRONGPASS invalid username-password pair\r\n";
        let Greeted::Refused(text) = greeting.receive(0, line) else {
            panic!("refused");
        };
        assert!(text.starts_with("AUTH was answered: WRONGPASS"), "{text}");
        let Greeted::Refused(text) = greeting.receive(1, b"-LOADING dataset\r\n") else {
            panic!("not ready");
        };
        assert_eq!(text, "PING was answered: LOADING dataset");
        let greeting = Greeting::new(Protocol::Memcache, &access(None, None));
        let Greeted::Refused(text) = greeting.receive(0, b"CLIENT_ERROR unauthenticated\r\n")
        else {
            panic!("refused");
        };
        assert_eq!(text, "version was answered: CLIENT_ERROR unauthenticated");
    }

    #[test]
    fn answers_are_read_whole_and_pushes_passed_over() {
        let greeting = Greeting::new(Protocol::Resp, &Access::default())
            .wish(|out| encode_command(out, &[b"SCRIPT", b"LOAD", b""]));
        assert_eq!(greeting.receive(0, b""), Greeted::Incomplete { want: 1 });
        assert_eq!(greeting.receive(0, b"+PO"), Greeted::Incomplete { want: 4 });
        let well = Greeted::Well {
            consumed: 7,
            has_meta: None,
        };
        assert_eq!(greeting.receive(0, b"+PONG\r\n"), well);
        assert_eq!(
            greeting.receive(1, b"-ERR 7\r\n+"),
            Greeted::Well {
                consumed: 8,
                has_meta: None,
            }
        );
        assert_eq!(
            greeting.receive(1, b">0\r\n"),
            Greeted::Push { consumed: 4 }
        );
        assert_eq!(greeting.receive(0, b"HTTP/1.1 400\r\n"), Greeted::Broken);
        assert!(!greeting.is_over(1) && greeting.is_over(2));
        assert_eq!(greeting.receive(2, b"+OK\r\n"), Greeted::Broken);
    }

    #[test]
    fn meta_commands_are_as_old_as_1_6_10() {
        for (line, expected) in [
            ("VERSION 1.6.18\r\n", true),
            ("VERSION 1.6.10\r\n", true),
            ("VERSION 1.6.18-ringfort-0.1.0\r\n", true),
            ("VERSION 1.10.0\r\n", true),
            ("VERSION 2\r\n", true),
            ("VERSION 1.6.9\r\n", false),
            ("VERSION 1.4.39\r\n", false),
            ("VERSION 1.6\r\n", false),
            ("VERSION unknown\r\n", false),
            ("ERROR\r\n", false),
        ] {
            let greeting = Greeting::new(Protocol::Memcache, &Access::default());
            let well = Greeted::Well {
                consumed: line.len(),
                has_meta: Some(expected),
            };
            assert_eq!(greeting.receive(0, line.as_bytes()), well, "{line:?}");
        }
    }
}
