//! Everything in which ringfort's answers may differ from those of memcached 1.6.18 and Redis 7.0.15, and why.
//!
//! Five kinds, and each hides as little as it can:
//! * *avoided*: never asked, as ringfort is meant to behave otherwise in what follows from it;
//! * *arranged*: never asked in that order, for the same reason;
//! * *alone*: asked only when all before is answered, as the real server loses what is not;
//! * *normalised*: what is another text on each server, and means the same;
//! * *explained*: a reply that differs, and how.
//!
//! How each is told stands in `tests/support/differential/known`.

use crate::harness::Protocol;
use crate::harness::known::{self, Difference, Kind, admin, binary, meta, resp, text};

pub(crate) const LIST: &[Difference] = &[
    Difference {
        name: "flags-over-32-bits",
        protocol: Protocol::Text,
        reason: "memcached 1.6.18 cuts them to 32 bits, ringfort refuses them",
        kind: Kind::Avoided(text::has_wide_flags),
    },
    Difference {
        name: "cut-length",
        protocol: Protocol::Text,
        reason: "memcached cuts the length of a block to 32 bits, ringfort refuses it",
        kind: Kind::Avoided(text::has_wide_length),
    },
    Difference {
        name: "late-exptime",
        protocol: Protocol::Text,
        reason: "memcached cuts an exptime to 32 bits, so that a time after 2038 is over at once; ringfort does not",
        kind: Kind::Avoided(text::ends_after_2038),
    },
    Difference {
        name: "blank-number",
        protocol: Protocol::Text,
        reason: "in a value of blanks memcached looks for a number beyond the entry's end",
        kind: Kind::Avoided(text::stores_a_blank),
    },
    Difference {
        name: "long-number",
        protocol: Protocol::Text,
        reason: "memcached takes any text for a number that starts with one and a blank or a NUL, ringfort one of up \
                 to 1024 bytes",
        kind: Kind::Avoided(text::makes_a_long_number),
    },
    Difference {
        name: "item-limit",
        protocol: Protocol::Text,
        reason: "memcached's header has 59 bytes or, with flags, 63, ringfort's counts as 59; up to the item limit \
                 without any header ringfort asks whether there is something to replace first",
        kind: Kind::Avoided(text::is_near_the_item_limit),
    },
    Difference {
        name: "guessed-cas",
        protocol: Protocol::Text,
        reason: "a cas unique that one server has given the other may not have; what replies show is used, and what \
                 none will ever show",
        kind: Kind::Avoided(text::guesses_a_cas_unique),
    },
    Difference {
        name: "delayed-flush",
        protocol: Protocol::Text,
        reason: "memcached knows one flush: a delayed one brings back what the one before has hidden",
        kind: Kind::Avoided(text::flushes_later),
    },
    Difference {
        name: "half-a-get",
        protocol: Protocol::Text,
        reason: "memcached reads the keys before the one that is too long, which marks them, or touches them, and \
                 then refuses the line; ringfort reads none",
        kind: Kind::Avoided(text::reads_before_a_long_key),
    },
    Difference {
        name: "wrapped-number",
        protocol: Protocol::Text,
        reason: "memcached takes an unsigned number below -2^63 and has it wrap round; ringfort refuses it",
        kind: Kind::Avoided(text::has_a_wrapped_number),
    },
    Difference {
        name: "long-line",
        protocol: Protocol::Text,
        reason: "memcached takes a line over 2048 bytes if it happens to come in one piece; ringfort never, so that \
                 it does not depend on how the network cuts",
        kind: Kind::Avoided(text::is_a_long_line),
    },
    Difference {
        name: "hang-up",
        protocol: Protocol::Text,
        reason: "memcached closes without a word, and without the replies that it has not sent yet",
        kind: Kind::Alone(text::makes_it_hang_up),
    },
    Difference {
        name: "statistics-lines",
        protocol: Protocol::Text,
        reason: "how many statistics there are differs",
        kind: Kind::Alone(text::asks_for_statistics),
    },
    Difference {
        name: "number-in-use",
        protocol: Protocol::Text,
        reason: "memcached pads a number that became shorter with blanks, unless a reply that it has not sent yet \
                 refers to the entry",
        kind: Kind::Alone(text::counts),
    },
    Difference {
        name: "long-key",
        protocol: Protocol::Text,
        reason: "memcached 1.6.18 refuses a retrieval with a key over 250 bytes, and takes back the replies that it \
                 has not sent yet",
        kind: Kind::Alone(text::retrieves_a_long_key),
    },
    Difference {
        name: "later-flags",
        protocol: Protocol::Text,
        reason: "memcached learned E, x, mg's C and what s and N mean to ms after 1.6.18; ringfort serves them",
        kind: Kind::Avoided(meta::has_a_later_flag),
    },
    Difference {
        name: "binary-key",
        protocol: Protocol::Text,
        reason: "memcached shows a key in base64 if the item was stored so, ringfort if it was asked for so",
        kind: Kind::Avoided(meta::shows_how_a_key_was_stored),
    },
    Difference {
        name: "wide-meta-numbers",
        protocol: Protocol::Text,
        reason: "memcached cuts times, flags and lengths to 32 bits, ringfort refuses them or counts on",
        kind: Kind::Avoided(meta::has_a_wide_number),
    },
    Difference {
        name: "time-over",
        protocol: Protocol::Text,
        reason: "what is left of a time that is over, memcached writes as a large number, and the item that never \
                 was has a cas unique there",
        kind: Kind::Avoided(meta::tells_of_a_time_that_is_over),
    },
    Difference {
        name: "late-opaque",
        protocol: Protocol::Text,
        reason: "memcached finds an opaque too long once it has counted or touched, ringfort before",
        kind: Kind::Avoided(meta::has_an_opaque_too_many),
    },
    Difference {
        name: "guessed-meta-cas",
        protocol: Protocol::Text,
        reason: "as guessed-cas",
        kind: Kind::Avoided(meta::guesses_a_cas_unique),
    },
    Difference {
        name: "counted-and-touched",
        protocol: Protocol::Text,
        reason: "where a number gets longer, memcached gives ma's new time to the item that it has replaced",
        kind: Kind::Avoided(meta::counts_and_touches),
    },
    Difference {
        name: "refused-large-block",
        protocol: Protocol::Text,
        reason: "see refused-block; a large one without a line end makes memcached hang up",
        kind: Kind::Avoided(meta::has_a_refused_large_block),
    },
    Difference {
        name: "meta-number-in-use",
        protocol: Protocol::Text,
        reason: "as number-in-use; and whether a number is written in place shows in its marks",
        kind: Kind::Alone(meta::counts),
    },
    Difference {
        name: "meta-clock",
        protocol: Protocol::Text,
        reason: "the clock goes on between the two: 3 s are allowed for; ringfort has no slab classes",
        kind: Kind::Normalised(meta::tokens),
    },
    Difference {
        name: "cas-unique",
        protocol: Protocol::Text,
        reason: "a cas unique is the server's to choose; which entries share one is compared",
        kind: Kind::Normalised(known::cas_tokens),
    },
    Difference {
        name: "version",
        protocol: Protocol::Text,
        reason: "each says who it is",
        kind: Kind::Normalised(text::version_tokens),
    },
    Difference {
        name: "statistics",
        protocol: Protocol::Text,
        reason: "what is counted differs; that there are statistics, and where they end, does not",
        kind: Kind::Normalised(text::statistics_tokens),
    },
    Difference {
        name: "refused-block",
        protocol: Protocol::Text,
        reason: "memcached 1.6.18 reads the block of a refused line as a command; later ones (1.6.45) swallow it",
        kind: Kind::Explained {
            rewrites: text::without_surplus_errors,
            parts_ways: false,
        },
    },
    Difference {
        name: "large-number-unheard",
        protocol: Protocol::Text,
        reason: "see large-number: whether memcached counted cannot be told if it does not say",
        kind: Kind::Avoided(text::counts_unheard),
    },
    Difference {
        name: "large-number",
        protocol: Protocol::Text,
        reason: "memcached looks for a minus behind a number of 2^63 or more, and goes on beyond the entry's end: \
                 whether it then takes it for a number depends on what is there",
        kind: Kind::Explained {
            rewrites: text::takes_a_large_number,
            parts_ways: true,
        },
    },
    Difference {
        name: "inline-nul",
        protocol: Protocol::Resp,
        reason: "Redis does not find the end of an inline line behind a NUL, and waits for ever",
        kind: Kind::Avoided(resp::has_an_inline_nul),
    },
    Difference {
        name: "hello-twice",
        protocol: Protocol::Resp,
        reason: "of a HELLO that ends in an error Redis 7.0 has done the first half, ringfort nothing, as 7.2",
        kind: Kind::Avoided(resp::is_a_hello_with_options),
    },
    Difference {
        name: "expired-on-arrival",
        protocol: Protocol::Resp,
        reason: "Redis counts a key that SET gave a time in the past until it happens upon it",
        kind: Kind::Avoided(resp::sets_a_past_time),
    },
    Difference {
        name: "encoding",
        protocol: Protocol::Resp,
        reason: "Redis tells how a value came about (APPEND leaves it raw, INCRBYFLOAT embstr), ringfort how Redis \
                 would keep it if it were just set",
        kind: Kind::Avoided(resp::asks_how_a_value_is_kept),
    },
    Difference {
        name: "far-times-compared",
        protocol: Protocol::Resp,
        reason: "see far-time: one is not later than another there",
        kind: Kind::Avoided(resp::compares_far_times),
    },
    Difference {
        name: "select",
        protocol: Protocol::Resp,
        reason: "ringfort has one database; Redis is configured for 16",
        kind: Kind::Avoided(resp::selects_another_database),
    },
    Difference {
        name: "closing",
        protocol: Protocol::Resp,
        reason: "Redis closes a connection while there is something to read on it, which takes back what it has said \
                 last; to a browser it says nothing, and leaves out what it has not said yet",
        kind: Kind::Alone(resp::makes_it_close),
    },
    Difference {
        name: "far-time",
        protocol: Protocol::Resp,
        reason: "ringfort keeps a time to the year 4199 at most, Redis to one in 292 million years",
        kind: Kind::Normalised(resp::far_time_tokens),
    },
    Difference {
        name: "time-left",
        protocol: Protocol::Resp,
        reason: "the clock goes on between the two: 3 s are allowed for",
        kind: Kind::Normalised(resp::time_tokens),
    },
    Difference {
        name: "idle-time",
        protocol: Protocol::Resp,
        reason: "seconds begin at different moments: 3 s are allowed for",
        kind: Kind::Normalised(resp::idle_tokens),
    },
    Difference {
        name: "client-id",
        protocol: Protocol::Resp,
        reason: "the id of a connection is the server's to choose",
        kind: Kind::Normalised(resp::client_id_tokens),
    },
    Difference {
        name: "hello",
        protocol: Protocol::Resp,
        reason: "the version is ringfort's to choose, the id of a connection every server's",
        kind: Kind::Normalised(resp::hello_tokens),
    },
    Difference {
        name: "all-commands",
        protocol: Protocol::Resp,
        reason: "Redis tells of its commands in the order in which it hashes them, and of those that ringfort does not \
                 have",
        kind: Kind::Avoided(resp::asks_for_all_commands),
    },
    Difference {
        name: "count-of-commands",
        protocol: Protocol::Resp,
        reason: "each tells of those it has",
        kind: Kind::Normalised(admin::count_tokens),
    },
    Difference {
        name: "info",
        protocol: Protocol::Resp,
        reason: "figures differ; the headings and the names of fields, and their order, do not, but for a few of each \
                 server's own",
        kind: Kind::Normalised(admin::info_tokens),
    },
    Difference {
        name: "clock",
        protocol: Protocol::Resp,
        reason: "the clock goes on between the two: 3 s are allowed for",
        kind: Kind::Normalised(admin::clock_tokens),
    },
    Difference {
        name: "settings",
        protocol: Protocol::Resp,
        reason: "Redis has settings that mean nothing to ringfort, and others elsewhere; and tells of them in the order \
                 in which it hashes them",
        kind: Kind::Normalised(admin::settings_tokens),
    },
    Difference {
        name: "scan-without-count",
        protocol: Protocol::Resp,
        reason: "from ten keys on, Redis may stop before the last one or not, as it hashes them with a seed of its own",
        kind: Kind::Avoided(resp::scans_some),
    },
    Difference {
        name: "made-up-cursor",
        protocol: Protocol::Resp,
        reason: "what a cursor means that SCAN has not given is the server's to choose",
        kind: Kind::Avoided(resp::makes_up_a_cursor),
    },
    Difference {
        name: "watched-and-back",
        protocol: Protocol::Resp,
        reason: "a watched key that is again as it was, absent or without a time to live, has not changed to ringfort, \
                 which executes what Redis refuses",
        kind: Kind::Arranged,
    },
    Difference {
        name: "listed-keys",
        protocol: Protocol::Resp,
        reason: "in which order keys are listed is the server's to choose, as it hashes them with a seed of its own",
        kind: Kind::Normalised(resp::listed_keys_tokens),
    },
    Difference {
        name: "random-key",
        protocol: Protocol::Resp,
        reason: "which one it is is left to chance",
        kind: Kind::Normalised(resp::random_key_tokens),
    },
    Difference {
        name: "binary-closing",
        protocol: Protocol::Binary,
        reason: "memcached closes at a packet that is not as it ought to be, without the replies that it has not sent \
                 yet",
        kind: Kind::Alone(binary::makes_it_close),
    },
    Difference {
        name: "binary-delayed-flush",
        protocol: Protocol::Binary,
        reason: "as delayed-flush",
        kind: Kind::Avoided(binary::flushes_later),
    },
    Difference {
        name: "binary-odd-number",
        protocol: Protocol::Binary,
        reason: "as blank-number and long-number",
        kind: Kind::Avoided(binary::writes_an_odd_number),
    },
    Difference {
        name: "binary-surplus",
        protocol: Protocol::Binary,
        reason: "memcached takes what is behind the key for the next request and closes then, ringfort refuses it",
        kind: Kind::Avoided(binary::has_a_surplus_value),
    },
    Difference {
        name: "binary-empty-number",
        protocol: Protocol::Binary,
        reason: "of an empty value memcached says that it is no number, ringfort that its cas unique is another one, \
                 if both are wrong",
        kind: Kind::Explained {
            rewrites: binary::counts_an_empty_value,
            parts_ways: false,
        },
    },
    Difference {
        name: "binary-number-in-use",
        protocol: Protocol::Binary,
        reason: "as number-in-use",
        kind: Kind::Alone(binary::counts),
    },
    Difference {
        name: "binary-large-number",
        protocol: Protocol::Binary,
        reason: "as large-number",
        kind: Kind::Explained {
            rewrites: binary::takes_a_large_number,
            parts_ways: true,
        },
    },
    Difference {
        name: "binary-last-words",
        protocol: Protocol::Binary,
        reason: "memcached closes without waiting for what it has said to be taken, and says nothing to a key that is \
                 longer than its buffer",
        kind: Kind::Explained {
            rewrites: binary::closes_early,
            parts_ways: false,
        },
    },
    Difference {
        name: "binary-unknown-body",
        protocol: Protocol::Binary,
        reason: "memcached skips the extras and the key of an opcode that it does not know twice, and is lost",
        kind: Kind::Avoided(binary::is_unknown_with_parts),
    },
    Difference {
        name: "binary-cas-unique",
        protocol: Protocol::Binary,
        reason: "a cas unique is the server's to choose; which entries share one is compared",
        kind: Kind::Normalised(known::cas_tokens),
    },
    Difference {
        name: "binary-version",
        protocol: Protocol::Binary,
        reason: "each says who it is",
        kind: Kind::Normalised(binary::version_tokens),
    },
    Difference {
        name: "binary-statistics",
        protocol: Protocol::Binary,
        reason: "what is counted differs; that there are statistics, and where they end, does not",
        kind: Kind::Normalised(binary::statistics_tokens),
    },
];
