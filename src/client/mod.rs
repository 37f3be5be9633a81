//! A pipelined, asynchronous client of one memcached or Redis server, for [glommio] programs.
//!
//! It is the same core that ringfort talks to the servers of its pools with: requests go out as
//! they are made, on one connection, and replies come back in that order. A deadline fails one
//! request and nothing else; a lost connection comes back by itself, with pauses that grow, and
//! reads that were on it are asked again. What ringfort's pools promise of this is in its README.
//!
//! Every method that asks something sends it off at once and returns an [`Answer`], to be awaited
//! then or later. So pipelining is to ask first and to await after:
//!
//! ```no_run
//! use ringfort::client::{Client, Config, Error};
//!
//! async fn greet() -> Result<(), Error> {
//!     let client = Client::connect(Config::resp("127.0.0.1:6379")).await?;
//!     let answers: Vec<_> = (0..100)
//!         .map(|number| client.set(format!("key-{number}"), "value"))
//!         .collect();
//!     for answer in answers {
//!         answer.await?;
//!     }
//!     assert_eq!(client.get("key-7").await?.as_deref(), Some(&b"value"[..]));
//!     client.close().await;
//!     Ok(())
//! }
//! ```
//!
//! [glommio]: https://docs.rs/glommio

mod answer;
mod config;
mod driver;
mod error;
mod memcache;
mod push;
mod resp;
mod shared;
mod value;

use std::{future::poll_fn, rc::Rc, time::Duration};

pub use self::{answer::Answer, config::Config, error::Error, push::Push, value::Value};
use self::{
    answer::{Raw, Slot, Ticket, Wants},
    shared::{Handle, Shared},
};
pub use crate::backend::Expects;
use crate::{
    backend::{OnLoss, Terms},
    config::Protocol,
};

/// Requests that one client may have unanswered; one more fails with [`Error::Busy`]. A server that
/// is so far behind does not catch up by being asked more.
pub const IN_FLIGHT_MAX: usize = 65_536;

/// A connection to a server, or the next one after it. Clones are handles of the same; when the
/// last one is dropped, what is in flight is finished, and it closes.
///
/// It belongs to the executor that it was made on.
#[derive(Clone)]
pub struct Client {
    handle: Rc<Handle>,
    patience_ms: u32,
}

impl Client {
    /// Connects, and greets the server as configured.
    ///
    /// # Errors
    /// The server is not there, or will not have us. Later, when it is lost, it is tried again and
    /// again, and requests say what became of them.
    ///
    /// # Panics
    /// Outside of a glommio executor.
    pub async fn connect(config: Config) -> Result<Self, Error> {
        let patience_ms = config.patience_ms();
        let shared = Rc::new(Shared::new(&config)?);
        driver::spawn(Rc::clone(&shared), config.target()?);
        let client = Self {
            handle: Rc::new(Handle::new(shared)),
            patience_ms,
        };
        poll_fn(|cx| client.shared().poll_first(cx)).await?;
        Ok(client)
    }

    /// The same client, whose requests wait so long for their replies: at least a millisecond, at
    /// most 49 days. The time begins when a request is sent; as long again it may wait for a
    /// connection before.
    #[must_use]
    pub fn within(&self, patience: Duration) -> Self {
        Self {
            handle: Rc::clone(&self.handle),
            patience_ms: config::milliseconds(patience),
        }
    }

