//! A peer of ours whose keys say what it is to answer, and which remembers what it was asked.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use ringfort::config::Secret;
use ringfort::group::{
    Asker, ChangeFuture, Hop, LoadError, LoadFuture, Loaded, PeerHandler, PeerLimits, PeerServer,
    PeerServerSettings, wire::Spelling,
};

use crate::VALUE_BYTES_MAX;

/// What a peer was asked to change.
pub(crate) type Change = (&'static str, Vec<u8>, Option<Loaded>, Hop);

/// A peer of ours whose keys say what it is to answer.
#[derive(Default)]
pub(crate) struct Ours {
    pub(crate) asked: RefCell<Vec<(Vec<u8>, Hop)>>,
    pub(crate) changes: RefCell<Vec<Change>>,
    pub(crate) given_up: Rc<Cell<usize>>,
}

impl Ours {
    /// Answers peers on this executor.
    pub(crate) fn listen(self: &Rc<Self>, secret: Option<&str>) -> SocketAddr {
        self.listen_with(secret, PeerLimits::default())
    }

    /// As [`Self::listen`], with limits of its own.
    pub(crate) fn listen_with(
        self: &Rc<Self>,
        secret: Option<&str>,
        limits: PeerLimits,
    ) -> SocketAddr {
        let settings = PeerServerSettings {
            secret: secret.map(Secret::new),
            spelling: Spelling::Query,
            value_bytes_max: VALUE_BYTES_MAX,
            limits,
        };
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = PeerServer::bind(any, settings).expect("a port");
        let address = server.address().expect("it is bound");
        let handler: Rc<dyn PeerHandler> = Rc::clone(self) as _;
        glommio::spawn_local(server.run(handler)).detach();
        address
    }
}

struct GivenUp(Rc<Cell<usize>>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

impl PeerHandler for Ours {
    fn has_group(&self, group: &str) -> bool {
        group == "values"
    }

    fn get<'a>(&'a self, _group: &'a str, key: Bytes, asker: Asker) -> LoadFuture<'a> {
        Box::pin(async move {
            self.asked.borrow_mut().push((key.to_vec(), asker.hop));
            let minute = Duration::from_secs(60);
            match key.as_ref() {
                b"missing" => Err(LoadError::NotFound { ttl: Some(minute) }),
                b"fails" => Err(LoadError::failed("the source is on fire")),
                b"hangs" => {
                    let _given_up = GivenUp(Rc::clone(&self.given_up));
                    pending().await
                }
                b"fresh" => Ok(Loaded::for_ttl("f", minute)),
                b"empty" => Ok(Loaded::forever("")),
                b"long" => Ok(Loaded::forever(vec![b'x'; VALUE_BYTES_MAX])),
                b"large" => Ok(Loaded::forever(vec![b'x'; VALUE_BYTES_MAX + 1])),
                key => Ok(Loaded::forever([b"ours of ", key].concat())),
            }
        })
    }

    fn set<'a>(
        &'a self,
        _group: &'a str,
        key: Bytes,
        value: Loaded,
        asker: Asker,
    ) -> ChangeFuture<'a> {
        let change = ("set", key.to_vec(), Some(value), asker.hop);
        self.changes.borrow_mut().push(change);
        Box::pin(async { Ok(()) })
    }

    fn delete<'a>(&'a self, _group: &'a str, key: Bytes, asker: Asker) -> ChangeFuture<'a> {
        let change = ("delete", key.to_vec(), None, asker.hop);
        self.changes.borrow_mut().push(change);
        let refused = key.as_ref() == b"fails";
        Box::pin(async move {
            if refused {
                Err(LoadError::Late)
            } else {
                Ok(())
            }
        })
    }
}
