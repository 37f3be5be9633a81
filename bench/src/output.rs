//! What was found, for people and for programs.

pub(crate) mod files;
pub(crate) mod hlog;
pub(crate) mod html;
pub(crate) mod live;
pub(crate) mod record;
pub(crate) mod report;
pub(crate) mod warnings;

use crate::output::report::Report;
use crate::output::warnings::Doubt;

/// Every doubt about a run, to stderr.
pub(crate) fn warn(report: &Report) {
    for doubt in warnings::doubts(report) {
        eprintln!("ringfort-bench: warning: {doubt}");
    }
}

/// Only that replies were wrong, or that the generator was too slow: for modes that drive a server beyond what it can.
pub(crate) fn warn_of_wrong(report: &Report) {
    for doubt in warnings::doubts(report) {
        if matches!(doubt, Doubt::Wrong { .. }) || doubt.is_generator() {
            eprintln!("ringfort-bench: warning: {doubt}");
        }
    }
}
