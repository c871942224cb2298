//! The files of a site, opened so that no name and no symbolic link leads out of its directory.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::content_type;
use super::response::Status;

/// What a directory is asked for.
const INDEX: &[u8] = b"index.html";

/// A directory whose files are served.
#[derive(Debug)]
pub struct Site {
    directory: OwnedFd,
}

/// What a path names.
#[derive(Debug)]
pub(super) enum Found {
    /// A regular file.
    File(OpenFile),
    /// A directory asked for as if it were a file; relative links in its index would go wrong.
    DirectoryWithoutSlash,
}

/// A regular file ready to be sent.
#[derive(Debug)]
pub(super) struct OpenFile {
    /// Open for reading at its start.
    pub file: File,
    /// Bytes.
    pub length: u64,
    /// Time of the last change, whole seconds as HTTP dates are.
    pub modified: SystemTime,
    /// The media type, from the name.
    pub content_type: &'static str,
}

impl Site {
    /// Opens `directory`; a later rename or mount does not change what is served.
    ///
    /// # Errors
    /// When there is no such directory or it may not be read.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(Self {
            directory: rustix::fs::open(directory, flags, Mode::empty())?,
        })
    }

    /// Opens what `path` (relative, not encoded) names.
    pub(super) fn find(&self, path: &[u8]) -> Result<Found, Status> {
        let for_directory = path.is_empty() || path.ends_with(b"/");
        let path = if for_directory {
            [path, INDEX].concat()
        } else {
            path.to_vec()
        };
        let file = self.open_beneath(&path)?;
        let stat = rustix::fs::fstat(&file).map_err(|_| Status::NOT_FOUND)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Found::File(OpenFile {
                file: file.into(),
                length: u64::try_from(stat.st_size).unwrap_or(0),
                modified: modified(&stat),
                content_type: content_type::of(&path),
            })),
            FileType::Directory if !for_directory => Ok(Found::DirectoryWithoutSlash),
            _ => Err(Status::NOT_FOUND),
        }
    }

    fn open_beneath(&self, path: &[u8]) -> Result<OwnedFd, Status> {
        // NONBLOCK: opening a FIFO must not wait for its writer.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        loop {
            return match rustix::fs::openat2(&self.directory, path, flags, Mode::empty(), resolve) {
                Ok(file) => Ok(file),
                // The kernel could not rule out a race with a rename that would lead outside.
                Err(Errno::AGAIN | Errno::INTR) => continue,
                // EXDEV, a way out of the site, is told as if nothing were there.
                Err(Errno::ACCESS | Errno::PERM) => Err(Status::FORBIDDEN),
                Err(Errno::NFILE | Errno::MFILE | Errno::NOMEM | Errno::IO) => {
                    Err(Status::INTERNAL)
                }
                Err(_) => Err(Status::NOT_FOUND),
            };
        }
    }
}

impl AsFd for Site {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

fn modified(stat: &Stat) -> SystemTime {
    let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}
