//! What bytes are received into that go straight to where they belong.

use bytes::{BufMut as _, BytesMut};

use crate::store::Vacancy;

/// Memory of the connection's that a receive fills.
#[derive(Debug)]
pub enum Room {
    /// Behind what is in a buffer.
    Input(BytesMut),
    /// Where a value will lie in the store, behind what has come of it.
    Vacancy(Vacancy),
}

impl From<BytesMut> for Room {
    fn from(input: BytesMut) -> Self {
        Self::Input(input)
    }
}

impl Room {
    /// Bytes that there is room for.
    pub(super) fn free_bytes(&self) -> usize {
        match self {
            Self::Input(input) => input.capacity() - input.len(),
            Self::Vacancy(vacancy) => vacancy.missing_bytes(),
        }
    }

    /// Where the next bytes go. It stays the same for as long as nothing is appended, wherever the room itself is moved.
    pub(super) fn start(&mut self) -> *mut u8 {
        match self {
            Self::Input(input) => input.spare_capacity_mut().as_mut_ptr().cast(),
            Self::Vacancy(vacancy) => vacancy.room().as_mut_ptr(),
        }
    }

    /// Appends bytes that there is room for.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.free_bytes(), "there is room");
        match self {
            Self::Input(input) => input.put_slice(bytes),
            Self::Vacancy(vacancy) => _ = vacancy.append(bytes),
        }
    }
}
