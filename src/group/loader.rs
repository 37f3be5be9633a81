//! Where a group's values come from.

use core::{fmt, future::Future, pin::Pin, time::Duration};
use std::{sync::Arc, time::Instant};

use bytes::Bytes;

use super::{ChangeFuture, port::Change};

/// A key that is to be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The group's name.
    pub group: Arc<str>,
    /// The key, as the client gave it: any bytes.
    pub key: Bytes,
    /// When nobody waits for it any more. A loader that goes on is dropped then.
    pub deadline: Instant,
}

/// A value that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The value. One that does not fit into an entry is answered, and not kept.
    pub value: Bytes,
    /// memcache flags; 0 from sources that have none.
    pub flags: u32,
    /// How long it is good: `None` for ever; zero, or less than a millisecond, for those only who wait
    /// for it now.
    pub ttl: Option<Duration>,
}

impl Loaded {
    /// A value that is good for ever.
    pub fn forever(value: impl Into<Bytes>) -> Self {
        Self {
            value: value.into(),
            flags: 0,
            ttl: None,
        }
    }

    /// A value that is good for so long.
    pub fn for_ttl(value: impl Into<Bytes>, ttl: Duration) -> Self {
        Self {
            value: value.into(),
            flags: 0,
            ttl: Some(ttl),
        }
    }
}

/// Why there is no value. All but the first are errors to clients; none is kept unless that is
/// asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadError {
    /// The source knows that there is none: a miss to clients.
    NotFound {
        /// How long that is good, if the source says so.
        ttl: Option<Duration>,
    },
    /// The source did not answer before the deadline. It may be working still.
    Late,
    /// As many loads are under way and queued as may be. The source was not asked.
    Busy,
    /// The value is longer than it may be.
    TooLarge,
    /// What the source said, in one line.
    Failed(String),
}

/// Bytes of what a source says that are kept, at most.
const TEXT_BYTES_MAX: usize = 200;

impl LoadError {
    /// The source failed and says why. What would break a reply's line is left out, and so is what
    /// is too long.
    pub fn failed(why: impl fmt::Display) -> Self {
        Self::Failed(short_line(why))
    }
}

/// A text as one line that is not long.
pub(super) fn short_line(text: impl fmt::Display) -> String {
    let mut line = String::new();
    for letter in text.to_string().chars() {
        let letter = if letter.is_control() { ' ' } else { letter };
        if line.len() + letter.len_utf8() > TEXT_BYTES_MAX {
            break;
        }
        line.push(letter);
    }
    line
}

/// What went wrong, without the number that the kernel has for it: who reads that is a client.
pub(super) fn reason(error: impl fmt::Display) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((what, number)) if number.ends_with(')') => what.to_owned(),
        _ => text,
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { .. } => f.write_str("not found"),
            Self::Late => f.write_str("origin did not answer in time"),
            Self::Busy => f.write_str("too many loads are waiting"),
            Self::TooLarge => f.write_str("value is too large"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for LoadError {}

/// A load under way.
pub type LoadFuture<'a> = Pin<Box<dyn Future<Output = Result<Loaded, LoadError>> + 'a>>;

/// A source of values: an HTTP origin, a folder, or what a program gives.
///
/// It is asked on one thread, for one key once however many wait for it, and for many keys at a
/// time. That thread serves all loads: what takes long is to wait, not to compute, and a load that
/// is dropped half way is to leave nothing behind.
///
/// A function from [`Wanted`] to a future is a loader, too:
///
/// ```
/// use ringfort::group::{LoadError, Loaded, Loader, Wanted};
///
/// fn loader() -> impl Loader {
///     |wanted: Wanted| async move {
///         match wanted.key.as_ref() {
///             b"greeting" => Ok(Loaded::forever("hello")),
///             _ => Err(LoadError::NotFound { ttl: None }),
///         }
///     }
/// }
/// # loader();
/// ```
pub trait Loader {
    /// Loads one key.
    fn load<'a>(&'a self, wanted: &'a Wanted) -> LoadFuture<'a>;

    /// Makes a change of a key where its value comes from. This is asked of sources alone of which it was said
    /// that they take changes; the others have nothing to do. What is kept of the key is dropped when it is done, or
    /// may be, and loaded anew.
    fn change<'a>(&'a self, wanted: &'a Wanted, change: &'a Change) -> ChangeFuture<'a> {
        let _ = (wanted, change);
        Box::pin(core::future::ready(Ok(())))
    }
}

impl<F, Work> Loader for F
where
    F: Fn(Wanted) -> Work,
    Work: Future<Output = Result<Loaded, LoadError>> + 'static,
{
    fn load<'a>(&'a self, wanted: &'a Wanted) -> LoadFuture<'a> {
        Box::pin(self(wanted.clone()))
    }
}

#[cfg(test)]
mod tests {
    use core::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn a_function_is_a_loader() {
        let loader = |wanted: Wanted| async move { Ok(Loaded::forever(wanted.key)) };
        let wanted = Wanted {
            group: "g".into(),
            key: Bytes::from_static(b"a"),
            deadline: Instant::now(),
        };
        let mut load = Loader::load(&loader, &wanted);
        let polled = load.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Ready(Ok(Loaded::forever("a"))));
    }

    #[test]
    fn what_a_source_says_is_one_line_and_not_long() {
        let said = LoadError::failed("a\r\nb\0c");
        assert_eq!(said.to_string(), "a  b c");
        let said = LoadError::failed("é".repeat(101) + "x").to_string();
        assert_eq!(said, "é".repeat(100));
    }
}
