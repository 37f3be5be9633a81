//! What the program does with its workers.

pub(crate) mod prefill;
