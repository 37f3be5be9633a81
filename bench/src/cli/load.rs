//! Flags that say how much is asked for, for how long, and where the results go.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::parsers::{
    Cores, Goal, Rates, parse_between, parse_cores, parse_duration, parse_goal, parse_rate,
    parse_rates, parse_span,
};
use super::workload::{StoredArgs, WorkloadArgs};
use crate::wire::Protocol;
use crate::workload::arrivals::{Pacing, Spacing};

/// Requests in flight per connection at most: beyond, sockets measure their buffers.
pub(super) const DEPTH_MAX: i64 = 4096;

/// Connections at most: one address has few more ports than these to connect from.
pub(super) const CONNECTIONS_MAX: i64 = 25_000;

/// The connections that put the load on.
#[derive(Debug, Args)]
pub(crate) struct FleetArgs {
    /// Connections to open, of all workers together
    #[arg(long, value_name = "N", default_value_t = 50,
          value_parser = clap::value_parser!(u32).range(1..=CONNECTIONS_MAX))]
    pub(crate) connections: u32,

    /// Closed loop: requests in a batch; open loop: most requests in flight per connection
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=DEPTH_MAX))]
    pub(crate) depth: u32,
}

impl FleetArgs {
    pub(super) fn check(&self, cores: Option<&Cores>) -> Result<(), String> {
        check_share(self.connections, cores)
    }
}

/// Each core has connections of its own.
fn check_share(connections: u32, cores: Option<&Cores>) -> Result<(), String> {
    let workers = cores.map_or(1, |cores| cores.0.len());
    if workers > connections as usize {
        return Err(format!(
            "--connections leaves some of {workers} --cores without one"
        ));
    }
    Ok(())
}

/// What every mode that measures needs.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Server to load
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) target: String,

    #[command(flatten)]
    pub(crate) workload: WorkloadArgs,

    #[command(flatten)]
    pub(crate) fleet: FleetArgs,

    /// Cores to run on, a worker for each, as in 1,3-5 [default: one worker, anywhere]
    #[arg(long, alias = "core", value_name = "LIST", value_parser = parse_cores)]
    pub(crate) cores: Option<Cores>,

    /// Write every key before the run
    #[arg(long)]
    pub(crate) prefill: bool,

    /// Process whose CPU time is measured
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,

    /// Take every reply to be this long and look no further (for the floor)
    #[arg(long, value_name = "N", conflicts_with = "prefill",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) reply_bytes: Option<u32>,

    /// Name of the run in the report
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) label: String,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Where results go, besides the summary on stdout.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Also write the report to this file, as JSON: what `report` reads
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Tell of each second on stderr, also where that is no terminal
    #[arg(long)]
    pub(crate) live: bool,
}

/// Where the latencies of one run go. Modes of many runs have none of these: --json tells of each.
#[derive(Debug, Args)]
pub(crate) struct LatencyArgs {
    /// Write the latencies' percentile distribution to this file, in ms (HdrHistogram's .hgrm)
    #[arg(long, value_name = "FILE")]
    pub(crate) hgrm: Option<PathBuf>,

    /// Write each second's latencies to this file, in ns (HdrHistogram's interval log, V2 compressed)
    #[arg(long, value_name = "FILE")]
    pub(crate) hlog: Option<PathBuf>,
}

/// How long to measure.
#[derive(Debug, Args)]
pub(crate) struct WindowArgs {
    /// How long to measure (5s, 500ms)
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub(crate) duration: Duration,

    /// How long to put load on before measuring
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_span)]
    pub(crate) warmup: Duration,
}

/// An open loop, if a rate is given.
#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// Requests per second: makes it an open loop
    #[arg(long, value_name = "R", value_parser = parse_rate)]
    pub(crate) rate: Option<f64>,

    /// How an open loop's intended starts are spaced
    #[arg(long, value_enum, default_value = "poisson", requires = "rate")]
    pub(crate) arrivals: Spacing,

    /// Requests of an open loop that start at a time, on one connection: a client that pipelines
    #[arg(long, value_name = "N", default_value_t = 1, requires = "rate",
          value_parser = clap::value_parser!(u32).range(1..=DEPTH_MAX))]
    pub(crate) burst: u32,
}

impl OpenArgs {
    /// How requests arrive, if not in a closed loop.
    pub(crate) fn pacing(&self) -> Option<Pacing> {
        let spaced = SpacedArgs {
            arrivals: self.arrivals,
            burst: self.burst,
        };
        self.rate.map(|rate| spaced.pacing(rate))
    }
}

/// The same for modes that are nothing but open loops.
#[derive(Debug, Args)]
pub(crate) struct SpacedArgs {
    /// How intended starts are spaced
    #[arg(long, value_enum, default_value = "poisson")]
    arrivals: Spacing,

    /// Requests that start at a time, on one connection: a client that pipelines
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=DEPTH_MAX))]
    pub(crate) burst: u32,
}

