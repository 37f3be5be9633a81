//! What was typed, checked as far as it can be without touching the world.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::arrivals::Spacing;
use crate::item::{Items, PREFIX_BYTES, VALUE_BYTES_MAX, ValueSizes};
use crate::protocol::Protocol;
use crate::script::Workload;

/// Requests in flight per connection at most: beyond, sockets measure their buffers.
const DEPTH_MAX: i64 = 4096;

/// Connections at most: one address has few more ports than these to connect from.
const CONNECTIONS_MAX: i64 = 25_000;

/// Bytes of one connection's batch at most, so that the script's offsets hold it.
const BATCH_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Steepest Zipf exponent: beyond, nearly every request asks for the first key.
const ZIPF_MAX: f64 = 10.0;

/// Load generator for memcache and RESP servers: one thread, every reply verified.
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
    /// Print the lengths of requests and replies, for a server that answers by rote
    Shape(ShapeArgs),
}

/// What is asked for, in every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct ShapeArgs {
    /// How the server is spoken to
    #[arg(long, value_enum)]
    pub(crate) protocol: Protocol,

    /// What keys begin with, four characters: "{aa}" keeps them on one server of a pool
    #[arg(long, value_name = "TEXT", default_value = "key:", value_parser = parse_prefix)]
    pub(crate) key_prefix: [u8; PREFIX_BYTES],

    /// Length of values: N, or MIN-MAX with another length for each key
    #[arg(long, value_name = "N|MIN-MAX", default_value = "64", value_parser = parse_sizes)]
    pub(crate) value_bytes: ValueSizes,
}

/// Everything about a run.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Server to load
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) target: String,

    #[command(flatten)]
    pub(crate) shape: ShapeArgs,

    /// Connections to open
    #[arg(long, value_name = "N", default_value_t = 50,
          value_parser = clap::value_parser!(u32).range(1..=CONNECTIONS_MAX))]
    pub(crate) connections: u32,

    /// Closed loop: requests in a batch; open loop: most requests in flight per connection
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=DEPTH_MAX))]
    pub(crate) depth: u32,

    /// How long to measure (5s, 500ms)
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub(crate) duration: Duration,

    /// How long to put load on before measuring
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_time)]
    pub(crate) warmup: Duration,

    /// Number of keys
    #[arg(long, value_name = "N", default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keys: u32,

    /// Exponent of the Zipf law by which keys are chosen; 0 = all alike
    #[arg(long, value_name = "S", default_value = "0", value_parser = parse_zipf)]
    pub(crate) zipf: f64,

    /// Share of reads, 0 to 1; the rest writes
    #[arg(long, value_name = "SHARE", default_value = "1", value_parser = parse_share)]
    pub(crate) read_ratio: f64,

    /// Requests per second: makes it an open loop
    #[arg(long, value_name = "R", value_parser = parse_rate)]
    pub(crate) rate: Option<f64>,

    /// How an open loop's intended starts are spaced
    #[arg(long, value_enum, default_value = "poisson", requires = "rate")]
    pub(crate) arrivals: Spacing,

    /// Write every key before the run
    #[arg(long)]
    pub(crate) prefill: bool,

    /// Process whose CPU time is measured
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,

    /// Core to run on
    #[arg(long, value_name = "N")]
    pub(crate) core: Option<usize>,

    /// Take every reply to be this long and look no further (for the floor)
    #[arg(long, value_name = "N", conflicts_with = "prefill",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) reply_bytes: Option<u32>,

    /// Also write the report to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Name of the run in the report
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) label: String,
}

impl ShapeArgs {
    pub(crate) fn items(&self) -> Items {
        Items {
            prefix: self.key_prefix,
            sizes: self.value_bytes,
        }
    }
}

impl RunArgs {
    pub(crate) fn workload(&self) -> Workload {
        Workload {
            protocol: self.shape.protocol,
            keys: self.keys,
            zipf: self.zipf,
            items: self.shape.items(),
            read_ratio: self.read_ratio,
        }
    }
}

