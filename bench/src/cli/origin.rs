//! Flags of an origin.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use super::parsers::parse_span;
use super::workload::ItemArgs;

#[derive(Debug, Args)]
pub(crate) struct OriginArgs {
    /// Address to listen on; port 0 takes a free one, which the ready line tells
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7200")]
    pub(crate) listen: SocketAddr,

    #[command(flatten)]
    pub(crate) items: ItemArgs,

    /// How long every answer is held back (2ms)
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_span)]
    pub(crate) delay: Duration,

    /// Seconds that a value is good, which each answer says (Cache-Control) [default: it says nothing]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) max_age: Option<u32>,

    /// Core to run on [default: anywhere]
    #[arg(long, value_name = "N")]
    pub(crate) core: Option<usize>,
}
