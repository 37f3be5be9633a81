//! What backends answer, on its way into a client's replies: in the client's own words.

use super::{binary, over_memcache, over_resp};
use crate::shard::{
    core::Core,
    form::Form,
    group,
    replies::{Part, Seq},
    session::Session,
};
use crate::{
    config::Protocol,
    protocol::{
        self,
        memcache::meta::{MetaVerb, reply::is_nominal},
        resp::{Retype, Version},
    },
};

impl Session {
    /// A backend cannot be asked.
    pub(in crate::shard) fn fail(&mut self, core: &mut Core, seq: Seq) {
        let line = core.failure_line();
        self.deliver(core, seq, true, &line);
        core.buffers.put(line);
    }

    /// Takes a backend's reply.
    pub(in crate::shard) fn deliver(
        &mut self,
        core: &mut Core,
        seq: Seq,
        failed: bool,
        bytes: &[u8],
    ) {
        let Some(form) = self.replies.form(seq) else {
            return;
        };
        if bytes.first() == Some(&b'-') {
            self.count_error(core, bytes);
        }
        let part = match form {
            Form::Packet(packet) => {
                return self.translate(core, seq, |key, out| packet.encode(key, bytes, out));
            }
            Form::OverRespPacket(packet, _) if failed => {
                return self.translate(core, seq, |key, out| packet.encode(key, bytes, out));
            }
            Form::OverRespPacket(packet, asked) => {
                let mut answer = core.buffers.take();
                asked.tell_all(bytes, packet.shows_value(), &mut answer);
                self.translate(core, seq, |key, out| packet.encode(key, &answer, out));
                return core.buffers.put(answer);
            }
            Form::BinaryDone { .. } if failed => {
                return self.deliver_failure(core, seq, form, bytes);
            }
            _ if failed && self.is_foreign(core) => {
                return self.deliver_failure(core, seq, form, bytes);
            }
            _ if failed => Part::Failure(bytes),
            Form::RespSum if self.is_foreign(core) => Part::Add(over_memcache::count(bytes)),
            Form::RespSum => Part::Add(integer(bytes)),
            // An array of one.
            Form::RespEvery(_) => Part::Add(i64::from(bytes.ends_with(b":1\r\n"))),
            form if form.adds_up() => Part::Add(0),
            Form::OverResp(wanted) => {
                let bytes = group::value_of(core, bytes);
                return self.translate(core, seq, |key, out| wanted.encode(key, bytes, out));
            }
            Form::OverRespMeta {
                verb,
                is_quiet,
                asked,
            } => return self.deliver_meta(core, seq, (verb, is_quiet, asked), bytes),
            // Servers are spoken to in RESP2, whose null a RESP3 client takes for a length.
            Form::Verbatim if NULLS.contains(&bytes) && self.version() == Version::Resp3 => {
                Part::Bytes(NULL_OF_RESP3)
            }
            Form::Retyped(retype) => {
                return self.translate(core, seq, |_, out| retype.encode(bytes, out));
            }
            Form::RetypedAll => {
                return self.translate(core, seq, |codes, out| {
                    Retype::encode_all(codes, bytes, out);
                });
            }
            Form::OverMemcache(wanted) => {
                return self.translate(core, seq, |_, out| wanted.encode(bytes, out));
            }
            _ => Part::Bytes(bytes),
        };
        self.replies.resolve(seq, part, &mut core.buffers);
    }

    /// Takes a Redis server's reply to a meta command.
    fn deliver_meta(
        &mut self,
        core: &mut Core,
        seq: Seq,
        (verb, is_quiet, asked): (MetaVerb, bool, over_resp::Asked),
        bytes: &[u8],
    ) {
        let now = core.now;
        let is_look = asked == over_resp::Asked::Look;
        let renewals = is_look.then(|| core.renewals()).flatten();
        self.translate(core, seq, |line, out| {
            asked.tell(line, bytes, renewals.as_deref(), now, out);
            if is_quiet && is_nominal(verb, out) && !asked.is_new(bytes) {
                out.clear();
            }
        });
    }

    /// Takes a backend's error, which is to be told in other words.
    fn deliver_failure(&mut self, core: &mut Core, seq: Seq, form: Form, bytes: &[u8]) {
        let mut line = core.buffers.take();
        match (form, self.protocol()) {
            (Form::BinaryDone { echo, .. }, _) => binary::error(echo, bytes, &mut line),
            (_, Protocol::Memcache) => over_resp::error(bytes, &mut line),
            (_, Protocol::Resp) => over_memcache::error(bytes, &mut line),
        }
        self.replies
            .resolve(seq, Part::Failure(&line), &mut core.buffers);
        core.buffers.put(line);
    }

    /// Whether the pool's servers speak another protocol than the client.
    fn is_foreign(&self, core: &Core) -> bool {
        core.spoken_behind()
            .is_some_and(|spoken| spoken != self.protocol())
    }

    /// Resolves a slot with what `encode` makes of the key that was kept for it.
    fn translate(&mut self, core: &mut Core, seq: Seq, encode: impl FnOnce(&[u8], &mut Vec<u8>)) {
        let key = self.replies.take_key(seq);
        let mut encoded = core.buffers.take();
        encode(key.as_deref().unwrap_or_default(), &mut encoded);
        self.replies
            .resolve(seq, Part::Bytes(&encoded), &mut core.buffers);
        core.buffers.put(encoded);
        key.into_iter().for_each(|key| core.buffers.put(key));
    }
}

/// RESP2's nulls, and what RESP3 has for them.
const NULLS: [&[u8]; 2] = [b"$-1\r\n", b"*-1\r\n"];
const NULL_OF_RESP3: &[u8] = b"_\r\n";

/// The number in a RESP integer reply; what else a backend may say counts for nothing.
fn integer(bytes: &[u8]) -> i64 {
    use protocol::resp::reply::{Reply, parse_reply};
    match parse_reply(bytes, &protocol::resp::Limits::for_replies(0)) {
        protocol::Parsed::Complete {
            request: Reply::Integer(number),
            ..
        } => number,
        _ => 0,
    }
}
