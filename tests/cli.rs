//! What the program says when it is asked, and when it is asked wrongly: the streams, the exit
//! codes and the one line of an error. The flags themselves are tested where they are defined.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output, Stdio};

fn ringfort(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringfort"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("ringfort runs")
}

/// Insists on exit code 2, silence on stdout and one line on stderr; gives back that line.
fn refusal(line: &str) -> String {
    let output = ringfort(line.split_whitespace());
    let stderr = String::from_utf8(output.stderr).expect("text on stderr");
    assert_eq!(output.status.code(), Some(2), "{line}: {stderr}");
    assert_eq!(output.stdout, b"", "{line}");
    let error = stderr.strip_suffix('\n').expect("a whole line");
    assert!(
        !error.contains('\n'),
        "{line}: more than one line: {stderr}"
    );
    error.to_owned()
}

/// Insists on exit code 0 and silence on stderr; gives back stdout.
fn answer(line: &str) -> String {
    let output = ringfort(line.split_whitespace());
    assert_eq!(output.status.code(), Some(0), "{line}");
    assert_eq!(output.stderr, b"", "{line}");
    String::from_utf8(output.stdout).expect("text on stdout")
}

#[test]
fn an_error_is_one_line() {
    let cases = [
        (
            "--fnord",
            "ringfort: error: --fnord: no such flag; see ringfort --help",
        ),
        (
            "serve",
            "ringfort: error: 'serve': not a flag or command; see ringfort --help",
        ),
        (
            "--memory",
            "ringfort: error: --memory: the value is missing; write --memory <SIZE>",
        ),
        (
            "--memory 8x",
            "ringfort: error: --memory '8x': not a size; write for example 64MiB, 1g or 1048576",
        ),
        (
            "--memcache off --resp off",
            "ringfort: error: --memcache off --resp off: nothing would be served; leave one on",
        ),
        (
            "--l1 1s",
            "ringfort: error: --l1: only means something for a pool; add --pool memcache or \
             --pool resp",
        ),
        (
            "--pool memcache",
            "ringfort: error: --pool memcache: no servers; add --servers FILE or --server \
             HOST:PORT",
        ),
        (
            "explain",
            "ringfort: error: explain: <KEY> is missing; write ringfort explain KEY --servers FILE",
        ),
    ];
    for (line, error) in cases {
        assert_eq!(refusal(line), error, "{line}");
    }
}

#[test]
fn a_core_that_is_not_allowed_is_named() {
    // The highest number that the flag takes; no machine that runs these tests has it.
    let error = refusal("--cores 1023");
    let expected =
        "ringfort: error: --cores 1023: not a CPU that this process may use; choose from ";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn arguments_need_not_be_text() {
    let garbage = OsStr::from_bytes(b"\xff\n\xfe");
    for args in [vec![garbage], vec![OsStr::new("--memory"), garbage]] {
        let output = ringfort(args);
        assert_eq!(output.status.code(), Some(2));
        let stderr = String::from_utf8(output.stderr).expect("text on stderr");
        assert!(stderr.starts_with("ringfort: error: "), "{stderr}");
        assert_eq!(stderr.matches('\n').count(), 1, "{stderr}");
    }
}

/// With what follows a flag there, so that `--peer` is not found in `--peers`.
#[test]
fn each_flag_is_in_the_tuning_guide_and_in_the_readme() {
    let help = answer("--help");
    let flags = help.lines().filter_map(|line| {
        let word = line.split_whitespace().next()?;
        word.starts_with("--").then_some(word)
    });
    let flags: Vec<_> = flags.collect();
    assert!(flags.len() > 50, "{flags:?}");
    for (name, text) in [
        ("tuning.md", include_str!("../tuning.md")),
        ("README.md", include_str!("../README.md")),
    ] {
        let has = |flag: &str| {
            text.match_indices(flag).any(|(at, _)| {
                let next = text[at + flag.len()..].chars().next();
                next.is_none_or(|next| !next.is_ascii_alphanumeric() && next != '-')
            })
        };
        let missing: Vec<_> = flags.iter().filter(|flag| !has(flag)).collect();
        assert!(missing.is_empty(), "not in {name}: {missing:?}");
    }
}

#[test]
fn help_and_version_are_answers() {
    assert!(answer("--help").contains("\nPool:\n"));
    assert!(answer("explain --help").contains("<KEY>"));
    assert_eq!(
        answer("--version"),
        format!("ringfort {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn explain_answers_for_any_key() {
    let expected = "\
ring      libketama
key       \\xff\\n
key hash  0x47568af7 md5
point     0x47f1ef21 of 320
label     10.0.1.2:11211-17
owner     10.0.1.2:11211 weight 3
why       the first point from the hash on
";
    let mut args: Vec<&OsStr> = [
        "explain",
        "--server",
        "10.0.1.1:11211",
        "--server",
        "10.0.1.2:11211:3",
    ]
    .map(OsStr::new)
    .to_vec();
    args.extend(["--hash-ring", "libketama"].map(OsStr::new));
    args.push(OsStr::from_bytes(b"\xff\n"));
    let output = ringfort(args);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn a_reader_that_has_gone_does_no_harm() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ringfort"))
        .arg("--help")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ringfort runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("its end");
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}
