//! The promise to whoever reads the source: the house rules hold, and each says why and what to do instead.
//!
//! The tables are here, for people to look up and to change with a reason; `support/layer_rules.rs` and
//! `support/house_rules.rs` have the rules, and tests of them on small bad files, so that a rule that notices
//! nothing is noticed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

#[path = "support/house_rules.rs"]
mod house_rules;
#[path = "support/layer_rules.rs"]
mod layer_rules;
#[path = "support/rust_source.rs"]
mod rust_source;

use house_rules::{
    Ban, Fence, ban_complaints, declared_flags, fence_complaints, flags_of_table,
    machine_complaints, mark_complaints, size_complaints, stale_entries, unsafe_complaints,
};
use layer_rules::{Layer, Upward, layer_complaints};
use rust_source::RustSource;

/// Every top-level module and what it may use, from the ground up: a row names only modules of rows above it, so
/// there are no cycles. `config` stands low because it is plain data that everybody is configured by; `sync` is
/// the atomics, the standard ones or loom's.
const LAYERS: &[Layer] = &[
    ("sync", &[]),
    ("protocol", &[]),
    ("route", &["protocol"]),
    ("store", &["sync"]),
    ("config", &["route", "store"]),
    ("runtime", &[]),
    ("mesh", &["sync"]),
    ("spool", &["sync", "mesh"]),
    ("io", &["store"]),
    ("fill", &["store"]),
    ("backend", &["store", "protocol", "config", "spool"]),
    (
        "client",
        &["store", "protocol", "config", "backend", "runtime", "io"],
    ),
    (
        "group",
        &[
            "protocol", "route", "config", "runtime", "mesh", "io", "backend", "client",
        ],
    ),
    (
        "shard",
        &[
            "sync", "protocol", "route", "store", "config", "mesh", "spool", "io", "fill",
            "backend", "group",
        ],
    ),
    (
        "server",
        &[
            "route", "store", "config", "runtime", "mesh", "spool", "io", "backend", "group",
            "shard",
        ],
    ),
    ("cli", &["protocol", "route", "config", "spool", "group"]),
    ("library", &["config", "runtime", "group", "server"]),
    ("main", &["config", "server", "cli"]),
];

/// Edges that point up all the same, and what would mend them. To be emptied, not to be added to.
const UPWARD: &[Upward] = &[];

/// Where `unsafe` may stand: raw memory, the kernel, the queue between two cores, resource limits.
const UNSAFE_FENCES: &[&str] = &[
    "src/store/arena.rs",
    "src/store/entry.rs",
    "src/store/index.rs",
    "src/store/partition.rs",
    "src/store/entry/tests.rs",
    "src/store/pins.rs",
    "src/store/vacancy.rs",
    "src/store/loan.rs",
    "src/store/shard_store.rs",
    "src/store/writer.rs",
    "src/io/",
    "src/mesh/spsc.rs",
    "tests/no_alloc.rs",
    "bench/src/bin/floor/echo.rs",
];

/// The same for tests that stand in a file whose product has none: loom's models.
const UNSAFE_TESTS: &[&str] = &["src/store/epoch.rs"];

