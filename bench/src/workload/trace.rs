//! A trace: what somebody's clients asked for, and when, from a CSV file.
//!
//! Columns are time (seconds, from any start), op, key and size (bytes of a set's value; of other requests it is not
//! looked at), in this order or as a first line names them. Rows need not be sorted by time.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use csv::{ReaderBuilder, StringRecord};

use crate::error::BenchError;
use crate::wire::Op;
use crate::workload::item::{Items, KEY_BYTES, KEY_BYTES_MAX, KeyList};
use crate::workload::sizes::{Sizes, VALUE_BYTES_MAX};

/// Rows that are taken at most: what their keys and requests need still fits a machine.
const ROW_COUNT_MAX: usize = 100_000_000;

/// A trace in memory.
#[derive(Debug)]
pub(crate) struct Trace {
    /// In the order of time, at least one.
    pub(crate) rows: Vec<Row>,
    keys: Arc<KeyList>,
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Since the first request, ns.
    pub(crate) at_ns: u64,
    pub(crate) op: Op,
    pub(crate) key_index: u32,
    pub(crate) value_bytes: u32,
}

impl Trace {
    pub(crate) fn read(path: &Path) -> Result<Self, BenchError> {
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_path(path);
        let reader = reader.map_err(|error| BenchError::flag_file("--trace", path, error))?;
        Self::from_records(reader).map_err(|why| BenchError::flag_file("--trace", path, why))
    }

    fn from_records<R: std::io::Read>(mut reader: csv::Reader<R>) -> Result<Self, String> {
        let mut columns = Columns::IN_ORDER;
        let mut numbers: HashMap<Vec<u8>, u32> = HashMap::new();
        let mut keys = KeyList::default();
        let mut rows = Vec::new();
        let mut record = StringRecord::new();
        let mut is_first = true;
        while reader
            .read_record(&mut record)
            .map_err(|error| error.to_string())?
        {
            if std::mem::take(&mut is_first)
                && let Some(named) = Columns::named(&record)
            {
                columns = named;
                continue;
            }
            let line = record.position().map_or(0, csv::Position::line);
            let told = |why| format!("line {line}: {why}");
            let (seconds, op, key, value_bytes) = columns.of(&record).map_err(told)?;
            let key_index = *numbers
                .entry(key.as_bytes().to_vec())
                .or_insert_with(|| keys.push(key.as_bytes()));
            if rows.len() == ROW_COUNT_MAX {
                return Err(format!("more than {ROW_COUNT_MAX} requests: cut it"));
            }
            rows.push((seconds, op, key_index, value_bytes));
        }
        let first = rows.iter().map(|row| row.0).fold(f64::INFINITY, f64::min);
        let mut rows: Vec<_> = rows
            .into_iter()
            .map(|(seconds, op, key_index, value_bytes)| Row {
                at_ns: ((seconds - first) * 1e9).round() as u64,
                op,
                key_index,
                value_bytes,
            })
            .collect();
        if rows.is_empty() {
            return Err("no request in it".to_owned());
        }
        rows.sort_by_key(|row| row.at_ns); // Stable: what came at the same time stays in order.
        Ok(Self {
            rows,
            keys: Arc::new(keys),
        })
    }

    pub(crate) fn key_count(&self) -> usize {
        self.keys.len()
    }

    /// Mean over the trace's own time; of one request alone, 1.
    pub(crate) fn requests_per_s(&self) -> f64 {
        let last_ns = self.rows.last().map_or(0, |row| row.at_ns);
        self.rows.len() as f64 / (last_ns as f64 / 1e9).max(1.0)
    }

    pub(crate) fn items(&self) -> Items {
        Items {
            prefix: *b"    ",
            key_sizes: Sizes::fixed(KEY_BYTES),
            sizes: Sizes::fixed(0),
            listed: Some(Arc::clone(&self.keys)),
        }
    }
}

