//! LATENCY: how long requests took.

use super::super::{
    args::{Args, Rest},
    table::{Command, CommandSpec},
};

/// One LATENCY request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are named as Redis's documentation names the arguments"
)]
pub enum LatencyRequest<'b> {
    /// No names means all.
    Histogram {
        commands: Rest<'b>,
    },
    /// No names means all.
    Reset {
        events: Rest<'b>,
    },
    Latest,
    History {
        event: &'b [u8],
    },
    Graph {
        event: &'b [u8],
    },
    Doctor,
}

impl<'b> LatencyRequest<'b> {
    /// Gives a frame that has the command's arity its meaning; `None` for commands about
    /// something else.
    pub(super) fn read(spec: &'static CommandSpec, args: Args<'b>) -> Option<Self> {
        let request = match spec.command {
            Command::LatencyHistogram => Self::Histogram {
                commands: args.rest(2),
            },
            Command::LatencyReset => Self::Reset {
                events: args.rest(2),
            },
            Command::LatencyLatest => Self::Latest,
            Command::LatencyHistory => Self::History { event: args.at(2) },
            Command::LatencyGraph => Self::Graph { event: args.at(2) },
            Command::LatencyDoctor => Self::Doctor,
            _ => return None,
        };
        Some(request)
    }
}
