//! The built generator against servers whose delays are known.

mod calibration;
mod mistakes;
mod modes;
mod support;
mod tune;
