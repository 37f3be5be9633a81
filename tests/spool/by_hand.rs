//! `ringfort spool`: listing, checking and sending what is there.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use ringfort::spool::{
    Folder, Limits, Log, Operation, Speech, Write,
    record::{Lsn, encode_write},
    segment,
};

use crate::support::{backends::Backend, process::ScratchFolder};

/// Exit code, stdout and stderr of `ringfort spool …`.
pub(super) fn spool(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ringfort"))
        .arg("spool")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("ringfort runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (
        output.status.code().expect("an exit code"),
        text(output.stdout),
        text(output.stderr),
    )
}

fn delete<'w>(server: &'w str, speech: Speech, key: &'w [u8]) -> Write<'w> {
    Write {
        server: server.as_bytes(),
        speech,
        key,
        operation: Operation::Delete,
        unix_ms: 1_800_000_000_000,
    }
}

/// Writes a spool as a ringfort would have.
fn fill(folder: &Path, writes: &[Write<'_>], done: &[usize]) {
    let mut log = Log::new(Limits::new(64 << 20, 1 << 20), 5);
    let lsns: Vec<Lsn> = writes
        .iter()
        .map(|write| log.append(write).expect("room"))
        .collect();
    done.iter().for_each(|nth| log.done(lsns[*nth]));
    for step in log.take_steps() {
        let path = folder.join(segment::file_name(step.segment));
        fs::write(path, &step.bytes).expect("a segment");
    }
}

pub(super) fn path(folder: &ScratchFolder) -> String {
    folder.path().display().to_string()
}

fn set_in_memcached(backend: &Backend, key: &str) {
    let mut wire = backend.connect();
    wire.send(format!("set {key} 0 0 1\r\nv\r\n").as_bytes());
    assert_eq!(wire.line(), "STORED");
}

fn is_in_memcached(backend: &Backend, key: &str) -> bool {
    let mut wire = backend.connect();
    wire.send(format!("mg {key} t\r\n").as_bytes());
    wire.line() != "EN"
}

#[test]
fn ls_and_verify_tell_what_is_there() {
    let folder = ScratchFolder::new();
    let (a, b) = ("10.0.0.1:11211", "10.0.0.2:6379");
    fill(
        folder.path(),
        &[
            delete(a, Speech::Memcache, b"one"),
            delete(a, Speech::Memcache, b"two"),
            delete(b, Speech::Resp, b"one"),
            delete(a, Speech::Memcache, b"two"),
        ],
        &[0],
    );
    let (code, listed, errors) = spool(&["ls", &path(&folder)]);
    let expected = "\
segment  00000000000000000001.spool: 275 bytes, 5 records, 2 live
server   10.0.0.1:11211: 1 live, oldest 2027-01-15T08:00:00Z
server   10.0.0.2:6379: 1 live, oldest 2027-01-15T08:00:00Z
total    1 segments, 275 bytes, 5 records, 2 live, 113 bytes of them
";
    assert_eq!((code, listed.as_str(), errors.as_str()), (0, expected, ""));
    let verified = spool(&["verify", &path(&folder)]);
    let all_well = "1 segments, 2 live records, 0 corruptions\n";
    assert_eq!(verified, (0, all_well.into(), String::new()));

    let file = folder.path().join(segment::file_name(1));
    let mut file = OpenOptions::new()
        .append(true)
        .open(file)
        .expect("the segment");
    file.write_all(b"torn").expect("bytes behind the last");
    let (code, verified, _) = spool(&["verify", &path(&folder)]);
    assert_eq!(
        code, 0,
        "nobody was promised what was not written: {verified}"
    );
    assert!(verified.contains("torn at byte 275, 4 bytes"), "{verified}");
}

#[test]
fn verify_names_each_corruption() {
    let folder = ScratchFolder::new();
    let server = "10.0.0.1:11211";
    let keys: [&[u8]; 3] = [b"one", b"two", b"three"];
    fill(
        folder.path(),
        &keys.map(|key| delete(server, Speech::Memcache, key)),
        &[],
    );
    let mut first = Vec::new();
    encode_write(
        &mut first,
        Lsn(2),
        &delete(server, Speech::Memcache, b"one"),
    );
    let path_of_file = folder.path().join(segment::file_name(1));
    let mut file = OpenOptions::new()
        .write(true)
        .open(path_of_file)
        .expect("the segment");
    file.seek(SeekFrom::Start((24 + first.len() - 1) as u64))
        .expect("the last byte of the first key");
    file.write_all(b"X").expect("a damage");
    let (code, verified, _) = spool(&["verify", &path(&folder)]);
    let expected = "\
00000000000000000001.spool: a record of 57 bytes at byte 24 is corrupt and skipped
1 segments, 2 live records, 1 corruptions
";
    assert_eq!((code, verified.as_str()), (1, expected));
    let (code, listed, _) = spool(&["ls", &path(&folder)]);
    assert_eq!(code, 0);
    assert!(listed.contains("flaws    1;"), "{listed}");
}

#[test]
fn replay_tells_each_server_in_its_own_words() {
    let memcached = Backend::memcached();
    let redis = Backend::redis();
    let [at_memcached, at_redis] =
        [&memcached, &redis].map(|backend| backend.address().to_string());
    for key in ["gone", "stays"] {
        set_in_memcached(&memcached, key);
        let mut wire = redis.connect();
        wire.send(format!("SET {key} v\r\n").as_bytes());
        assert_eq!(wire.line(), "+OK");
    }
    let folder = ScratchFolder::new();
    fill(
        folder.path(),
        &[
            delete(&at_memcached, Speech::Memcache, b"gone"),
            delete(&at_memcached, Speech::Memcache, b"two words"),
            delete(&at_redis, Speech::Resp, b"gone"),
            delete(&at_redis, Speech::Resp, b"never there"),
        ],
        &[],
    );
    let (code, said, errors) = spool(&["replay", &path(&folder)]);
    assert_eq!(code, 0, "{said}{errors}");
    for server in [&at_memcached, &at_redis] {
        assert!(
            said.contains(&format!("{server}: 2 taken, 0 not\n")),
            "{said}"
        );
    }
    assert!(!is_in_memcached(&memcached, "gone"));
    assert!(is_in_memcached(&memcached, "stays"));
    let mut wire = redis.connect();
    wire.send(b"EXISTS gone\r\nEXISTS stays\r\n");
    assert_eq!((wire.line(), wire.line()), (":0".into(), ":1".into()));
}

#[test]
fn replay_sends_values_also_to_unix_sockets() {
    let memcached = Backend::memcached();
    let redis = Backend::redis();
    let at_memcached = memcached.address().to_string();
    let at_redis = format!("unix:{}", redis.socket().display());
    let set = |server, speech, key, exptime| Write {
        operation: Operation::Set {
            flags: 5,
            exptime,
            value: b"value",
        },
        ..delete(server, speech, key)
    };
    let far = 4_000_000_000_000;
    let folder = ScratchFolder::new();
    fill(
        folder.path(),
        &[
            set(&at_memcached, Speech::Memcache, b"stays", 0),
            set(&at_memcached, Speech::Memcache, b"over", 1_000),
            set(&at_redis, Speech::Resp, b"lives", far),
            set(&at_redis, Speech::Resp, b"over", 1_000),
        ],
        &[],
    );
    set_in_memcached(&memcached, "over");
    let (code, said, errors) = spool(&["replay", &path(&folder)]);
    assert_eq!(code, 0, "{said}{errors}");
    for server in [&at_memcached, &at_redis] {
        assert!(
            said.contains(&format!("{server}: 2 taken, 0 not\n")),
            "{said}"
        );
    }
    assert!(!is_in_memcached(&memcached, "over"));
    let mut wire = memcached.connect();
    wire.send(b"mg stays v f t\r\n");
    assert_eq!([wire.line(), wire.line()], ["VA 5 f5 t-1", "value"]);
    let mut wire = redis.connect();
    wire.send(b"EXISTS over\r\nPEXPIRETIME lives\r\n");
    assert_eq!(wire.line(), ":0");
    let at: u64 = wire.line().trim_start_matches(':').parse().expect("a time");
    assert!(at.abs_diff(far) < 60_000, "{at}");
}

#[test]
fn replay_counts_what_nobody_took() {
    let folder = ScratchFolder::new();
    let nobody = SocketAddr::from(([127, 0, 0, 1], crate::support::process::free_port()));
    let nobody = nobody.to_string();
    fill(
        folder.path(),
        &[delete(&nobody, Speech::Memcache, b"k")],
        &[],
    );
    let (code, said, _) = spool(&["replay", &path(&folder)]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains(&format!("{nobody}: 0 taken, 1 not (")),
        "{said}"
    );
    let elsewhere = Backend::memcached();
    set_in_memcached(&elsewhere, "k");
    let to = elsewhere.address().to_string();
    let (code, said, _) = spool(&["replay", &path(&folder), "--to", &to]);
    assert_eq!((code, said), (0, format!("{to}: 1 taken, 0 not\n")));
    assert!(!is_in_memcached(&elsewhere, "k"));
}

#[test]
fn a_spool_in_use_is_not_replayed() {
    let folder = ScratchFolder::new();
    let _held = Folder::lock(folder.path()).expect("nobody has it");
    let (code, _, error) = spool(&["replay", &path(&folder)]);
    let expected = format!(
        "ringfort: error: spool {}: a running ringfort holds it\n",
        path(&folder)
    );
    assert_eq!((code, error), (2, expected));
    let (code, listed, _) = spool(&["ls", &path(&folder)]);
    assert_eq!(code, 0);
    assert!(
        listed.starts_with("in use by a running ringfort"),
        "{listed}"
    );
    let (code, _, error) = spool(&["ls", "/nowhere"]);
    assert_eq!(code, 2);
    assert!(error.contains("/nowhere: No such file"), "{error}");
}

#[test]
fn what_mcrouter_has_left_is_read_and_sent() {
    let memcached = Backend::memcached();
    for key in ["old:1", "old:2", "new:1"] {
        set_in_memcached(&memcached, key);
    }
    let port = memcached.address().port();
    let folder = ScratchFolder::new();
    let hour = folder.path().join("20260903T22-1788472800");
    fs::create_dir(&hour).expect("an hour");
    let lines = format!(
        "[\"AS1.0\",1788472801.5,\"C\",[\"127.0.0.1\",{port},\"delete old:1\\r\\n\"]]\n\
         [\"AS1.0\",1788472802.5,\"C\",[\"127.0.0.1\",{port},\"delete old:2\\r\\n\"]]\n"
    );
    fs::write(
        hour.join("20260903T220001-1788472801-libmcrouter-5000-t1-0x1"),
        lines,
    )
    .expect("a file");
    let lines = format!(
        "[\"AS2.0\",1788472803.5,\"C\",{{\"f\":\"f\",\"h\":\"[127.0.0.1]:{port}\",\"k\":\"new:1\",\"p\":\"A\",\"r\":\"\",\"s\":\"s\"}}]\n"
    );
    fs::write(
        hour.join("20260903T220003-1788472803-libmcrouter-5000-t1-0x2"),
        lines,
    )
    .expect("a file");
    let (code, listed, _) = spool(&["ls", &path(&folder)]);
    assert_eq!(code, 0);
    let share = format!("server   127.0.0.1:{port}: 3 live, oldest 2026-09-03T22:00:01Z\n");
    assert!(listed.contains(&share), "{listed}");
    let (code, said, _) = spool(&["replay", &path(&folder)]);
    assert_eq!(
        (code, said),
        (0, format!("127.0.0.1:{port}: 3 taken, 0 not\n"))
    );
    for key in ["old:1", "old:2", "new:1"] {
        assert!(!is_in_memcached(&memcached, key), "{key}");
    }
    let cut = hour.join("20260903T220004-1788472804-libmcrouter-5000-t1-0x3");
    fs::write(&cut, "[\"AS2.0\",1788472804.5,\"C\",{\"f\":").expect("a file");
    let (code, verified, _) = spool(&["verify", &path(&folder)]);
    assert_eq!(code, 1);
    let flaw = format!("{}:1: not a line of JSON\n", cut.display());
    assert!(verified.starts_with(&flaw), "{verified}");
}
