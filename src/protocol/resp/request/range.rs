//! Which bytes of a string GETRANGE and SUBSTR show.

use super::super::error::RequestError;
use super::integer;

/// The bytes from one index to another, both included; negative indices count from the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The first one.
    pub start: i64,
    /// The last one.
    pub end: i64,
}

impl ByteRange {
    /// The range that two arguments name.
    pub(super) fn read<'b>(start: &[u8], end: &[u8]) -> Result<Self, RequestError<'b>> {
        Ok(Self {
            start: integer(start)?,
            end: integer(end)?,
        })
    }

    /// Cuts the range out of a value.
    pub fn cut(self, value: &[u8]) -> &[u8] {
        let Self { start, end } = self;
        let length = value.len() as i64;
        if start < 0 && end < 0 && start > end {
            return &[];
        }
        let index = |index: i64| {
            if index < 0 {
                length.saturating_add(index)
            } else {
                index
            }
        };
        let start = usize::try_from(index(start).max(0)).unwrap_or(usize::MAX);
        let end = usize::try_from(index(end).max(0).saturating_add(1)).unwrap_or(usize::MAX);
        value.get(start..end.min(value.len())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_as_redis_cuts_them() {
        let table: &[(i64, i64, &[u8])] = &[
            (0, -1, b"Hello"),
            (1, 3, b"ell"),
            (-3, -1, b"llo"),
            (-1, -3, b""),
            (5, 10, b""),
            (10, 2, b""),
            (0, 0, b"H"),
            (-100, 1, b"He"),
            (-100, -100, b"H"),
            (0, i64::MAX, b"Hello"),
            (i64::MIN, i64::MAX, b"Hello"),
            (i64::MAX, i64::MAX, b""),
            (2, 1, b""),
        ];
        for (start, end, expected) in table {
            let range = ByteRange {
                start: *start,
                end: *end,
            };
            assert_eq!(range.cut(b"Hello"), *expected, "{start} {end}");
            assert_eq!(range.cut(b""), b"", "{start} {end}");
        }
    }
}
