//! How a client is received from.
//!
//! Most are received from as long as it goes, into the buffers that all connections share: that costs
//! nothing while nothing comes. A large value would come in many pieces, each of which is copied behind
//! the others; what is missing of it is received straight behind what is there of its request instead,
//! at once. So as to have little of the next one in shared buffers, and nothing to stop first, whoever
//! has sent a large value is received from once at a time, until some receives brought none.

use super::admission::Pass;

/// From so many missing bytes on, the rest of a request is received straight into its buffer: it costs
/// another submission, and saves copying what would have come in so many shared buffers.
pub(super) const STRAIGHT_BYTES_MIN: usize = 24 * 1024;

/// Receives in a row that bring no large value before a client is received from as others are.
const SMALL_RECEIVES_MAX: u8 = 32;

/// What is being received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receiving {
    /// Whatever comes, for as long as it goes.
    Stream,
    /// The next bytes that come, once.
    Once,
    /// What is missing of a large request.
    Rest,
    /// Nothing, until it is its turn to have that received.
    Waiting,
    /// What was, until the end of that is told of.
    Stopping,
    Nothing,
}

/// What is to be received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// Nothing for now.
    Nothing,
    /// The next bytes.
    Next,
    /// The rest of a large request.
    Rest,
}

/// What to do for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// What is being received will do, or has to end first.
    Wait,
    /// To stop what is being received.
    Stop,
    /// To receive as long as it goes.
    Stream,
    /// To receive once.
    Once,
    /// To receive what is missing.
    Fill,
}

/// How one client is received from.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) receiving: Receiving,
    /// The longest request that came in so lately, in bytes; 0 if none did.
    proven_bytes: usize,
    /// Receives since.
    small_count: u8,
    /// What there is of the request whose rest is received, and room for that.
    pub(super) started: (usize, usize),
    /// What lets it have the rest received.
    pub(super) pass: Option<Pass>,
    /// It has been asked whether anything comes of the rest, and nothing did.
    is_probed: bool,
}

impl Intake {
    /// That of a client who is received from as most are.
    pub(super) fn new() -> Self {
        Self {
            receiving: Receiving::Stream,
            proven_bytes: 0,
            small_count: 0,
            started: (0, 0),
            pass: None,
            is_probed: false,
        }
    }

    /// Some bytes have come.
    #[inline]
    pub(super) fn received(&mut self) {
        if self.receiving == Receiving::Once {
            self.receiving = Receiving::Nothing;
            self.small_count += 1;
            if self.small_count >= SMALL_RECEIVES_MAX {
                self.proven_bytes = 0;
            }
        }
    }

    /// So many bytes have come of the rest of a request, which now has `len` of `want`.
    pub(super) fn filled(&mut self, count: usize, (len, want): (usize, usize)) {
        if self.receiving == Receiving::Rest {
            self.receiving = Receiving::Nothing;
        }
        self.started = (0, 0);
        self.small_count = 0;
        if count > 0 {
            self.is_probed = false;
        }
        if len >= want {
            self.proven_bytes = self.proven_bytes.max(len);
        }
    }

    /// What was being received is not any more.
    pub(super) fn stopped(&mut self) {
        self.receiving = Receiving::Nothing;
    }

    /// Whether the rest of a request is being received, and it is not known whether anything has come.
    pub(super) fn wants_probe(&self) -> bool {
        self.receiving == Receiving::Rest && !self.is_probed
    }

    /// What is being received is stopped, to see what has come.
    pub(super) fn probing(&mut self) {
        self.receiving = Receiving::Stopping;
        self.is_probed = true;
    }

    /// Bytes that it has sent of one request, and so may be given room for.
    pub(super) fn proven_bytes(&self) -> usize {
        self.proven_bytes
    }

