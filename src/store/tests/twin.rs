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
    let expiry = prop_oneof![Just(Expiry::Keep), deadline.clone().prop_map(Expiry::Until)];
    let side = prop_oneof![Just(Side::Back), Just(Side::Front)];
    let expire_condition = prop_oneof![
        Just(ExpireCondition::Always),
        Just(ExpireCondition::IfNone),
        Just(ExpireCondition::IfSome),
        Just(ExpireCondition::IfLater),
        Just(ExpireCondition::IfEarlier),
        Just(ExpireCondition::IfSomeEarlier),
    ];
    let operation = prop_oneof![
        4 => (any::<u32>(), expiry, condition, any::<bool>()).prop_map(
            |(flags, expiry, condition, wants_old)| Operation::Set {
                flags: flags % 3, expiry, condition, wants_old
            }
        ),
        1 => (side, any::<bool>()).prop_map(|(side, creates)| Operation::Concat { side, creates }),
        1 => any::<bool>().prop_map(|wants_old| Operation::Delete { wants_old }),
        1 => (0_u64..20, any::<bool>())
            .prop_map(|(delta, down)| Operation::CountUnsigned { delta, down }),
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
        if 1 + twin.value.len() + 56 > 4096 {
            map.remove(&key);
            return Outcome::TooLarge;
        }
        map.insert(key, twin);
        Outcome::Stored { value_bytes: bytes }
    };
    match operation {
        Operation::Set {
            flags,
            expiry,
            condition,
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
                value: value.to_vec(),
                flags,
                deadline,
            };
            let outcome = if !stores {
                Outcome::NotStored
            } else {
                put(twin)
            };
            if deadline.is_past(now) && stores {
                map.remove(&key);
                return (
                    Outcome::Stored {
                        value_bytes: value.len() as u64,
                    },
                    old,
                );
            }
            (outcome, old)
        }
        Operation::Concat { side, creates } => match there {
            None if creates => {
                let twin = Twin {
                    value: value.to_vec(),
                    flags: 0,
                    deadline: Deadline::NEVER,
                };
                (put(twin), None)
            }
            None => (Outcome::NotStored, None),
            Some(twin) => {
                let joined = match side {
                    Side::Back => [&twin.value, value].concat(),
                    Side::Front => [value, &twin.value].concat(),
                };
                if 1 + joined.len() + 56 > 4096 {
                    return (Outcome::TooLarge, None);
                }
                (
                    put(Twin {
                        value: joined,
                        ..twin
                    }),
                    None,
                )
            }
        },
        Operation::Delete { wants_old } => match map.remove(&key) {
            None => (Outcome::NotFound, None),
            Some(twin) => (Outcome::Deleted, wants_old.then_some(twin.value)),
        },
        Operation::CountUnsigned { delta, down } => match there {
            None => (Outcome::NotFound, None),
            Some(twin) => match count::unsigned(&twin.value, delta, down) {
                Err(outcome) => (outcome, None),
                Ok((number, text)) => {
                    put(Twin {
                        value: text.as_bytes().to_vec(),
                        ..twin
                    });
                    (Outcome::Unsigned(number), None)
                }
            },
        },
        Operation::CountSigned { delta } => {
            let twin = there.clone().unwrap_or(Twin {
                value: Vec::new(),
                flags: 0,
                deadline: Deadline::NEVER,
            });
            match count::signed(there.as_ref().map(|twin| &twin.value[..]), delta) {
                Err(outcome) => (outcome, None),
                Ok((number, text)) => {
                    put(Twin {
                        value: text.as_bytes().to_vec(),
                        ..twin
                    });
                    (Outcome::Signed(number), None)
                }
            }
        }
        Operation::Expire {
            deadline,
            condition,
        } => {
            let Some(twin) = map.get_mut(&key) else {
                return (Outcome::NotFound, None);
            };
            let millis = |d: Deadline| d.instant().map_or(u64::MAX, |at| at.0);
            let holds = match condition {
                ExpireCondition::Always => true,
                ExpireCondition::IfNone => twin.deadline == Deadline::NEVER,
                ExpireCondition::IfSome => twin.deadline != Deadline::NEVER,
                ExpireCondition::IfLater => millis(deadline) > millis(twin.deadline),
                ExpireCondition::IfEarlier => millis(deadline) < millis(twin.deadline),
                ExpireCondition::IfSomeEarlier => {
                    twin.deadline != Deadline::NEVER && millis(deadline) < millis(twin.deadline)
                }
            };
            if !holds {
                return (Outcome::Untouched, None);
            }
            twin.deadline = deadline;
            if deadline.is_past(now) {
                map.remove(&key);
            }
            (Outcome::Touched, None)
        }
    }
}
