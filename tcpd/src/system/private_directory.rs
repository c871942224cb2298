//! The directory beside the control socket that nobody but the daemon's user can enter: the secret and the supervision link
//! are there.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Where it is for a control socket at `socket`.
pub fn beside(socket: &Path) -> PathBuf {
    socket.parent().unwrap_or(Path::new("/")).join("private")
}

/// Makes `directory`, or sees that it is as it must be.
///
/// # Errors
/// When it cannot be made, is no directory, belongs to somebody else, or is open to others.
pub fn make(directory: &Path) -> io::Result<()> {
    let refuse = |what: &str| io::Error::other(format!("{}: {what}", directory.display()));
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(refuse(&error.to_string()))
        }
        _ => {
            let found = directory.symlink_metadata()?;
            if !found.is_dir()
                || found.uid() != rustix::process::geteuid().as_raw()
                || found.mode() & 0o077 != 0
            {
                return Err(refuse("must be a directory of this user with mode 0700"));
            }
            Ok(())
        }
    }
}
