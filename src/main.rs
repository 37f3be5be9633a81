//! ringfort's process.

fn main() {}
