//! Values from a folder: a key is the name of a file in it, or in folders of it.
//!
//! The kernel resolves the name and lets nothing lead out of the folder (`openat2` with
//! `RESOLVE_BENEATH`): no `..`, no `/` in front, no symbolic link. Only regular files are values: of
//! what is found it is first looked at what it is, and then it is opened, as to open a device or a
//! pipe may do something.
//!
//! Who writes files is to write them beside and rename them, else a part may be read. The folder is
//! opened anew for each key, so it may be a symbolic link that is set to another one.

use std::{fs::File, io::Read, path::Path, sync::Arc};

use bytes::Bytes;
use rustix::{
    fd::OwnedFd,
    fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2},
    io::Errno,
};

use crate::{
    config::LOADS_MAX_MAX,
    group::{LoadError, LoadFuture, Loaded, Loader, Wanted, loader::reason},
    runtime::net,
};

/// Files that are read at a time and wait for that, as many as loads may be under way; one more is an
/// error. A load that is late leaves its job behind: they are done on few threads, and a disk that
/// does not answer would make them ever more.
const JOBS_MAX: usize = LOADS_MAX_MAX;

/// Times that a name is looked up while folders on its way are renamed.
const ATTEMPTS_MAX: usize = 8;

/// A loader.
pub(super) struct Folder {
    path: Arc<Path>,
    value_bytes_max: usize,
    /// Each job has a copy.
    jobs: Arc<()>,
}

impl Folder {
    pub(super) fn open(path: &Path, value_bytes_max: usize) -> Result<Self, String> {
        open_folder(path).map_err(|error| error.to_string())?;
        Ok(Self {
            path: path.into(),
            value_bytes_max,
            jobs: Arc::default(),
        })
    }

    async fn load(&self, key: Bytes) -> Result<Loaded, LoadError> {
        // Only this thread makes copies.
        if Arc::strong_count(&self.jobs) > JOBS_MAX {
            return Err(LoadError::Busy);
        }
        // Dropped when the job ends, also if nobody waits for it any more.
        let job = Arc::clone(&self.jobs);
        let path = Arc::clone(&self.path);
        let value_bytes_max = self.value_bytes_max;
        net::blocking(move || {
            let value = read(&path, &key, value_bytes_max);
            drop(job);
            value
        })
        .await
        .map(Loaded::forever)
    }
}

impl Loader for Folder {
    fn load<'a>(&'a self, wanted: &'a Wanted) -> LoadFuture<'a> {
        Box::pin(self.load(wanted.key.clone()))
    }
}

fn open_folder(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty())
}

fn read(folder: &Path, key: &[u8], value_bytes_max: usize) -> Result<Bytes, LoadError> {
    let folder = open_folder(folder).map_err(|error| failed("open its folder", error))?;
    let seen = open_beneath(&folder, key, OFlags::PATH)?;
    check_regular(&seen)?;
    let opened = open_beneath(
        &folder,
        key,
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
    )?;
    check_regular(&opened)?;
    // One byte more than may be tells that there is more.
    let mut value = Vec::new();
    let read = File::from(opened)
        .take(value_bytes_max as u64 + 1)
        .read_to_end(&mut value);
    match read {
        Err(error) => Err(LoadError::failed(format_args!(
            "origin cannot read a file: {}",
            reason(error)
        ))),
        Ok(count) if count > value_bytes_max => Err(LoadError::TooLarge),
        Ok(_) => Ok(value.into()),
    }
}

fn open_beneath(folder: &OwnedFd, key: &[u8], flags: OFlags) -> Result<OwnedFd, LoadError> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let opened = openat2(folder, key, flags | OFlags::CLOEXEC, Mode::empty(), resolve);
        match opened {
            Ok(file) => return Ok(file),
            // Something was renamed meanwhile, or a signal came.
            Err(Errno::AGAIN | Errno::INTR) if attempts < ATTEMPTS_MAX => {}
            // There is no such name, or none that stays in the folder.
            Err(
                Errno::NOENT
                | Errno::NOTDIR
                | Errno::XDEV
                | Errno::LOOP
                | Errno::NAMETOOLONG
                | Errno::INVAL
                | Errno::NXIO,
            ) => return Err(LoadError::NotFound { ttl: None }),
            Err(error) => return Err(failed("open a file", error)),
        }
    }
}

fn check_regular(file: &OwnedFd) -> Result<(), LoadError> {
    let stat = fstat(file).map_err(|error| failed("look at a file", error))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(()),
        _ => Err(LoadError::NotFound { ttl: None }),
    }
}

