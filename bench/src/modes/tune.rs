//! The best settings of the server's own flags for a load and a goal, by trials: what each is worth, and how surely.
//!
//! Each trial has a server of its own, started with the settings, filled and warmed up, so that whatever differs from one
//! start to the next (places in memory, seeds, which core took which interrupt) differs between trials and is part of what an
//! interval tells. [`mod@search`] says which trials are made, [`worth`] when they are enough.

pub(crate) mod goal;
pub(crate) mod knob;
mod search;
mod server;
mod table;
mod trial;
pub(crate) mod worth;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use self::knob::{Knob, Place, Setting};
use self::search::{Outcome, Patience, Trial, Trials, search};
use self::server::{Launcher, Unready};
use self::trial::Bed;
use crate::cli::TuneArgs;
use crate::error::BenchError;
use crate::modes::point::{self, Drawn};
use crate::output::files;
use crate::workload::rng::Rng;
use crate::workload::script::Workload;

/// The share of what the server does in a closed loop at which latencies are looked at, if no rate was given: busy, and not so
/// full that a queue's chance is all that is seen.
const RATE_SHARE: f64 = 0.7;

/// The order of trials is drawn from it: the same each time, as a load's draw is.
const ORDER_SEED: u64 = 0x7475_6e65;

/// Fails if the server cannot be started as it is, or a reply was wrong.
pub(crate) fn run(args: &TuneArgs) -> Result<ExitCode, BenchError> {
    let began = Instant::now();
    let (server_cores, cores) = cores(args)?;
    let is_shared = shared(&server_cores, &cores);
    // An hour of trials is not to be lost to a folder that is not there; what is in the file stays until then.
    files::check_writable("--out", &args.out)?;
    let workload = args.workload.workload();
    let launcher = Launcher::new(
        args.server_bin.clone(),
        workload.protocol,
        args.server_flags.clone(),
        server_cores,
    )?;
    let knobs = knobs(args, &launcher, &workload)?;
    point::pin(&cores)?;
    let drawn = Drawn::of(workload, args.fleet.connections, args.fleet.depth, cores);
    let mut bed = Bed {
        launcher: &launcher,
        drawn: &drawn,
        goal: args.goal,
        rate: args.rate,
        warmup: args.window.warmup,
        duration: args.window.duration,
        deadline: began + args.time,
        trials: 0,
        wrong: 0,
        crowded: 0,
        is_shared,
    };
    if args.goal.is_latency() && bed.rate.is_none() {
        bed.rate = Some(rate_to_look_at(&mut bed)?);
    }
    let start = match bed.measure(&[])? {
        Trial::Good(goodness) => goodness,
        Trial::Failed(why) => return Err(untunable(why)),
    };
    let patience = Patience {
        difference: args.difference,
        rounds_max: args.rounds as usize,
    };
    let found = search(&knobs, patience, &mut bed, &mut Rng::new(ORDER_SEED))?;
    write_flags(&args.out, &args.server_flags, &found.chosen)?;
    tell(args, &found, &bed, start, began);
    Ok(if bed.wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn tell(args: &TuneArgs, found: &Outcome, bed: &Bed<'_>, start: f64, began: Instant) {
    if bed.crowded * 2 > bed.trials {
        eprintln!(
            "ringfort-bench: warning: in {} of {} trials the generator was busy itself: give it more --cores, or less to do",
            bed.crowded, bed.trials
        );
    }
    if bed.is_shared {
        eprintln!(
            "ringfort-bench: warning: the server and the generator share a core: what each waits for the other is in \
             all numbers, and settings that use that core differently do not compare"
        );
    }
    print!("{}", table::table(args.goal, start, found));
    println!(
        "{} trials in {:.0} s; {} has the flags",
        bed.trials,
        began.elapsed().as_secs_f64(),
        args.out.display()
    );
}

/// What was named, or what is known of ringfort.
fn knobs(
    args: &TuneArgs,
    launcher: &Launcher,
    workload: &Workload,
) -> Result<Vec<Knob>, BenchError> {
    let place = Place {
        help: &launcher.help()?,
        fixed: &launcher.fixed,
        core_count: launcher.cores.len(),
        item_bytes: workload.items.key_sizes.bytes_max() + workload.items.sizes.bytes_max(),
    };
    if !args.knobs.is_empty() {
        check(&args.knobs, launcher, &place)?;
        return Ok(args.knobs.clone());
    }
    let knobs = place.knobs();
    if knobs.is_empty() {
        return Err(untunable(
            "it has no flag that is known to be a matter of speed here: name some with --knob"
                .to_owned(),
        ));
    }
    Ok(knobs)
}

/// Fails if the server does not take what was named: a slip is no result of an hour of trials. Whether it takes a value
/// only its start tells.
fn check(knobs: &[Knob], launcher: &Launcher, place: &Place<'_>) -> Result<(), BenchError> {
    let program = launcher.program.display();
    if let Some(Knob { flag, .. }) = knobs.iter().find(|knob| !place.is_known(&knob.flag)) {
        let known = place.known();
        let why = format_args!("{flag}: {program} has no such flag: {known}");
        return Err(BenchError::flag("--knob", why));
    }
    if let Some(why) = refusal(launcher, &[])? {
        let fixed = launcher.fixed.join(" ");
        let why = format_args!("{fixed}: {program} refuses that: {why}");
        return Err(BenchError::flag("--", why));
    }
    let values = |knob: &Knob| -> Vec<_> {
        let values = knob.values.iter();
        values.map(|value| knob.setting(value)).collect()
    };
    for setting in knobs.iter().flat_map(values) {
        let words: Vec<_> = setting.words().collect();
        if let Some(why) = refusal(launcher, &words)? {
            let why = format_args!("{}: {program} refuses that: {why}", words.join("="));
            return Err(BenchError::flag("--knob", why));
        }
    }
    Ok(())
}

/// What the server says if it does not take these flags. Whatever else keeps it from its work, a trial tells.
fn refusal(launcher: &Launcher, settings: &[String]) -> Result<Option<String>, BenchError> {
    match launcher.start(settings) {
        Err(Unready::Refused(why)) => Ok(Some(why)),
        Err(Unready::Absent(error)) => Err(error),
        Ok(_) | Err(Unready::Failed(_)) => Ok(None),
    }
}

/// The server's cores and the generator's, apart: by default the generator has the last one.
fn cores(args: &TuneArgs) -> Result<(Vec<usize>, Vec<usize>), BenchError> {
    let allowed = core_affinity::get_core_ids().unwrap_or_default();
    let allowed: Vec<_> = allowed.into_iter().map(|core| core.id).collect();
    apart(
        &allowed,
        args.server_cores.as_ref().map(|cores| &*cores.0),
        args.cores.as_ref().map(|cores| &*cores.0),
    )
    .ok_or(BenchError::Crowded)
}

fn apart(
    allowed: &[usize],
    server: Option<&[usize]>,
    generator: Option<&[usize]>,
) -> Option<(Vec<usize>, Vec<usize>)> {
    let without = |taken: &[usize]| -> Vec<usize> {
        let rest = allowed.iter().filter(|core| !taken.contains(core));
        rest.copied().collect()
    };
    let generator = match (generator, server) {
        (Some(generator), _) => generator.to_vec(),
        (None, server) => vec![without(server.unwrap_or_default()).pop()?],
    };
    let server = server.map_or_else(|| without(&generator), <[usize]>::to_vec);
    (!server.is_empty()).then_some((server, generator))
}

/// Whether a core is the server's and the generator's: only where both were named so.
fn shared(server: &[usize], generator: &[usize]) -> bool {
    server.iter().any(|core| generator.contains(core))
}

/// A closed loop tells what the server can do; latencies are looked at below.
fn rate_to_look_at(bed: &mut Bed<'_>) -> Result<f64, BenchError> {
    let report = bed.report(&[])?.map_err(untunable)?;
    let rate = (report.requests_per_s() * RATE_SHARE).round().max(1.0);
    eprintln!(
        "ringfort-bench: the server does {:.0}/s in a closed loop: its latency is looked at with {rate:.0}/s",
        report.requests_per_s()
    );
    Ok(rate)
}

fn untunable(why: String) -> BenchError {
    BenchError::Untunable {
        settings: String::new(),
        why,
    }
}

/// One line that a shell or `xargs` hands to the server: what it was given in any case, and what was chosen.
fn write_flags(path: &Path, fixed: &[String], chosen: &[Setting]) -> Result<(), BenchError> {
    let words = fixed
        .iter()
        .cloned()
        .chain(chosen.iter().flat_map(Setting::words));
    let line: Vec<_> = words.map(|word| quoted(&word)).collect();
    fs::write(path, line.join(" ") + "\n").map_err(|cause| BenchError::file(path, cause))
}

/// A word as a shell takes it for one.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=+:,./@%".contains(letter);
    match word.is_empty() || !word.chars().all(is_plain) {
        true => format!("'{}'", word.replace('\'', r"'\''")),
        false => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_and_generator_have_cores_of_their_own() {
        let four = [0, 1, 2, 3];
        assert_eq!(apart(&four, None, None), Some((vec![0, 1, 2], vec![3])));
        assert_eq!(
            apart(&four, None, Some(&[0, 1])),
            Some((vec![2, 3], vec![0, 1]))
        );
        assert_eq!(apart(&four, Some(&[3]), None), Some((vec![3], vec![2])));
        let (server, generator) = apart(&four, Some(&[1, 2]), Some(&[2])).unwrap();
        assert!(shared(&server, &generator), "both were named");
        let (server, generator) = apart(&four, Some(&[1, 2]), None).unwrap();
        assert!(!shared(&server, &generator));
        assert_eq!(apart(&[0], None, None), None);
        assert_eq!(apart(&[], None, None), None);
    }

    #[test]
    fn words_that_a_shell_would_take_apart_are_quoted() {
        assert_eq!(quoted("--server"), "--server");
        assert_eq!(quoted("127.0.0.1:7001"), "127.0.0.1:7001");
        assert_eq!(quoted("http://a/{key}"), "'http://a/{key}'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
