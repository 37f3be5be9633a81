//! The file that lists the peers of a group, read at the start and again and again.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use super::{PEERS_FILE_BYTES_MAX, PeerUrl, parse_peers};

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
