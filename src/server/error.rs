//! Why the server does not start, each on one line with the remedy.

use std::{
    fmt::{self, Display, Formatter},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use crate::spool::FolderError;

/// A reason not to start.
#[derive(Debug)]
pub enum StartError {
    /// The kernel is too old.
    KernelTooOld {
        /// Its release, as `uname -r` prints it.
        release: String,
    },
    /// io_uring is switched off for everybody, or for this user.
    UringDisabled {
        /// The value of the sysctl.
        level: u32,
    },
    /// The ring could not be made although the kernel has it.
    UringRefused(io::Error),
    /// Too little memory may be locked.
    MemlockTooLow {
        /// The hard limit in bytes.
        limit_bytes: u64,
        /// What is needed in bytes.
        needed_bytes: u64,
    },
    /// Too few files may be open.
    FilesTooFew {
        /// The hard limit.
        limit: u64,
        /// What is needed.
        needed: u64,
    },
    /// There is not that much memory.
    MemoryNotThere {
        /// What was asked for, in bytes.
        wanted_bytes: u64,
        /// What there is, in bytes.
        available_bytes: u64,
        /// Who says so.
        source: &'static str,
    },
    /// The kernel refused the memory.
    MemoryRefused(io::Error),
    /// An address cannot be listened on.
    Listen {
        /// The flag that named it.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// A server's name has no address.
    Resolve {
        /// `host:port`.
        server: String,
        /// Why.
        error: io::Error,
    },
    /// The spool cannot be used.
    Spool {
        /// Its folder.
        folder: PathBuf,
        /// Why.
        error: FolderError,
    },
    /// A group's origin cannot be used.
    Origin {
        /// As it was typed.
        origin: String,
        /// Why.
        reason: String,
    },
    /// A group cannot be called so.
    Group {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// A thread that is no shard's could not be started.
    Thread(io::Error),
    /// A shard's thread could not be started.
    Shard {
        /// The CPU it was for.
        cpu: usize,
        /// Why.
        error: io::Error,
    },
}

impl Display for StartError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::KernelTooOld { release } => write!(
                f,
                "kernel {release} is too old: ringfort needs Linux 6.1 or newer; \
                 boot a newer kernel"
            ),
            Self::UringDisabled { level } => write!(
                f,
                "io_uring is switched off (kernel.io_uring_disabled = {level}); \
                 allow it with 'sysctl -w kernel.io_uring_disabled=0'"
            ),
            Self::UringRefused(error) => refused(f, error),
            Self::MemlockTooLow {
                limit_bytes,
                needed_bytes,
            } => write!(
                f,
                "only {} KiB of memory may be locked, {} KiB are needed; raise it with \
                 'ulimit -l {}' or LimitMEMLOCK= in the unit",
                limit_bytes / 1024,
                needed_bytes / 1024,
                needed_bytes / 1024
            ),
            Self::FilesTooFew { limit, needed } => write!(
                f,
                "only {limit} files may be open, {needed} are needed; raise it with \
                 'ulimit -n {needed}' or LimitNOFILE= in the unit, or lower --connections-max"
            ),
            Self::MemoryNotThere {
                wanted_bytes,
                available_bytes,
                source,
            } => write!(
                f,
                "--memory asks for {} MiB, {source} has {} MiB; lower --memory",
                wanted_bytes >> 20,
                available_bytes >> 20
            ),
            Self::MemoryRefused(error) => {
                let cause = plain(error);
                write!(f, "the memory is not to be had: {cause}; lower --memory")
            }
            Self::Listen {
                flag,
                address,
                error,
            } => listen(f, flag, *address, error),
            Self::Resolve { server, error } => write!(
                f,
                "server {server} has no address: {}; correct the name or give an IP address",
                plain(error)
            ),
            Self::Spool { folder, error } => spool(f, folder, error),
            Self::Origin { origin, reason } => {
                write!(f, "--origin {origin}: {reason}; name another one")
            }
            Self::Group { name, reason } => {
                write!(f, "group '{}': {reason}", name.escape_debug())
            }
            Self::Thread(error) => write!(
                f,
                "a thread cannot be started: {}; see 'ulimit -u'",
                plain(error)
            ),
            Self::Shard { cpu, error } => {
                write!(
                    f,
                    "the shard on CPU {cpu} cannot start: {}; see --cores",
                    plain(error)
                )
            }
        }
    }
}

