//! Peers that come, go, and have different lists of each other.

use std::net::TcpStream;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::support::{
    origin::{Answer, Origin},
    process::ScratchFolder,
    ringfort::Ringfort,
    wait_for,
    wire::Wire,
};
use super::{Circle, odd_peer, owner, url};

/// A ringfort whose peers a file lists.
fn listed(origin: &Origin, me: &str, file: &str, flags: &[&str]) -> Ringfort {
    let from = origin.flag();
    let args = [
        "--group", "values", "--origin", &from, "--self", me, "--peers", file,
    ];
    Ringfort::start(&[&args, flags].concat())
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

#[test]
fn two_that_take_each_other_for_the_owner_never_wait_for_each_other() {
    let origin = Origin::echo();
    let folder = ScratchFolder::new();
    let urls = [url(), url()];
    let files = ["a", "b"].map(|name| folder.path().join(name).display().to_string());
    // Each lists the other alone.
    std::fs::write(&files[0], &urls[1]).expect("a file");
    std::fs::write(&files[1], &urls[0]).expect("a file");
    // So that no wait ends by itself.
    let flags = ["--load-timeout", "10m"];
    let start = |place: usize| listed(&origin, &urls[place], &files[place], &flags);
    let members = [start(0), start(1)];
    const KEYS: usize = 300;
    let mut clients = [0, 1].map(|place| Wire::connect(members[place].resp()));
    for number in 0..KEYS {
        let request = format!("GET cross-{number}\r\n");
        clients
            .iter_mut()
            .for_each(|client| client.send(request.as_bytes()));
    }
    for number in 0..KEYS {
        let value = bulk(&format!("cross-{number}"));
        clients
            .iter_mut()
            .for_each(|client| client.expect(value.as_bytes()));
        let asked = origin.asked(&format!("cross-{number}"));
        assert!((1..=2).contains(&asked), "{asked}");
    }
    // A write comes to an end, too.
    clients[0].ask("SET cross-1 v\r\n", "+OK\r\n");
}

/// The kernel remembers connections that a peer has ended, and their port, for a minute.
#[test]
fn a_peer_that_has_ended_comes_back_at_once() {
    let origin = Origin::echo();
    let mut circle = Circle::start(&origin, 1, &[]);
    let url = circle.urls[0].clone();
    let address: std::net::SocketAddr = url["http://".len()..].parse().expect("an address");
    let mut visitor = Wire::connect(address);
    visitor.send(b"GET /_groupcache/values/k HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert!(visitor.line().starts_with("HTTP/1.1 200"));
    visitor.rest();
    drop(visitor);
    circle.kill(0);
    circle.members[0] = Some(super::member(&origin, &url, &circle.urls, &[]));
    circle.resp(0).ask("GET k\r\n", "$1\r\nk\r\n");
}

#[test]
fn what_a_peer_waits_for_waits_for_no_peer() {
    static OPEN: Mutex<Vec<TcpStream>> = Mutex::new(Vec::new());
    let origin = Origin::echo();
    // It takes requests and says nothing.
    let silent = odd_peer(|stream| OPEN.lock().expect("no panic").push(stream));
    let folder = ScratchFolder::new();
    let urls = [url(), url()];
    let files = ["a", "b"].map(|name| folder.path().join(name).display().to_string());
    std::fs::write(&files[0], &urls[1]).expect("a file");
    std::fs::write(&files[1], &silent).expect("a file");
    let flags = ["--load-timeout", "10m"];
    let first = listed(&origin, &urls[0], &files[0], &flags);
    let second = listed(&origin, &urls[1], &files[1], &flags);
    let mut waiting = Wire::connect(second.resp());
    waiting.send(b"GET k\r\n");
    wait_for("the silent peer to be asked", || {
        (!OPEN.lock().expect("no panic").is_empty()).then_some(())
    });
    assert_eq!(origin.asked("k"), 0);
    // Now a peer waits for it, and all are answered by the source.
    Wire::connect(first.resp()).ask("GET k\r\n", bulk("k"));
    waiting.expect(bulk("k").as_bytes());
    assert_eq!(origin.asked("k"), 1);
}

#[test]
fn peers_join_and_leave_by_a_file() {
    let origin = Origin::echo();
    let folder = ScratchFolder::new();
    let urls = vec![url(), url()];
    let file = folder.path().join("peers");
    let write = |text: &str| {
        let new = folder.write("new", text);
        std::fs::rename(new, &file).expect("renamed");
    };
    write(&format!("# alone\n{}\n", urls[0]));
    let name = file.display().to_string();
    let first = listed(&origin, &urls[0], &name, &[]);
    let mut client = Wire::connect(first.resp());
    let mut keys = (0..).map(|number| format!("k-{number}"));
    let mut next = || keys.find(|key| owner(&urls, key) == 1).expect("a key");
    let key = next();
    client.ask(format!("GET {key}\r\n"), bulk(&key));
    assert_eq!(client.info("groups", "PeerLoads"), 0, "it owns all");
    let other = folder
        .write("others", &urls.join("\n"))
        .display()
        .to_string();
    let second = listed(&origin, &urls[1], &other, &[]);
    write(&urls.join("\n"));
    wait_for("the other to be asked", || {
        let key = next();
        client.ask(format!("GET {key}\r\n"), bulk(&key));
        (client.info("groups", "PeerLoads") > 0).then_some(())
    });
    // What is no list changes nothing.
    write("http://127.0.0.1:1\nnonsense\n");
    std::thread::sleep(Duration::from_secs(2));
    let before = client.info("groups", "PeerLoads");
    let key = next();
    client.ask(format!("GET {key}\r\n"), bulk(&key));
    assert_eq!(client.info("groups", "PeerLoads"), before + 1);
    // The other leaves: nobody misses it.
    write(&urls[0]);
    wait_for("the other to be left alone", || {
        let before = client.info("groups", "PeerLoads");
        let key = next();
        client.ask(format!("GET {key}\r\n"), bulk(&key));
        (client.info("groups", "PeerLoads") == before).then_some(())
    });
    drop(second);
    let key = next();
    client.ask(format!("GET {key}\r\n"), bulk(&key));
    assert_eq!(client.info("groups", "PeerErrors"), 0);
    let (status, stderr) = first.end(super::support::process::Signal::TERM);
    assert!(status.success(), "{stderr}");
    let complaints = stderr.matches("the list of peers stays as it is").count();
    assert_eq!(complaints, 1, "{stderr}");
}

#[test]
fn who_is_not_there_yet_is_passed_over_until_it_is() {
    let origin = Origin::echo();
    let late = url();
    let mut circle = Circle::with_others(&origin, 1, std::slice::from_ref(&late), &[]);
    let mut client = circle.resp(0);
    let key = circle.key_of(1, "a");
    client.ask(format!("GET {key}\r\n"), bulk(&key));
    assert_eq!(circle.stat(0, "PeerErrors"), 1);
    let urls = circle.urls.clone();
    let _second = super::member(&origin, &late, &urls, &[]);
    let key = circle.key_of(1, "b");
    client.ask(format!("GET {key}\r\n"), bulk(&key));
    assert_eq!(circle.stat(0, "PeerLoads"), 1);
}

#[test]
fn who_leaves_the_list_keeps_nothing_that_nobody_tells_it_to_forget() {
    let origin = Origin::start(|_| Answer::value("source"));
    let folder = ScratchFolder::new();
    let mut circle = Circle::start(&origin, 2, &[]);
    let me = url();
    let file = folder.path().join("peers");
    let write = |urls: &[String]| {
        let new = folder.write("new", &urls.join("\n"));
        std::fs::rename(new, &file).expect("renamed");
    };
    let others = circle.urls.clone();
    let all = [&others[..], std::slice::from_ref(&me)].concat();
    write(&all);
    let path = file.display().to_string();
    let third = listed(&origin, &me, &path, &["--hot", "all"]);
    let mut client = Wire::connect(third.resp());
    // One of its own, and a copy.
    let mut keys = (0..).map(|number| format!("k{number}"));
    let own = keys.find(|key| owner(&all, key) == 2).expect("a key");
    let copied = keys.find(|key| owner(&all, key) == 0).expect("a key");
    for key in [&own, &copied] {
        client.ask(format!("GET {key}\r\n"), bulk("source"));
        // The others have never heard of the third, and do not tell it.
        circle.resp(1).ask(format!("SET {key} new\r\n"), "+OK\r\n");
        client.ask(format!("GET {key}\r\n"), bulk("source"));
    }
    write(&others);
    for key in [&own, &copied] {
        wait_for("the list to be read", || {
            client.send(format!("GET {key}\r\n").as_bytes());
            let length = client.line();
            let value = client.line();
            (length == "$3" && value == "new").then_some(())
        });
        // It asks each time.
        for text in ["newer", "newest"] {
            let set = format!("SET {key} {text}\r\n");
            circle.resp(0).ask(set, "+OK\r\n");
            client.ask(format!("GET {key}\r\n"), bulk(text));
        }
    }
}

#[test]
fn a_pipe_is_no_list_of_peers() {
    let folder = ScratchFolder::new();
    let pipe = folder.path().join("pipe");
    let modes = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, modes, 0).expect("a pipe");
    let file = pipe.display().to_string();
    let origin = Origin::echo().flag();
    let me = url();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_ringfort"))
        .args(["--group", "values", "--origin", &origin, "--self", &me])
        .args(["--peers", &file])
        .output()
        .expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    let told = format!("--peers {file}: cannot be read (it is no regular file)");
    assert!(said.contains(&told), "{said}");
}

#[test]
fn a_change_of_the_list_leaves_a_delayed_flush_to_come() {
    let origin = Origin::echo();
    let folder = ScratchFolder::new();
    let me = url();
    let file = folder.path().join("peers");
    let write = |urls: &[&str]| {
        let new = folder.write("new", &urls.join("\n"));
        std::fs::rename(new, &file).expect("renamed");
    };
    write(&[&me]);
    let member = listed(&origin, &me, &file.display().to_string(), &[]);
    let mut client = Wire::connect(member.memcache());
    let mut keys = (0..).map(|number| format!("k{number}"));
    // Until the flush comes later than all else.
    for seconds in [6, 12, 24, 48] {
        let begun = Instant::now();
        client.ask(format!("flush_all {seconds}\r\n"), "OK\r\n");
        // This process is in no list for a while, and gives up what it has.
        let (before, after) = (keys.next().expect("a key"), keys.next().expect("a key"));
        client.ask(format!("get {before}\r\n"), shown(&before));
        write(&["http://127.0.0.1:1"]);
        wait_for("all to be given up", || {
            (client.stat("groups", "Items") == 0).then_some(())
        });
        write(&[&me]);
        wait_for("what is loaded to be kept", || {
            client.ask(format!("get {after}\r\n"), shown(&after));
            (client.stat("groups", "Items") > 0).then_some(())
        });
        if begun.elapsed() < Duration::from_secs(seconds - 1) {
            wait_for("the flush", || {
                (client.stat("groups", "Items") == 0).then_some(())
            });
            return;
        }
    }
    panic!("a list is not read for a minute");
}

fn shown(key: &str) -> String {
    format!("VALUE {key} 0 {}\r\n{key}\r\nEND\r\n", key.len())
}
