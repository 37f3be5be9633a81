//! HdrHistogram's interval log: each second's latencies, so that any of its tools can cut out and add up what it wants.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriter, IntervalLogWriterBuilder};

use crate::error::BenchError;

/// The log of a run; writes nothing if none was asked for.
pub(crate) struct Log<'a, 'b> {
    writer: Option<IntervalLogWriter<'a, 'b, BufWriter<File>, V2DeflateSerializer>>,
}

impl Log<'_, '_> {
    /// The latencies of the `second`-th second of the window, ns.
    pub(crate) fn write(
        &mut self,
        second: u32,
        latencies: &Histogram<u64>,
    ) -> Result<(), BenchError> {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        let start = Duration::from_secs(u64::from(second));
        let written = writer.write_histogram(latencies, start, Duration::from_secs(1), None);
        written.map_err(|error| BenchError::Io {
            doing: "writing the interval log",
            cause: std::io::Error::other(format!("{error:?}")),
        })
    }
}

/// Opens the log, lets `run` write to it, and completes it.
pub(crate) fn with<T>(
    path: Option<&Path>,
    run: impl FnOnce(&mut Log<'_, '_>) -> Result<T, BenchError>,
) -> Result<T, BenchError> {
    let Some(path) = path else {
        return run(&mut Log { writer: None });
    };
    let file = File::create(path).map_err(|error| BenchError::file(path, error))?;
    let (mut file, mut serializer) = (BufWriter::new(file), V2DeflateSerializer::new());
    let writer = IntervalLogWriterBuilder::new()
        .add_comment("ringfort-bench: latencies in ns, a second each")
        .with_start_time(SystemTime::now())
        .with_base_time(SystemTime::now())
        .with_max_value_divisor(1e6)
        .begin_log_with(&mut file, &mut serializer)
        .map_err(|error| BenchError::file(path, error))?;
    let done = run(&mut Log {
        writer: Some(writer),
    })?;
    file.flush()
        .map_err(|error| BenchError::file(path, error))?;
    Ok(done)
}
