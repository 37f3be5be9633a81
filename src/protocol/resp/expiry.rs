//! The times and conditions of SET and EXPIRE.

use super::args::Args;
use super::error::RequestError;
use super::request::{Request, integer};
use super::table::{Command, CommandSpec};

/// Milliseconds in a second, the unit of EX and EXPIRE.
pub(super) const MS_PER_SECOND: i64 = 1000;
/// Redis refuses a time from now whose end does not fit 63 bits of unix milliseconds. This end has
/// no clock and takes one that has been reached for sure (2020): it errs by some years in 292
/// million.
const UNIX_MS_REACHED: i64 = 1_577_836_800_000;

/// When what SET writes ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetExpiry {
    /// Never.
    None,
    /// When the old value would have (KEEPTTL).
    Keep,
    /// In so many milliseconds, at least 1 (EX, PX).
    InMs(u64),
    /// At this unix time, in milliseconds, which may be over (EXAT, PXAT).
    AtMs(u64),
}

/// When EXPIRE and the like let a key end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpireAt {
    /// In so many milliseconds; at once if it is not positive.
    InMs(i64),
    /// At this unix time, in milliseconds; at once if it has come.
    AtMs(i64),
}

/// What SET asks of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    Always,
    /// Not to be there (NX).
    Absent,
    /// To be there (XX).
    Present,
}

/// What EXPIRE asks of the key's present expiry. GT includes that there is one; so XX with GT is
/// GT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpireCondition {
    /// Nothing.
    Always,
    /// There is none (NX).
    Absent,
    /// There is one (XX).
    Present,
    /// The new one is later (GT).
    Later,
    /// The new one is sooner, or there is none (LT).
    Sooner,
    /// There is one, and the new one is sooner (XX with LT).
    PresentAndSooner,
}

/// SET.
pub(super) fn read_set(args: Args<'_>) -> Result<Request<'_>, RequestError<'_>> {
    let mut options = SetOptions::default();
    let mut rest = args.iter_from(3);
    while let Some(option) = rest.next() {
        options.read(option, &mut rest)?;
    }
    let expiry = match (options.timer, options.keep) {
        (Some((timer, time)), _) => timer.expiry(time, "set")?,
        (None, true) => SetExpiry::Keep,
        (None, false) => SetExpiry::None,
    };
    let SetOptions { condition, get, .. } = options;
    Ok(Request::Set {
        key: args.at(1),
        value: args.at(2),
        expiry,
        condition,
        get,
    })
}

/// SET's options as they are met; each may be repeated, and a repeated time replaces the one
/// before.
struct SetOptions<'b> {
    condition: Condition,
    get: bool,
    keep: bool,
    timer: Option<(Timer, &'b [u8])>,
}

impl Default for SetOptions<'_> {
    fn default() -> Self {
        Self {
            condition: Condition::Always,
            get: false,
            keep: false,
            timer: None,
        }
    }
}

impl<'b> SetOptions<'b> {
    fn read(
        &mut self,
        option: &'b [u8],
        rest: &mut impl Iterator<Item = &'b [u8]>,
    ) -> Result<(), RequestError<'b>> {
        let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
        if is("nx") && self.condition != Condition::Present {
            self.condition = Condition::Absent;
        } else if is("xx") && self.condition != Condition::Absent {
            self.condition = Condition::Present;
        } else if is("get") {
            self.get = true;
        } else if is("keepttl") && self.timer.is_none() {
            self.keep = true;
        } else {
            let timer = Timer::named(option).ok_or(RequestError::Syntax)?;
            let other = self.timer.is_some_and(|(before, _)| before != timer);
            let time = rest.next().filter(|_| !self.keep && !other);
            self.timer = Some((timer, time.ok_or(RequestError::Syntax)?));
        }
        Ok(())
    }
}

/// A way to say when: in what unit, and from when it counts.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Timer {
    name: &'static str,
    unit_ms: i64,
    relative: bool,
}

impl Timer {
    const ALL: [Self; 4] = [
        Self {
            name: "ex",
            unit_ms: MS_PER_SECOND,
            relative: true,
        },
        Self {
            name: "px",
            unit_ms: 1,
            relative: true,
        },
        Self {
            name: "exat",
            unit_ms: MS_PER_SECOND,
            relative: false,
        },
        Self {
            name: "pxat",
            unit_ms: 1,
            relative: false,
        },
    ];

