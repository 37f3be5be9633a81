//! LATENCY: how long requests took.

use std::io::Write as _;

use super::super::{
    core::Core,
    meter::{CommandFigures, EVENT_NAMES, History, Sample},
    round::{EventsWanted, Round},
    session::{Session, Step},
};
use crate::protocol::resp::{LatencyRequest, Rest, Version, reply, table};

/// Longest bar of LATENCY GRAPH, in characters.
const BAR_MAX: u64 = 40;

/// Answers LATENCY.
pub(super) fn latency(
    session: &mut Session,
    core: &mut Core,
    request: &LatencyRequest<'_>,
    version: Version,
) -> Step {
    let round = match *request {
        LatencyRequest::Histogram { commands } => {
            histogram(session, core, commands, version);
            return Step::Done;
        }
        LatencyRequest::Latest => Round::Events(EventsWanted::Latest),
        LatencyRequest::Doctor => Round::Events(EventsWanted::Doctor),
        LatencyRequest::History { event } => match number(event) {
            Some(event) => Round::Events(EventsWanted::History(event)),
            None => {
                session.reply(core, b"*0\r\n");
                return Step::Done;
            }
        },
        LatencyRequest::Graph { event } => match number(event) {
            Some(event) => Round::Events(EventsWanted::Graph(event)),
            None => {
                let mut line = core.buffers.take();
                no_samples(event, &mut line);
                session.refuse(core, &line);
                core.buffers.put(line);
                return Step::Done;
            }
        },
        LatencyRequest::Reset { events } => {
            let is_meant = |name: &str| {
                events.count() == 0 || events.into_iter().any(|event| event == name.as_bytes())
            };
            Round::ResetEvents(EVENT_NAMES.map(is_meant))
        }
    };
    session.go_round(core, round, version)
}

/// The number of an event of this name.
fn number(event: &[u8]) -> Option<usize> {
    EVENT_NAMES.iter().position(|name| name.as_bytes() == event)
}

fn no_samples(event: &[u8], out: &mut Vec<u8>) {
    let event = event.iter().map(|byte| match byte {
        b'\r' | b'\n' => b' ',
        byte => *byte,
    });
    out.extend_from_slice(b"-ERR No samples available for event '");
    out.extend(event);
    out.extend_from_slice(b"'\r\n");
}

