//! Sources of values that are built in: an HTTP server, a folder, memcached and Redis servers.

mod folder;
mod freshness;
mod http;
mod servers;

use std::rc::Rc;

use self::{folder::Folder, http::HttpOrigin, servers::Servers};
pub(super) use self::{freshness::SECONDS_MAX, http::AGENT};
use super::Loader;
use crate::config::OriginSpec;

/// Makes ready to load from a source; on the executor that will ask it. A value of more than
/// `value_bytes_max` bytes is an error.
///
/// # Errors
/// There is no such folder; why, without its name.
pub fn open(spec: &OriginSpec, value_bytes_max: usize) -> Result<Rc<dyn Loader>, String> {
    match spec {
        OriginSpec::Http(spec) => Ok(Rc::new(HttpOrigin::new(spec.clone(), value_bytes_max))),
        OriginSpec::Servers(spec) => Ok(Rc::new(Servers::new(spec, value_bytes_max)?)),
        OriginSpec::Folder(path) => Ok(Rc::new(Folder::open(path, value_bytes_max)?)),
    }
}