/// Parses the command line; the error is ready to print, on one line unless it is the help.
pub(crate) fn parse<I>(arguments: I) -> Result<Cli, Stop>
where
    I: IntoIterator<Item = std::ffi::OsString>,
{
    let cli = Cli::try_parse_from(arguments).map_err(|error| match error.use_stderr() {
        true => Stop::Wrong(one_line(&error.to_string())),
        false => Stop::Asked(error.to_string()),
    })?;
    if let Command::Run(run) = &cli.command {
        let batch_bytes = u64::from(run.depth) * run.shape.value_bytes.bytes_max() as u64;
        if batch_bytes > BATCH_BYTES_MAX {
            return Err(Stop::Wrong(format!(
                "--depth times --value-bytes is {batch_bytes} bytes, above {BATCH_BYTES_MAX}"
            )));
        }
    }
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

/// clap explains over several lines and adds the usage; the explanation is kept.
fn one_line(error: &str) -> String {
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
}

fn parse_sizes(text: &str) -> Result<ValueSizes, String> {
    let (min, max) = text.split_once('-').unwrap_or((text, text));
    match (min.parse(), max.parse()) {
        (Ok(min), Ok(max)) => ValueSizes::new(min, max),
        _ => None,
    }
    .ok_or_else(|| format!("not a length or MIN-MAX with MIN <= MAX <= {VALUE_BYTES_MAX}"))
}

fn parse_prefix(text: &str) -> Result<[u8; PREFIX_BYTES], String> {
    <[u8; PREFIX_BYTES]>::try_from(text.as_bytes())
        .ok()
        .filter(|prefix| prefix.iter().all(u8::is_ascii_graphic))
        .ok_or_else(|| format!("not {PREFIX_BYTES} visible ASCII characters"))
}

/// A time that may be zero.
fn parse_time(text: &str) -> Result<Duration, String> {
    let unit_start = text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_start);
    let number: u64 = number
        .parse()
        .map_err(|_| "not a number with a unit".to_owned())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number))
            .filter(|time| *time <= Duration::from_secs(24 * 3600))
            .ok_or_else(|| "longer than a day".to_owned()),
        _ => Err("unit is s or ms".to_owned()),
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    match parse_time(text)? {
        Duration::ZERO => Err("nothing to measure in no time".to_owned()),
        duration => Ok(duration),
    }
}

fn parse_zipf(text: &str) -> Result<f64, String> {
    parse_between(text, 0.0, ZIPF_MAX)
}

fn parse_share(text: &str) -> Result<f64, String> {
    parse_between(text, 0.0, 1.0)
}

fn parse_rate(text: &str) -> Result<f64, String> {
    parse_between(text, 0.1, 1e8)
}

fn parse_between(text: &str, min: f64, max: f64) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(format!("not a number from {min} to {max}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "ringfort-bench run --target h:1 --protocol resp";

    fn parsed(line: &str) -> Result<Cli, Stop> {
        parse(line.split_whitespace().map(Into::into))
    }

    fn run_args(options: &str) -> RunArgs {
        match parsed(&format!("{BASE} {options}")).unwrap().command {
            Command::Run(run) => *run,
            Command::Shape(_) => panic!("asked for a run"),
        }
    }

    #[test]
    fn options_mean_what_they_say() {
        let run = run_args("--value-bytes 10-20 --duration 500ms --zipf 0.99 --rate 1e5 --depth 8");
        assert_eq!(run.shape.value_bytes, ValueSizes::new(10, 20).unwrap());
        assert_eq!(run.duration, Duration::from_millis(500));
        assert_eq!((run.zipf, run.rate, run.depth), (0.99, Some(1e5), 8));
        assert_eq!(run.arrivals, Spacing::Poisson);
        assert_eq!(run_args("--warmup 0s").warmup, Duration::ZERO);
        assert_eq!(&run_args("").shape.key_prefix, b"key:");
        assert_eq!(&run_args("--key-prefix {a}:").shape.key_prefix, b"{a}:");
    }

    #[test]
    fn mistakes_are_told_on_one_line_that_names_the_option() {
        for (line, named) in [
            (format!("{BASE} --zipf=-1"), "--zipf"),
            (format!("{BASE} --zipf nan"), "--zipf"),
            (format!("{BASE} --read-ratio 1.1"), "--read-ratio"),
            (format!("{BASE} --value-bytes 20-10"), "--value-bytes"),
            (format!("{BASE} --value-bytes 999999999"), "--value-bytes"),
            (format!("{BASE} --duration 0s"), "--duration"),
            (format!("{BASE} --duration 5"), "--duration"),
            (format!("{BASE} --warmup 99999999999999s"), "--warmup"),
            (format!("{BASE} --connections 0"), "--connections"),
            (format!("{BASE} --depth 0"), "--depth"),
            (
                format!("{BASE} --depth 4096 --value-bytes 1000000"),
                "--depth",
            ),
            (format!("{BASE} --keys 4294967296"), "--keys"),
            (format!("{BASE} --key-prefix long:"), "--key-prefix"),
            (format!("{BASE} --rate 0"), "--rate"),
            (format!("{BASE} --arrivals constant"), "--rate"),
            (format!("{BASE} --prefill --reply-bytes 5"), "--reply-bytes"),
            (format!("{BASE} --speed 9"), "--speed"),
            ("ringfort-bench run --protocol resp".to_owned(), "--target"),
            (
                "ringfort-bench run --target h:1 --protocol http".to_owned(),
                "--protocol",
            ),
        ] {
            let Err(Stop::Wrong(complaint)) = parsed(&line) else {
                panic!("accepted: {line}");
            };
            assert!(!complaint.contains('\n'), "{complaint}");
            assert!(complaint.contains(named), "{line}: {complaint}");
        }
    }

    #[test]
    fn help_is_no_mistake() {
        let help = parsed("ringfort-bench run --help");
        assert!(matches!(help, Err(Stop::Asked(text)) if text.contains("--connections")));
    }
}
