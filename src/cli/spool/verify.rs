//! `ringfort spool verify`: whether all is as it was written.

use std::{io::Write, path::PathBuf};

use super::{Failure, NO_LIMITS, Source, Verdict};
use crate::spool::{Folder, mcrouter};

pub(super) fn run(source: Source, out: &mut impl Write) -> Result<Verdict, Failure> {
    match source {
        Source::Own(folder) => own(&folder, out),
        Source::Mcrouter(files) => of_mcrouter(&files, out),
    }
}

fn own(folder: &Folder, out: &mut impl Write) -> Result<Verdict, Failure> {
    let (log, flaws) = folder.load(NO_LIMITS, 0).map_err(Failure::source)?;
    for flaw in &flaws {
        writeln!(out, "{flaw}")?;
    }
    let corrupt = flaws.iter().filter(|flaw| flaw.kind.is_corruption());
    let corrupt = corrupt.count();
    let figures = log.figures();
    writeln!(
        out,
        "{} segments, {} live records, {corrupt} corruptions",
        figures.segment_count, figures.record_count
    )?;
    Ok(verdict(corrupt == 0))
}

fn of_mcrouter(files: &[PathBuf], out: &mut impl Write) -> Result<Verdict, Failure> {
    let mut flaws = Vec::new();
    let mut count = 0_u64;
    for file in files {
        let read = mcrouter::read_file(file, |line, read| match read {
            Ok(_) => count += 1,
            Err(error) => flaws.push((file, line, error)),
        });
        read.map_err(|error| Failure::source(format_args!("{}: {error}", file.display())))?;
    }
    for (file, line, error) in &flaws {
        writeln!(out, "{}:{line}: {error}", file.display())?;
    }
    let corrupt = flaws.len();
    writeln!(
        out,
        "{} files, {count} deletes, {corrupt} corruptions",
        files.len()
    )?;
    Ok(verdict(corrupt == 0))
}

fn verdict(is_good: bool) -> Verdict {
    match is_good {
        true => Verdict::Good,
        false => Verdict::Bad,
    }
}