    /// What to do next. Who does it notes so.
    #[inline]
    pub(super) fn next(&mut self, wanted: Aim) -> Act {
        match (self.receiving, wanted) {
            (Receiving::Stream, Aim::Next)
            | (Receiving::Once | Receiving::Rest | Receiving::Waiting | Receiving::Stopping, _)
            | (Receiving::Nothing, Aim::Nothing) => Act::Wait,
            (Receiving::Stream, Aim::Nothing) => Act::Stop,
            (Receiving::Stream, Aim::Rest) => {
                // If all of it comes before the stop does, the next one need not be stopped for.
                self.proven_bytes = self.proven_bytes.max(1);
                self.small_count = 0;
                Act::Stop
            }
            (Receiving::Nothing, Aim::Rest) => Act::Fill,
            (Receiving::Nothing, Aim::Next) if self.proven_bytes > 0 => Act::Once,
            (Receiving::Nothing, Aim::Next) => Act::Stream,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does what is to be done.
    fn act(intake: &mut Intake, wanted: Aim) -> Act {
        let act = intake.next(wanted);
        intake.receiving = match act {
            Act::Wait => intake.receiving,
            Act::Stop => Receiving::Stopping,
            Act::Stream => Receiving::Stream,
            Act::Once => Receiving::Once,
            Act::Fill => Receiving::Rest,
        };
        act
    }

    #[test]
    fn who_sends_large_values_is_stopped_once() {
        let mut intake = Intake::new();
        assert_eq!(act(&mut intake, Aim::Next), Act::Wait);
        assert_eq!(act(&mut intake, Aim::Rest), Act::Stop);
        assert_eq!(act(&mut intake, Aim::Rest), Act::Wait);
        intake.stopped();
        for _ in 0..3 {
            assert_eq!(act(&mut intake, Aim::Rest), Act::Fill);
            assert_eq!(act(&mut intake, Aim::Next), Act::Wait);
            intake.filled(90_000, (100_000, 100_000));
            assert_eq!(intake.proven_bytes(), 100_000);
            assert_eq!(act(&mut intake, Aim::Next), Act::Once);
            assert_eq!(act(&mut intake, Aim::Rest), Act::Wait);
            intake.received();
        }
        assert_eq!(act(&mut intake, Aim::Rest), Act::Fill);
        intake.filled(30_000, (40_000, 40_000));
        assert_eq!(intake.proven_bytes(), 100_000, "the longest of them");
        for _ in 1..SMALL_RECEIVES_MAX {
            assert_eq!(act(&mut intake, Aim::Next), Act::Once);
            intake.received();
        }
        assert_eq!(act(&mut intake, Aim::Next), Act::Once);
        intake.received();
        assert_eq!(act(&mut intake, Aim::Next), Act::Stream);
        assert_eq!(intake.proven_bytes(), 0);
    }

    #[test]
    fn a_value_that_outruns_its_stop_counts() {
        let mut intake = Intake::new();
        assert_eq!(act(&mut intake, Aim::Rest), Act::Stop);
        intake.received();
        intake.stopped();
        assert_eq!(act(&mut intake, Aim::Next), Act::Once);
        assert_eq!(act(&mut intake, Aim::Nothing), Act::Wait);
        intake.received();
        assert_eq!(act(&mut intake, Aim::Nothing), Act::Wait);
    }

    #[test]
    fn who_seems_silent_is_looked_at_once() {
        let mut intake = Intake::new();
        assert!(!intake.wants_probe());
        act(&mut intake, Aim::Rest);
        intake.stopped();
        act(&mut intake, Aim::Rest);
        assert!(intake.wants_probe());
        intake.probing();
        intake.filled(0, (10, 100));
        intake.stopped();
        assert_eq!(act(&mut intake, Aim::Rest), Act::Fill);
        assert!(!intake.wants_probe(), "nothing had come");
        intake.filled(5, (15, 100));
        assert_eq!(act(&mut intake, Aim::Rest), Act::Fill);
        assert!(intake.wants_probe());
    }
}
