//! Numbers, times and lists as they are typed.

use std::fmt;
use std::time::Duration;

use crate::workload::item::PREFIX_BYTES;

/// Cores that may be named: more than any machine has, so that a slip of the key asks for no endless list.
const CORE_MAX: usize = 4095;

/// A percentile and what it may not exceed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Goal {
    /// 0 to 1.
    pub(crate) quantile: f64,
    pub(crate) limit_ns: u64,
}

/// Cores by their numbers, in order, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cores(pub(crate) Vec<usize>);

/// Requests per second, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rates(pub(crate) Vec<f64>);

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Percentiles have few digits, and 0.999 * 100 too many.
        let percent = format!("{:.6}", self.quantile * 100.0);
        let percent = percent.trim_end_matches('0').trim_end_matches('.');
        write!(f, "p{percent}<{:?}", Duration::from_nanos(self.limit_ns))
    }
}

/// `p99.9<1ms`
pub(super) fn parse_goal(text: &str) -> Result<Goal, String> {
    let parts = text.strip_prefix('p').and_then(|rest| rest.split_once('<'));
    let (percent, limit) = parts.ok_or("not like p99.9<1ms")?;
    let percent = parse_between(percent, 0.0, 100.0)?;
    let limit = parse_span(limit)?;
    if limit.is_zero() {
        return Err("no server answers in no time".to_owned());
    }
    Ok(Goal {
        quantile: percent / 100.0,
        limit_ns: limit.as_nanos() as u64,
    })
}

pub(super) fn parse_prefix(text: &str) -> Result<[u8; PREFIX_BYTES], String> {
    <[u8; PREFIX_BYTES]>::try_from(text.as_bytes())
        .ok()
        .filter(|prefix| prefix.iter().all(u8::is_ascii_graphic))
        .ok_or_else(|| format!("not {PREFIX_BYTES} visible ASCII characters"))
}

/// A time that may be zero.
pub(super) fn parse_span(text: &str) -> Result<Duration, String> {
    let unit_start = text.find(char::is_alphabetic).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_start);
    let unit_s = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("unit is us, ms, s, m or h".to_owned()),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| "not a number with a unit".to_owned())?;
    let seconds = number * unit_s;
    if (0.0..=7.0 * 86400.0).contains(&seconds) {
        Ok(Duration::from_nanos((seconds * 1e9).round() as u64))
    } else {
        Err("not between nothing and a week".to_owned())
    }
}

/// A time that is not zero.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    match parse_span(text)? {
        Duration::ZERO => Err("nothing to measure in no time".to_owned()),
        duration => Ok(duration),
    }
}

pub(super) fn parse_share(text: &str) -> Result<f64, String> {
    parse_between(text, 0.0, 1.0)
}

/// Requests per second.
pub(super) fn parse_rate(text: &str) -> Result<f64, String> {
    parse_between(text, 0.1, 1e8)
}

pub(super) fn parse_rates(text: &str) -> Result<Rates, String> {
    let mut rates = text
        .split(',')
        .map(parse_rate)
        .collect::<Result<Vec<_>, _>>()?;
    rates.sort_by(f64::total_cmp);
    Ok(Rates(rates))
}

/// `1,3-5`
pub(super) fn parse_cores(text: &str) -> Result<Cores, String> {
    let mut cores = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.parse::<usize>(), last.parse::<usize>()) {
            (Ok(first), Ok(last)) if first <= last && last <= CORE_MAX => {
                cores.extend(first..=last)
            }
            _ => return Err("not a list of cores, as in 1,3-5".to_owned()),
        }
    }
    let named = cores.len();
    cores.sort_unstable();
    cores.dedup();
    if cores.len() == named {
        Ok(Cores(cores))
    } else {
        Err("a core is named twice".to_owned())
    }
}

pub(super) fn parse_between(text: &str, min: f64, max: f64) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(format!("not a number from {min} to {max}")),
    }
}
