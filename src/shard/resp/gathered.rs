//! The replies to requests that went round all shards, from the shards' shares.

use super::super::{
    core::Core,
    meter::History,
    round::{Finished, Kill, Round, Share},
};
use super::latency;
use crate::protocol::resp::{Version, reply};

/// Writes the reply to a round that is finished.
pub(in crate::shard) fn finish_round(core: &Core, finished: Finished, out: &mut Vec<u8>) {
    let Finished {
        round,
        version,
        mut shares,
        ..
    } = finished;
    let events = |shares: &mut [Share]| -> Vec<Vec<History>> {
        let take = |share: &mut Share| std::mem::take(&mut share.events);
        shares.iter_mut().map(take).collect()
    };
    match &*round {
        Round::Clients(_) | Round::ThisClient => write_text(shares, version, out),
        // It is memcache's.
        Round::Conns { .. } => {}
        Round::Kill(kill) => write_killed(kill, count(&shares), out),
        Round::Unblock(_) => reply::integer(out, count(&shares) as i64),
        Round::Pause(_)
        | Round::Unpause
        | Round::ResetStats
        | Round::TrimSlowLog { .. }
        | Round::ResetSlowLog { .. } => out.extend_from_slice(reply::OK),
        Round::SlowLog { count, .. } => {
            let len_max = core.settings.tunables.slow_log_len_max.get();
            let count = usize::try_from(len_max).map_or(*count, |max| max.min(*count));
            let items = Share::in_order(shares);
            reply::array_header(out, items.len().min(count));
            items
                .iter()
                .take(count)
                .for_each(|(_, item)| out.extend_from_slice(item));
        }
        Round::SlowLogLen { .. } => {
            let len_max = core.settings.tunables.slow_log_len_max.get();
            reply::integer(out, count(&shares).min(len_max) as i64);
        }
        Round::Events(wanted) => {
            latency::write_events(core, *wanted, &events(&mut shares), version, out);
        }
        Round::ResetEvents(is_meant) => {
            latency::write_reset(*is_meant, &events(&mut shares), out);
        }
    }
}

fn count(shares: &[Share]) -> u64 {
    shares.iter().map(|share| share.count).sum()
}

fn write_text(shares: Vec<Share>, version: Version, out: &mut Vec<u8>) {
    let text: Vec<u8> = Share::in_order(shares)
        .into_iter()
        .flat_map(|(_, item)| item)
        .collect();
    reply::verbatim(out, &text, version);
}

fn write_killed(kill: &Kill, count: u64, out: &mut Vec<u8>) {
    match count {
        0 if kill.is_old_form => out.extend_from_slice(b"-ERR No such client\r\n"),
        _ if kill.is_old_form => out.extend_from_slice(reply::OK),
        count => reply::integer(out, count as i64),
    }
}
