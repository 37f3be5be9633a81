//! The deletes that mcrouter has left on disk (its "asynclog").
//!
//! mcrouter writes a line of JSON for each delete that a server did not take, into files in folders
//! of an hour: `<async-dir>/20140903T22-1409806800/<file>`. Nothing in its open source sends them
//! again. Two versions of a line are there (mcrouter's `AsyncLog.cpp`):
//!
//! ```text
//! ["AS1.0",1410611229.747,"C",["10.0.0.1",11211,"delete user:1\r\n"]]
//! ["AS2.0",1410611229.747,"C",{"s":"svc","f":"flavor","h":"[10.0.0.1]:11211","p":"pool","k":"user:1","r":"region"}]
//! ```

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::record::{KEY_BYTES_MAX, SERVER_BYTES_MAX};

/// The longest line that is read, in bytes: a key, each byte of it escaped, and the words around.
const LINE_BYTES_MAX: usize = 6 * KEY_BYTES_MAX + 4_096;

/// How deep below the folder that was named a file may be: hour folders, one below.
const DEPTH_MAX: usize = 2;

/// A delete that mcrouter's clients were promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delete {
    /// `HOST:PORT`, an IPv6 address in brackets.
    pub server: String,
    /// The key, with whatever prefix mcrouter sent.
    pub key: Vec<u8>,
    /// When it was written, in milliseconds since the unix epoch.
    pub unix_ms: u64,
}

/// Why a line is no delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineError {
    /// It is not JSON, as after a crash.
    Json,
    /// It is longer than any line.
    TooLong,
    /// It begins with neither `AS1.0` nor `AS2.0`.
    Version,
    /// Something is missing, or is not what it should be.
    Shape,
}

impl core::fmt::Display for LineError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Json => "not a line of JSON",
            Self::TooLong => "too long for a line",
            Self::Version => "neither AS1.0 nor AS2.0",
            Self::Shape => "no delete of a key at a server",
        })
    }
}

/// Reads a line, without its end.
///
/// # Errors
/// What is wrong with it.
pub fn parse_line(line: &[u8]) -> Result<Delete, LineError> {
    let value: Value = serde_json::from_slice(line).map_err(|_| LineError::Json)?;
    let [version, time, _kind, body] = value.as_array().map_or(&[][..], Vec::as_slice) else {
        return Err(LineError::Shape);
    };
    let (server, key) = match version.as_str() {
        Some("AS1.0") => first_version(body),
        Some("AS2.0") => second_version(body),
        _ => return Err(LineError::Version),
    }
    .ok_or(LineError::Shape)?;
    let fits = 1..=KEY_BYTES_MAX;
    if server.len() > SERVER_BYTES_MAX || !fits.contains(&key.len()) {
        return Err(LineError::Shape);
    }
    let seconds = time.as_f64().ok_or(LineError::Shape)?;
    Ok(Delete {
        server,
        key,
        unix_ms: (seconds * 1_000.0) as u64,
    })
}

/// `["host",port,"delete key\r\n"]`
fn first_version(body: &Value) -> Option<(String, Vec<u8>)> {
    let [host, port, request] = body.as_array()?.as_slice() else {
        return None;
    };
    let server = address(host.as_str()?, u16::try_from(port.as_u64()?).ok()?);
    let request = request.as_str()?.strip_prefix("delete ")?;
    let key = request.trim_end_matches(['\r', '\n']);
    Some((server, key.into()))
}

/// `{"h":"[host]:port","k":key,…}`
fn second_version(body: &Value) -> Option<(String, Vec<u8>)> {
    let (host, port) = body.get("h")?.as_str()?.rsplit_once(':')?;
    let host = host.strip_prefix('[')?.strip_suffix(']')?;
    let key = body.get("k")?.as_str()?;
    Some((address(host, port.parse().ok()?), key.into()))
}

fn address(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// The files of a spool of mcrouter's, from the oldest on: a file, a folder of an hour, or the folder
/// of those.
///
/// # Errors
/// Something cannot be read.
pub fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect(path, DEPTH_MAX, &mut files)?;
    // Folders and files begin with their time.
    files.sort();
    Ok(files)
}

fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // A link might lead in a circle.
        let is_dir = entry.file_type()?.is_dir();
        if is_dir && depth > 0 {
            collect(&entry.path(), depth - 1, files)?;
        } else if entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Calls `take` with each line of a file, and its number from 1 on.
///
/// # Errors
/// The file cannot be read.
pub fn read_file(
    path: &Path,
    mut take: impl FnMut(usize, Result<Delete, LineError>),
) -> io::Result<()> {
    let mut file = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let room = LINE_BYTES_MAX as u64 + 1;
        if file.by_ref().take(room).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let is_too_long = line.len() > LINE_BYTES_MAX;
        if is_too_long {
            file.skip_until(b'\n')?;
            take(number, Err(LineError::TooLong));
        } else if !line.trim_ascii().is_empty() {
            take(number, parse_line(line.trim_ascii()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delete(server: &str, key: &str) -> Result<Delete, LineError> {
        Ok(Delete {
            server: server.to_owned(),
            key: key.into(),
            unix_ms: 1_410_611_229_747,
        })
    }

    #[test]
    fn both_versions_name_a_server_and_a_key() {
        for (line, expected) in [
            (
                r#"["AS1.0",1410611229.747,"C",["10.0.0.1",11211,"delete user:1\r\n"]]"#,
                delete("10.0.0.1:11211", "user:1"),
            ),
            (
                r#"["AS1.0",1410611229.747,"C",["::1",5,"delete \u00e4\"\r\n"]]"#,
                delete("[::1]:5", "ä\""),
            ),
            (
                r#"["AS2.0",1410611229.747,"C",{"f":"flavor","h":"[10.0.0.1]:11211","p":"A","k":"user:1","r":"x","s":"svc"}]"#,
                delete("10.0.0.1:11211", "user:1"),
            ),
            (
                r#"["AS2.0",1410611229.747,"C",{"h":"[2001:db8::1]:5","k":"user:1","a":{"al":1}}]"#,
                delete("[2001:db8::1]:5", "user:1"),
            ),
        ] {
            assert_eq!(parse_line(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn other_lines_are_refused_with_a_reason() {
        for (line, error) in [
            ("", LineError::Json),
            (r#"["AS1.0",1410611229.747,"C",["10.0"#, LineError::Json),
            ("{}", LineError::Shape),
            ("[]", LineError::Shape),
            (
                r#"["AS3.0",1,"C",["h",1,"delete k\r\n"]]"#,
                LineError::Version,
            ),
            (r#"["AS1.0",1,"C",["h",1,"set k\r\n"]]"#, LineError::Shape),
            (
                r#"["AS1.0",1,"C",["h",65536,"delete k\r\n"]]"#,
                LineError::Shape,
            ),
            (r#"["AS1.0",1,"C",["h",1,"delete \r\n"]]"#, LineError::Shape),
            (
                r#"["AS1.0","1","C",["h",1,"delete k\r\n"]]"#,
                LineError::Shape,
            ),
            (r#"["AS2.0",1,"C",{"h":"h:1","k":"k"}]"#, LineError::Shape),
            (r#"["AS2.0",1,"C",{"h":"[h]:1"}]"#, LineError::Shape),
            (
                r#"["AS2.0",1,"C",["h",1,"delete k\r\n"]]"#,
                LineError::Shape,
            ),
        ] {
            assert_eq!(parse_line(line.as_bytes()), Err(error), "{line}");
        }
    }
}