fn failed(what: &str, error: Errno) -> LoadError {
    LoadError::failed(format_args!("origin cannot {what}: {}", reason(error)))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::PathBuf};

    use super::*;

    const MISSING: LoadError = LoadError::NotFound { ttl: None };

    /// A folder of its own, which is gone afterwards.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("ringfort-{name}-{}", std::process::id()));
            fs::create_dir_all(path.join("values/sub")).expect("folders");
            Self(path)
        }

        fn values(&self) -> PathBuf {
            self.0.join("values")
        }

        fn read(&self, key: &[u8]) -> Result<Bytes, LoadError> {
            read(&self.values(), key, 100)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).expect("it is there");
        }
    }

    #[test]
    fn a_key_is_the_name_of_a_file() {
        let scratch = Scratch::new("folder-names");
        let put = |name: &str, text: &str| {
            fs::write(scratch.values().join(name), text).expect("a file");
        };
        put("a", "1");
        put("sub/b c", "2");
        put("größe", "3");
        put("empty", "");
        assert_eq!(scratch.read(b"a"), Ok("1".into()));
        assert_eq!(scratch.read(b"sub/b c"), Ok("2".into()));
        assert_eq!(scratch.read(b"sub/../a"), Ok("1".into()));
        assert_eq!(scratch.read("größe".as_bytes()), Ok("3".into()));
        assert_eq!(scratch.read(b"empty"), Ok(Bytes::new()));
        for key in [
            &b"b"[..],
            b"a/",
            b"a/b",
            b"",
            b"a\0",
            b"\xff",
            &[b'x'; 5000],
        ] {
            assert_eq!(scratch.read(key), Err(MISSING), "{key:?}");
        }
    }

    #[test]
    fn no_key_leads_out_of_the_folder() {
        let scratch = Scratch::new("folder-out");
        fs::write(scratch.0.join("secret"), "s").expect("a file");
        let secret = scratch.0.join("secret");
        symlink("../secret", scratch.values().join("link")).expect("a link");
        symlink(&secret, scratch.values().join("far")).expect("a link");
        symlink("..", scratch.values().join("up")).expect("a link");
        symlink("/", scratch.values().join("root")).expect("a link");
        symlink("self", scratch.values().join("self")).expect("a link");
        symlink("/proc/self/cwd", scratch.values().join("magic")).expect("a link");
        fs::write(scratch.values().join("a"), "1").expect("a file");
        symlink("a", scratch.values().join("inside")).expect("a link");
        assert_eq!(
            fs::read(scratch.values().join("link")).expect("it leads out"),
            b"s"
        );
        for key in [
            "../secret",
            "sub/../../secret",
            "link",
            "far",
            "up/secret",
            "root/etc/passwd",
            "self",
            "magic/Cargo.toml",
            "/etc/passwd",
            "..",
            secret.to_str().expect("a path"),
        ] {
            assert_eq!(scratch.read(key.as_bytes()), Err(MISSING), "{key}");
        }
        assert_eq!(scratch.read(b"inside"), Ok("1".into()));
    }

    #[test]
    fn what_is_no_regular_file_is_not_found() {
        let scratch = Scratch::new("folder-kinds");
        let fifo = scratch.values().join("fifo");
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .expect("a pipe");
        let _socket = std::os::unix::net::UnixListener::bind(scratch.values().join("socket"))
            .expect("a socket");
        for key in ["sub", ".", "fifo", "socket"] {
            assert_eq!(scratch.read(key.as_bytes()), Err(MISSING), "{key}");
        }
    }

    #[test]
    fn a_file_that_is_too_long_is_an_error() {
        let scratch = Scratch::new("folder-long");
        let put = |bytes: usize| {
            fs::write(scratch.values().join("a"), vec![b'x'; bytes]).expect("a file");
        };
        put(100);
        assert_eq!(scratch.read(b"a").expect("it fits").len(), 100);
        put(101);
        assert_eq!(scratch.read(b"a"), Err(LoadError::TooLarge));
    }

    #[test]
    fn a_folder_may_be_set_to_another_one() {
        let scratch = Scratch::new("folder-swap");
        fs::create_dir(scratch.0.join("next")).expect("a folder");
        fs::write(scratch.values().join("a"), "1").expect("a file");
        fs::write(scratch.0.join("next/a"), "2").expect("a file");
        let current = scratch.0.join("current");
        let point_to = |name: &str| {
            symlink(name, scratch.0.join("new")).expect("a link");
            fs::rename(scratch.0.join("new"), &current).expect("renamed");
        };
        point_to("values");
        let folder = Folder::open(&current, 100).expect("a folder");
        assert_eq!(read(&folder.path, b"a", 100), Ok("1".into()));
        point_to("next");
        assert_eq!(read(&folder.path, b"a", 100), Ok("2".into()));
        fs::remove_file(&current).expect("removed");
        assert!(matches!(
            read(&folder.path, b"a", 100),
            Err(LoadError::Failed(_))
        ));
        Folder::open(&current, 100)
            .map(drop)
            .expect_err("no folder");
    }
}