/// Where in a record what is.
#[derive(Clone, Copy)]
struct Columns {
    time: usize,
    op: usize,
    key: usize,
    size: usize,
}

impl Columns {
    const IN_ORDER: Self = Self {
        time: 0,
        op: 1,
        key: 2,
        size: 3,
    };

    /// `None` if the first line is a request already.
    fn named(record: &StringRecord) -> Option<Self> {
        let column = |name: &str| {
            record
                .iter()
                .position(|field| field.eq_ignore_ascii_case(name))
        };
        Some(Self {
            time: column("time")?,
            op: column("op")?,
            key: column("key")?,
            size: column("size")?,
        })
    }

    fn of<'r>(&self, record: &'r StringRecord) -> Result<(f64, Op, &'r str, u32), String> {
        let field = |column: usize| record.get(column).unwrap_or("");
        let time = field(self.time);
        let seconds = time
            .parse()
            .ok()
            .filter(|seconds: &f64| (0.0..1e10).contains(seconds))
            .ok_or_else(|| format!("time \"{time}\" is no number of seconds"))?;
        let op = match field(self.op).to_ascii_lowercase().as_str() {
            "get" | "gets" | "read" => Op::Read,
            "set" | "add" | "replace" | "cas" | "write" => Op::Write,
            "delete" | "del" => Op::Delete,
            other => return Err(format!("op \"{other}\" is none of get, set and delete")),
        };
        let key = field(self.key);
        let is_key = (1..=KEY_BYTES_MAX).contains(&key.len())
            && key.bytes().all(|byte| byte > b' ' && byte != 0x7f);
        if !is_key {
            return Err(format!(
                "key \"{key}\" is not 1 to {KEY_BYTES_MAX} bytes without blanks"
            ));
        }
        let size = field(self.size);
        let value_bytes = match op {
            Op::Write => size.parse().ok().filter(|&bytes| bytes <= VALUE_BYTES_MAX),
            Op::Read | Op::Delete => Some(0),
        };
        let value_bytes = value_bytes
            .ok_or_else(|| format!("size \"{size}\" is no length up to {VALUE_BYTES_MAX}"))?;
        Ok((seconds, op, key, value_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(text: &str) -> Result<Trace, String> {
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        Trace::from_records(reader)
    }

    #[test]
    fn rows_are_sorted_and_keys_numbered() {
        let trace = trace("10.5,get,one,\n10.0,SET,two,30\n10.5,delete,one\n").unwrap();
        let row = |at_ns, op, key_index, value_bytes| Row {
            at_ns,
            op,
            key_index,
            value_bytes,
        };
        let expected = [
            row(0, Op::Write, 1, 30),
            row(500_000_000, Op::Read, 0, 0),
            row(500_000_000, Op::Delete, 0, 0),
        ];
        assert_eq!(trace.rows, expected);
        assert_eq!((trace.key_count(), trace.requests_per_s()), (2, 3.0));
    }

    #[test]
    fn a_first_line_may_name_the_columns() {
        let trace = trace("key,size,time,op,client\n\"a,b\",7,1,set,9\n").unwrap();
        assert_eq!(
            (trace.rows[0].op, trace.rows[0].value_bytes),
            (Op::Write, 7)
        );
        assert!(trace.items().is_key(b"a,b", 0));
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (text, told) in [
            ("", "no request"),
            ("time,op,key,size\n", "no request"),
            ("0,get,a,0\n1,incr,a,0\n", "line 2: op \"incr\""),
            ("x,get,a,0\n", "line 1: time \"x\""),
            ("-1,get,a,0\n", "line 1: time"),
            ("0,get,,0\n", "line 1: key"),
            ("0,get,a b,0\n", "line 1: key"),
            ("0,set,a,\n", "line 1: size"),
            ("0,set,a,999999999\n", "line 1: size"),
        ] {
            let why = trace(text).unwrap_err();
            assert!(why.contains(told), "{text}: {why}");
        }
    }
}
