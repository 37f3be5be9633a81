//! Files that are written, read and synced without blocking the thread that waits for them.

use std::{io, path::Path};

use glommio::io::{BufferedFile, Directory, OpenOptions};

/// An open file. It goes through the page cache, as what is appended is less than a block.
pub(crate) struct File(BufferedFile);

impl File {
    /// Makes a file that is not there, and opens it for writing.
    ///
    /// # Errors
    /// It is there, or cannot be made.
    pub(crate) async fn create(path: &Path, mode: u32) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(mode);
        Ok(Self(options.buffered_open(path).await?))
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// It is not there, or may not be read.
    pub(crate) async fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(BufferedFile::open(path).await?))
    }

    /// Writes all of these bytes.
    ///
    /// # Errors
    /// They are not written, or only some are.
    pub(crate) async fn write_all(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut written = 0;
        while written < bytes.len() {
            let rest = bytes[written..].to_vec();
            match self.0.write_at(rest, at + written as u64).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => written += count,
            }
        }
        Ok(())
    }

    /// Reads up to so many bytes, fewer only at the end of the file.
    ///
    /// # Errors
    /// The disk reports one.
    pub(crate) async fn read(&self, at: u64, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            let part = self.0.read_at(at + bytes.len() as u64, count - bytes.len());
            let part = part.await?;
            if part.is_empty() {
                break;
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    }

    /// Waits until what has been written is on the disk (`fdatasync`).
    ///
    /// # Errors
    /// It may not be, or only in part.
    pub(crate) async fn sync(&self) -> io::Result<()> {
        Ok(self.0.fdatasync().await?)
    }

    /// Cuts the file.
    ///
    /// # Errors
    /// It is as it was.
    pub(crate) async fn truncate(&self, bytes: u64) -> io::Result<()> {
        Ok(self.0.truncate(bytes).await?)
    }

    /// Closes the file.
    ///
    /// # Errors
    /// The disk reports one that it had kept to itself.
    pub(crate) async fn close(self) -> io::Result<()> {
        Ok(self.0.close().await?)
    }
}

/// Removes a file.
///
/// # Errors
/// It is still there, or was not.
pub(crate) async fn remove(path: &Path) -> io::Result<()> {
    Ok(glommio::io::remove(path).await?)
}

/// Waits until the names of a folder's files are on the disk.
///
/// # Errors
/// They may not be.
pub(crate) async fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = Directory::open(path).await?;
    folder.sync().await?;
    Ok(folder.close().await?)
}
