//! `ringfort spool ls`: what is there.

use std::{io::Write, path::PathBuf};

use super::{Failure, NO_LIMITS, Source, Verdict, Waiting, wish};
use crate::spool::{Folder, Scan, mcrouter, segment};

pub(super) fn run(source: Source, out: &mut impl Write) -> Result<Verdict, Failure> {
    match source {
        Source::Own(folder) => own(&folder, out),
        Source::Mcrouter(files) => of_mcrouter(&files, out),
    }
}

fn own(folder: &Folder, out: &mut impl Write) -> Result<Verdict, Failure> {
    if folder.is_in_use() {
        writeln!(
            out,
            "in use by a running ringfort: what is listed may be over by now"
        )?;
    }
    let (log, flaws) = folder.load(NO_LIMITS, 0).map_err(Failure::source)?;
    let mut live_counts = std::collections::BTreeMap::<u64, u64>::new();
    for place in log.live() {
        *live_counts.entry(place.segment).or_default() += 1;
    }
    let mut record_count = 0;
    for number in folder.segments().map_err(Failure::source)? {
        let bytes = folder.read(number).map_err(Failure::source)?;
        let count = Scan::new(&bytes).count() as u64;
        let live = live_counts.get(&number).copied().unwrap_or(0);
        record_count += count;
        let name = segment::file_name(number);
        writeln!(
            out,
            "segment  {name}: {} bytes, {count} records, {live} live",
            bytes.len()
        )?;
    }
    let mut waiting = Waiting::default();
    let listed = folder.live(&log, |_, write| waiting.add(write));
    listed.map_err(Failure::source)?;
    waiting.write(out)?;
    let figures = log.figures();
    writeln!(
        out,
        "total    {} segments, {} bytes, {record_count} records, {} live, {} bytes of them",
        figures.segment_count, figures.bytes, figures.record_count, figures.live_bytes
    )?;
    if !flaws.is_empty() {
        writeln!(out, "flaws    {}; see ringfort spool verify", flaws.len())?;
    }
    Ok(Verdict::Good)
}

fn of_mcrouter(files: &[PathBuf], out: &mut impl Write) -> Result<Verdict, Failure> {
    let mut waiting = Waiting::default();
    let mut total = 0_u64;
    let mut unread = 0_u64;
    for file in files {
        let mut count = 0;
        let read = mcrouter::read_file(file, |_, line| match line {
            Ok(delete) => {
                count += 1;
                waiting.add(&wish(&delete));
            }
            Err(_) => unread += 1,
        });
        read.map_err(|error| Failure::source(format_args!("{}: {error}", file.display())))?;
        total += count;
        writeln!(out, "mcrouter {}: {count} deletes", file.display())?;
    }
    waiting.write(out)?;
    writeln!(out, "total    {} files, {total} deletes", files.len())?;
    if unread > 0 {
        writeln!(out, "flaws    {unread} lines; see ringfort spool verify")?;
    }
    Ok(Verdict::Good)
}
