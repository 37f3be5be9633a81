//! The servers of a pool: those of a file, and those named one by one.

use std::{fs::File, io::Read, path::Path};

use super::{CliError, ServerArgs};
use crate::{
    config::SERVERS_FILE_BYTES_MAX,
    route::{ServerSpec, join_servers, parse_servers},
};

impl ServerArgs {
    /// The servers of the file, then those named one by one.
    pub(super) fn list(&self) -> Result<Vec<ServerSpec>, CliError> {
        let listed = self
            .servers
            .as_deref()
            .map(read_servers)
            .transpose()?
            .unwrap_or_default();
        join_servers(listed, &self.server)
            .map_err(|reason| CliError::new(format_args!("--server: {reason}; name each once")))
    }
}

fn read_servers(path: &Path) -> Result<Vec<ServerSpec>, CliError> {
    let name = path.display().to_string();
    let mut text = String::new();
    let read = File::open(path).and_then(|file| {
        file.take(SERVERS_FILE_BYTES_MAX as u64 + 1)
            .read_to_string(&mut text)
    });
    match read {
        Err(error) => Err(CliError::new(format_args!(
            "--servers {name}: cannot be read ({error}); name a file of HOST:PORT WEIGHT lines"
        ))),
        Ok(bytes) if bytes > SERVERS_FILE_BYTES_MAX => Err(CliError::new(format_args!(
            "--servers {name}: longer than {SERVERS_FILE_BYTES_MAX} bytes; name a file of \
             HOST:PORT WEIGHT lines"
        ))),
        Ok(_) => parse_servers(&name, &text)
            .map_err(|error| CliError::new(format_args!("--servers {error}"))),
    }
}
