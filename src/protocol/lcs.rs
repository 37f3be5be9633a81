//! LCS: the longest common subsequence of two strings, the very one that Redis picks.
//!
//! Redis fills a table L of lengths, L(i, j) for the first i bytes of `a` and j of `b`, and walks
//! back from its corner: over a byte that both have; else up if L(i-1, j) > L(i, j-1), else left.
//!
//! Here a row of the table is a row of bits (Hyyrö 2004): bit j is clear where L(i, j) is one more
//! than L(i, j-1). A row follows from the one before with an addition, 64 columns at a time, which
//! is what makes Redis' own limit bearable: its 512 MiB are 16 MiB here, and 10 milliseconds. And
//! the bits are all that the way back needs: where the bytes differ, L(i, j) is the larger of
//! L(i-1, j) and L(i, j-1), so the first is the larger one exactly where bit j of row i is clear.

/// Most cells of a table, as in Redis: there each takes four bytes, of 512 MiB in all.
const CELLS_MAX: usize = (512 << 20) / 4;
const WORD_BITS: usize = u64::BITS as usize;

/// The table would be over the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Equal bytes of both strings, one after the other: where they begin, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Where in the first string.
    pub a: usize,
    /// Where in the second string.
    pub b: usize,
    /// How many; at least 1.
    pub bytes: usize,
}

/// The runs that make up the subsequence, the last one first.
///
/// # Errors
/// The strings are too long for this.
pub fn runs(a: &[u8], b: &[u8]) -> Result<Vec<Run>, TooLong> {
    let table = Table::new(a, b)?;
    let mut runs: Vec<Run> = Vec::new();
    let (mut i, mut j) = (a.len(), b.len());
    while let (Some(up), Some(left)) = (i.checked_sub(1), j.checked_sub(1)) {
        if a[up] == b[left] {
            match runs.last_mut() {
                Some(run) if (run.a, run.b) == (i, j) => {
                    (run.a, run.b, run.bytes) = (up, left, run.bytes + 1);
                }
                _ => runs.push(Run {
                    a: up,
                    b: left,
                    bytes: 1,
                }),
            }
            (i, j) = (up, left);
        } else if table.is_clear(up, left) {
            i = up;
        } else {
            j = left;
        }
    }
    Ok(runs)
}

/// The rows of bits.
struct Table {
    rows: Vec<u64>,
    row_words: usize,
}

impl Table {
    fn new(a: &[u8], b: &[u8]) -> Result<Self, TooLong> {
        if (a.len() + 1).saturating_mul(b.len() + 1) > CELLS_MAX {
            return Err(TooLong);
        }
        let row_words = b.len().div_ceil(WORD_BITS);
        let matches = Matches::new(a, b, row_words);
        let mut rows = Vec::with_capacity(a.len() * row_words);
        let mut row = vec![u64::MAX; row_words];
        for byte in a {
            let mut carry = false;
            for (word, matches) in row.iter_mut().zip(matches.row(*byte)) {
                let (sum, first) = word.overflowing_add(*word & matches);
                let (sum, second) = sum.overflowing_add(u64::from(carry));
                carry = first || second;
                *word = sum | (*word & !matches);
            }
            rows.extend_from_slice(&row);
        }
        Ok(Self { rows, row_words })
    }

    fn is_clear(&self, row: usize, column: usize) -> bool {
        let word = self.rows[row * self.row_words + column / WORD_BITS];
        word >> (column % WORD_BITS) & 1 == 0
    }
}

/// For each byte of `a`, where it stands in `b`: a row of bits. As many rows as `a` has different
/// bytes, so all of them take no more than the table.
struct Matches {
    rows: Vec<u64>,
    row_words: usize,
    row_of: [u16; 256],
}

impl Matches {
    const NONE: u16 = u16::MAX;

    fn new(a: &[u8], b: &[u8], row_words: usize) -> Self {
        let mut row_of = [Self::NONE; 256];
        let mut count = 0;
        for byte in a {
            let row = &mut row_of[usize::from(*byte)];
            if *row == Self::NONE {
                *row = count;
                count += 1;
            }
        }
        let mut rows = vec![0; usize::from(count) * row_words];
        for (column, byte) in b.iter().enumerate() {
            let row = row_of[usize::from(*byte)];
            if row != Self::NONE {
                let word = usize::from(row) * row_words + column / WORD_BITS;
                rows[word] |= 1 << (column % WORD_BITS);
            }
        }
        Self {
            rows,
            row_words,
            row_of,
        }
    }

    /// The row of a byte that `a` has.
    fn row(&self, byte: u8) -> &[u64] {
        let start = usize::from(self.row_of[usize::from(byte)]) * self.row_words;
        &self.rows[start..start + self.row_words]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Redis' table and its way back, cell by cell.
    fn naive(a: &[u8], b: &[u8]) -> Vec<Run> {
        let mut table = vec![vec![0usize; b.len() + 1]; a.len() + 1];
        for i in 1..=a.len() {
            for j in 1..=b.len() {
                table[i][j] = if a[i - 1] == b[j - 1] {
                    table[i - 1][j - 1] + 1
                } else {
                    table[i - 1][j].max(table[i][j - 1])
                };
            }
        }
        let (mut i, mut j) = (a.len(), b.len());
        let mut runs: Vec<Run> = Vec::new();
        let mut follows = false;
        while i > 0 && j > 0 {
            let is_match = a[i - 1] == b[j - 1];
            if is_match {
                (i, j) = (i - 1, j - 1);
                match runs.last_mut().filter(|_| follows) {
                    Some(run) => (run.a, run.b, run.bytes) = (i, j, run.bytes + 1),
                    None => runs.push(Run {
                        a: i,
                        b: j,
                        bytes: 1,
                    }),
                }
            } else if table[i - 1][j] > table[i][j - 1] {
                i -= 1;
            } else {
                j -= 1;
            }
            follows = is_match;
        }
        runs
    }

    #[test]
    fn the_runs_are_those_of_redis() {
        let runs = runs(b"ohmytext", b"mynewtext").expect("short");
        let expected = [(4, 5, 4), (2, 0, 2)].map(|(a, b, bytes)| Run { a, b, bytes });
        assert_eq!(runs, expected);
        assert_eq!(super::runs(b"", b"x"), Ok(vec![]));
        assert_eq!(super::runs(b"x", b""), Ok(vec![]));
        assert_eq!(super::runs(b"x", b"y"), Ok(vec![]));
    }

    #[test]
    fn the_limit_is_that_of_redis() {
        let (a, b) = (vec![b'x'; 11_585], vec![b'y'; 11_584]);
        assert!(Table::new(&a[..11_584], &b).is_ok());
        assert_eq!(runs(&a, &b), Err(TooLong));
    }

    #[test]
    fn rows_longer_than_a_word_carry_over() {
        let a = b"abc".repeat(100);
        let b = b"bca".repeat(90);
        assert_eq!(runs(&a, &b), Ok(naive(&a, &b)));
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_twin(a in "[abcd]{0,140}", b in "[abcde]{0,140}") {
            prop_assert_eq!(runs(a.as_bytes(), b.as_bytes()), Ok(naive(a.as_bytes(), b.as_bytes())));
        }
    }
}
