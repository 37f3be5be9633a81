//! `ringfort-bench`: puts load on a memcache or RESP server, verifies every reply, and says what a
//! request cost the server.
//!
//! From above: [`cli`] → [`script`] (the requests, drawn and encoded before the run) →
//! [`prefill`] → [`closed_loop`] or [`open_loop`] over a [`fleet`] of [`conn`]ections →
//! [`recorder`] → [`report`] with its [`warnings`]. One thread, no unsafe code.

mod arrivals;
mod cli;
mod closed_loop;
mod conn;
mod error;
mod fleet;
mod item;
mod open_loop;
mod prefill;
mod protocol;
mod recorder;
mod report;
mod rng;
mod script;
mod server_cpu;
mod tally;
mod warnings;
mod zipf;

use std::fs;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;

use crate::arrivals::Arrivals;
use crate::cli::{Command, RunArgs, ShapeArgs, Stop};
use crate::conn::Shared;
use crate::error::BenchError;
use crate::fleet::Fleet;
use crate::protocol::{Check, Op};
use crate::recorder::Recorder;
use crate::report::Report;
use crate::script::Script;
use crate::server_cpu::SchedulerClocks;

/// Exit status for a command line that makes no sense, as clap has it.
const EXIT_USAGE: u8 = 2;

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
    let done = match &cli.command {
        Command::Run(args) => run(args),
        Command::Shape(args) => {
            print_shape(args);
            Ok(ExitCode::SUCCESS)
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("ringfort-bench: {error}");
        ExitCode::FAILURE
    })
}

/// Fails if the run could not be finished or a reply was wrong. Refusals are only reported.
fn run(args: &RunArgs) -> Result<ExitCode, BenchError> {
    if let Some(core) = args.core
        && !core_affinity::set_for_current(core_affinity::CoreId { id: core })
    {
        return Err(BenchError::Pin { core });
    }
    let report = measure(args)?;
    println!("{report}");
    for doubt in warnings::doubts(&report) {
        eprintln!("ringfort-bench: warning: {doubt}");
    }
    if let Some(path) = &args.json {
        fs::write(path, report.to_json()).map_err(|cause| BenchError::Io {
            doing: "writing the JSON report",
            cause,
        })?;
    }
    let right = report.measured.tally.wrong == 0;
    Ok(if right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn measure(args: &RunArgs) -> Result<Report, BenchError> {
    let workload = args.workload();
    let target = (args.target.as_str(), resolve(&args.target)?);
    if args.prefill {
        prefill::run(target, &workload)?;
    }
    let depth = args.depth as usize;
    let check = match args.reply_bytes {
        None => Check::Whole {
            protocol: workload.protocol,
            items: workload.items,
        },
        Some(reply_bytes) => Check::Length {
            reply_bytes: reply_bytes as usize,
        },
    };
    let shared = Shared::new(Script::draw(&workload, depth), check);
    let mut fleet = Fleet::connect(target, args.connections as usize, depth, shared)?;
    let clocks = SchedulerClocks {
        server_pid: args.server_pid,
    };
    let (warmup_ns, duration_ns) = (
        args.warmup.as_nanos() as u64,
        args.duration.as_nanos() as u64,
    );
    let recorder = Recorder::new(warmup_ns, duration_ns, Box::new(clocks));
    let (measured, kept) = match args.rate {
        None => (closed_loop::run(&mut fleet, depth, recorder)?, None),
        Some(rate) => {
            let arrivals = Arrivals::new(rate, args.arrivals);
            let (measured, kept) = open_loop::run(&mut fleet, depth, arrivals, recorder)?;
            (measured, Some(kept))
        }
    };
    Ok(Report {
        label: args.label.clone(),
        workload,
        connections: args.connections,
        depth: args.depth,
        rate: args.rate,
        measured,
        kept,
    })
}

fn resolve(target: &str) -> Result<SocketAddr, BenchError> {
    let found = target.to_socket_addrs().and_then(|mut addresses| {
        addresses
            .next()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no address"))
    });
    found.map_err(|cause| BenchError::Connect {
        target: target.to_owned(),
        cause,
    })
}

/// Lengths for the value of key 0; with one length for all values, for every key.
fn print_shape(args: &ShapeArgs) {
    for (name, op) in [("get", Op::Read), ("set", Op::Write)] {
        let mut request = Vec::new();
        args.protocol
            .append_request(&mut request, op, 0, args.items());
        let reply_bytes = args.protocol.reply_bytes(op, args.value_bytes.bytes_of(0));
        println!("{name} request {} reply {reply_bytes}", request.len());
    }
}
