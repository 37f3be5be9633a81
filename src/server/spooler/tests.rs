//! Files and feeding, on a folder of their own.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use super::{WIDTH, feeding::Feeding, files::Files};
use crate::{
    mesh::Doorbell,
    runtime,
    spool::{
        Folder, Limits, Log, Operation, Speech, Write,
        port::{ServerName, ports},
    },
    store::KeyHasher,
};

/// A folder that goes with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("ringfort-spooler-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a task as the spool's is.
fn run<Work: Future<Output = ()> + 'static>(start: impl FnOnce() -> Work + Send + 'static) {
    let executor = runtime::spawn_control("test", WIDTH, start).expect("an executor");
    executor.join().expect("no panic");
}

fn write_out(path: &Path, bytes: &[u8]) {
    let file = fs::OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(bytes))
        .expect("a file");
}

/// Without those behind it, what is said to be over in them, an old segment would be read as live at the next start.
#[test]
fn a_segment_that_cannot_be_removed_keeps_those_behind_it() {
    let scratch = Scratch::new("removal");
    let folder = Folder::lock(&scratch.0).expect("a folder");
    let paths = [1, 2, 3].map(|number| folder.file(number));
    // A folder cannot be removed as a file.
    fs::create_dir(&paths[0]).expect("a folder");
    write_out(&paths[1], b"x");
    write_out(&paths[2], b"x");
    run(move || async move {
        let mut files = Files::new(folder);
        files.remove([1, 2]).await;
        assert!(paths[1].exists());
        fs::remove_dir(&paths[0]).expect("a folder");
        write_out(&paths[0], b"x");
        files.remove([3]).await;
        assert!(paths.iter().all(|path| !path.exists()));
    });
}

/// What a shard had no room for may not be what is to be told any more when it has.
#[test]
fn what_there_was_no_room_for_is_read_anew() {
    let scratch = Scratch::new("feeding");
    let folder = Folder::lock(&scratch.0).expect("a folder");
    let server = ServerName {
        name: "server:1".to_owned(),
        speech: Speech::Memcache,
    };
    // Of two of these one fits on the way to a shard.
    let value = vec![b'v'; 3 << 20];
    let mut log = Log::new(Limits::new(256 << 20, value.len()), 7);
    for key in [b"a", b"b"] {
        let write = Write {
            server: server.name.as_bytes(),
            speech: server.speech,
            key,
            operation: Operation::Set {
                flags: 0,
                exptime: 0,
                value: &value,
            },
            unix_ms: 1,
        };
        log.append(&write).expect("room");
    }
    for step in log.take_steps() {
        write_out(&folder.file(step.segment), &step.bytes);
    }
    log.keep();
    let (mut shard, control) = ports(&Doorbell::default());
    run(move || async move {
        let (mut files, mut ports) = (Files::new(folder), [control]);
        let mut feeding = Feeding::new(&log, &[server], KeyHasher::new(1));
        let mut fed = [false];
        feeding.feed(&log, &mut files, &mut ports, &mut fed).await;
        let first = shard.next_waiting().expect("the first");
        assert!(matches!(first.operation(), Operation::Set { .. }));
        assert!(shard.next_waiting().is_none());
        log.bar().expect("room");
        feeding.feed(&log, &mut files, &mut ports, &mut fed).await;
        let second = shard.next_waiting().expect("the second");
        assert_eq!(second.key(), b"b");
        assert_eq!(second.operation(), Operation::Delete, "all was flushed");
    });
}