impl SpacedArgs {
    /// How requests arrive, so many a second.
    pub(crate) fn pacing(&self, rate: f64) -> Pacing {
        Pacing {
            rate,
            spacing: self.arrivals,
            burst: self.burst as usize,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) latencies: LatencyArgs,
    #[command(flatten)]
    pub(crate) window: WindowArgs,
    #[command(flatten)]
    pub(crate) open: OpenArgs,

    /// Closed loop: end after so many requests, all connections together, and measure all of them
    #[arg(long, value_name = "N", conflicts_with_all = ["duration", "warmup", "rate"],
          value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) requests: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) window: WindowArgs,

    /// Requests per second, one run for each
    #[arg(long, value_name = "R,…", value_parser = parse_rates, required_unless_present = "to")]
    pub(crate) rates: Option<Rates>,

    /// First of --steps rates, each a constant factor above the one before
    #[arg(long, value_name = "R", value_parser = parse_rate, conflicts_with = "rates", requires = "to")]
    pub(crate) from: Option<f64>,

    /// Last of them
    #[arg(long, value_name = "R", value_parser = parse_rate, conflicts_with = "rates", requires = "from")]
    pub(crate) to: Option<f64>,

    /// How many rates from --from to --to
    #[arg(long, value_name = "N", default_value_t = 10, conflicts_with = "rates",
          value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub(crate) steps: u32,

    #[command(flatten)]
    pub(crate) spaced: SpacedArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) window: WindowArgs,

    /// What must hold, as in p99.9<1ms
    #[arg(long, value_name = "GOAL", value_parser = parse_goal)]
    pub(crate) goal: Goal,

    /// Rate that surely keeps the goal, to begin with
    #[arg(long, value_name = "R", default_value = "1000", value_parser = parse_rate)]
    pub(crate) rate_min: f64,

    /// Rate beyond which nobody needs to look
    #[arg(long, value_name = "R", default_value = "10000000", value_parser = parse_rate)]
    pub(crate) rate_max: f64,

    /// How close to the highest rate the search has to come, as a share of it
    #[arg(long, value_name = "SHARE", default_value = "0.03", value_parser = |text: &str| parse_between(text, 0.001, 0.5))]
    pub(crate) tolerance: f64,

    /// Runs at the rate that was found, of which all must keep the goal
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) confirm: u32,

    #[command(flatten)]
    pub(crate) spaced: SpacedArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SoakArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) latencies: LatencyArgs,
    #[command(flatten)]
    pub(crate) open: OpenArgs,

    /// How long to measure, after a warm-up of a second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(4..=604_800))]
    pub(crate) seconds: u32,
}

#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Server to fill
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) target: String,

    #[command(flatten)]
    pub(crate) stored: StoredArgs,

    /// Cores to run on, each with a connection, as in 1,3-5 [default: one connection]
    #[arg(long, alias = "core", value_name = "LIST", value_parser = parse_cores)]
    pub(crate) cores: Option<Cores>,
}

/// When a trace's requests start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Speed {
    /// At the trace's times, divided by this.
    Times(f64),
    /// As soon as the ones before are answered.
    Max,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Server to load
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) target: String,

    /// How the server is spoken to
    #[arg(long, value_enum)]
    pub(crate) protocol: Protocol,

    /// CSV of time (seconds), op (get, set, delete), key, size (of a set's value, bytes); a first line may name the
    /// columns
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: PathBuf,

    /// How fast: 2 = twice as fast as it happened, max = as fast as possible
    #[arg(long, value_name = "X|max", default_value = "1", value_parser = parse_speed)]
    pub(crate) speed: Speed,

    /// Connections to open, of all workers together; all requests for a key go over the same one
    #[arg(long, value_name = "N", default_value_t = 50,
          value_parser = clap::value_parser!(u32).range(1..=CONNECTIONS_MAX))]
    pub(crate) connections: u32,

    /// Most requests in flight per connection
    #[arg(long, value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(1..=DEPTH_MAX))]
    pub(crate) depth: u32,

    /// Cores to run on, a worker for each, as in 1,3-5 [default: one worker, anywhere]
    #[arg(long, alias = "core", value_name = "LIST", value_parser = parse_cores)]
    pub(crate) cores: Option<Cores>,

    /// Process whose CPU time is measured
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,

    /// Name of the run in the report
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) label: String,

    #[command(flatten)]
    pub(crate) output: OutputArgs,

    #[command(flatten)]
    pub(crate) latencies: LatencyArgs,
}

impl Common {
    /// The cores to run on; none if that is left to the scheduler.
    pub(crate) fn cores(&self) -> Vec<usize> {
        listed(self.cores.as_ref())
    }

    /// `burst`: requests that start at a time.
    pub(super) fn check(&self, burst: u32) -> Result<(), String> {
        self.fleet.check(self.cores.as_ref())?;
        if burst > self.fleet.depth {
            return Err(format!(
                "--burst {burst} finds no room on a connection: give --depth {burst} or more"
            ));
        }
        self.workload.check(self.fleet.depth)
    }
}

impl SweepArgs {
    pub(super) fn check(&self) -> Result<(), String> {
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from >= to
        {
            return Err(format!("--from {from} is not below --to {to}"));
        }
        self.common.check(self.spaced.burst)
    }
}

impl SearchArgs {
    pub(super) fn check(&self) -> Result<(), String> {
        let (min, max) = (self.rate_min, self.rate_max);
        if min > max {
            return Err(format!("--rate-min {min} is above --rate-max {max}"));
        }
        self.common.check(self.spaced.burst)
    }
}

impl LoadArgs {
    pub(super) fn check(&self) -> Result<(), String> {
        self.stored.check()
    }

    pub(crate) fn cores(&self) -> Vec<usize> {
        listed(self.cores.as_ref())
    }
}

impl ReplayArgs {
    pub(super) fn check(&self) -> Result<(), String> {
        check_share(self.connections, self.cores.as_ref())
    }

    pub(crate) fn cores(&self) -> Vec<usize> {
        listed(self.cores.as_ref())
    }
}

fn listed(cores: Option<&Cores>) -> Vec<usize> {
    cores.map_or_else(Vec::new, |cores| cores.0.clone())
}

fn parse_speed(text: &str) -> Result<Speed, String> {
    match text {
        "max" => Ok(Speed::Max),
        _ => parse_between(text, 1e-3, 1e6).map(Speed::Times),
    }
}
