//! The peers of a group: their URLs, the file that lists them, and who owns which key.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

use super::spelled::spelled;
use super::{HttpAddress, Secret};
use crate::route::uncommented;

/// The most peers of a group. Far above any in use, and it bounds the ring: 50 points each.
pub const PEERS_MAX: usize = 1024;

/// The largest peers file in bytes: [`PEERS_MAX`] peers with room for comments.
pub const PEERS_FILE_BYTES_MAX: usize = 1 << 20;

/// The longest secret of peers, in bytes: it is sent with every request.
pub const PEER_SECRET_BYTES_MAX: usize = 512;

/// The peers of a group: which they are, and what this process tells whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeersConfig {
    /// This process, as all of them name it.
    pub me: PeerUrl,
    /// Exactly those that own keys: this process, too, if it is among them.
    pub peers: Vec<PeerUrl>,
    /// The file that lists them, to be read again when it changes; `None` if nothing changes them.
    pub file: Option<PathBuf>,
    /// Where this process answers peers.
    pub listen: SocketAddr,
    /// What a peer must know to be answered; `None` answers whoever can connect.
    pub secret: Option<Secret>,
    /// Whose way to divide keys.
    pub ring: PeerRing,
    /// Which values of others are kept here, too.
    pub hot: HotPolicy,
}

/// Which values that other peers own are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HotPolicy {
    /// One in ten, by chance.
    #[default]
    Coin,
    /// Those that are loaded often.
    Sketch,
    /// All.
    All,
    /// None.
    None,
}

impl HotPolicy {
    const ALL: [Self; 4] = [Self::Coin, Self::Sketch, Self::All, Self::None];

    const fn name(self) -> &'static str {
        match self {
            Self::Coin => "coin",
            Self::Sketch => "sketch",
            Self::All => "all",
            Self::None => "none",
        }
    }
}

/// A peer, as an operator wrote it. The text counts: the ring is made from its very letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerUrl {
    text: String,
    address: HttpAddress,
}

impl PeerUrl {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where the peer listens.
    pub fn address(&self) -> &HttpAddress {
        &self.address
    }

    /// The same as a socket has it; nothing if it is a name, which may have several addresses.
    pub fn socket_address(&self) -> Option<SocketAddr> {
        let HttpAddress { host, port } = &self.address;
        let ip = match host.as_str() {
            "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            host => host.parse().ok(),
        };
        ip.map(|ip| SocketAddr::new(ip, *port))
    }
}

/// `http://HOST:PORT`
impl FromStr for PeerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, rest) = HttpAddress::split(text)?;
        match rest {
            "" => Ok(Self {
                text: text.to_owned(),
                address,
            }),
            _ => Err(format!(
                "'{rest}' is too much; write http://HOST:PORT, as all peers do: letter by letter, \
                 it decides who owns which key"
            )),
        }
    }
}

impl fmt::Display for PeerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whose way to divide keys among peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PeerRing {
    /// golang/groupcache's: CRC-32.
    #[default]
    Groupcache,
    /// mailgun/groupcache's: FNV-1 over MD5.
    Fnv,
}

impl PeerRing {
    const ALL: [Self; 2] = [Self::Groupcache, Self::Fnv];

    const fn name(self) -> &'static str {
        match self {
            Self::Groupcache => "groupcache",
            Self::Fnv => "fnv",
        }
    }
}

spelled!(HotPolicy, PeerRing);

/// Parses the text of a peers file: one URL a line, `#` comments, blank lines. `file` is its name, for
/// the error.
///
/// # Errors
///
/// The first line that is wrong, or that the file lists no peer.
pub fn parse_peers(file: &str, text: &str) -> Result<Vec<PeerUrl>, String> {
    let mut peers: Vec<PeerUrl> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = uncommented(line).trim();
        if line.is_empty() {
            continue;
        }
        let fail = |why: String| format!("{file}:{}: {}", index + 1, one_line(&why));
        let peer: PeerUrl = line.parse().map_err(fail)?;
        if peers.contains(&peer) {
            return Err(fail(format!("peer '{peer}' is listed twice")));
        }
        if peers.len() == PEERS_MAX {
            return Err(fail(format!("more than {PEERS_MAX} peers")));
        }
        peers.push(peer);
    }
    match peers.is_empty() {
        true => Err(format!(
            "{file}: no peers; write one http://HOST:PORT a line"
        )),
        false => Ok(peers),
    }
}

