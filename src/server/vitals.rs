//! Asks the operating system about this process: `/proc`, see proc(5).

use std::fs;

use crate::shard::Vitals;

/// Ticks of a second in `/proc/self/stat`: `USER_HZ`, the same on every Linux.
const TICKS_PER_SECOND: u64 = 100;

/// Where the times stand behind the command's name in `/proc/self/stat`.
const USER_TIME_FIELD: usize = 11;

/// Reads the process' numbers; what cannot be read is 0 or empty.
pub(super) fn read() -> Vitals {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let (cpu_user_ms, cpu_system_ms) = cpu_ms();
    let executable = std::env::current_exe().unwrap_or_default();
    Vitals {
        resident_bytes: kibibytes(&status, "VmRSS:") * 1024,
        resident_bytes_peak: kibibytes(&status, "VmHWM:") * 1024,
        machine_bytes: kibibytes(&memory, "MemTotal:") * 1024,
        cpu_system_ms,
        cpu_user_ms,
        system: system(),
        executable: executable.display().to_string(),
    }
}

/// The number of a line such as `VmRSS:     1234 kB`.
fn kibibytes(text: &str, label: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Time in the program and in the kernel.
fn cpu_ms() -> (u64, u64) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name may hold blanks and parentheses; the last one ends it.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let mut times = fields
        .split_whitespace()
        .skip(USER_TIME_FIELD)
        .map(|ticks| ticks.parse::<u64>().unwrap_or(0) * 1_000 / TICKS_PER_SECOND);
    (
        times.next().unwrap_or_default(),
        times.next().unwrap_or_default(),
    )
}

fn system() -> String {
    let read = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
        text.trim().to_owned()
    };
    format!(
        "{} {} {}",
        read("ostype"),
        read("osrelease"),
        std::env::consts::ARCH
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_and_a_system() {
        let vitals = read();
        assert!(vitals.resident_bytes > 1 << 16, "{vitals:?}");
        assert!(vitals.resident_bytes_peak >= vitals.resident_bytes / 2);
        assert!(vitals.machine_bytes > vitals.resident_bytes);
        assert!(vitals.system.starts_with("Linux "), "{vitals:?}");
    }

    #[test]
    fn processor_time_is_counted() {
        let mut sum = 0_u64;
        // Some tens of milliseconds of work, as the clock is coarse; it stops once it shows.
        for number in 0..2_000_000_000_u64 {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(number));
            if number % 10_000_000 == 0 && cpu_ms().0 > 0 {
                return;
            }
        }
        panic!("no time was counted: {:?}, {sum}", cpu_ms());
    }

    #[test]
    fn a_line_that_is_missing_counts_nothing() {
        assert_eq!(kibibytes("VmRSS:\t  12 kB\n", "VmRSS:"), 12);
        assert_eq!(kibibytes("VmRSS:\n", "VmRSS:"), 0);
        assert_eq!(kibibytes("", "VmRSS:"), 0);
    }
}
