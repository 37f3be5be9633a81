//! The script that Redis servers run for what they have no command for.

use sha1::{Digest, Sha1};

use crate::protocol::resp::reply;

const SOURCE: &[u8] = include_bytes!("script.lua");

/// Hexadecimal digits of a SHA-1.
const DIGEST_DIGITS: usize = 40;

/// The script, by the name that a server knows it by once it is loaded.
#[derive(Debug, Clone)]
pub(in crate::shard) struct Script {
    digest: [u8; DIGEST_DIGITS],
}

impl Script {
    pub(in crate::shard) fn new() -> Self {
        let mut digest = [0; DIGEST_DIGITS];
        let bytes: [u8; DIGEST_DIGITS / 2] = Sha1::digest(SOURCE).into();
        for (pair, byte) in digest.chunks_exact_mut(2).zip(bytes) {
            pair.copy_from_slice(&[hex(byte >> 4), hex(byte & 15)]);
        }
        Self { digest }
    }

    /// Begins a call on one key, of which `argument_count` arguments are still to come.
    pub(super) fn begin(&self, out: &mut Vec<u8>, key: &[u8], argument_count: usize) {
        reply::array_header(out, CALL_WORDS + argument_count);
        for word in [&b"EVALSHA"[..], &self.digest, b"1", key] {
            reply::bulk(out, word);
        }
    }

    /// Appends a call on one key.
    pub(super) fn call(&self, out: &mut Vec<u8>, key: &[u8], arguments: &[&[u8]]) {
        self.begin(out, key, arguments.len());
        arguments
            .iter()
            .for_each(|argument| reply::bulk(out, argument));
    }
}

/// `EVALSHA`, the digest, the number of keys, the key.
const CALL_WORDS: usize = 4;

/// Appends the command that has a server keep the script.
pub(in crate::shard) fn load(out: &mut Vec<u8>) {
    reply::encode_command(out, &[b"SCRIPT", b"LOAD", SOURCE]);
}

/// Whether a server's error says that it does not have the script, and so has done nothing.
pub(in crate::shard) fn is_missing(error: &[u8]) -> bool {
    error.starts_with(b"-NOSCRIPT")
}

/// A hexadecimal digit, of a number below 16.
fn hex(digit: u8) -> u8 {
    if digit < 10 {
        b'0' + digit
    } else {
        b'a' + digit - 10
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_names_the_script_as_a_server_does() {
        let mut wire = Vec::new();
        Script::new().call(&mut wire, b"k", &[b"incr", b"5"]);
        let digest = Sha1::digest(SOURCE);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let wanted = format!(
            "*6\r\n$7\r\nEVALSHA\r\n$40\r\n{digest}\r\n$1\r\n1\r\n$1\r\nk\r\n$4\r\nincr\r\n$1\r\n5\r\n"
        );
        assert_eq!(String::from_utf8(wire).unwrap(), wanted);
    }
}
