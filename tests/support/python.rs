//! Runs the scripts of `tests/clients` with the interpreter that has the client libraries.

use std::path::PathBuf;
use std::process::Command;

use super::process::Process;

/// Runs `tests/clients/<script>` and insists that it ends well; gives back what it printed.
pub(crate) fn run(script: &str, args: &[&str]) -> String {
    let path = root().join("tests/clients").join(script);
    let mut command = Command::new(interpreter());
    // No bytecode: the sources stay as they are checked out.
    command.arg("-B").arg(path).args(args);
    output(&mut command, "scripts/setup")
}

/// Runs a client program to its end, insists on exit status 0 and gives back its stdout.
pub(crate) fn output(command: &mut Command, mend: &str) -> String {
    let (mut process, mut stdout) = Process::spawn(command, mend);
    let mut printed = String::new();
    // Ends when the program closes its stdout; the tests' own deadline is that of the scripts' sockets.
    std::io::Read::read_to_string(&mut stdout, &mut printed).expect("text on stdout");
    let (status, stderr) = process.wait();
    assert!(
        status.success(),
        "{command:?} ended with {status}\n{printed}\n{stderr}"
    );
    printed
}

fn interpreter() -> PathBuf {
    let path = std::env::var_os("RINGFORT_PYTHON")
        .map_or_else(|| root().join(".venv/bin/python"), PathBuf::from);
    assert!(path.exists(), "no {}: run scripts/setup", path.display());
    path
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
