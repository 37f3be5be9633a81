//! Flags about the peers of a group.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{CliError, values};
use crate::{
    config::{
        HotPolicy, PEER_SECRET_BYTES_MAX, PEERS_MAX, PeerRing, PeerUrl, PeersConfig, Secret,
        check_peer_secret,
    },
    group::peers_file::read_peers,
};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Group")]
pub(super) struct PeerArgs {
    /// This process, letter by letter as its peers name it: http://HOST:PORT [default: no peers]
    #[arg(long = "self", value_name = "URL", value_parser = peer)]
    me: Option<PeerUrl>,
    /// One more peer that owns keys of the group; this process need not be named [default: none]
    #[arg(long, value_name = "URL", value_parser = peer)]
    peer: Vec<PeerUrl>,
    /// File of the peers, one URL a line, this process included; it is read again when it changes
    /// [default: none]
    #[arg(long, value_name = "FILE")]
    peers: Option<PathBuf>,
    /// Answer peers at this IP address and port [default: those of --self]
    #[arg(long, value_name = "ADDR", value_parser = listen)]
    peer_listen: Option<SocketAddr>,
    /// File whose first line all peers know, and who does not is not answered [default: none]
    #[arg(long, value_name = "FILE")]
    peer_secret: Option<PathBuf>,
    /// Answer whoever can connect, on addresses of other machines, too [default: this machine only, as
    /// long as there is no secret]
    #[arg(long)]
    peer_open: bool,
    /// Whose way to divide keys among peers: groupcache (golang/groupcache) or fnv (mailgun/groupcache)
    /// [default: groupcache]
    #[arg(long, value_name = "RING", value_parser = values::peer_ring)]
    peer_ring: Option<PeerRing>,
    /// Which values of other peers are kept here, too: coin (one in ten), sketch (those that are loaded
    /// often), all or none [default: coin]
    #[arg(long, value_name = "WHICH", value_parser = values::hot)]
    hot: Option<HotPolicy>,
}

impl PeerArgs {
    /// The peers, if there are any.
    pub(super) fn resolve(&self) -> Result<Option<PeersConfig>, CliError> {
        let Some(me) = &self.me else {
            return match self.given().into_iter().find(|(_, is_given)| *is_given) {
                Some((flag, _)) => Err(CliError::new(format_args!(
                    "{flag}: only means something for one of several peers; add --self \
                     http://HOST:PORT"
                ))),
                None => Ok(None),
            };
        };
        let secret = self.peer_secret.as_deref().map(read_secret).transpose()?;
        Ok(Some(PeersConfig {
            me: me.clone(),
            peers: self.list(me)?,
            file: self.peers.clone(),
            listen: self.listen(me, secret.is_some())?,
            secret,
            ring: self.peer_ring.unwrap_or_default(),
            hot: self.hot.unwrap_or_default(),
        }))
    }

    /// Those that own keys.
    fn list(&self, me: &PeerUrl) -> Result<Vec<PeerUrl>, CliError> {
        match (&self.peers, self.peer.first()) {
            (Some(path), None) => {
                read_peers(path).map_err(|error| CliError::new(format_args!("--peers {error}")))
            }
            (Some(path), Some(peer)) => Err(CliError::new(format_args!(
                "--peer {peer}: cannot be had together with --peers {}; write it into the file",
                path.display()
            ))),
            (None, None) => Err(CliError::new(format_args!(
                "--self {me}: no peers; add --peer URL or --peers FILE"
            ))),
            (None, Some(_)) => {
                let mut peers = Vec::new();
                for peer in &self.peer {
                    if peers.contains(peer) {
                        return Err(CliError::new(format_args!(
                            "--peer {peer}: is named twice; name each once"
                        )));
                    }
                    peers.push(peer.clone());
                }
                if !peers.contains(me) {
                    peers.push(me.clone());
                }
                match peers.len() <= PEERS_MAX {
                    true => Ok(peers),
                    false => Err(CliError::new(format_args!(
                        "--peer: more than {PEERS_MAX} peers; name fewer"
                    ))),
                }
            }
        }
    }

    /// Where peers are answered. Whoever reaches that reads and changes all of the group.
    fn listen(&self, me: &PeerUrl, has_secret: bool) -> Result<SocketAddr, CliError> {
        let address = self.peer_listen.or_else(|| me.socket_address());
        let Some(address) = address else {
            return Err(CliError::new(format_args!(
                "--self {me}: is no IP address to listen on; add --peer-listen ADDR"
            )));
        };
        if !address.ip().is_loopback() && !has_secret && !self.peer_open {
            let flag = match self.peer_listen {
                Some(address) => format!("--peer-listen {address}"),
                None => format!("--self {me}"),
            };
            return Err(CliError::new(format_args!(
                "{flag}: other machines could read and change all of the group; add --peer-secret \
                 FILE, or --peer-open if only friends reach it"
            )));
        }
        Ok(address)
    }

    /// Flags that need `--self`, and whether each was given.
    fn given(&self) -> [(&'static str, bool); 7] {
        [
            ("--peer", !self.peer.is_empty()),
            ("--peers", self.peers.is_some()),
            ("--peer-listen", self.peer_listen.is_some()),
            ("--peer-secret", self.peer_secret.is_some()),
            ("--peer-open", self.peer_open),
            ("--peer-ring", self.peer_ring.is_some()),
            ("--hot", self.hot.is_some()),
        ]
    }

    /// All flags about peers, and whether each was given.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, bool)> {
        [("--self", self.me.is_some())]
            .into_iter()
            .chain(self.given())
    }
}

fn peer(text: &str) -> Result<PeerUrl, String> {
    text.parse()
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    let address: Option<SocketAddr> = text.parse().ok();
    // Peers find it by its URL, so no port may be chosen for it.
    address
        .filter(|address| address.port() != 0)
        .ok_or_else(|| {
            "not an IP address and port; write for example 10.0.0.1:8000 or [::1]:8000".into()
        })
}

fn read_secret(path: &Path) -> Result<Secret, CliError> {
    let place = format!("--peer-secret {}", path.display());
    let most = PEER_SECRET_BYTES_MAX as u64 + 2;
    let text = values::first_line(path, most).map_err(|error| {
        CliError::new(format_args!(
            "{place}: cannot be read ({error}); name a file with the secret in its first line"
        ))
    })?;
    let secret = Secret::new(text);
    match check_peer_secret(&secret) {
        Ok(()) => Ok(secret),
        Err(reason) => Err(CliError::new(format_args!("{place}: {reason}"))),
    }
}