impl std::error::Error for StartError {}

fn listen(
    f: &mut Formatter<'_>,
    flag: &str,
    address: SocketAddr,
    error: &io::Error,
) -> fmt::Result {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => "stop who has it, or give another address",
        io::ErrorKind::PermissionDenied => "give a port from 1024 on",
        _ => "give an address of this machine",
    };
    write!(f, "{flag} {address}: {}; {remedy}", plain(error))
}

fn spool(f: &mut Formatter<'_>, folder: &Path, error: &FolderError) -> fmt::Result {
    match error {
        FolderError::InUse => write!(
            f,
            "--spool {}: another ringfort holds it; give each a folder of its own",
            folder.display()
        ),
        FolderError::File { .. } => {
            write!(f, "--spool {error}; give a folder that can be written to")
        }
    }
}

fn refused(f: &mut Formatter<'_>, error: &io::Error) -> fmt::Result {
    let (cause, remedy) = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => (
            "forbidden, most likely by a container's seccomp profile",
            "allow io_uring_setup, io_uring_enter and io_uring_register in it",
        ),
        Some(libc::ENOSYS) => (
            "not in this kernel",
            "boot a kernel that is built with CONFIG_IO_URING",
        ),
        Some(libc::ENOMEM) => ("short of locked memory", "raise 'ulimit -l'"),
        Some(libc::EINVAL) => (
            "too old for the features that are needed",
            "boot Linux 6.1 or newer",
        ),
        _ => return write!(f, "io_uring cannot be used: {}; see dmesg", plain(error)),
    };
    write!(f, "io_uring is {cause}; {remedy}")
}

/// The error without Rust's "(os error N)".
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_one_line_with_a_remedy() {
        let os = io::Error::from_raw_os_error;
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let errors = [
            StartError::KernelTooOld {
                release: "5.10.0".into(),
            },
            StartError::UringDisabled { level: 2 },
            StartError::UringRefused(os(libc::EPERM)),
            StartError::UringRefused(os(libc::ENOSYS)),
            StartError::UringRefused(os(libc::ENOMEM)),
            StartError::UringRefused(os(libc::EINVAL)),
            StartError::MemlockTooLow {
                limit_bytes: 65_536,
                needed_bytes: 1 << 20,
            },
            StartError::FilesTooFew {
                limit: 10,
                needed: 20,
            },
            StartError::MemoryNotThere {
                wanted_bytes: 1 << 40,
                available_bytes: 1 << 30,
                source: "the machine",
            },
            StartError::MemoryRefused(os(libc::ENOMEM)),
            StartError::Listen {
                flag: "--resp",
                address,
                error: os(libc::EADDRINUSE),
            },
            StartError::Resolve {
                server: "a:1".into(),
                error: os(libc::ENOENT),
            },
            StartError::Spool {
                folder: "spool".into(),
                error: FolderError::InUse,
            },
            StartError::Origin {
                origin: "dir:values".into(),
                reason: "there is no such folder".into(),
            },
            StartError::Group {
                name: "a\nb".into(),
                reason: "not a name; write letters".into(),
            },
            StartError::Thread(os(libc::EAGAIN)),
            StartError::Shard {
                cpu: 3,
                error: os(libc::EINVAL),
            },
        ];
        for error in errors {
            let line = error.to_string();
            assert!(!line.contains('\n') && line.contains("; "), "{line}");
            assert!(!line.contains("os error"), "{line}");
        }
    }
}
