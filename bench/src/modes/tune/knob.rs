//! What can be set: flags of the server with values to try, and those of ringfort that are a matter of speed alone.
//!
//! A flag that changes what clients may count on (`--l1`, `--write`, `--spool-sync`, `--read-from`, limits of time) is a
//! decision and no knob, and more `--memory` is always better: whoever wants their worth all the same names them.

use std::fmt;

/// Bytes that memcached, and so ringfort, adds to key and value when it looks at an item's size.
const ITEM_HEADER_BYTES: usize = 59;

/// A flag and what is tried for it. That it is not given at all is tried as well: that is where a search begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Knob {
    /// With its dashes.
    pub(crate) flag: String,
    /// An empty one stands for the flag alone.
    pub(crate) values: Vec<String>,
}

/// A flag with the value it is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) flag: String,
    pub(crate) value: String,
}

/// What decides which of ringfort's flags are tried.
pub(crate) struct Place<'p> {
    /// What the server says when it is asked for help.
    pub(crate) help: &'p str,
    /// The flags that it is given in any case.
    pub(crate) fixed: &'p [String],
    /// Cores that it may use.
    pub(crate) core_count: usize,
    /// The longest key and value of the load together.
    pub(crate) item_bytes: usize,
}

impl Knob {
    fn new<I>(flag: &str, values: I) -> Self
    where
        I: IntoIterator,
        I::Item: fmt::Display,
    {
        Self {
            flag: flag.to_owned(),
            values: values.into_iter().map(|value| value.to_string()).collect(),
        }
    }

    /// `--flag=value,value` or `--flag` alone.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (flag, values) = text.split_once('=').unwrap_or((text, ""));
        let is_flag = flag
            .strip_prefix("--")
            .is_some_and(|name| !name.is_empty() && !name.contains(char::is_whitespace));
        if !is_flag {
            return Err("not like --flag=value,value".to_owned());
        }
        let knob = Self::new(flag, values.split(','));
        let is_repeated = (1..knob.values.len()).any(|index| {
            let (before, rest) = knob.values.split_at(index);
            before.contains(&rest[0])
        });
        if is_repeated || (knob.values.len() > 1 && knob.values.iter().any(String::is_empty)) {
            return Err("a value is empty, or there twice".to_owned());
        }
        Ok(knob)
    }

    pub(crate) fn setting(&self, value: &str) -> Setting {
        Setting {
            flag: self.flag.clone(),
            value: value.to_owned(),
        }
    }
}

impl Setting {
    /// As a server is given it.
    pub(crate) fn words(&self) -> impl Iterator<Item = String> {
        let value = Some(self.value.clone()).filter(|value| !value.is_empty());
        [self.flag.clone()].into_iter().chain(value)
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value.as_str() {
            "" => f.write_str(&self.flag),
            value => write!(f, "{} {value}", self.flag),
        }
    }
}

