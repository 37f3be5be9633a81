//! What the program does with its workers.

pub(crate) mod load;
pub(crate) mod origin;
pub(crate) mod point;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod search;
pub(crate) mod shape;
pub(crate) mod soak;
pub(crate) mod sweep;
pub(crate) mod tune;
