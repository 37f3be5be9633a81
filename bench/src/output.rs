//! What was found, for people and for programs.

pub(crate) mod report;
pub(crate) mod warnings;
