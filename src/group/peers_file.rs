//! The file that lists the peers, which is read again when it changes.

use std::{path::PathBuf, time::Duration};

use crate::{
    config::{PeerUrl, read_peers},
    runtime::{self, net},
};

/// How often it is looked at: it is short, and lists of peers are to differ for no longer than must be.
const INTERVAL: Duration = Duration::from_millis(500);

/// Calls `change` with each new list, for ever. A new one counts when it is found twice in a row, as a
/// file may be read while it is being written. With one that cannot be used the list stays; that is said
/// once for each way to be wrong.
pub async fn watch(path: PathBuf, mut current: Vec<PeerUrl>, change: impl Fn(&[PeerUrl])) {
    let mut complaint = String::new();
    let mut seen = current.clone();
    loop {
        runtime::sleep(INTERVAL).await;
        let file = path.clone();
        match net::blocking(move || read_peers(&file)).await {
            Ok(peers) => {
                complaint.clear();
                if peers != current && peers == seen {
                    tracing::info!(file = %path.display(), count = peers.len(), "peers have changed");
                    change(&peers);
                    current.clone_from(&peers);
                }
                seen = peers;
            }
            Err(error) if error != complaint => {
                tracing::warn!("the list of peers stays as it is: {error}");
                complaint = error;
            }
            Err(_) => {}
        }
    }
}
