//! The built generator against servers whose delays are known.

mod calibration;
mod modes;
mod support;
mod tune;
