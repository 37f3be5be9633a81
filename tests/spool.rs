//! The promise of the spool: what was answered is on disk, is sent when it can be, and can be looked after by hand.

mod support;

#[path = "spool/by_hand.rs"]
mod by_hand;
