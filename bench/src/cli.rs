//! What was typed, checked as far as it can be without touching the world.

mod load;
mod origin;
mod parsers;
mod tune;
mod workload;

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

pub(crate) use load::{
    Common, LatencyArgs, LoadArgs, OutputArgs, ReplayArgs, RunArgs, SearchArgs, SoakArgs, Speed,
    SweepArgs,
};
pub(crate) use origin::OriginArgs;
pub(crate) use tune::TuneArgs;
pub(crate) use workload::ShapeArgs;

/// Load generator for memcache and RESP servers: every reply is verified.
#[derive(Debug, Parser)]
#[command(name = "ringfort-bench", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Put load on a server and report what it cost
    Run(Box<RunArgs>),
    /// Write every key, with a progress bar
    Load(Box<LoadArgs>),
    /// Run at one rate after the other: the latency-throughput curve and its knee
    Sweep(Box<SweepArgs>),
    /// Find the highest rate that keeps a goal
    Search(Box<SearchArgs>),
    /// Run for long and watch whether it stays as it was
    Soak(Box<SoakArgs>),
    /// Send what a trace says, when it says so or as fast as possible
    Replay(Box<ReplayArgs>),
    /// Start a server with one setting after the other and find the flags that are worth giving
    Tune(Box<TuneArgs>),
    /// Draw the curves of any number of JSON reports into one HTML file
    Report(ReportArgs),
    /// Be an origin that answers HTTP GETs of keys with the values that runs expect
    Origin(OriginArgs),
    /// Print the lengths of requests and replies, for a server that answers by rote
    Shape(ShapeArgs),
}

/// Which reports, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct ReportArgs {
    /// What --json of run, sweep, search, soak or replay has written
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// The HTML file to write; it needs no other file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: PathBuf,
}

/// Parses the command line; the error is ready to print, on one line unless it is the help.
pub(crate) fn parse<I>(arguments: I) -> Result<Cli, Stop>
where
    I: IntoIterator<Item = std::ffi::OsString>,
{
    let cli = Cli::try_parse_from(arguments).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Stop::Wrong(
            "say what to do: run, load, sweep, …; ringfort-bench --help has them all".to_owned(),
        ),
        _ if error.use_stderr() => Stop::Wrong(one_line(&error.to_string())),
        _ => Stop::Asked(error.to_string()),
    })?;
    let checked = match &cli.command {
        Command::Run(args) => args.common.check(args.open.burst),
        Command::Load(args) => args.check(),
        Command::Sweep(args) => args.check(),
        Command::Search(args) => args.check(),
        Command::Soak(args) => args.common.check(args.open.burst),
        Command::Replay(args) => args.check(),
        Command::Origin(args) => args.items.sizes.check(),
        Command::Tune(args) => args.check(),
        Command::Shape(args) => args.sizes.check(),
        Command::Report(_) => Ok(()),
    };
    checked.map_err(Stop::Wrong)?;
    Ok(cli)
}

/// Why the command line leads to no run.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Help or version: to stdout.
    Asked(String),
    /// What is wrong, on one line: to stderr.
    Wrong(String),
}

/// clap explains over several lines and adds the usage; the explanation is kept, and who tells more.
fn one_line(error: &str) -> String {
    let mode = error.lines().find_map(|line| {
        let mut words = line.strip_prefix("Usage: ")?.split_whitespace().skip(1);
        words
            .next()
            .filter(|word| !word.starts_with(['-', '<', '[']))
    });
    let help = match mode {
        Some(mode) => format!("; see ringfort-bench {mode} --help"),
        None => "; see --help".to_owned(),
    };
    let explanation: Vec<&str> = error
        .lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    explanation
        .join(" ")
        .trim_start_matches("error: ")
        .to_owned()
        + &help
}

#[cfg(test)]
mod tests;