const FENCES: &[Fence] = &[
    Fence {
        path: "glommio",
        allowed: &[("src/runtime/", "glommio")],
        instead: "it must stay replaceable: add what you need to src/runtime",
    },
    Fence {
        path: "hyper",
        allowed: &[("src/group/", "hyper")],
        instead: "HTTP is spoken by the group's executor, not on a shard: ask through src/group",
    },
    Fence {
        path: "io_uring",
        allowed: &[("src/io/", "io_uring")],
        instead: "shards run on a fake in tests: ask for it through the trait `io::Io`",
    },
    Fence {
        path: "socket2",
        allowed: &[("src/io/", "socket2"), ("src/server/", "socket2")],
        instead: "sockets are made by src/io and src/server: ask for it through `io::Io`",
    },
    Fence {
        path: "libc",
        allowed: &[
            ("src/io/", "libc"),
            ("src/server/", "libc"),
            ("src/store/arena.rs", "libc"),
        ],
        instead: "system calls stand behind src/io, src/server and the store's arena",
    },
    Fence {
        path: "std::net",
        allowed: &[
            ("src/io/", "std::net"),
            ("src/server/", "std::net"),
            ("src/runtime/", "std::net"),
            ("src/config.rs", "std::net"),
            ("src/config/error.rs", "std::net"),
            ("src/config/listeners.rs", "std::net"),
            ("src/config/peers.rs", "std::net"),
            ("src/cli.rs", "std::net"),
            ("src/library.rs", "std::net"),
            ("src/cli/", "std::net"),
            ("src/group/peer_server.rs", "std::net::SocketAddr"),
            ("src/route/server_spec.rs", "std::net::Ipv6Addr"),
        ],
        instead: "what is below the sockets knows no address: name a connection by its `io::Token`",
    },
    Fence {
        path: "std::fs",
        allowed: &[
            ("src/cli/", "std::fs"),
            ("src/group/", "std::fs"),
            ("src/server/", "std::fs"),
            ("src/spool/folder.rs", "std::fs"),
            ("src/spool/mcrouter.rs", "std::fs"),
        ],
        instead: "a shard that waits for a disk keeps all its clients waiting, and what a file says cannot be \
                  replayed: have it read by a thread that may wait, or at the start, and pass in what it says",
    },
    Fence {
        path: "std::time",
        allowed: &[
            ("src/io/", "std::time"),
            ("src/server/", "std::time"),
            ("src/runtime/", "std::time"),
            ("src/group/", "std::time"),
            ("src/cli/", "std::time"),
            ("src/", "std::time::Duration"),
        ],
        instead: "a clock cannot be replayed: take `now: UnixMs`, which `Io::now` gives once a turn",
    },
    Fence {
        path: "std::thread",
        allowed: &[
            ("src/server/", "std::thread"),
            ("src/sync.rs", "std::thread::yield_now"),
        ],
        instead: "a shard is its core's only thread: spawn through src/runtime",
    },
    Fence {
        path: "std::sync",
        allowed: &[
            ("src/server/", "std::sync"),
            // Threads of the program wait for their answers; shards have nothing to do with it.
            ("src/group/calls.rs", "std::sync::mpsc"),
            // Set once, before it is read: not a lock that anybody waits for.
            ("src/mesh/doorbell.rs", "std::sync::OnceLock"),
            ("src/", "std::sync::Arc"),
            ("src/", "std::sync::atomic"),
        ],
        instead: "nothing on the path takes a lock: send a message over the mesh",
    },
];

const BANS: &[Ban] = &[
    Ban {
        word: ".unwrap()",
        allowed: &[],
        instead: "the network, a file or a flag can cause it: return an error, or `let … else`",
    },
    Ban {
        word: ".expect(",
        // `explain` looks for the label that a point was made from: there is one, or the ring is wrong.
        allowed: &["src/route/hash_ring.rs"],
        instead: "the network, a file or a flag can cause it: return an error, or `let … else`",
    },
    Ban {
        word: "todo!",
        allowed: &[],
        instead: "write it, or leave it out and say so in README.md",
    },
    Ban {
        word: "unimplemented!",
        allowed: &[],
        instead: "write it, or leave it out and say so in README.md",
    },
    Ban {
        word: "dbg!",
        allowed: &[],
        instead: "use tracing::debug!",
    },
    Ban {
        word: "print!",
        allowed: &[],
        instead: "stdout is for what the program was asked: `write!` to it in main or server",
    },
    Ban {
        word: "println!",
        allowed: &[],
        instead: "stdout is for what the program was asked: `write!` to it in main or server",
    },
    Ban {
        word: "eprint!",
        allowed: &[],
        instead: "use tracing, which has levels",
    },
    Ban {
        word: "eprintln!",
        allowed: &["src/main.rs"],
        instead: "use tracing, which has levels; only main reports the error that ends the process",
    },
];

/// Marks of work left undone, in pieces, as this file is looked at, too.
const MARKS: &[&str] = &[
    concat!("FIX", "ME"),
    concat!("TO", "DO"),
    concat!("XX", "X"),
];

/// Folders that exist on somebody's machine only, in pieces for the same reason.
const MACHINE_FOLDERS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/tm", "p/bash"),
];

/// Files that were longer when the limit came. They may shrink, not grow; who is within the limit leaves the list.
const LONG_FILES: &[(&str, usize)] = &[];

/// The same for functions: file, name, lines.
const LONG_FUNCTIONS: &[(&str, &str, usize)] = &[
    ("src/shard/memcache/change.rs", "of", 86),
    ("src/shard/resp/change.rs", "single", 99),
    ("src/store/tests/twin.rs", "model", 105),
];

#[test]
fn modules_use_only_what_stands_below() {
    assert_none(layer_complaints(LAYERS, UPWARD, &sources("src")));
}

#[test]
fn unsafe_stays_in_its_fences() {
    assert_none(complaints(&all_sources(), |source| {
        unsafe_complaints(source, UNSAFE_FENCES, UNSAFE_TESTS)
    }));
}