impl Place<'_> {
    /// Those of ringfort's knobs that this server has, and that have something to turn here.
    pub(crate) fn knobs(&self) -> Vec<Knob> {
        let known = [
            Some(Knob::new("--shards", self.shard_counts())),
            Some(Knob::new("--item-size-max", self.item_sizes())),
            Some(Knob::new("--eviction", ["s3fifo"])),
            Some(Knob::new("--spin", ["50us", "1ms"])),
            self.of_mode("--pool", "--backend-connections", &["2", "4"]),
            self.of_mode("--pool", "--backend-in-flight-max", &["256", "32768"]),
            self.of_mode("--group", "--loads-max", &["32", "2048"]),
            self.of_mode("--group", "--early-refresh", &["off"]),
            self.of_mode("--self", "--hot", &["sketch", "all", "none"]),
        ];
        known
            .into_iter()
            .flatten()
            .filter(|knob| !knob.values.is_empty() && self.is_free(&knob.flag))
            .collect()
    }

    /// The server knows it, and it was not decided.
    fn is_free(&self, flag: &str) -> bool {
        self.is_known(flag) && !self.is_given(flag)
    }

    /// Whether the help has a flag.
    pub(crate) fn is_known(&self, flag: &str) -> bool {
        let ends = |letter: char| letter.is_whitespace() || ",=[]<>".contains(letter);
        self.help.split(ends).any(|word| word == flag)
    }

    /// The flags of [`Self::knobs`], as one says them.
    pub(crate) fn known(&self) -> String {
        let flags: Vec<_> = self.knobs().into_iter().map(|knob| knob.flag).collect();
        match flags.is_empty() {
            true => "give one that its --help has".to_owned(),
            false => format!("its knobs here are {}", flags.join(", ")),
        }
    }

    fn is_given(&self, flag: &str) -> bool {
        self.fixed.iter().any(|word| {
            word.strip_prefix(flag)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        })
    }

    fn of_mode(&self, mode: &str, flag: &str, values: &[&str]) -> Option<Knob> {
        self.is_given(mode).then(|| Knob::new(flag, values))
    }

    /// Powers of two below one for each core, which is the default.
    fn shard_counts(&self) -> Vec<usize> {
        (0..usize::BITS)
            .map(|shift| 1 << shift)
            .take_while(|&count| count < self.core_count)
            .collect()
    }

    /// Around the default of a MiB, as far as the load's items fit.
    fn item_sizes(&self) -> Vec<&'static str> {
        const SIZES: [(usize, &str); 4] = [
            (64 << 10, "64KiB"),
            (256 << 10, "256KiB"),
            (4 << 20, "4MiB"),
            (8 << 20, "8MiB"),
        ];
        let fits = |(bytes, _): &&(usize, &str)| self.item_bytes + ITEM_HEADER_BYTES <= *bytes;
        SIZES.iter().filter(fits).map(|(_, name)| *name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELP: &str = "\
      --shards <N>               Number of shards
      --item-size-max <SIZE>     Largest value
      --eviction <POLICY>        What goes when memory is needed
      --backend-connections <N>  Connections of each shard to each server
      --hot <WHICH>              Which values of other peers are kept";

    fn flags(fixed: &str, core_count: usize, item_bytes: usize) -> Vec<String> {
        let fixed: Vec<_> = fixed.split_whitespace().map(str::to_owned).collect();
        let place = Place {
            help: HELP,
            fixed: &fixed,
            core_count,
            item_bytes,
        };
        let told = |knob: Knob| format!("{}={}", knob.flag, knob.values.join(","));
        place.knobs().into_iter().map(told).collect()
    }

    #[test]
    fn what_can_be_turned_follows_from_the_server_and_the_place() {
        let sizes = "--item-size-max=64KiB,256KiB,4MiB,8MiB";
        let eviction = "--eviction=s3fifo";
        assert_eq!(flags("", 1, 100), [sizes, eviction]);
        assert_eq!(flags("", 6, 100), ["--shards=1,2,4", sizes, eviction]);
        assert_eq!(flags("--shards 2", 6, 100), [sizes, eviction]);
        let sized = "--item-size-max=1MiB --shards=2";
        assert_eq!(flags(sized, 6, 100), [eviction]);
        let decided = format!("{sized} --eviction lru");
        assert_eq!(flags(&decided, 6, 100), [""; 0]);
        assert_eq!(
            flags("", 1, 1 << 20),
            ["--item-size-max=4MiB,8MiB", eviction]
        );
        assert_eq!(
            flags("--pool memcache --item-size-max 1MiB", 1, 100),
            [eviction, "--backend-connections=2,4"],
            "--backend-in-flight-max is not in the help"
        );
    }

    #[test]
    fn knobs_are_written_as_flags() {
        let knob = Knob::parse("--spin=0,50us").unwrap();
        assert_eq!(knob, Knob::new("--spin", ["0", "50us"]));
        let words: Vec<_> = knob.setting("50us").words().collect();
        assert_eq!(words, ["--spin", "50us"]);
        assert_eq!(knob.setting("0").to_string(), "--spin 0");

        let alone = Knob::parse("--fast").unwrap();
        let setting = alone.setting(&alone.values[0]);
        assert_eq!(setting.words().collect::<Vec<_>>(), ["--fast"]);
        assert_eq!(setting.to_string(), "--fast");

        for wrong in ["", "--", "spin=1", "--spin=1,", "--spin=1,1", "--a b=1"] {
            assert!(Knob::parse(wrong).is_err(), "{wrong}");
        }
    }
}
