//! Runs the scripts of `tests/clients/node` with the node that has the client libraries.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::python;

/// Runs `tests/clients/node/<script>` and insists that it ends well.
pub(crate) fn run(script: &str, args: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/node");
    let libraries = folder.join("node_modules");
    assert!(
        libraries.exists(),
        "no {}: run scripts/setup",
        libraries.display()
    );
    let mut command = Command::new(interpreter());
    command.arg(folder.join(script)).args(args);
    python::output(&mut command, "scripts/setup");
}

/// The one that scripts/setup had to bring along, else the machine's.
fn interpreter() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/node");
    if own.exists() { own } else { "node".into() }
}
