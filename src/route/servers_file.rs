//! The file that lists the servers of a pool: one a line, `#` comments, blank lines, LF or CRLF.
//!
//! ```text
//! # libketama's way, weight 1 when missing
//! 10.0.1.1:11211 600
//! 10.0.1.2:11211          # trailing comment
//! # twemproxy's way, with or without a name
//! 10.0.1.3:11211:300
//! [fd00::4]:11211:300 delta
//! ```
//!
//! Against libketama's own reader: it cuts the last character of each line, so a last line without
//! a newline loses a digit of its weight there, not here.

use std::collections::HashSet;
use std::fmt;

use super::server_spec::{ServerSpec, ServerSpecError, WEIGHT_MAX};

/// The most servers of a pool. Far above any pool in use, and it bounds the ring: 160 points of 8
/// bytes each.
pub const SERVERS_MAX: usize = 4096;

const _: () = assert!(SERVERS_MAX as u64 * WEIGHT_MAX as u64 <= u32::MAX as u64);
const _: () = assert!(SERVERS_MAX <= u16::MAX as usize);

/// Parses the text of a servers file; `file` is its name, for the error.
///
/// # Errors
///
/// The first line that is wrong, or that the file lists no server.
pub fn parse_servers(file: &str, text: &str) -> Result<Vec<ServerSpec>, ServersError> {
    let mut servers = Vec::new();
    let mut taken = Taken::default();
    for (index, line) in text.lines().enumerate() {
        let line = uncommented(line).trim();
        if line.is_empty() {
            continue;
        }
        let server = ServerSpec::parse_line(line).map_err(ServersErrorReason::Line);
        let server = server.and_then(|server| taken.take(server));
        match server {
            Ok(server) => servers.push(server),
            Err(reason) => {
                return Err(ServersError {
                    file: file.to_owned(),
                    line: Some(index + 1),
                    reason,
                });
            }
        }
    }
    if servers.is_empty() {
        let reason = ServersErrorReason::NoServers;
        return Err(ServersError {
            file: file.to_owned(),
            line: None,
            reason,
        });
    }
    Ok(servers)
}

/// Appends servers that were named one by one to those of a file.
///
/// # Errors
///
/// The first that is in the list already, or one too many.
pub fn join_servers(
    listed: Vec<ServerSpec>,
    named: &[ServerSpec],
) -> Result<Vec<ServerSpec>, ServersErrorReason> {
    let mut taken = Taken::default();
    listed
        .into_iter()
        .chain(named.iter().cloned())
        .map(|server| taken.take(server))
        .collect()
}

/// A servers file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServersError {
    /// The file's name, as given.
    pub file: String,
    /// Counted from 1; `None` if it is the whole file.
    pub line: Option<usize>,
    /// What is wrong.
    pub reason: ServersErrorReason,
}

/// What is wrong with a list of servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServersErrorReason {
    /// The line is not a server.
    Line(ServerSpecError),
    /// The address is in the list already.
    DuplicateAddress(String),
    /// The name is in the list already.
    DuplicateName(String),
    /// Only comments and blank lines.
    NoServers,
    /// More than [`SERVERS_MAX`].
    TooManyServers,
}

impl fmt::Display for ServersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, reason } = self;
        match line {
            Some(line) => write!(f, "{file}:{line}: {reason}"),
            None => write!(f, "{file}: {reason}"),
        }
    }
}

impl fmt::Display for ServersErrorReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(error) => error.fmt(f),
            Self::DuplicateAddress(address) => write!(f, "server '{address}' is listed twice"),
            Self::DuplicateName(name) => write!(f, "name '{name}' is given twice"),
            Self::NoServers => write!(f, "no servers; write one HOST:PORT WEIGHT a line"),
            Self::TooManyServers => write!(f, "more than {SERVERS_MAX} servers"),
        }
    }
}

impl std::error::Error for ServersError {}
impl std::error::Error for ServersErrorReason {}

/// The addresses and names that are in use.
#[derive(Default)]
struct Taken {
    addresses: HashSet<String>,
    names: HashSet<String>,
}

impl Taken {
    fn take(&mut self, server: ServerSpec) -> Result<ServerSpec, ServersErrorReason> {
        if self.addresses.len() == SERVERS_MAX {
            return Err(ServersErrorReason::TooManyServers);
        }
        if !self.addresses.insert(server.address()) {
            return Err(ServersErrorReason::DuplicateAddress(server.address()));
        }
        if let Some(name) = &server.name
            && !self.names.insert(name.clone())
        {
            return Err(ServersErrorReason::DuplicateName(name.clone()));
        }
        Ok(server)
    }
}

/// The line without its comment: a `#` that begins the line or follows a blank.
pub(crate) fn uncommented(line: &str) -> &str {
    let begins_comment = |(at, _): &(usize, &str)| *at == 0 || line[..*at].ends_with([' ', '\t']);
    match line.match_indices('#').find(begins_comment) {
        Some((at, _)) => &line[..at],
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Vec<String> {
        let servers = parse_servers("servers.txt", text).expect(text);
        servers.iter().map(ToString::to_string).collect()
    }

    fn error(text: &str) -> String {
        parse_servers("servers.txt", text)
            .expect_err(text)
            .to_string()
    }

    #[test]
    fn comments_blanks_and_line_ends() {
        let text = "# pool\r\n\r\n10.0.1.1:11211 600\r\n  \t\n  10.0.1.2:11211\t2\t# old\n\
                    #10.0.1.3:11211 1\n10.0.1.4:6379:1 a#1 #name\n10.0.1.5:11211";
        assert_eq!(
            addresses(text),
            [
                "10.0.1.1:11211 weight 600",
                "10.0.1.2:11211 weight 2",
                "10.0.1.4:6379 weight 1 name a#1",
                "10.0.1.5:11211 weight 1",
            ]
        );
    }

    #[test]
    fn an_error_names_file_and_line() {
        assert_eq!(
            error("# pool\na:1 1\nb:1 x\n"),
            "servers.txt:3: weight 'x' is not a number from 1 to 1000000"
        );
    }

    #[test]
    fn duplicates_are_refused() {
        assert_eq!(
            error("a:1 1\na:1 2\n"),
            "servers.txt:2: server 'a:1' is listed twice"
        );
        assert_eq!(
            error("a:1:1 n\nb:1:1 n\n"),
            "servers.txt:2: name 'n' is given twice"
        );
        assert_eq!(addresses("a:1\na:2\n").len(), 2);
    }

    #[test]
    fn a_file_without_servers_is_refused() {
        for text in ["", "\n\n", "# a:1 1\n"] {
            assert_eq!(
                error(text),
                "servers.txt: no servers; write one HOST:PORT WEIGHT a line"
            );
        }
    }

    #[test]
    fn a_list_has_an_end() {
        let line = |index: usize| format!("h{index}:11211\n");
        let full: String = (0..SERVERS_MAX).map(line).collect();
        assert_eq!(addresses(&full).len(), SERVERS_MAX);
        assert_eq!(
            error(&(full + "last:11211")),
            "servers.txt:4097: more than 4096 servers"
        );
    }

    #[test]
    fn named_servers_follow_the_file() {
        let listed = parse_servers("servers.txt", "a:1 1\n").expect("listed");
        let named = ["b:1:2".parse().expect("named")];
        let joined = join_servers(listed.clone(), &named).expect("joined");
        assert_eq!(joined, [listed[0].clone(), named[0].clone()]);
        assert_eq!(
            join_servers(listed.clone(), &listed),
            Err(ServersErrorReason::DuplicateAddress("a:1".into()))
        );
    }
}
