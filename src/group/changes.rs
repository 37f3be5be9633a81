//! Sets and deletes, whoever asks for them: the key's owner among the peers has it done and tells all others,
//! before anybody is answered.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;

use super::{
    LoadError, Loaded, Wanted,
    dispatch::{Shared, unless_it_panics},
    port::{Change, Counted, Wish},
};
use crate::runtime;

impl Shared {
    /// Gives a key a value, for a thread of the program.
    pub(super) async fn set(&self, key: Bytes, loaded: Loaded) -> Result<Loaded, LoadError> {
        let change = Change::Set(loaded.clone());
        self.change_for_program(key, change).await.map(|()| loaded)
    }

    /// Has a key forgotten, for a thread of the program.
    pub(super) async fn delete(&self, key: Bytes) -> Result<Loaded, LoadError> {
        self.change_for_program(key, Change::Delete).await?;
        Err(LoadError::NotFound { ttl: None })
    }

    async fn change_for_program(&self, key: Bytes, change: Change) -> Result<(), LoadError> {
        let deadline = Instant::now() + self.limits.timeout;
        let counted = match change {
            Change::Set(_) => Counted::Set,
            Change::Delete => Counted::Delete,
        };
        self.change(key, change, counted, deadline).await
    }

    /// Changes a key, whoever owns it.
    pub(super) async fn change(
        &self,
        key: Bytes,
        change: Change,
        counted: Counted,
        deadline: Instant,
    ) -> Result<(), LoadError> {
        if let Some(circle) = &self.circle
            && !circle.can_name(&key)
        {
            return Err(LoadError::failed("key is too long for peers"));
        }
        let owner = self.circle.as_ref().and_then(|circle| circle.owner(&key));
        let (Some(circle), Some(owner)) = (&self.circle, owner) else {
            return self.change_as_owner(key, change, counted, deadline).await;
        };
        let changed = circle.send_to_owner(&owner, &key, change, deadline).await;
        // The owner has told all that it knows of. What was read of it meanwhile may be of before.
        self.change_here(key, Change::Delete, counted).await?;
        changed
    }

    /// Changes a key that this process owns, so that no peer shows what it was.
    pub(super) async fn change_as_owner(
        &self,
        key: Bytes,
        change: Change,
        counted: Counted,
        deadline: Instant,
    ) -> Result<(), LoadError> {
        let written = self.write(&key, &change, deadline).await;
        // Of two that set a key at a time the source has the last one's value, and nobody can tell which that is: it is
        // loaded anew. And who is in no list keeps nothing, as nobody would tell it of the next change.
        let change = match self.writes_through || !self.is_listed() {
            true => Change::Delete,
            false => change,
        };
        // What is refused here, as it is too large, has taken the old value away, and so it goes elsewhere.
        let changed = self.change_here(key.clone(), change, counted).await;
        if let Some(circle) = &self.circle {
            circle.tell_others(&key, None, deadline).await?;
        }
        changed.and(written)
    }

    /// Has the source make a change, if it takes any.
    async fn write(
        &self,
        key: &Bytes,
        change: &Change,
        deadline: Instant,
    ) -> Result<(), LoadError> {
        if !self.writes_through {
            return Ok(());
        }
        let wanted = Wanted {
            group: Arc::clone(&self.group),
            key: key.clone(),
            deadline,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let changing = unless_it_panics(|| self.loader.change(&wanted, change));
        let changed = runtime::within(left, changing).await;
        changed.unwrap_or(Err(LoadError::Late))
    }

    /// Changes a key where it lives here, and nowhere else.
    pub(super) async fn change_here(
        &self,
        key: Bytes,
        change: Change,
        counted: Counted,
    ) -> Result<(), LoadError> {
        let wish = match change {
            Change::Set(loaded) => Wish::Set(loaded),
            Change::Delete => Wish::Delete,
        };
        match self.visit(key, wish, counted).await {
            Ok(_) | Err(LoadError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
