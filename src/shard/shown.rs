//! Values in replies: small ones are copied, large ones sent from where they lie.
//!
//! Everybody who shows the value of an entry does so here.

use super::{buffers::BufferPool, session::Session, settings::LAID_IN_BYTES_MIN};
use crate::store::{EntryRef, KeyHash, ShardStore};

/// What stands behind a value at most, in bytes.
const VALUE_END_BYTES_MAX: usize = b"\r\nEND\r\n".len();

/// Where an answer goes: to a client of this shard, or to the shard that asked for it.
pub(super) trait AnswerOut {
    /// Where all of it goes but values.
    fn bytes<'a>(&'a mut self, buffers: &mut BufferPool) -> &'a mut Vec<u8>;

    /// Appends the value of an entry, of a key with this hash, between what `open` appends and `close`.
    fn show(
        &mut self,
        store: &ShardStore,
        buffers: &mut BufferPool,
        found: (KeyHash, EntryRef<'_>),
        open: impl FnOnce(&mut Vec<u8>),
        close: &[u8],
    );
}

/// The reply at hand: a large value is sent from where it lies, if it can be pinned there and nothing
/// has to come before it.
impl AnswerOut for Session {
    #[inline]
    fn bytes<'a>(&'a mut self, buffers: &mut BufferPool) -> &'a mut Vec<u8> {
        self.replies.ready(buffers)
    }

    #[inline(always)]
    fn show(
        &mut self,
        store: &ShardStore,
        buffers: &mut BufferPool,
        found: (KeyHash, EntryRef<'_>),
        open: impl FnOnce(&mut Vec<u8>),
        close: &[u8],
    ) {
        let value = found.1.value();
        let out = self.replies.ready(buffers);
        open(out);
        if value.len() >= LAID_IN_BYTES_MIN {
            return show_large(self, store, buffers, found, close);
        }
        out.reserve(value.len() + close.len());
        out.extend_from_slice(value);
        out.extend_from_slice(close);
    }
}

/// What another shard asked for travels as bytes.
impl AnswerOut for Vec<u8> {
    fn bytes<'a>(&'a mut self, _: &mut BufferPool) -> &'a mut Vec<u8> {
        self
    }

    fn show(
        &mut self,
        _: &ShardStore,
        buffers: &mut BufferPool,
        (_, entry): (KeyHash, EntryRef<'_>),
        open: impl FnOnce(&mut Self),
        close: &[u8],
    ) {
        open(self);
        copy_value(self, buffers, entry.value());
        self.extend_from_slice(close);
    }
}

#[cold]
fn show_large(
    session: &mut Session,
    store: &ShardStore,
    buffers: &mut BufferPool,
    (hash, entry): (KeyHash, EntryRef<'_>),
    close: &[u8],
) {
    let pinned = store.pin(hash, entry);
    let is_laid_in = pinned.is_some_and(|pinned| session.replies.lay_in(pinned, buffers));
    let out = session.replies.ready(buffers);
    if !is_laid_in {
        copy_value(out, buffers, entry.value());
    }
    out.extend_from_slice(close);
}

fn copy_value(out: &mut Vec<u8>, buffers: &mut BufferPool, value: &[u8]) {
    buffers.make_room(out, value.len() + VALUE_END_BYTES_MAX);
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        io::Token,
        shard::{
            form::Form,
            replies::{Covers, Part},
            session::FrontEnd,
        },
        store::{
            Condition, Deadline, Eviction, Expiry, KeyHasher, Operation, Stamp, StoreParams,
            UnixMs, build,
        },
    };

    const NOW: UnixMs = UnixMs(1_000_000);

    /// A store with a value of so many bytes under `key`, and what is shown of it.
    fn store(value_bytes: usize) -> (ShardStore, Vec<u8>) {
        let params = StoreParams {
            shard_count: 1,
            partition_bytes: 16 << 20,
            item_bytes_max: 1 << 17,
            eviction: Eviction::Lru,
        };
        let mut store = build(&params, KeyHasher::new(7)).unwrap().remove(0);
        store.online();
        let value: Vec<u8> = (0..value_bytes).map(|place| (place % 251) as u8).collect();
        let set = Operation::Set {
            flags: 0,
            expiry: Expiry::Until(Deadline::NEVER),
            condition: Condition::Always,
            stamp: Stamp::default(),
            wants_old: false,
        };
        let key = store.hasher().key(b"key");
        store.apply(NOW, key, set, &value, &mut Vec::new());
        let shown = [b"before ", &value[..], b" behind"].concat();
        (store, shown)
    }

    fn show(out: &mut impl AnswerOut, store: &ShardStore, buffers: &mut BufferPool) {
        let key = store.hasher().key(b"key");
        let found = (key.hash, store.look(key, NOW).unwrap());
        let open = |out: &mut Vec<u8>| out.extend_from_slice(b"before ");
        out.show(store, buffers, found, open, b" behind");
    }

    #[test]
    fn only_a_large_value_that_nothing_comes_before_is_sent_from_where_it_lies() {
        for (value_bytes, waits, is_copied) in [
            (0, false, true),
            (LAID_IN_BYTES_MIN - 1, false, true),
            (LAID_IN_BYTES_MIN, false, false),
            (100_000, false, false),
            (100_000, true, true),
        ] {
            let (store, shown) = store(value_bytes);
            let mut buffers = BufferPool::new(1 << 30);
            let mut session = Session::new(Token::NOBODY, 1, FrontEnd::Undecided);
            if waits {
                let seq = session.replies.defer(Form::Verbatim, Covers::Nothing, 1);
                show(&mut session, &store, &mut buffers);
                session.replies.resolve(seq, Part::Bytes(b""), &mut buffers);
            } else {
                show(&mut session, &store, &mut buffers);
            }
            assert_eq!(session.replies.bytes(), shown.len(), "{value_bytes}");
            let sent = session.replies.take_output();
            let laid_in: Vec<_> = sent
                .inlays
                .iter()
                .map(|inlay| inlay.value_bytes())
                .collect();
            if is_copied {
                assert!(laid_in.is_empty(), "{value_bytes}");
                assert!(sent.bytes == shown, "{value_bytes}");
            } else {
                assert_eq!(laid_in, [value_bytes]);
                assert_eq!(sent.bytes, b"before  behind");
            }
        }
    }

    #[test]
    fn what_another_shard_asked_for_is_copied() {
        let (store, shown) = store(100_000);
        let mut out = Vec::new();
        show(&mut out, &store, &mut BufferPool::new(1 << 30));
        assert!(out == shown);
    }
}
