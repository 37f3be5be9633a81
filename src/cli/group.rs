//! Flags about a group.

use std::{path::PathBuf, time::Duration};

use super::{
    CliError,
    password::PasswordPlace,
    peers::PeerArgs,
    values::{self, duration, number},
};
use crate::config::{
    GroupConfig, LOAD_QUEUE_MAX_DEFAULT, LOAD_QUEUE_MAX_MAX, LOAD_TIMEOUT_DEFAULT,
    LOAD_TIMEOUT_MAX, LOAD_TIMEOUT_MIN, LOADS_MAX_DEFAULT, LOADS_MAX_MAX, NEGATIVE_TTL_MAX,
    NEGATIVE_TTL_MIN, OriginSpec, STALE_MAX, STALE_MIN, check_group_name,
};

const PASSWORD: PasswordPlace = PasswordPlace {
    flag: "--origin-password-file",
    variable: "RINGFORT_ORIGIN_PASSWORD",
};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Group")]
pub(super) struct GroupArgs {
    /// Load keys that are missing from an origin, each once for all who ask for it [default: no group]
    #[arg(long, value_name = "NAME", value_parser = group_name)]
    group: Option<String>,
    /// Where the group's values come from: http://HOST:PORT/PATH/{key}, which is asked with GET;
    /// dir:PATH, a folder with a file for each key; or redis://HOST:PORT or memcache://HOST:PORT, one or
    /// more servers with commas between them, which are told of sets and deletes, too [default: none]
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    origin: Option<OriginSpec>,
    /// User to be to the servers of a redis:// or memcache:// origin, if they want one [default: the
    /// default user]
    #[arg(long, value_name = "NAME", value_parser = values::user)]
    origin_user: Option<String>,
    /// File whose first line is those servers' password; the variable RINGFORT_ORIGIN_PASSWORD does,
    /// too [default: no password]
    #[arg(long, value_name = "FILE")]
    origin_password_file: Option<PathBuf>,
    /// How long a load may take, with its time in the queue, 1ms to 10m [default: 5s]
    #[arg(long, value_name = "DURATION", value_parser = load_timeout)]
    load_timeout: Option<Duration>,
    /// Most loads under way at a time, 1 to 4096 [default: 256]
    #[arg(long, value_name = "N", value_parser = loads_max, allow_hyphen_values = true)]
    loads_max: Option<usize>,
    /// Most loads that wait for their turn, up to 65536; one more is refused [default: 4096]
    #[arg(long, value_name = "N", value_parser = load_queue_max, allow_hyphen_values = true)]
    load_queue_max: Option<usize>,
    /// How long it is remembered that a key has no value, or that its load failed, up to 24h, as in
    /// 500ms, 2s [default: not at all]
    #[arg(long, value_name = "DURATION", value_parser = negative_ttl)]
    negative_ttl: Option<Duration>,
    /// How long a value is shown after its end, while the next one is loaded or cannot be, up to 7 days
    /// [default: not at all]
    #[arg(long, value_name = "DURATION", value_parser = stale)]
    stale: Option<Duration>,
    /// Load values that are read anew shortly before their end, by chance, so that nobody waits for
    /// them: on or off [default: on]
    #[arg(long, value_name = "on|off", value_parser = on_or_off)]
    early_refresh: Option<bool>,
    #[command(flatten)]
    peers: PeerArgs,
}