/// A command and how long it took.
type Row = (&'static str, CommandFigures);

/// The distributions of the commands asked for, a container's name standing for all that is in it.
fn histogram(session: &mut Session, core: &mut Core, commands: Rest<'_>, version: Version) {
    let is_named = |word: &[u8], name: &str| {
        let container = name.split('|').next().unwrap_or(name);
        word.eq_ignore_ascii_case(name.as_bytes())
            || word.eq_ignore_ascii_case(container.as_bytes())
    };
    let is_meant =
        |name: &str| commands.count() == 0 || commands.into_iter().any(|word| is_named(word, name));
    let rows: Vec<Row> = table::all()
        .filter(|spec| is_meant(spec.name))
        .map(|spec| (spec.name, core.board.command(spec.command)))
        .filter(|(_, figures)| figures.durations.count() > 0)
        .collect();
    let out = session.replies.ready(&mut core.buffers);
    reply::map_header(out, rows.len(), version);
    for (name, figures) in rows {
        reply::bulk(out, name.as_bytes());
        reply::map_header(out, 2, version);
        reply::bulk(out, b"calls");
        reply::integer(out, figures.durations.count() as i64);
        reply::bulk(out, b"histogram_usec");
        let bounds = figures.durations.cumulative_us();
        reply::map_header(out, bounds.len(), version);
        for (us, count) in bounds {
            reply::integer(out, us as i64);
            reply::integer(out, count as i64);
        }
    }
}

/// What all shards saw, by event.
fn merged(shares: &[Vec<History>]) -> [History; EVENT_NAMES.len()] {
    std::array::from_fn(|event| {
        let histories: Vec<_> = shares
            .iter()
            .filter_map(|events| events.get(event).cloned())
            .collect();
        History::merged(&histories)
    })
}

/// The reply to what was asked of the events, from all shards' histories.
pub(super) fn write_events(
    core: &Core,
    wanted: EventsWanted,
    shares: &[Vec<History>],
    version: Version,
    out: &mut Vec<u8>,
) {
    let events = merged(shares);
    match wanted {
        EventsWanted::Latest => latest(&events, out),
        EventsWanted::History(event) => {
            let samples = events[event].samples();
            reply::array_header(out, samples.len());
            for Sample { unix_seconds, ms } in samples {
                reply::array_header(out, 2);
                reply::integer(out, unix_seconds as i64);
                reply::integer(out, ms as i64);
            }
        }
        EventsWanted::Graph(event) => match events[event].latest() {
            None => no_samples(EVENT_NAMES[event].as_bytes(), out),
            Some(_) => {
                let text = graph(core, EVENT_NAMES[event], &events[event]);
                reply::verbatim(out, text.as_slice(), version);
            }
        },
        EventsWanted::Doctor => reply::verbatim(out, &doctor(core, &events), version),
    }
}

/// How many events there were to forget, of those that were meant.
pub(super) fn write_reset(
    is_meant: [bool; EVENT_NAMES.len()],
    shares: &[Vec<History>],
    out: &mut Vec<u8>,
) {
    let events = merged(shares);
    let there = events.iter().zip(is_meant);
    let count = there.filter(|(event, is_meant)| *is_meant && event.latest().is_some());
    reply::integer(out, count.count() as i64);
}

fn latest(events: &[History], out: &mut Vec<u8>) {
    let there: Vec<_> = EVENT_NAMES
        .iter()
        .zip(events)
        .filter_map(|(name, event)| Some((name, event.latest()?, event.ms_max)))
        .collect();
    reply::array_header(out, there.len());
    for (name, Sample { unix_seconds, ms }, ms_max) in there {
        reply::array_header(out, 4);
        reply::bulk(out, name.as_bytes());
        for number in [unix_seconds, ms, ms_max] {
            reply::integer(out, number as i64);
        }
    }
}

/// A bar for each sample, the oldest first.
fn graph(core: &Core, name: &str, event: &History) -> Vec<u8> {
    let high = event.samples().map(|sample| sample.ms).max().unwrap_or(0);
    let low = event.samples().map(|sample| sample.ms).min().unwrap_or(0);
    let mut text = Vec::new();
    // Writing to a Vec cannot fail.
    let _ = writeln!(
        text,
        "{name} - high {high} ms, low {low} ms (all time high {} ms)",
        event.ms_max
    );
    for Sample { unix_seconds, ms } in event.samples() {
        let bar = "#".repeat((ms * BAR_MAX / high.max(1)) as usize);
        let ago = core.now.seconds().saturating_sub(unix_seconds);
        let _ = writeln!(text, "{ago:>7}s ago {ms:>7} ms {bar}");
    }
    text
}

fn doctor(core: &Core, events: &[History]) -> Vec<u8> {
    let threshold_ms = core.settings.tunables.latency_monitor_ms.get();
    let mut text = Vec::new();
    if threshold_ms == 0 {
        let off = b"The latency monitor is off. CONFIG SET latency-monitor-threshold \
            <milliseconds> turns it on.\n";
        return off.to_vec();
    }
    // Writing to a Vec cannot fail.
    for (name, event) in EVENT_NAMES.iter().zip(events) {
        let samples = event.samples();
        if samples.len() == 0 {
            continue;
        }
        let (count, sum) = samples.fold((0, 0), |(count, sum), one| (count + 1, sum + one.ms));
        let _ = writeln!(
            text,
            "{name}: {count} seconds in which requests took at least {threshold_ms} ms, \
             {} ms on average, {} ms at most. SLOWLOG GET may tell which.",
            sum / count,
            event.ms_max
        );
    }
    if text.is_empty() {
        let _ = writeln!(text, "No request took {threshold_ms} ms or more.");
    }
    text
}
