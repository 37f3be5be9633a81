//! The file that lists the peers, read at the start and again when it changes.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    config::{PEERS_FILE_BYTES_MAX, PeerUrl, parse_peers},
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

/// Reads the peers that a file lists, one URL a line. It blocks as long as the disk takes.
///
/// # Errors
///
/// In one line, which begins with the file's name: it cannot be read, is too long, or what is wrong in it.
pub fn read_peers(path: &Path) -> Result<Vec<PeerUrl>, String> {
    let name = path.display().to_string();
    let mut text = String::new();
    let read = open_regular(path).and_then(|file| {
        file.take(PEERS_FILE_BYTES_MAX as u64 + 1)
            .read_to_string(&mut text)
    });
    match read {
        Err(error) => Err(format!(
            "{name}: cannot be read ({error}); name a file of http://HOST:PORT lines"
        )),
        Ok(bytes) if bytes > PEERS_FILE_BYTES_MAX => Err(format!(
            "{name}: longer than {PEERS_FILE_BYTES_MAX} bytes; name a file of http://HOST:PORT lines"
        )),
        Ok(_) => parse_peers(&name, &text),
    }
}

/// Opens what can be read again and again: to open a pipe, which may take the file's place later, may wait
/// for ever.
fn open_regular(path: &Path) -> io::Result<File> {
    match path.metadata()?.is_file() {
        true => File::open(path),
        false => Err(io::Error::other("it is no regular file")),
    }
}
