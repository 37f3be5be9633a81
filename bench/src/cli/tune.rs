//! Flags of `tune`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::load::FleetArgs;
use super::parsers::{Cores, parse_between, parse_cores, parse_duration, parse_rate, parse_span};
use super::workload::WorkloadArgs;
use crate::modes::tune::goal::Goal;
use crate::modes::tune::knob::Knob;
use crate::modes::tune::worth::{PAIRS_MAX, PAIRS_MIN};

#[derive(Debug, Args)]
pub(crate) struct TuneArgs {
    /// Server to start: ringfort, or what takes its listeners' flags and says where it is ready as it does
    #[arg(long, value_name = "FILE")]
    pub(crate) server_bin: PathBuf,

    /// What is to become better
    #[arg(long, value_enum)]
    pub(crate) goal: Goal,

    /// File for the flags that were found, on one line, with those given after --
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,

    #[command(flatten)]
    pub(crate) workload: WorkloadArgs,

    #[command(flatten)]
    pub(crate) fleet: FleetArgs,

    /// Requests per second: makes it an open loop [default: for p99 and p99.9, 0.7 of what the server does in a closed loop]
    #[arg(long, value_name = "R", value_parser = parse_rate)]
    pub(crate) rate: Option<f64>,

    #[command(flatten)]
    pub(crate) window: TrialArgs,

    /// How long all trials may take together; those of a round that has begun are finished
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = parse_duration)]
    pub(crate) time: Duration,

    /// Most trials of a value
    #[arg(long, value_name = "N", default_value_t = PAIRS_MAX as u32,
          value_parser = clap::value_parser!(u32).range(PAIRS_MIN as i64..=PAIRS_MAX as i64))]
    pub(crate) rounds: u32,

    /// The smallest difference that is worth a flag, as a share
    #[arg(long, value_name = "SHARE", default_value = "0.03",
          value_parser = |text: &str| parse_between(text, 0.001, 1.0))]
    pub(crate) difference: f64,

    /// A flag of the server and values to try, in place of ringfort's own knobs; may be repeated
    #[arg(long = "knob", value_name = "--FLAG=V,V", value_parser = Knob::parse, allow_hyphen_values = true)]
    pub(crate) knobs: Vec<Knob>,

    /// Cores of the server [default: all but the generator's]
    #[arg(long, value_name = "LIST", value_parser = parse_cores)]
    pub(crate) server_cores: Option<Cores>,

    /// Cores of the generator, a worker for each [default: the last one]
    #[arg(long, alias = "core", value_name = "LIST", value_parser = parse_cores)]
    pub(crate) cores: Option<Cores>,

    /// Flags that the server is given in any case
    #[arg(last = true, value_name = "FLAG")]
    pub(crate) server_flags: Vec<String>,
}

/// How long a trial is.
#[derive(Debug, Args)]
pub(crate) struct TrialArgs {
    /// How long to measure in each trial (1s, 500ms)
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub(crate) duration: Duration,

    /// How long to put load on before
    #[arg(long, value_name = "TIME", default_value = "300ms", value_parser = parse_span)]
    pub(crate) warmup: Duration,
}

impl TuneArgs {
    pub(super) fn check(&self) -> Result<(), String> {
        self.fleet.check(self.cores.as_ref())?;
        if (1..self.knobs.len()).any(|index| {
            let (before, rest) = self.knobs.split_at(index);
            before.iter().any(|knob| knob.flag == rest[0].flag)
        }) {
            return Err("--knob names a flag twice: give all of its values at once".to_owned());
        }
        self.workload.check(self.fleet.depth)
    }
}
