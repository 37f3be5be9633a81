//! ringfort's process: the command line, and what it asks for.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use ringfort::{
    cli::{CliError, Command, Spool, Verdict},
    config::Config,
    server,
};

fn main() -> ExitCode {
    match Command::parse_from(std::env::args_os()) {
        Ok(Command::Serve(config)) => serve(&[*config], &[]),
        Ok(Command::ServePools(pools)) => serve(&pools.configs, &pools.notes),
        Ok(Command::Explain(explains)) => {
            let answers: Vec<String> = explains.iter().map(ToString::to_string).collect();
            print(answers.join("\n"))
        }
        Ok(Command::Spool(spool)) => look_after(&spool),
        Ok(Command::Print(text)) => print(text),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(CliError::EXIT_CODE)
        }
    }
}

fn serve(configs: &[Config], notes: &[String]) -> ExitCode {
    let level = configs
        .first()
        .map_or(tracing::Level::WARN, |config| config.log);
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
    for note in notes {
        tracing::warn!("{note}");
    }
    match server::run_pools(configs) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("ringfort: error: {error}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("ringfort: error: {error}");
            ExitCode::from(CliError::EXIT_CODE)
        }
    }
}

fn look_after(spool: &Spool) -> ExitCode {
    match spool.run(&mut std::io::stdout().lock()) {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(CliError::EXIT_CODE)
        }
    }
}

/// Prints to stdout. A reader that has gone away (`ringfort --help | head -1`) has seen enough.
fn print(text: impl Display) -> ExitCode {
    let _ = write!(std::io::stdout(), "{text}");
    ExitCode::SUCCESS
}
