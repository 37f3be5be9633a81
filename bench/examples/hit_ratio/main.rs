//! `hit_ratio`: what the store's eviction keeps, beside exact LRU, S3-FIFO and W-TinyLFU.
//!
//! `cargo run --release -p ringfort-bench --example hit_ratio` prints the table of tuning.md. Ours is no model: it is the
//! store itself, one partition of `--memory`, a look-up for each request and a set after each miss. The others are exact
//! simulations over numbers of keys, to which all entries are of the usual size, so a policy's memory is a count of them:
//!
//! * **as many entries** as the store held at the end, with LRU: what remains is the policy alone.
//! * **as much memory**, of which the others lose nothing but [`HEADER_BYTES`] an entry: what the store's own layout
//!   (spare segments, holes, the index) costs shows, too. No real store is as dense.

mod list;
mod load;
mod lru;
mod ours;
mod policy;
mod s3_fifo;
mod tiny_lfu;

use std::io::{self, Write};

use clap::Parser;
use ringfort::store::Eviction;

use load::{LOADS, Load};
use lru::Lru;
use ours::{Ours, pair_bytes};
use policy::{Counting, Policy, Ratio, Request};
use s3_fifo::S3Fifo;
use tiny_lfu::TinyLfu;

/// What an entry of the others takes besides key and value: the goal that ringfort's design sets itself.
const HEADER_BYTES: usize = 24;

/// Hit ratios of the store's eviction and of others, on loads that tell them apart.
#[derive(Parser)]
struct Args {
    /// Memory of the store in MiB; at least 1
    #[arg(long, value_name = "MIB", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=65536))]
    memory: u32,

    /// Bytes of a value
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1024))]
    value_bytes: u32,

    /// Requests of each load, of which the first half warms up
    #[arg(long, value_name = "N", default_value_t = 10_000_000, value_parser = clap::value_parser!(u32).range(1000..))]
    requests: u32,

    /// Only loads whose name has this in it
    #[arg(long, value_name = "TEXT", default_value = "")]
    load: String,
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "| load | lru | entries | s3fifo | entries | LRU | S3-FIFO | W-TinyLFU | same memory: LRU | S3-FIFO | W-TinyLFU |"
    )?;
    writeln!(out, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")?;
    for load in LOADS.iter().filter(|load| load.name.contains(&args.load)) {
        writeln!(out, "{}", row(load, &args)?)?;
    }
    Ok(())
}

fn row(load: &Load, args: &Args) -> io::Result<String> {
    let memory_bytes = (args.memory as usize) << 20;
    let value_bytes = args.value_bytes as usize;
    let dense = (memory_bytes / (pair_bytes(value_bytes) + HEADER_BYTES)) as u32;
    let requests = args.requests;
    let run = |policy: &mut dyn Policy| {
        let mut ratio = Ratio::default();
        let mut drawn = load.draws(dense);
        for number in 0..requests {
            let key = drawn.next_key();
            let is_hit = policy.request(Request {
                key,
                value_bytes: load.value_bytes(key, value_bytes),
                life: load.life(dense),
            });
            if number >= requests / 2 {
                ratio.count(is_hit);
            }
        }
        ratio
    };
    let keys = load.keys(dense);
    let lru = |entries| run(&mut Counting::new(Lru::new(entries, keys), keys)).to_string();
    let s3_fifo = |entries| run(&mut Counting::new(S3Fifo::new(entries, keys), keys)).to_string();
    let tiny_lfu = |entries| run(&mut Counting::new(TinyLfu::new(entries, keys), keys)).to_string();
    let mut columns = vec![load.name.to_owned()];
    let mut held = dense;
    for eviction in Eviction::ALL {
        let mut ours = Ours::new(memory_bytes, load.value_bytes_max(value_bytes), eviction)?;
        columns.push(run(&mut ours).to_string());
        columns.push(ours.entry_count().to_string());
        if eviction == Eviction::Lru {
            held = ours.entry_count();
        }
    }
    for entries in [held, dense] {
        columns.extend([lru(entries), s3_fifo(entries), tiny_lfu(entries)]);
    }
    Ok(format!("| {} |", columns.join(" | ")))
}
