//! A doubly linked list of key numbers, whose links lie in arrays: no search, no allocation.

/// Stands for no key.
const NONE: u32 = u32::MAX;

/// Invariant: `prev` and `next` of a key that is not in the list are not looked at; a key is in it at most once.
pub(crate) struct List {
    prev: Vec<u32>,
    next: Vec<u32>,
    front: u32,
    back: u32,
    len: u32,
}

impl List {
    /// Of keys below `keys`.
    pub(crate) fn new(keys: u32) -> Self {
        Self {
            prev: vec![NONE; keys as usize],
            next: vec![NONE; keys as usize],
            front: NONE,
            back: NONE,
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// The key that has been in it for longest since it was put in front.
    pub(crate) fn back(&self) -> Option<u32> {
        (self.back != NONE).then_some(self.back)
    }

    /// Puts a key in front that is not in the list.
    pub(crate) fn push_front(&mut self, key: u32) {
        self.prev[key as usize] = NONE;
        self.next[key as usize] = self.front;
        match self.front {
            NONE => self.back = key,
            front => self.prev[front as usize] = key,
        }
        self.front = key;
        self.len += 1;
    }

    /// Takes a key out that is in the list.
    pub(crate) fn remove(&mut self, key: u32) {
        let (prev, next) = (self.prev[key as usize], self.next[key as usize]);
        match prev {
            NONE => self.front = next,
            prev => self.next[prev as usize] = next,
        }
        match next {
            NONE => self.back = prev,
            next => self.prev[next as usize] = prev,
        }
        self.len -= 1;
    }

    pub(crate) fn move_to_front(&mut self, key: u32) {
        self.remove(key);
        self.push_front(key);
    }

    pub(crate) fn pop_back(&mut self) -> Option<u32> {
        let key = self.back()?;
        self.remove(key);
        Some(key)
    }
}
