//! `--self` and what belongs to it.

use super::{config, error};
use crate::config::{HotPolicy, Mode, PeerRing, PeersConfig};

const GROUP: &str = "--group g --origin dir:/srv";

fn peers(flags: &str) -> PeersConfig {
    match config(&format!("{GROUP} {flags}")).mode {
        Mode::Group(group) => group.peers.expect("peers"),
        mode => panic!("{flags}: {mode:?}"),
    }
}

fn texts(peers: &PeersConfig) -> Vec<&str> {
    peers.peers.iter().map(|peer| peer.as_str()).collect()
}

#[test]
fn peers_are_named_one_by_one_or_in_a_file() {
    let two = peers("--self http://127.0.0.1:1 --peer http://a:2");
    assert_eq!(texts(&two), ["http://a:2", "http://127.0.0.1:1"]);
    assert_eq!(two.listen.to_string(), "127.0.0.1:1");
    assert_eq!(
        (two.ring, two.file, two.secret),
        (PeerRing::Groupcache, None, None)
    );
    assert_eq!(two.hot, HotPolicy::Coin);
    let sketch = peers("--self http://127.0.0.1:1 --peer http://a:2 --hot sketch");
    assert_eq!(sketch.hot, HotPolicy::Sketch);
    let same = peers("--peer http://a:2 --peer http://localhost:1 --self http://localhost:1");
    assert_eq!(texts(&same), ["http://a:2", "http://localhost:1"]);
    let folder = std::env::temp_dir().join(format!("ringfort-peers-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let (list, secret) = (folder.join("list"), folder.join("secret"));
    std::fs::write(&list, "http://b:3\n# me\nhttp://me:1\n").expect("a file");
    std::fs::write(&secret, "open-sesame\r\nnot this\n").expect("a file");
    let flags = format!(
        "--self http://me:1 --peers {} --peer-listen 0.0.0.0:8000 --peer-secret {} --peer-ring fnv",
        list.display(),
        secret.display()
    );
    let listed = peers(&flags);
    assert_eq!(texts(&listed), ["http://b:3", "http://me:1"]);
    assert_eq!(listed.file, Some(list.clone()));
    assert_eq!(listed.listen.to_string(), "0.0.0.0:8000");
    assert_eq!(listed.secret.expect("a secret").bytes(), b"open-sesame");
    assert_eq!(listed.ring, PeerRing::Fnv);
    std::fs::write(&secret, "open sesame\n").expect("a file");
    let told = error(&format!("{GROUP} {flags}"));
    let place = format!("--peer-secret {}: not a secret; write", secret.display());
    assert!(told.starts_with(&place), "{told}");
    std::fs::write(&list, "http://b:3\nnonsense\n").expect("a file");
    let told = error(&format!(
        "{GROUP} --self http://[::1]:1 --peers {}",
        list.display()
    ));
    let place = format!("--peers {}:2: not a URL", list.display());
    assert!(told.starts_with(&place), "{told}");
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn who_is_open_to_other_machines_has_said_so() {
    let open = peers("--self http://10.0.0.1:1 --peer http://a:2 --peer-open");
    assert_eq!(open.listen.to_string(), "10.0.0.1:1");
    let inside = peers("--self http://10.0.0.1:1 --peer http://a:2 --peer-listen [::1]:1");
    assert_eq!(inside.listen.to_string(), "[::1]:1");
}

#[test]
fn what_does_not_go_with_peers_is_told() {
    for (flags, told) in [
        (
            "--peer http://a:1",
            "--peer: only means something for one of several peers; add --self",
        ),
        (
            "--peer-ring fnv",
            "--peer-ring: only means something for one of several peers",
        ),
        (
            "--peer-open",
            "--peer-open: only means something for one of several peers",
        ),
        (
            "--self http://a:1",
            "--self http://a:1: no peers; add --peer",
        ),
        (
            "--self http://a:1 --peer http://b:1",
            "--self http://a:1: is no IP address to listen on; add --peer-listen ADDR",
        ),
        (
            "--self http://10.0.0.1:1 --peer http://b:1",
            "--self http://10.0.0.1:1: other machines could read and change all of the group; add",
        ),
        (
            "--self http://localhost:1 --peer http://b:1 --peer-listen 0.0.0.0:1",
            "--peer-listen 0.0.0.0:1: other machines could read and change",
        ),
        (
            "--self http://localhost:1 --peer http://b:1 --peer http://b:1",
            "--peer http://b:1: is named twice; name each once",
        ),
        (
            "--self http://localhost:1 --peer http://b:1 --peers list",
            "--peer http://b:1: cannot be had together with --peers list",
        ),
        (
            "--self http://localhost:1 --peers /none/list",
            "--peers /none/list: cannot be read (",
        ),
        (
            "--self http://localhost:1 --peer http://b:1 --peer-secret /none/secret",
            "--peer-secret /none/secret: cannot be read (",
        ),
        (
            "--self http://localhost:1/x --peer http://b:1",
            "--self 'http://localhost:1/x': '/x' is too much; write http://HOST:PORT",
        ),
        (
            "--self http://localhost:1 --peer http://b:1 --peer-listen 127.0.0.1:0",
            "--peer-listen '127.0.0.1:0': not an IP address and port",
        ),
        (
            "--self http://localhost:1 --peer http://b:1 --peer-ring md5",
            "--peer-ring 'md5': not known here; write groupcache or fnv",
        ),
    ] {
        let error = error(&format!("{GROUP} {flags}"));
        assert!(error.starts_with(told), "{flags}: {error}");
    }
    let error = error("--self http://localhost:1");
    assert!(
        error.starts_with("--self: only means something for a group"),
        "{error}"
    );
}
