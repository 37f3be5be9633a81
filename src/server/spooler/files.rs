//! The segments' files: one is written, one is read.

use std::{collections::VecDeque, io, path::PathBuf};

use crate::{
    runtime::files::{self, File},
    spool::{Folder, Leftover, Step},
};

/// Keys may be private.
const FILE_MODE: u32 = 0o600;

pub(super) struct Files {
    /// Holds the lock.
    folder: Folder,
    /// What is written to.
    last: Option<(u64, File)>,
    /// What was read from last.
    read: Option<(u64, File)>,
    /// What is to be cleaned up before more is written.
    leftovers: Vec<Leftover>,
    /// Segments that are over, the oldest first.
    removable: VecDeque<u64>,
}

impl Files {
    pub(super) fn new(folder: Folder) -> Self {
        Self {
            folder,
            last: None,
            read: None,
            leftovers: Vec::new(),
            removable: VecDeque::new(),
        }
    }

    /// Does what a group needs.
    pub(super) async fn perform(&mut self, steps: Vec<Step>) -> io::Result<()> {
        self.clean_up().await;
        for Step { segment, at, bytes } in steps {
            if at == 0 {
                self.begin(segment).await?;
            }
            match &self.last {
                Some((number, file)) if *number == segment => file.write_all(&bytes, at).await?,
                _ => return Err(io::Error::other("the segment is not open")),
            }
        }
        Ok(())
    }

    /// Makes a segment's file. The one before is synced and closed, so that there is never more than
    /// one to sync.
    async fn begin(&mut self, segment: u64) -> io::Result<()> {
        if let Some((_, file)) = self.last.take() {
            file.sync().await?;
            file.close().await?;
        }
        let file = File::create(&self.folder.file(segment), FILE_MODE).await?;
        self.last = Some((segment, file));
        files::sync_folder(self.folder.path()).await
    }

    /// Waits until all that was written is on the disk.
    pub(super) async fn sync(&self) -> io::Result<()> {
        match &self.last {
            Some((_, file)) => file.sync().await,
            None => Ok(()),
        }
    }

    /// Reads a part of a segment.
    pub(super) async fn read(
        &mut self,
        segment: u64,
        at: u64,
        count: usize,
    ) -> io::Result<Vec<u8>> {
        if self
            .read
            .as_ref()
            .is_none_or(|(number, _)| *number != segment)
        {
            self.stop_reading().await;
            let file = File::open(&self.folder.file(segment)).await?;
            self.read = Some((segment, file));
        }
        match &self.read {
            Some((_, file)) => file.read(at, count).await,
            None => Ok(Vec::new()),
        }
    }

    /// Removes segments, from the old end only: without those behind it, what is said to be over in
    /// them, an old one would be read as live at the next start. What cannot be removed is tried
    /// again with the next.
    pub(super) async fn remove(&mut self, segments: impl IntoIterator<Item = u64>) {
        self.removable.extend(segments);
        while let Some(segment) = self.removable.front().copied() {
            if !self.remove_one(segment).await {
                return;
            }
            self.removable.pop_front();
        }
    }

    async fn remove_one(&mut self, segment: u64) -> bool {
        if self
            .read
            .as_ref()
            .is_some_and(|(number, _)| *number == segment)
        {
            self.stop_reading().await;
        }
        let path = self.folder.file(segment);
        let removed = files::remove(&path).await;
        if let Err(error) = &removed {
            let path = path.display();
            tracing::warn!(%path, %error, "a segment of the spool that is over stays, and those after it");
        }
        removed.is_ok()
    }

    /// Nothing more goes into the file that is open, and this is to be cleaned up.
    pub(super) fn discard(&mut self, leftovers: Vec<Leftover>) {
        self.leftovers.extend(leftovers);
    }

    async fn clean_up(&mut self) {
        for leftover in core::mem::take(&mut self.leftovers) {
            let (Leftover::File { segment } | Leftover::Tail { segment, .. }) = leftover;
            let path: PathBuf = self.folder.file(segment);
            match (leftover, &self.last) {
                (Leftover::Tail { bytes, .. }, Some((number, file))) if *number == segment => {
                    // What stays was refused with an error, and may yet be sent after a start.
                    let _ = file.truncate(bytes).await;
                }
                (Leftover::Tail { .. }, _) => {}
                (Leftover::File { .. }, _) => {
                    // It may never have been made.
                    let _ = files::remove(&path).await;
                }
            }
        }
    }

    async fn stop_reading(&mut self) {
        if let Some((_, file)) = self.read.take() {
            let _ = file.close().await;
        }
    }

    /// The end; all is synced that has to be.
    pub(super) async fn close(mut self) {
        self.stop_reading().await;
        if let Some((_, file)) = self.last.take() {
            let _ = file.close().await;
        }
    }
}
