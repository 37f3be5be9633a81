//! What was found out, for people.

use std::fmt::Write;

use crate::modes::tune::goal::Goal;
use crate::modes::tune::search::{End, Outcome, Row, said};
use crate::modes::tune::worth::{Verdict, Worth};

/// One value as soon as it is decided.
pub(super) fn told(row: &Row) -> String {
    let settings = last(row);
    match &row.end {
        End::Failed(why) => format!("{settings}: fails: {why}"),
        End::Decided(_) | End::Undecided => format!(
            "{settings}: {} {}, {} trials",
            verdict(row),
            interval(row.worth),
            row.pairs
        ),
    }
}

/// All of it: a row for each value, then what that means.
pub(super) fn table(goal: Goal, start: f64, found: &Outcome) -> String {
    let mut text = format!(
        "{} without any of these: {}\n\n",
        goal.name(),
        goal.told(start)
    );
    let widest = found.rows.iter().map(|row| last(row).len()).max();
    let wide = widest.unwrap_or(0).max("all chosen together".len());
    let _ = writeln!(
        text,
        "{:wide$}  {:>7}  {:17}  {:>6}  verdict",
        "setting", "worth", "99 % interval", "trials"
    );
    for row in found.rows.iter().chain(&found.together) {
        let name = match row.settings.len() {
            0 | 1 => last(row),
            // The others are those that had been chosen before.
            _ if found.together.as_ref() == Some(row) => "all chosen together".to_owned(),
            _ => last(row),
        };
        let _ = writeln!(
            text,
            "{name:wide$}  {:>7}  {:17}  {:>6}  {}",
            ratio(row.worth),
            interval(row.worth),
            row.pairs,
            verdict(row)
        );
    }
    text.push('\n');
    text.push_str(&conclusion(found));
    text
}

fn conclusion(found: &Outcome) -> String {
    let mut text = match found.chosen.as_slice() {
        [] => "nothing that was tried is better than leaving it out\n".to_owned(),
        chosen => format!("worth giving: {}\n", said(chosen)),
    };
    let nothing = idle_flags(&found.rows);
    if !nothing.is_empty() {
        let _ = writeln!(text, "worth nothing here: {}", nothing.join(" "));
    }
    text
}

/// Flags of which no value that the server runs with made a difference.
fn idle_flags(rows: &[Row]) -> Vec<&str> {
    let mut flags: Vec<&str> = Vec::new();
    for row in rows {
        let Some(setting) = row.settings.last() else {
            continue;
        };
        if flags.last() != Some(&setting.flag.as_str()) {
            flags.push(&setting.flag);
        }
    }
    flags.retain(|flag| {
        let ends = || {
            rows.iter()
                .filter(|row| row.settings.last().is_some_and(|last| last.flag == *flag))
                .map(|row| &row.end)
        };
        let same = End::Decided(Verdict::Same);
        ends().any(|end| *end == same)
            && ends().all(|end| *end == same || matches!(end, End::Failed(_)))
    });
    flags
}

/// The setting that a row is about.
fn last(row: &Row) -> String {
    row.settings
        .last()
        .map_or_else(String::new, ToString::to_string)
}

fn ratio(worth: Option<Worth>) -> String {
    worth.map_or_else(|| "-".to_owned(), |worth| format!("{:.3}x", worth.ratio))
}

fn interval(worth: Option<Worth>) -> String {
    match worth {
        Some(Worth { low, high, .. }) if high.is_finite() => {
            format!("[{low:.3}, {high:.3}]")
        }
        _ => "[too few trials]".to_owned(),
    }
}

fn verdict(row: &Row) -> String {
    let verdict = match &row.end {
        End::Decided(Verdict::Better) => "better",
        End::Decided(Verdict::Worse) => "worse",
        End::Decided(Verdict::Same) => "no difference",
        End::Decided(Verdict::Open) | End::Undecided => "not known",
        End::Failed(why) => return format!("fails: {why}"),
    };
    let chosen = if row.is_chosen { ", chosen" } else { "" };
    format!("{verdict}{chosen}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modes::tune::knob::Setting;

    fn row(settings: &[(&str, &str)], end: End, ratio: f64) -> Row {
        let settings = settings.iter().map(|(flag, value)| Setting {
            flag: (*flag).to_owned(),
            value: (*value).to_owned(),
        });
        Row {
            settings: settings.collect(),
            worth: Some(Worth {
                ratio,
                low: ratio - 0.05,
                high: ratio + 0.05,
            }),
            pairs: 9,
            is_chosen: end == End::Decided(Verdict::Better),
            end,
        }
    }

    fn found() -> Outcome {
        let better = row(&[("--a", "1")], End::Decided(Verdict::Better), 1.2);
        Outcome {
            chosen: better.settings.clone(),
            rows: vec![
                better,
                row(&[("--a", "2")], End::Decided(Verdict::Same), 1.0),
                row(
                    &[("--a", "1"), ("--b", "")],
                    End::Failed("no such flag".into()),
                    1.0,
                ),
                row(
                    &[("--a", "1"), ("--c", "5")],
                    End::Decided(Verdict::Same),
                    1.01,
                ),
                row(
                    &[("--a", "1"), ("--c", "x")],
                    End::Failed("no number".into()),
                    1.0,
                ),
                row(&[("--a", "1"), ("--d", "5")], End::Undecided, 1.01),
            ],
            together: None,
        }
    }

    #[test]
    fn the_table_tells_worth_certainty_and_what_is_idle() {
        let text = table(Goal::Cpu, 1.0 / 5000.0, &found());
        assert!(text.starts_with("server CPU per request without any of these: 5000 ns\n"));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[3],
            "--a 1                 1.200x  [1.150, 1.250]          9  better, chosen"
        );
        assert!(lines[5].ends_with("fails: no such flag"), "{text}");
        assert!(lines[8].ends_with("not known"), "{text}");
        assert_eq!(lines[10], "worth giving: --a 1");
        assert_eq!(lines[11], "worth nothing here: --c");
    }

    #[test]
    fn a_search_that_found_nothing_says_so() {
        let nothing = Outcome {
            chosen: Vec::new(),
            rows: Vec::new(),
            together: None,
        };
        let text = table(Goal::Throughput, 1e5, &nothing);
        assert!(text.contains("100000/s"), "{text}");
        assert!(text.contains("nothing that was tried is better"), "{text}");
    }
}
