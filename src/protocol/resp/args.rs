//! The arguments of one request: its bytes, checked once, split again as they are iterated.

use super::{
    frame::{self, ParseProgress},
    inline,
};
use crate::protocol::Resume;

/// How many arguments are at hand without splitting: enough for `GET key` and `SET key value`.
pub(super) const HEAD_COUNT: usize = 3;

/// The arguments of one request, borrowed from the input; the first one is the command's name.
///
/// Nothing is stored per argument but for the first three, so a request of a million arguments
/// costs as little to hold as one of two. Iterate; [`Args::get`] is for the first few.
#[derive(Clone, Copy, Debug, Default)]
pub struct Args<'b> {
    raw: &'b [u8],
    form: Form,
    count: usize,
    head: [&'b [u8]; HEAD_COUNT],
    /// Where in `raw` the first argument begins, and the first one that is not in `head`.
    body_at: usize,
    tail_at: usize,
}

/// What `raw` holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    #[default]
    Multibulk,
    Inline,
    /// Inline, and some word has to be rewritten before it can be used.
    InlineEscaped,
}

impl<'b> Args<'b> {
    /// The arguments of a checked multibulk frame. `head` and `tail_at` are left as they are found
    /// on the way.
    pub(super) fn multibulk(
        raw: &'b [u8],
        count: usize,
        head: [&'b [u8]; HEAD_COUNT],
        body_at: usize,
        tail_at: usize,
    ) -> Self {
        Self {
            raw,
            form: Form::Multibulk,
            count,
            head,
            body_at,
            tail_at,
        }
    }

    /// The words of a checked inline line.
    pub(super) fn inline(raw: &'b [u8], count: usize, escaped: bool) -> Self {
        let form = if escaped {
            Form::InlineEscaped
        } else {
            Form::Inline
        };
        let mut args = Self {
            raw,
            form,
            count,
            ..Self::default()
        };
        args.find_head();
        args
    }

    /// Fills in what a frame that was checked piecemeal could not remember.
    pub(super) fn find_head(&mut self) {
        let mut rest = self.iter();
        for head in &mut self.head {
            *head = rest.next().unwrap_or_default();
        }
        self.tail_at = rest.at;
    }

    /// How many arguments there are, the name included. 0 for a frame that means nothing: an empty
    /// line, `*0`, `*-1`.
    #[inline]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// The argument at `index`, without cost for the first three.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&'b [u8]> {
        if index >= self.count {
            return None;
        }
        match self.head.get(index) {
            Some(argument) => Some(argument),
            None => self.iter_from(index).next(),
        }
    }

    /// The name, empty if there is none.
    #[inline]
    pub(super) const fn name(&self) -> &'b [u8] {
        self.head[0]
    }

    /// The argument at `index`, empty if there is none; for callers that have checked the count.
    #[inline]
    pub(super) fn at(&self, index: usize) -> &'b [u8] {
        self.get(index).unwrap_or_default()
    }

    /// All arguments.
    pub const fn iter(&self) -> ArgsIter<'b> {
        ArgsIter {
            raw: self.raw,
            form: self.form,
            at: self.body_at,
            left: self.count,
        }
    }

    /// The arguments from `index` on.
    pub fn iter_from(&self, index: usize) -> ArgsIter<'b> {
        let (mut rest, skip) = if index >= HEAD_COUNT && self.count >= HEAD_COUNT {
            let left = self.count - HEAD_COUNT;
            (
                ArgsIter {
                    at: self.tail_at,
                    left,
                    ..self.iter()
                },
                index - HEAD_COUNT,
            )
        } else {
            (self.iter(), index)
        };
        for _ in 0..skip {
            rest.next();
        }
        rest
    }

    /// The arguments from `index` on, to keep.
    pub(super) fn rest(&self, index: usize) -> Rest<'b> {
        let ArgsIter {
            raw,
            form,
            at,
            left,
        } = self.iter_from(index);
        Rest {
            raw,
            form,
            at,
            count: left,
        }
    }

    /// The request's bytes as they came, which is what a pass-through sends on. May be an inline
    /// line.
    #[inline]
    pub const fn raw(&self) -> &'b [u8] {
        self.raw
    }

    /// With this, the next parse of the same bytes finds the request without reading it again.
    pub fn progress(&self) -> ParseProgress {
        match self.form {
            Form::Multibulk => ParseProgress::whole(self.count, self.body_at, self.raw.len()),
            Form::Inline | Form::InlineEscaped => ParseProgress::default(),
        }
    }

    /// Whether this is an inline line with escapes or with quotes inside a word, whose arguments do
    /// not stand in the input as they are meant. [`Request::from_args`](super::Request::from_args)
    /// refuses it: parse what
    /// [`Args::unescape`] gives instead.
    #[inline]
    pub fn is_escaped(&self) -> bool {
        self.form == Form::InlineEscaped
    }

    /// The same request as a multibulk frame. Allocates: such lines are typed by people.
    pub fn unescape(&self) -> Vec<u8> {
        let mut words: Vec<Vec<u8>> = Vec::new();
        if self.form == Form::InlineEscaped {
            inline::unescape(self.raw, &mut words);
        } else {
            words.extend(self.iter().map(<[u8]>::to_vec));
        }
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let mut wire = Vec::new();
        super::reply::encode_command(&mut wire, &words);
        wire
    }
}