    /// The value of a key, if there is one. Sent again if the connection is lost.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Answer<Option<Vec<u8>>> {
        match self.shared().protocol() {
            Protocol::Memcache => memcache::get(self, key.as_ref()),
            Protocol::Resp => resp::get(self, key.as_ref()),
        }
    }

    /// Sets a key, for good.
    pub fn set(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Answer<()> {
        self.store(key.as_ref(), value.as_ref(), None)
    }

    /// Sets a key for so long: memcached counts in seconds, and part of one counts as one.
    pub fn set_for(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        life: Duration,
    ) -> Answer<()> {
        self.store(key.as_ref(), value.as_ref(), Some(life))
    }

    fn store(&self, key: &[u8], value: &[u8], life: Option<Duration>) -> Answer<()> {
        match self.shared().protocol() {
            Protocol::Memcache => memcache::set(self, key, value, life),
            Protocol::Resp => resp::set(self, key, value, life),
        }
    }

    /// Sets a key that is not there; whether it was not.
    pub fn add(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Answer<bool> {
        match self.shared().protocol() {
            Protocol::Memcache => memcache::add(self, key.as_ref(), value.as_ref()),
            Protocol::Resp => resp::add(self, key.as_ref(), value.as_ref()),
        }
    }

    /// Deletes a key; whether it was there.
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Answer<bool> {
        match self.shared().protocol() {
            Protocol::Memcache => memcache::delete(self, key.as_ref()),
            Protocol::Resp => resp::delete(self, key.as_ref()),
        }
    }

    /// Adds to the number of a key, and gives the sum. Without a key Redis begins at 0, and memcached
    /// does nothing and gives `None`.
    pub fn incr(&self, key: impl AsRef<[u8]>, delta: u32) -> Answer<Option<u64>> {
        match self.shared().protocol() {
            Protocol::Memcache => memcache::incr(self, key.as_ref(), delta),
            Protocol::Resp => resp::incr(self, key.as_ref(), delta),
        }
    }

    /// Lets a key live so long from now; whether it is there.
    pub fn touch(&self, key: impl AsRef<[u8]>, life: Duration) -> Answer<bool> {
        match self.shared().protocol() {
            Protocol::Memcache => memcache::touch(self, key.as_ref(), life),
            Protocol::Resp => resp::touch(self, key.as_ref(), life),
        }
    }

    /// RESP: any command. It is not sent again: it may change something.
    pub fn command<W: AsRef<[u8]>>(&self, words: &[W]) -> Answer<Value> {
        resp::command(self, words, OnLoss::Fail)
    }

    /// RESP: a command that only reads, and is sent again if the connection is lost.
    pub fn query<W: AsRef<[u8]>>(&self, words: &[W]) -> Answer<Value> {
        resp::command(self, words, OnLoss::Repeat)
    }

    /// memcache: exactly one request as it goes over the wire, with its line ends, that is answered
    /// as it says; the reply's bytes, of a retrieval without the final `END`. Two requests in one,
    /// or `noreply`, would give every later request another's reply.
    pub fn raw(&self, request: &[u8], expects: Expects) -> Answer<Vec<u8>> {
        memcache::raw(self, request, expects)
    }

    /// RESP3: what the server says by itself, as for `CLIENT TRACKING`. `None` once the client is
    /// closed.
    pub async fn next_push(&self) -> Option<Push> {
        poll_fn(|cx| self.shared().poll_push(cx)).await
    }

    /// Takes no more requests, from any handle, finishes those that are in flight, and closes the
    /// connection.
    pub async fn close(&self) {
        self.shared().drain();
        poll_fn(|cx| self.shared().poll_closed(cx)).await;
    }

    fn shared(&self) -> &Shared {
        self.handle.shared()
    }

    /// Sends a request off; its bytes are what `encode` appends, its reply is read by `read`.
    fn ask<T>(
        &self,
        (expects, on_loss): (Expects, OnLoss),
        wants: Wants,
        read: fn(Raw) -> Result<T, Error>,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Answer<T> {
        let slot = Rc::new(Slot::default());
        let ticket = Ticket::new(Rc::clone(&slot), wants);
        let terms = Terms {
            on_loss,
            patience_ms: self.patience_ms,
        };
        match self.shared().push(ticket, expects, terms, encode) {
            Ok(()) => Answer::waiting(slot, read),
            Err(error) => Answer::failed(error),
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("patience_ms", &self.patience_ms)
            .finish_non_exhaustive()
    }
}
