//! `ringfort-bench`: puts load on a memcache or RESP server, verifies every reply, and says what a
//! request cost the server.
//!
//! From above: [`cli`] → [`modes`] (what is measured, and in which order) → [`worker`] (threads, connections, and the
//! loops that load them) → [`wire`] (what is asked, and how a reply is judged) → [`workload`] (keys, values, when
//! requests start, all drawn before the run). [`output`] tells what was found, with every doubt about it. No unsafe code.

mod cli;
mod error;
mod modes;
mod output;
mod wire;
mod worker;
mod workload;

use std::process::ExitCode;

use crate::cli::{Command, Stop};
use crate::error::BenchError;

/// Exit status for a command line that makes no sense, as clap has it; also ringfort's.
pub(crate) const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(Stop::Asked(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(Stop::Wrong(complaint)) => {
            eprintln!("ringfort-bench: {complaint}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    run(&cli.command).unwrap_or_else(|error| {
        eprintln!("ringfort-bench: {error}");
        match error.is_usage() {
            true => ExitCode::from(EXIT_USAGE),
            false => ExitCode::FAILURE,
        }
    })
}

fn run(command: &Command) -> Result<ExitCode, BenchError> {
    match command {
        Command::Run(args) => return modes::run::run(args),
        Command::Sweep(args) => return modes::sweep::run(args),
        Command::Search(args) => return modes::search::run(args),
        Command::Soak(args) => return modes::soak::run(args),
        Command::Replay(args) => return modes::replay::run(args),
        Command::Tune(args) => return modes::tune::run(args),
        Command::Load(args) => modes::load::run(args)?,
        Command::Report(args) => output::html::run(args)?,
        Command::Origin(args) => modes::origin::run(args)?,
        Command::Shape(args) => modes::shape::run(args),
    }
    Ok(ExitCode::SUCCESS)
}
