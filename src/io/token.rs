//! Sockets by handle: an index into a table, and the generation of its slot.
//!
//! Completions arrive late; one for a socket that is gone carries an old generation and is
//! dropped by [`SocketTable::get`] and [`SocketTable::get_mut`], the only ways to a socket.

/// Names one socket for as long as it lives, and nothing after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token {
    index: u32,
    generation: u32,
}

/// Generations wrap here, so that a token fits an operation's user data beside its kind.
const GENERATION_MASK: u32 = 0x00ff_ffff;

impl Token {
    /// Names no socket, ever.
    pub const NOBODY: Self = Self {
        index: u32::MAX,
        generation: 0,
    };

    /// Where the socket stands in tables that run beside the I/O's own.
    pub fn index(self) -> usize {
        self.index as usize
    }

    /// 56 bits that are read back as the same token.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        Self {
            index: bits as u32,
            generation: (bits >> 32) as u32 & GENERATION_MASK,
        }
    }
}

/// Sockets of type `S` by token.
///
/// Invariant: a slot is in `free` exactly if it holds no socket.
#[derive(Debug)]
pub(super) struct SocketTable<S> {
    slots: Vec<Slot<S>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<S> {
    generation: u32,
    socket: Option<S>,
}

impl<S> SocketTable<S> {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(super) fn insert(&mut self, socket: S) -> Token {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                socket: None,
            });
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        slot.socket = Some(socket);
        Token {
            index,
            generation: slot.generation,
        }
    }

    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut S> {
        let slot = self.slots.get_mut(token.index())?;
        if slot.generation != token.generation {
            return None;
        }
        slot.socket.as_mut()
    }

    pub(super) fn get(&self, token: Token) -> Option<&S> {
        let slot = self.slots.get(token.index())?;
        if slot.generation != token.generation {
            return None;
        }
        slot.socket.as_ref()
    }

    pub(super) fn remove(&mut self, token: Token) -> Option<S> {
        let slot = self.slots.get_mut(token.index())?;
        if slot.generation != token.generation {
            return None;
        }
        let socket = slot.socket.take()?;
        slot.generation = (slot.generation + 1) & GENERATION_MASK;
        self.free.push(token.index);
        Some(socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_token_finds_nothing() {
        let mut table = SocketTable::new();
        let first = table.insert("first");
        assert_eq!(table.remove(first), Some("first"));
        let second = table.insert("second");
        assert_eq!(second.index(), first.index(), "the slot is used again");
        assert_eq!(table.get_mut(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get_mut(second), Some(&mut "second"));
    }

    #[test]
    fn tokens_survive_user_data() {
        let token = Token {
            index: u32::MAX,
            generation: GENERATION_MASK,
        };
        assert_eq!(Token::from_bits(token.to_bits()), token);
        assert!(token.to_bits() < 1 << 56);
    }
}
