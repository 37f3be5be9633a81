//! The CPU time of this process, as the kernel tells it (`proc(5)`).

use std::fs;

use crate::shard::CpuTime;

/// The kernel tells times in units of a hundredth of a second, whatever its own clock (`USER_HZ`).
const US_PER_TICK: u64 = 10_000;
/// Where user time stands among the fields behind the process' name; system time is next.
const USER_FIELD: usize = 11;

/// What the process has used so far; nothing if the kernel does not tell.
pub(super) fn cpu_time() -> CpuTime {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    parse(&stat).unwrap_or_default()
}

fn parse(stat: &str) -> Option<CpuTime> {
    // The name stands in parentheses, and may have some itself.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_ascii_whitespace().skip(USER_FIELD);
    let mut next_us = || {
        Some(
            ticks
                .next()?
                .parse::<u64>()
                .ok()?
                .saturating_mul(US_PER_TICK),
        )
    };
    Some(CpuTime {
        user_us: next_us()?,
        system_us: next_us()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "42 (a (b) c 1) S 1 42 42 0 -1 4194304 100 0 0 0 17 250 0 0 20 0 4 0 99 1 1";
        let expected = CpuTime {
            user_us: 170_000,
            system_us: 2_500_000,
        };
        assert_eq!(parse(stat), Some(expected));
        assert_eq!(parse("42 (name) S 1"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn the_kernel_tells() {
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        assert!(parse(&stat).is_some(), "{stat}");
    }
}
