//! What a value of a setting that cannot be changed would have to be: Redis says first what is wrong
//! with a value, in the words of its kind.

use crate::protocol::number;

/// What is wrong with a value, if it is none of its setting's kind.
pub(super) type Check = fn(&[u8]) -> Result<(), String>;

/// Any text; Redis looks closer at some of these, but not in words that name a kind.
pub(super) fn text(_: &[u8]) -> Result<(), String> {
    Ok(())
}

pub(super) fn yes_or_no(text: &[u8]) -> Result<(), String> {
    let is_known = [&b"yes"[..], b"no"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word));
    match is_known {
        true => Ok(()),
        false => Err("argument must be 'yes' or 'no'".to_owned()),
    }
}

/// One of these words, which an error line names in this order.
pub(super) fn one_of(text: &[u8], words: &[&str]) -> Result<(), String> {
    let is_it = |word: &&str| text.eq_ignore_ascii_case(word.as_bytes());
    match words.iter().any(is_it) {
        true => Ok(()),
        false => Err(format!(
            "argument(s) must be one of the following: {}",
            words.join(", ")
        )),
    }
}

/// A number within bounds, both included.
pub(super) fn number_in(text: &[u8], min: i64, max: i64) -> Result<i64, String> {
    let number = number::signed(text)
        .ok_or_else(|| "argument couldn't be parsed into an integer".to_owned())?;
    match (min..=max).contains(&number) {
        true => Ok(number),
        false => Err(format!(
            "argument must be between {min} and {max} inclusive"
        )),
    }
}

pub(super) fn port(text: &[u8]) -> Result<(), String> {
    number_in(text, 0, 65_535).map(|_| ())
}

pub(super) fn small_number(text: &[u8]) -> Result<(), String> {
    number_in(text, 0, i64::from(i32::MAX)).map(|_| ())
}

/// So many bytes, no less than a mebibyte.
pub(super) fn buffer_bytes(text: &[u8]) -> Result<(), String> {
    const MIN: u64 = 1 << 20;
    const MAX: u64 = i64::MAX as u64;
    match memory_bytes(text) {
        None => Err("argument must be a memory value".to_owned()),
        Some(bytes) if (MIN..=MAX).contains(&bytes) => Ok(()),
        Some(_) => Err(format!(
            "argument must be between {MIN} and {MAX} inclusive"
        )),
    }
}

pub(super) fn memory(text: &[u8]) -> Result<(), String> {
    match memory_bytes(text) {
        Some(_) => Ok(()),
        None => Err("argument must be a memory value".to_owned()),
    }
}

pub(super) fn memory_or_percent(text: &[u8]) -> Result<(), String> {
    let is_percent = text
        .strip_suffix(b"%")
        .is_some_and(|number| number::unsigned(number).is_some());
    match is_percent || memory_bytes(text).is_some() {
        true => Ok(()),
        false => Err("argument must be a memory or percent value".to_owned()),
    }
}

/// Bytes in redis.conf's words: `100`, `1k` (1000), `1kb` (1024), and so on up to `gb`.
pub(super) fn memory_bytes(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = text.split_at(digits);
    let factor = match &unit.to_ascii_lowercase()[..] {
        b"" | b"b" => 1,
        b"k" => 1_000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    number::unsigned(number)?.checked_mul(factor)
}

/// The letters of keyspace events.
pub(super) fn event_classes(text: &[u8]) -> Result<(), String> {
    match text.iter().all(|byte| b"Ag$lshzxeKEtmdn".contains(byte)) {
        true => Ok(()),
        false => Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_in_units_of_redis_conf() {
        for (text, expected) in [
            ("0", Some(0)),
            ("100", Some(100)),
            ("1b", Some(1)),
            ("1k", Some(1_000)),
            ("1kB", Some(1_024)),
            ("2m", Some(2_000_000)),
            ("2MB", Some(2 << 20)),
            ("3g", Some(3_000_000_000)),
            ("3gb", Some(3 << 30)),
            ("x", None),
            ("", None),
            ("-1", None),
            ("1tb", None),
            ("1 mb", None),
            ("18446744073709551615gb", None),
        ] {
            assert_eq!(memory_bytes(text.as_bytes()), expected, "{text}");
        }
    }
}