#[test]
fn crates_and_clocks_stay_in_their_fences() {
    assert_none(complaints(&product_sources(), |source| {
        fence_complaints(source, FENCES)
    }));
}

#[test]
fn the_program_neither_panics_on_input_nor_prints() {
    assert_none(complaints(&product_sources(), |source| {
        ban_complaints(source, BANS)
    }));
}

#[test]
fn nothing_is_left_to_be_done() {
    assert_none(complaints(&all_sources(), |source| {
        mark_complaints(source, MARKS)
    }));
}

#[test]
fn files_and_functions_fit_a_reader() {
    let sources = all_sources();
    let mut found = complaints(&sources, |source| {
        size_complaints(source, LONG_FILES, LONG_FUNCTIONS)
    });
    found.extend(stale_entries(&sources, LONG_FILES, LONG_FUNCTIONS));
    assert_none(found);
}

#[test]
fn no_file_names_a_folder_of_one_machine() {
    let mut found = Vec::new();
    for path in files(&root()) {
        if let Ok(text) = fs::read_to_string(&path) {
            found.extend(machine_complaints(&relative(&path), &text, MACHINE_FOLDERS));
        }
    }
    assert_none(found);
}

#[test]
fn the_readme_tells_the_two_commands() {
    let readme = read("README.md");
    let manifest = read("Cargo.toml");
    for command in ["cargo run --release", "scripts/test"] {
        let is_told = readme.lines().any(|line| line.trim().starts_with(command));
        assert!(
            is_told,
            "README.md has no line `{command}`: it is how to run or to test"
        );
    }
    assert!(
        manifest.contains("default-run = \"ringfort\""),
        "`cargo run` must know which program: keep default-run in Cargo.toml"
    );
    for script in ["scripts/test", "scripts/setup", "scripts/check", ".ci/run"] {
        let mode = fs::metadata(root().join(script)).map_or(0, |file| file.permissions().mode());
        assert_ne!(mode & 0o111, 0, "{script} must be there and executable");
    }
    assert!(
        read(".ci/run").contains("scripts/test"),
        ".ci/run must run what people run: scripts/test"
    );
}

#[test]
fn the_readme_has_every_flag_and_no_other() {
    let told = flags_of_table(&read("README.md"));
    let there = declared_flags(
        &["", "/backend", "/eject", "/group", "/peers", "/replicas"]
            .map(|name| read(&format!("src/cli{name}.rs")))
            .concat(),
    );
    assert!(
        there.len() > 5,
        "flags are declared as they used to be: {there:?}"
    );
    assert_eq!(
        told, there,
        "README.md's table of flags (left) and src/cli.rs with src/cli/{{backend,eject,group,peers,replicas}}.rs (right)"
    );
}

fn complaints(sources: &[RustSource], rule: impl Fn(&RustSource) -> Vec<String>) -> Vec<String> {
    assert!(!sources.is_empty(), "there is something to look at");
    sources.iter().flat_map(rule).collect()
}

fn assert_none(complaints: Vec<String>) {
    assert!(
        complaints.is_empty(),
        "{} complaints:\n{}",
        complaints.len(),
        complaints.join("\n")
    );
}

fn all_sources() -> Vec<RustSource> {
    ["src", "tests", "bench"]
        .into_iter()
        .flat_map(sources)
        .collect()
}

fn sources(folder: &str) -> Vec<RustSource> {
    let mut sources: Vec<_> = files(&root().join(folder))
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| RustSource::new(&relative(path), &read(&relative(path))))
        .collect();
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

/// The files that the program is made of.
fn product_sources() -> Vec<RustSource> {
    let mut sources = sources("src");
    let folder = |source: &RustSource| format!("src/{}", source.module().join("/"));
    let test_modules: Vec<_> = sources
        .iter()
        .flat_map(|source| {
            let modules = source.test_modules().into_iter();
            modules
                .map(|module| format!("{}/{module}", folder(source)))
                .collect::<Vec<_>>()
        })
        .collect();
    sources.retain(|source| {
        let module = folder(source) + "/";
        !test_modules
            .iter()
            .any(|test| module.starts_with(&format!("{test}/")))
    });
    sources
}

/// Every file of the repository below `folder`; what is built, fetched or measured is not part of it.
fn files(folder: &Path) -> Vec<PathBuf> {
    const NOT_OURS: &[&str] = &[".git", ".venv", "target", "scratch", "Cargo.lock"];
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)
        .expect("a folder of the repository")
        .flatten()
    {
        let name = entry.file_name();
        if NOT_OURS.iter().any(|other| name == *other) {
            continue;
        }
        if entry.path().is_dir() {
            files.extend(self::files(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