/// Equal if the arguments are, however they came.
impl PartialEq for Args<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.iter().eq(other.iter())
    }
}

impl Eq for Args<'_> {}

impl<'b> IntoIterator for Args<'b> {
    type Item = &'b [u8];
    type IntoIter = ArgsIter<'b>;

    fn into_iter(self) -> ArgsIter<'b> {
        self.iter()
    }
}

/// Iterator over [`Args`].
#[derive(Clone, Debug)]
pub struct ArgsIter<'b> {
    raw: &'b [u8],
    form: Form,
    at: usize,
    left: usize,
}

impl<'b> Iterator for ArgsIter<'b> {
    type Item = &'b [u8];

    #[inline]
    fn next(&mut self) -> Option<&'b [u8]> {
        self.left = self.left.checked_sub(1)?;
        if self.form != Form::Multibulk {
            let word = inline::next_word(self.raw, self.at).ok()??;
            self.at = word.end;
            return Some(word.text);
        }
        let header = frame::length_at(self.raw, self.at + 1)?;
        let end = header.next + header.value;
        self.at = end + frame::LINE_END_BYTES;
        self.raw.get(header.next..end)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for ArgsIter<'_> {}

impl Resume for ArgsIter<'_> {
    fn place(&self) -> usize {
        self.at
    }

    fn resume(&mut self, place: usize, taken: usize) {
        self.at = place;
        self.left = self.left.saturating_sub(taken);
    }
}

/// The arguments of a command from some point on: its keys, its pairs, its patterns.
///
/// It knows where they begin and not what stands before, so that a request, which is the size of
/// its largest kind, stays small.
#[derive(Clone, Copy, Debug)]
pub struct Rest<'b> {
    raw: &'b [u8],
    form: Form,
    at: usize,
    count: usize,
}

impl<'b> Rest<'b> {
    /// How many there are.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Two by two, as in MSET; an odd one at the end is left out.
    pub fn pairs(self) -> Pairs<'b> {
        Pairs(self.into_iter())
    }
}

/// Iterator over the pairs of a [`Rest`].
#[derive(Clone, Debug)]
pub struct Pairs<'b>(ArgsIter<'b>);

impl<'b> Iterator for Pairs<'b> {
    type Item = (&'b [u8], &'b [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        Some((self.0.next()?, self.0.next()?))
    }
}

impl Resume for Pairs<'_> {
    fn place(&self) -> usize {
        self.0.place()
    }

    fn resume(&mut self, place: usize, taken: usize) {
        self.0.resume(place, 2 * taken);
    }
}

impl<'b> IntoIterator for Rest<'b> {
    type Item = &'b [u8];
    type IntoIter = ArgsIter<'b>;

    fn into_iter(self) -> ArgsIter<'b> {
        ArgsIter {
            raw: self.raw,
            form: self.form,
            at: self.at,
            left: self.count,
        }
    }
}

/// Equal if the arguments are, however they came.
impl PartialEq for Rest<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.into_iter().eq(*other)
    }
}

impl Eq for Rest<'_> {}
