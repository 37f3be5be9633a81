//! Passwords of servers: in a file or in a variable, as a command line is everybody's to read.

use std::env;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use super::{CliError, values};
use crate::config::{PASSWORD_BYTES_MAX, Secret};

/// Where a password may be given.
pub(super) struct PasswordPlace {
    /// The flag that names a file.
    pub(super) flag: &'static str,
    /// The variable that counts without a file.
    pub(super) variable: &'static str,
}

impl PasswordPlace {
    /// The password that goes with a user, if there is one.
    pub(super) fn read(
        &self,
        file: Option<&Path>,
        user_flag: &str,
        user: Option<&str>,
    ) -> Result<Option<Secret>, CliError> {
        let password = match file {
            Some(path) => Some(self.read_file(path)?),
            None => self.read_variable()?,
        };
        match (user, &password) {
            (Some(user), None) => Err(CliError::new(format_args!(
                "{user_flag} {user}: no password; add {} FILE or set {}",
                self.flag, self.variable
            ))),
            _ => Ok(password),
        }
    }

    fn read_variable(&self) -> Result<Option<Secret>, CliError> {
        env::var_os(self.variable)
            .map(|text| secret(self.variable, text.into_vec()))
            .transpose()
    }

    fn read_file(&self, path: &Path) -> Result<Secret, CliError> {
        let place = format!("{} {}", self.flag, path.display());
        let most = PASSWORD_BYTES_MAX as u64 + 2;
        let text = values::first_line(path, most).map_err(|error| {
            CliError::new(format_args!(
                "{place}: cannot be read ({error}); name a file with the password in its first line"
            ))
        })?;
        secret(&place, text)
    }
}

fn secret(place: &str, text: Vec<u8>) -> Result<Secret, CliError> {
    match text.len() {
        1..=PASSWORD_BYTES_MAX => Ok(Secret::new(text)),
        _ => Err(CliError::new(format_args!(
            "{place}: a password has 1 to {PASSWORD_BYTES_MAX} bytes; give one, or none at all"
        ))),
    }
}
