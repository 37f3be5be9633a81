//! The naive twin of a partition: a `HashMap`, and random steps for both.

use std::collections::HashMap;

use proptest::prelude::*;

use super::super::*;

/// What the model knows of a key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Twin {
    pub(super) value: Vec<u8>,
    pub(super) flags: u32,
    pub(super) deadline: Deadline,
    /// The CAS id, if a client chose it.
    pub(super) cas: Option<u64>,
    pub(super) is_stale: bool,
    pub(super) is_won: bool,
    pub(super) is_copy: bool,
}

/// Largest item, in bytes; beside key and value it counts 59.
pub(super) const ITEM_BYTES_MAX: usize = 4096;

/// A key's bytes. Two of them are so long that a value beside them has two bytes at most.
pub(super) fn name(key: u8) -> Vec<u8> {
    let bytes = if key < 10 { 1 } else { ITEM_BYTES_MAX - 59 - 2 };
    vec![key; bytes]
}

fn is_too_large(key: u8, value: &[u8]) -> bool {
    name(key).len() + value.len() + 59 > ITEM_BYTES_MAX
}

/// CAS ids that clients choose are larger, so that a look at an entry tells them apart.
pub(super) const CHOSEN_CAS_MIN: u64 = 1 << 60;

impl Twin {
    fn new(value: &[u8]) -> Self {
        Self {
            value: value.to_vec(),
            flags: 0,
            deadline: Deadline::NEVER,
            cas: None,
            is_stale: false,
            is_won: false,
            is_copy: false,
        }
    }

