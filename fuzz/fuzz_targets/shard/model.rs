//! What all clients should see: one cache, and what each RESP client has to hear of the others.

use crate::binary::Binary;
use crate::cache::Cache;
use crate::client::{RespClient, Session};
use crate::meta::Meta;
use crate::push::Told;
use crate::reply::Reply;
use crate::resp::Resp;
use crate::text::Text;

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) cache: Cache,
    pub(crate) clients: Vec<RespClient>,
}

impl Model {
    /// With these RESP clients; whether they speak RESP3.
    pub(crate) fn new(clients: &[bool]) -> Self {
        Self {
            cache: Cache::default(),
            clients: clients.iter().copied().map(RespClient::new).collect(),
        }
    }

    pub(crate) fn set_now(&mut self, now_ms: u64) {
        self.cache.set_now(now_ms);
        self.tell(None);
    }

    pub(crate) fn text(&mut self, command: &Text) -> Reply {
        let reply = command.answer(&mut self.cache);
        self.tell(None);
        reply
    }

    pub(crate) fn meta(&mut self, command: &Meta) -> Reply {
        let reply = command.answer(&mut self.cache);
        self.tell(None);
        reply
    }

    pub(crate) fn binary(&mut self, command: &Binary) -> Reply {
        let reply = command.answer(&mut self.cache);
        self.tell(None);
        reply
    }

    pub(crate) fn resp(&mut self, client: usize, command: &Resp, has_asked: bool) -> Reply {
        let reply = self.clients[client].command(command, &mut self.cache, has_asked);
        self.tell(Some(client));
        reply
    }

    /// `is_refused` says how an EXEC went that may go either way.
    pub(crate) fn session(&mut self, client: usize, session: &Session, is_refused: bool) -> Reply {
        let (mut reply, queue) = self.clients[client].answer(session, is_refused);
        for command in queue {
            reply.extend(self.clients[client].execute(&command, &mut self.cache, false));
            self.tell(Some(client));
        }
        reply
    }

    /// Lets clients know of what has changed since, by `author` if it is one of them.
    fn tell(&mut self, author: Option<usize>) {
        for change in self.cache.take_changes() {
            for (number, client) in self.clients.iter_mut().enumerate() {
                client.note(change);
                client.tracking.note(change, author == Some(number));
            }
        }
    }

    /// Compares what a client was told with what it should be.
    pub(crate) fn check_told(&mut self, client: usize, told: &Told) -> Result<(), String> {
        self.clients[client].check_told(told)
    }
}
