//! Commands by which clients hear of changes of what they have read: CLIENT TRACKING and its kin,
//! and SUBSCRIBE for those who hear by RESP2.

use super::super::{
    args::{Args, ArgsIter, Rest},
    error::RequestError,
    table::{Command, CommandSpec},
};
use super::integer;

/// The channel on which RESP2 clients are told what others have redirected to them; the only one
/// there is.
pub const INVALIDATION_CHANNEL: &[u8] = b"__redis__:invalidate";

/// One request about tracking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are named as Redis's documentation names the arguments"
)]
pub enum TrackingRequest<'b> {
    /// CLIENT TRACKING.
    Set {
        /// The id to redirect to. Whether it is there is looked at before all else.
        redirect: Option<i64>,
        /// What else is asked for, or is wrong behind the id.
        change: Result<TrackingChange<'b>, TrackingRefusal>,
    },
    /// CLIENT CACHING. Whether the client tracks is looked at before what it says.
    Caching {
        yes: Option<bool>,
    },
    GetRedir,
    TrackingInfo,
    Subscribe {
        channels: Rest<'b>,
    },
    /// No channels means all.
    Unsubscribe {
        channels: Rest<'b>,
    },
}

/// What CLIENT TRACKING turns on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackingChange<'b> {
    /// Tracking is on, so.
    On(TrackingOptions<'b>),
    /// It is off.
    Off,
}

/// CLIENT TRACKING's options; which go together is for the server to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are named as Redis's documentation names the arguments"
)]
pub struct TrackingOptions<'b> {
    pub bcast: bool,
    pub optin: bool,
    pub optout: bool,
    pub noloop: bool,
    args: Args<'b>,
}

/// What is wrong with CLIENT TRACKING's options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackingRefusal {
    /// One that does not exist, or lacks its value.
    Syntax,
    /// An id that is no number.
    NotAnInteger,
    /// A second id.
    SecondRedirect,
}

impl<'b> TrackingRequest<'b> {
    /// Gives a frame that has the command's arity its meaning; `None` for commands about
    /// something else.
    pub(super) fn read(
        spec: &'static CommandSpec,
        args: Args<'b>,
    ) -> Option<Result<Self, RequestError<'b>>> {
        let request = match spec.command {
            Command::ClientTracking => return Some(read_tracking(args)),
            Command::ClientCaching => Self::Caching {
                yes: match args.at(2) {
                    yes if yes.eq_ignore_ascii_case(b"yes") => Some(true),
                    no if no.eq_ignore_ascii_case(b"no") => Some(false),
                    _ => None,
                },
            },
            Command::ClientGetRedir => Self::GetRedir,
            Command::ClientTrackingInfo => Self::TrackingInfo,
            Command::Subscribe => Self::Subscribe {
                channels: args.rest(1),
            },
            Command::Unsubscribe => Self::Unsubscribe {
                channels: args.rest(1),
            },
            _ => return None,
        };
        Some(Ok(request))
    }
}

fn read_tracking(args: Args<'_>) -> Result<TrackingRequest<'_>, RequestError<'_>> {
    let mut redirect = None;
    let options = read_options(args, &mut redirect);
    let change = options.and_then(|options| match args.at(2) {
        on if on.eq_ignore_ascii_case(b"on") => Ok(TrackingChange::On(options)),
        off if off.eq_ignore_ascii_case(b"off") => Ok(TrackingChange::Off),
        _ => Err(TrackingRefusal::Syntax),
    });
    match change {
        // Nothing has to be looked up before this can be said.
        Err(refusal) if redirect.is_none() => Err(refusal.into()),
        change => Ok(TrackingRequest::Set { redirect, change }),
    }
}

fn read_options<'b>(
    args: Args<'b>,
    redirect: &mut Option<i64>,
) -> Result<TrackingOptions<'b>, TrackingRefusal> {
    let mut options = TrackingOptions {
        bcast: false,
        optin: false,
        optout: false,
        noloop: false,
        args,
    };
    let mut rest = args.iter_from(OPTIONS_AT);
    while let Some(option) = rest.next() {
        let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
        if is("redirect") && rest.len() > 0 {
            if redirect.is_some() {
                return Err(TrackingRefusal::SecondRedirect);
            }
            let id = rest.next().and_then(|id| integer(id).ok());
            *redirect = Some(id.ok_or(TrackingRefusal::NotAnInteger)?);
        } else if is("prefix") && rest.len() > 0 {
            rest.next();
        } else if is("bcast") {
            options.bcast = true;
        } else if is("optin") {
            options.optin = true;
        } else if is("optout") {
            options.optout = true;
        } else if is("noloop") {
            options.noloop = true;
        } else {
            return Err(TrackingRefusal::Syntax);
        }
    }
    Ok(options)
}

/// CLIENT, TRACKING and ON stand before them.
const OPTIONS_AT: usize = 3;

impl<'b> TrackingOptions<'b> {
    /// The prefixes, in the order given.
    pub fn prefixes(&self) -> impl Iterator<Item = &'b [u8]> + Clone + use<'b> {
        Prefixes(self.args.iter_from(OPTIONS_AT))
    }
}

/// Iterator over the values of the PREFIX options.
#[derive(Clone)]
struct Prefixes<'b>(ArgsIter<'b>);

impl<'b> Iterator for Prefixes<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        loop {
            let option = self.0.next()?;
            if option.eq_ignore_ascii_case(b"prefix") {
                return self.0.next();
            }
            if option.eq_ignore_ascii_case(b"redirect") {
                self.0.next();
            }
        }
    }
}

impl From<TrackingRefusal> for RequestError<'_> {
    fn from(refusal: TrackingRefusal) -> Self {
        match refusal {
            TrackingRefusal::Syntax => Self::Syntax,
            TrackingRefusal::NotAnInteger => Self::NotAnInteger,
            TrackingRefusal::SecondRedirect => Self::SecondRedirect,
        }
    }
}