    /// Another value with the same flags and deadline.
    pub(super) fn with_value(&self, value: &[u8]) -> Self {
        Self {
            flags: self.flags,
            deadline: self.deadline,
            ..Self::new(value)
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Apply {
        key: u8,
        operation: Operation,
        value: Vec<u8>,
    },
    Version {
        key: u8,
        right: bool,
    },
    Flush,
    Wait(u64),
    Tick,
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let deadline = prop_oneof![
        Just(Deadline::NEVER),
        Just(Deadline::PAST),
        (1_000_u64..3_000).prop_map(|ms| Deadline::at(UnixMs(ms))),
    ];
    let condition = prop_oneof![
        Just(Condition::Always),
        Just(Condition::Absent),
        Just(Condition::Present)
    ];
    let chosen_cas = proptest::option::weighted(0.2, 0..3_u64)
        .prop_map(|chosen| chosen.map(|cas| CHOSEN_CAS_MIN + cas));
    let mark = proptest::bool::weighted(0.2);
    let stamp =
        (chosen_cas.clone(), mark, mark, mark).prop_map(|(cas, is_stale, is_won, is_copy)| Stamp {
            cas,
            is_stale,
            is_won,
            is_copy,
        });
    let expiry = prop_oneof![Just(Expiry::Keep), deadline.clone().prop_map(Expiry::Until)];
    let side = prop_oneof![Just(Side::Back), Just(Side::Front)];
    let expire_condition = prop_oneof![
        Just(ExpireCondition::Always),
        Just(ExpireCondition::Absent),
        Just(ExpireCondition::Present),
        Just(ExpireCondition::Later),
        Just(ExpireCondition::Sooner),
        Just(ExpireCondition::PresentAndSooner),
    ];
    let condition_of_unlink = condition.clone();
    let operation = prop_oneof![
        4 => (any::<u32>(), expiry.clone(), condition.clone(), stamp, any::<bool>()).prop_map(
            |(flags, expiry, condition, stamp, wants_old)| Operation::Set {
                flags: flags % 3, expiry, condition, stamp, wants_old
            }
        ),
        1 => (side, any::<bool>()).prop_map(|(side, creates)| Operation::Concat { side, creates }),
        1 => (condition, any::<bool>())
            .prop_map(|(condition, wants_old)| Operation::Delete { condition, wants_old }),
        1 => condition_of_unlink.prop_map(|condition| Operation::Unlink { condition }),
        1 => (expiry.clone(), chosen_cas.clone())
            .prop_map(|(expiry, cas)| Operation::Outdate { expiry, cas }),
        1 => (proptest::option::of(deadline.clone()), any::<bool>())
            .prop_map(|(deadline, wins)| Operation::Term { deadline, wins }),
        1 => (0_u64..20, any::<bool>(), expiry, chosen_cas).prop_map(
            |(delta, down, expiry, cas)| Operation::CountUnsigned { delta, down, expiry, cas }
        ),
        1 => (-20_i64..20).prop_map(|delta| Operation::CountSigned { delta }),
        1 => (deadline, expire_condition)
            .prop_map(|(deadline, condition)| Operation::Expire { deadline, condition }),
    ];
    let value = prop_oneof![
        3 => proptest::collection::vec(any::<u8>(), 0..300),
        1 => (0_u64..100).prop_map(|number| number.to_string().into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 4_050..4_060),
    ];
    let step = prop_oneof![
        20 => (0_u8..12, operation, value)
            .prop_map(|(key, operation, value)| Step::Apply { key, operation, value }),
        2 => (0_u8..12, any::<bool>()).prop_map(|(key, right)| Step::Version { key, right }),
        1 => Just(Step::Flush),
        1 => (1_u64..500).prop_map(Step::Wait),
        1 => Just(Step::Tick),
    ];
    proptest::collection::vec(step, 1..400)
}

fn expiry_over(expiry: Expiry, there: &Twin) -> Deadline {
    match expiry {
        Expiry::Until(deadline) => deadline,
        Expiry::Keep => there.deadline,
    }
}

/// The obvious implementation of one operation.
pub(super) fn model(
    map: &mut HashMap<u8, Twin>,
    now: UnixMs,
    key: u8,
    operation: Operation,
    value: &[u8],
) -> (Outcome, Option<Vec<u8>>) {
    map.retain(|_, twin| !twin.deadline.is_past(now));
    let there = map.get(&key).cloned();
    let mut put = |twin: Twin| {
        let bytes = twin.value.len() as u64;
        if is_too_large(key, &twin.value) {
            map.remove(&key);
            return Outcome::TooLarge;
        }
        map.insert(key, twin);
        Outcome::Stored { value_bytes: bytes }
    };
    match counted(operation) {
        Operation::Set {
            flags,
            expiry,
            condition,
            stamp,
            wants_old,
        } => {
            let old = there
                .as_ref()
                .filter(|_| wants_old)
                .map(|twin| twin.value.clone());
            let stores = match condition {
                Condition::Always => true,
                Condition::Absent => there.is_none(),
                Condition::Present => there.is_some(),
                Condition::Version(_) => unreachable!("not generated"),
            };
            let deadline = match expiry {
                Expiry::Until(deadline) => deadline,
                Expiry::Keep => there.map_or(Deadline::NEVER, |twin| twin.deadline),
            };
            let twin = Twin {
                flags,
                deadline,
                cas: stamp.cas,
                is_stale: stamp.is_stale,
                is_won: stamp.is_won,
                is_copy: stamp.is_copy,
                ..Twin::new(value)
            };
            let outcome = if !stores {
                Outcome::NotStored
            } else {
                put(twin)
            };
            if deadline.is_past(now) && stores {
                map.remove(&key);
            }
            (outcome, old)
        }
        Operation::Concat { side, creates } => match there {
            None if creates => (put(Twin::new(value)), None),
            None => (Outcome::NotStored, None),
            Some(twin) => {
                let joined = match side {
                    Side::Back => [&twin.value, value].concat(),
                    Side::Front => [value, &twin.value].concat(),
                };
                if is_too_large(key, &joined) {
                    return (Outcome::TooLarge, None);
                }
                (put(twin.with_value(&joined)), None)
            }
        },
        Operation::Delete {
            wants_old,
            condition,
        } => match there {
            None => (Outcome::NotFound, None),
            Some(twin) => {
                let old = wants_old.then_some(twin.value);
                if condition == Condition::Absent {
                    return (Outcome::NotStored, old);
                }
                map.remove(&key);
                (Outcome::Deleted, old)
            }
        },
        Operation::CountSigned { delta } => {
            let twin = there.clone().unwrap_or_else(|| Twin::new(b""));
            match count::signed(there.as_ref().map(|twin| &twin.value[..]), delta) {
                Err(outcome) => (outcome, None),
                Ok((_, text)) if is_too_large(key, &text.parts().concat()) => {
                    (Outcome::TooLarge, None)
                }
                Ok((number, text)) => {
                    put(twin.with_value(&text.parts().concat()));
                    (Outcome::Signed(number), None)
                }
            }
        }
        _ => (model_mark(map, now, key, operation), None),
    }
}

/// The operation that does the same and is counted.
fn counted(operation: Operation) -> Operation {
    match operation {
        Operation::Unlink { condition } => Operation::Delete {
            condition,
            wants_old: false,
        },
        other => other,
    }
}

/// The same for operations that keep a value in its place, at least for a number.
fn model_mark(map: &mut HashMap<u8, Twin>, now: UnixMs, key: u8, operation: Operation) -> Outcome {
    let Some(twin) = map.get_mut(&key) else {
        return Outcome::NotFound;
    };
    let outcome = match operation {
        Operation::Outdate { expiry, cas } => {
            twin.deadline = expiry_over(expiry, twin);
            twin.cas = cas;
            twin.is_stale = true;
            twin.is_won = false;
            twin.is_copy = false;
            Outcome::Stored {
                value_bytes: twin.value.len() as u64,
            }
        }
        Operation::Term { deadline, wins } => {
            twin.is_won |= wins;
            twin.deadline = deadline.unwrap_or(twin.deadline);
            Outcome::Touched
        }
        Operation::CountUnsigned {
            delta,
            down,
            expiry,
            cas,
        } => match count::unsigned(&twin.value, delta, down) {
            Err(outcome) => outcome,
            Ok((_, text)) if is_too_large(key, &text.parts().concat()) => Outcome::TooLarge,
            Ok((number, text)) => {
                let fits = text.len() == twin.value.len();
                *twin = Twin {
                    deadline: expiry_over(expiry, twin),
                    cas,
                    is_stale: twin.is_stale && fits,
                    is_won: twin.is_won && fits,
                    ..twin.with_value(&text.parts().concat())
                };
                Outcome::Unsigned(number)
            }
        },
        Operation::Expire {
            deadline,
            condition,
        } => {
            let holds = expire_holds(condition, deadline, twin.deadline);
            if holds {
                twin.deadline = deadline;
            }
            if holds {
                Outcome::Touched
            } else {
                Outcome::Untouched
            }
        }
        other => unreachable!("not a mark: {other:?}"),
    };
    map.retain(|_, twin| !twin.deadline.is_past(now));
    outcome
}

fn expire_holds(condition: ExpireCondition, new: Deadline, old: Deadline) -> bool {
    let millis = |d: Deadline| d.instant().map_or(u64::MAX, |at| at.0);
    match condition {
        ExpireCondition::Always => true,
        ExpireCondition::Absent => old == Deadline::NEVER,
        ExpireCondition::Present => old != Deadline::NEVER,
        ExpireCondition::Later => millis(new) > millis(old),
        ExpireCondition::Sooner => millis(new) < millis(old),
        ExpireCondition::PresentAndSooner => old != Deadline::NEVER && millis(new) < millis(old),
    }
}