    fn named(option: &[u8]) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|timer| option.eq_ignore_ascii_case(timer.name.as_bytes()))
    }

    /// The expiry, which has to be positive and on the clock.
    fn expiry<'b>(self, time: &[u8], command: &'static str) -> Result<SetExpiry, RequestError<'b>> {
        let invalid = RequestError::ExpireTime(command);
        let time = integer(time)?;
        let ms = time
            .checked_mul(self.unit_ms)
            .filter(|&ms| ms > 0)
            .ok_or(invalid)?;
        if self.relative {
            ms.checked_add(UNIX_MS_REACHED).ok_or(invalid)?;
            return Ok(SetExpiry::InMs(ms.unsigned_abs()));
        }
        Ok(SetExpiry::AtMs(ms.unsigned_abs()))
    }
}

/// SETEX and PSETEX.
pub(super) fn read_setex<'b>(
    spec: &'static CommandSpec,
    args: Args<'b>,
    unit_ms: i64,
) -> Result<Request<'b>, RequestError<'b>> {
    let expiry = Timer {
        name: "",
        unit_ms,
        relative: true,
    }
    .expiry(args.at(2), spec.name)?;
    let (key, value, condition) = (args.at(1), args.at(3), Condition::Always);
    Ok(Request::Set {
        key,
        value,
        expiry,
        condition,
        get: false,
    })
}

/// GETEX's options: `None` leaves the expiry, [`SetExpiry::None`] takes it away (PERSIST).
pub(super) fn read_getex_expiry(args: Args<'_>) -> Result<Option<SetExpiry>, RequestError<'_>> {
    let mut persists = false;
    let mut chosen: Option<(Timer, &[u8])> = None;
    let mut rest = args.iter_from(2);
    while let Some(option) = rest.next() {
        if option.eq_ignore_ascii_case(b"persist") && chosen.is_none() {
            persists = true;
            continue;
        }
        let timer = Timer::named(option).ok_or(RequestError::Syntax)?;
        let other = chosen.is_some_and(|(before, _)| before != timer);
        let time = rest.next().filter(|_| !persists && !other);
        chosen = Some((timer, time.ok_or(RequestError::Syntax)?));
    }
    match chosen {
        Some((timer, time)) => timer.expiry(time, "getex").map(Some),
        None => Ok(persists.then_some(SetExpiry::None)),
    }
}

/// EXPIRE, PEXPIRE, EXPIREAT and PEXPIREAT.
pub(super) fn read_expire<'b>(
    spec: &'static CommandSpec,
    args: Args<'b>,
) -> Result<Request<'b>, RequestError<'b>> {
    let condition = expire_condition(args)?;
    let invalid = RequestError::ExpireTime(spec.name);
    let unit_ms = match spec.command {
        Command::Expire | Command::ExpireAt => MS_PER_SECOND,
        _ => 1,
    };
    let ms = integer(args.at(2))?.checked_mul(unit_ms).ok_or(invalid)?;
    let at = match spec.command {
        Command::ExpireAt | Command::PExpireAt => ExpireAt::AtMs(ms),
        _ => {
            ms.checked_add(UNIX_MS_REACHED).ok_or(invalid)?;
            ExpireAt::InMs(ms)
        }
    };
    Ok(Request::Expire {
        key: args.at(1),
        at,
        condition,
    })
}

fn expire_condition(args: Args<'_>) -> Result<ExpireCondition, RequestError<'_>> {
    let (mut nx, mut xx, mut gt, mut lt) = (false, false, false, false);
    for option in args.iter_from(3) {
        let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
        let seen = if is("nx") {
            &mut nx
        } else if is("xx") {
            &mut xx
        } else if is("gt") {
            &mut gt
        } else if is("lt") {
            &mut lt
        } else {
            return Err(RequestError::ExpireOption(option));
        };
        *seen = true;
    }
    match (nx, xx, gt, lt) {
        (true, false, false, false) => Ok(ExpireCondition::Absent),
        (true, ..) => Err(RequestError::ExpireNxWithOthers),
        (_, _, true, true) => Err(RequestError::ExpireGtWithLt),
        (_, _, true, false) => Ok(ExpireCondition::Later),
        (_, true, _, true) => Ok(ExpireCondition::PresentAndSooner),
        (_, false, _, true) => Ok(ExpireCondition::Sooner),
        (_, true, ..) => Ok(ExpireCondition::Present),
        (false, false, false, false) => Ok(ExpireCondition::Always),
    }
}