/// Checks a secret that peers share.
///
/// # Errors
///
/// It cannot be sent in a header.
pub fn check_peer_secret(secret: &Secret) -> Result<(), String> {
    let bytes = secret.bytes();
    let is_fit = (1..=PEER_SECRET_BYTES_MAX).contains(&bytes.len());
    match is_fit && bytes.iter().all(u8::is_ascii_graphic) {
        true => Ok(()),
        false => Err(format!(
            "not a secret; write 1 to {PEER_SECRET_BYTES_MAX} letters, digits and signs, without \
             blanks, into its first line"
        )),
    }
}

/// What a file says may be quoted in an error, which is one line.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_kept_letter_by_letter() {
        let peer: PeerUrl = "http://a:80".parse().expect("a peer");
        assert_eq!(peer.as_str(), "http://a:80");
        assert_eq!(peer.address().port, 80);
        for text in ["http://a:80/", "http://a/prefix", "http://a?x", "a:80"] {
            text.parse::<PeerUrl>().expect_err(text);
        }
    }

    #[test]
    fn a_number_or_this_machine_can_be_listened_on() {
        for (url, address) in [
            ("http://10.0.0.1:8000", Some("10.0.0.1:8000")),
            ("http://[::1]:8000", Some("[::1]:8000")),
            ("http://localhost", Some("127.0.0.1:80")),
            ("http://cache-1:8000", None),
        ] {
            let peer: PeerUrl = url.parse().expect(url);
            let address = address.map(|address| address.parse().expect(address));
            assert_eq!(peer.socket_address(), address, "{url}");
        }
    }

    #[test]
    fn comments_blanks_and_line_ends() {
        let text = "# peers\r\n\r\n http://a:1 \nhttp://b:1 # old\n#http://c:1\n";
        let peers = parse_peers("peers.txt", text).expect("peers");
        let texts: Vec<_> = peers.iter().map(PeerUrl::as_str).collect();
        assert_eq!(texts, ["http://a:1", "http://b:1"]);
    }

    #[test]
    fn an_error_names_file_and_line() {
        let error = |text| parse_peers("peers.txt", text).expect_err(text);
        assert!(error("http://a:1\nhttp://b:x").starts_with("peers.txt:2: port 'x'"));
        assert_eq!(
            error("http://a:1\nhttp://a:1"),
            "peers.txt:2: peer 'http://a:1' is listed twice"
        );
        for text in ["", "\n# none\n"] {
            assert_eq!(
                error(text),
                "peers.txt: no peers; write one http://HOST:PORT a line"
            );
        }
    }

    #[test]
    fn a_list_has_an_end() {
        let line = |index: usize| format!("http://h{index}:1\n");
        let full: String = (0..PEERS_MAX).map(line).collect();
        assert_eq!(parse_peers("p", &full).expect("full").len(), PEERS_MAX);
        let error = parse_peers("p", &(full + "http://last:1")).expect_err("too many");
        assert_eq!(error, "p:1025: more than 1024 peers");
    }

    #[test]
    fn a_secret_can_be_sent() {
        for good in ["s", "a-Z_0.9~+/=", &"x".repeat(PEER_SECRET_BYTES_MAX)] {
            check_peer_secret(&Secret::new(good)).expect(good);
        }
        let long = "x".repeat(PEER_SECRET_BYTES_MAX + 1);
        for bad in ["", "a b", "a\n", "é", &long] {
            check_peer_secret(&Secret::new(bad)).expect_err(bad);
        }
    }

    #[test]
    fn rings_have_names() {
        for ring in PeerRing::ALL {
            assert_eq!(ring.to_string().parse(), Ok(ring));
        }
        for policy in HotPolicy::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
    }
}