impl GroupArgs {
    /// The group, if one is asked for.
    pub(super) fn resolve(&self) -> Result<Option<GroupConfig>, CliError> {
        let Some(name) = &self.group else {
            let mut given = self.given().chain(self.peers.all());
            return match given.find(|(_, is_given)| *is_given) {
                Some((flag, _)) => Err(CliError::new(format_args!(
                    "{flag}: only means something for a group; add --group NAME"
                ))),
                None => Ok(None),
            };
        };
        let Some(origin) = &self.origin else {
            return Err(CliError::new(format_args!(
                "--group {name}: no origin to load from; add --origin http://HOST/PATH/{{key}} or \
                 --origin dir:PATH"
            )));
        };
        Ok(Some(GroupConfig {
            name: name.clone(),
            origin: Some(self.with_login(origin.clone())?),
            writes_through: origin.takes_changes(),
            load_timeout: self.load_timeout.unwrap_or(LOAD_TIMEOUT_DEFAULT),
            loads_max: self.loads_max.unwrap_or(LOADS_MAX_DEFAULT),
            load_queue_max: self.load_queue_max.unwrap_or(LOAD_QUEUE_MAX_DEFAULT),
            negative_ttl: self.negative_ttl.unwrap_or_default(),
            stale: self.stale.unwrap_or_default(),
            early_refresh: self.early_refresh.unwrap_or(true),
            peers: self.peers.resolve()?,
        }))
    }

    fn with_login(&self, mut origin: OriginSpec) -> Result<OriginSpec, CliError> {
        match &mut origin {
            OriginSpec::Servers(servers) => {
                let file = self.origin_password_file.as_deref();
                servers.user = self.origin_user.clone();
                servers.password = PASSWORD.read(file, "--origin-user", servers.user.as_deref())?;
            }
            OriginSpec::Http(_) | OriginSpec::Folder(_) => {
                let mut given = self.login_given().into_iter();
                if let Some((flag, _)) = given.find(|(_, is_given)| *is_given) {
                    return Err(CliError::new(format_args!(
                        "{flag}: only means something for servers; leave it out, or load from \
                         redis://HOST:PORT or memcache://HOST:PORT"
                    )));
                }
            }
        }
        Ok(origin)
    }

    fn login_given(&self) -> [(&'static str, bool); 2] {
        [
            ("--origin-user", self.origin_user.is_some()),
            (
                "--origin-password-file",
                self.origin_password_file.is_some(),
            ),
        ]
    }

    /// Flags that need `--group`, and whether each was given.
    fn given(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let own = [
            ("--origin", self.origin.is_some()),
            ("--load-timeout", self.load_timeout.is_some()),
            ("--loads-max", self.loads_max.is_some()),
            ("--load-queue-max", self.load_queue_max.is_some()),
            ("--negative-ttl", self.negative_ttl.is_some()),
            ("--stale", self.stale.is_some()),
            ("--early-refresh", self.early_refresh.is_some()),
        ];
        own.into_iter().chain(self.login_given())
    }

    /// A flag that was given, for who has no use for any.
    pub(super) fn any(&self) -> Option<&'static str> {
        let group = [("--group", self.group.is_some())];
        let flags = group.into_iter().chain(self.given());
        let flags = flags.chain(self.peers.all());
        flags
            .into_iter()
            .find_map(|(flag, is_given)| is_given.then_some(flag))
    }
}

fn group_name(text: &str) -> Result<String, String> {
    check_group_name(text).map(|()| text.to_owned())
}

fn origin(text: &str) -> Result<OriginSpec, String> {
    text.parse()
}

fn load_timeout(text: &str) -> Result<Duration, String> {
    let range = LOAD_TIMEOUT_MIN..=LOAD_TIMEOUT_MAX;
    duration(text, range, "200ms, 2s or 1m", "1ms to 10m")
}

fn negative_ttl(text: &str) -> Result<Duration, String> {
    let range = NEGATIVE_TTL_MIN..=NEGATIVE_TTL_MAX;
    duration(text, range, "500ms, 2s or 1m", "1ms to 24h")
}

fn stale(text: &str) -> Result<Duration, String> {
    let range = STALE_MIN..=STALE_MAX;
    duration(text, range, "500ms, 2s or 1h", "1ms to 168h")
}

fn on_or_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("not on or off; write one of them".into()),
    }
}

fn loads_max(text: &str) -> Result<usize, String> {
    number(text, 1..=LOADS_MAX_MAX)
}

fn load_queue_max(text: &str) -> Result<usize, String> {
    number(text, 0..=LOAD_QUEUE_MAX_MAX)
}
