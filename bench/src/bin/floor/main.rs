//! `floor`: the least that a TCP server on one io_uring can cost.
//!
//! It parses nothing, stores nothing and answers every request by rote, so what it spends is the
//! kernel's TCP, one multishot receive, one copied reply and one send. Servers are judged by their
//! distance from it.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

use clap::Parser;

#[expect(
    unsafe_code,
    reason = "submitting to io_uring and reading provided buffers are raw memory by nature"
)]
mod echo;

/// Answers each request with the same bytes, as cheaply as one io_uring can.
#[derive(Parser)]
#[command(name = "floor", version)]
struct Args {
    /// Address to listen on; port 0 takes a free one, which the ready line tells
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7100")]
    listen: SocketAddr,

    /// Core to run on
    #[arg(long, value_name = "N", default_value_t = 0)]
    core: usize,

    /// Length of a request in bytes; 0 = a request is a line, whatever its length
    #[arg(long, value_name = "N", default_value_t = 0)]
    request_bytes: usize,

    /// Length of every reply in bytes
    #[arg(long, value_name = "N", default_value_t = 128,
          value_parser = clap::value_parser!(u32).range(2..=echo::REPLY_BYTES_MAX as i64))]
    reply_bytes: u32,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    if !core_affinity::set_for_current(core_affinity::CoreId { id: args.core }) {
        return Err(format!("cannot run on core {}", args.core));
    }
    let listening =
        TcpListener::bind(args.listen).and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (address, listener) =
        listening.map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
    let framing = match args.request_bytes {
        0 => echo::Framing::Lines,
        request_bytes => echo::Framing::Fixed { request_bytes },
    };
    println!("floor ready: {address}");
    // A closed stdout is the starter's choice; the floor serves on.
    let _ = std::io::stdout().flush();
    let error = echo::serve(&listener, framing, args.reply_bytes as usize);
    Err(format!("io_uring: {error}"))
}
