//! Files that were asked for.

use std::fs;
use std::io::Write;
use std::path::Path;

use hdrhistogram::Histogram;

use crate::cli::{LatencyArgs, OutputArgs};
use crate::error::BenchError;
use crate::output::record::Document;

/// What is written for programs in any mode.
pub(crate) struct Files<'a>(pub(crate) &'a OutputArgs);

/// Lines of a distribution for each halving of the distance to 100 %, as HdrHistogram's own tools have it.
const TICKS_PER_HALF_DISTANCE: u32 = 5;

impl Files<'_> {
    /// Fails if it cannot be written, before hours are measured for it. What is in it stays until then.
    pub(crate) fn check(&self) -> Result<(), BenchError> {
        let json = self.0.json.as_deref();
        json.map_or(Ok(()), |path| check_writable("--json", path))
    }

    pub(crate) fn json(&self, document: &Document) -> Result<(), BenchError> {
        let Some(path) = &self.0.json else {
            return Ok(());
        };
        let json = serde_json::to_string_pretty(document)
            .map_err(|error| BenchError::file(path, error))?;
        write(path, &(json + "\n"))
    }
}

impl LatencyArgs {
    /// Fails if one cannot be written, as above.
    pub(crate) fn check(&self) -> Result<(), BenchError> {
        for (flag, path) in [("--hgrm", &self.hgrm), ("--hlog", &self.hlog)] {
            if let Some(path) = path {
                check_writable(flag, path)?;
            }
        }
        Ok(())
    }

    /// The distribution, if it was asked for.
    pub(crate) fn write_hgrm(&self, latencies: &Histogram<u64>) -> Result<(), BenchError> {
        match &self.hgrm {
            Some(path) => write(path, &distribution(latencies)),
            None => Ok(()),
        }
    }
}

/// Fails if the file that a flag names cannot be written; makes it if it is not there.
pub(crate) fn check_writable(flag: &'static str, path: &Path) -> Result<(), BenchError> {
    let opened = fs::OpenOptions::new().append(true).create(true).open(path);
    opened
        .map(drop)
        .map_err(|cause| BenchError::flag_file(flag, path, cause))
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), BenchError> {
    let mut file = fs::File::create(path).map_err(|error| BenchError::file(path, error))?;
    file.write_all(text.as_bytes())
        .map_err(|error| BenchError::file(path, error))
}

/// The percentile distribution in ms, in the form that HdrHistogram's `outputPercentileDistribution` has given it and
/// plotters read.
fn distribution(latencies: &Histogram<u64>) -> String {
    let ms = |ns: u64| ns as f64 / 1e6;
    let mut text = String::from("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
    for step in latencies.iter_quantiles(TICKS_PER_HALF_DISTANCE) {
        let (value, quantile) = (ms(step.value_iterated_to()), step.quantile_iterated_to());
        let count = latencies.count_between(0, step.value_iterated_to());
        text += &format!("{value:12.3} {quantile:2.12} {count:10}");
        if quantile < 1.0 {
            text += &format!(" {:14.2}", 1.0 / (1.0 - quantile));
        }
        text.push('\n');
    }
    let mean = latencies.mean() / 1e6;
    let deviation = latencies.stdev() / 1e6;
    let (max, count) = (ms(latencies.max()), latencies.len());
    // The next power of two above twice what the digits need.
    let sub_buckets = (2 * 10u64.pow(u32::from(latencies.sigfig()))).next_power_of_two();
    let buckets = latencies.buckets();
    text += &format!("#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]\n");
    text += &format!("#[Max     = {max:12.3}, Total count    = {count:12}]\n");
    text += &format!("#[Buckets = {buckets:12}, SubBuckets     = {sub_buckets:12}]\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::report::tests::report;

    #[test]
    fn a_distribution_has_the_columns_that_plotters_read() {
        let text = distribution(&report().measured.latencies);
        let mut lines = text.lines();
        assert_eq!(lines.next().unwrap().split_whitespace().count(), 4);
        let rows: Vec<Vec<f64>> = lines
            .skip(1)
            .take_while(|line| !line.starts_with('#'))
            .map(|line| {
                line.split_whitespace()
                    .map(|word| word.parse().unwrap())
                    .collect()
            })
            .collect();
        let (first, last) = (&rows[0], &rows[rows.len() - 1]);
        assert_eq!((first[1], first[3]), (0.0, 1.0));
        assert_eq!((last[1], last[2], last.len()), (1.0, 1000.0, 3));
        assert!((last[0] - 1.0).abs() < 0.001, "{last:?}");
        let half = rows.iter().find(|row| row[1] == 0.5).unwrap();
        assert!((half[0] - 0.5).abs() < 0.001 && half[3] == 2.0, "{half:?}");
        assert!(rows.is_sorted_by(|a, b| a[0] <= b[0] && a[2] <= b[2]));
        assert!(text.contains("Total count    =         1000]"), "{text}");
    }
}
