//! The secret behind initial sequence numbers and timestamp offsets, kept for the life of the boot.
//!
//! A daemon that starts again must not give a pair of sockets numbers below those its predecessor gave it: segments of then may
//! still be on their way, and the peer may be in TIME-WAIT. RFC 9293 §3.4.3 asks for a quiet time of one MSL where the numbers in
//! use are not known any more. Here they are: they come from the secret and from a clock that goes on as long as the machine
//! does, so with the same secret they go on growing (RFC 9293 §3.4.1), and so do timestamps (RFC 7323 §5).
//!
//! 1. [`keep`] reads the file in the private directory. It is used when it is a regular file of this user that nobody else can
//!    read, with exactly the bytes expected.
//! 2. No file: nobody was here before. A new secret is written.
//! 3. Anything else is not used and replaced. The numbers given before are unknown then, and that is said, so that the daemon can
//!    keep quiet for one MSL.
//! 4. The identity of the boot is mixed in: where a file outlives the boot, its clock does not, and this makes another secret of it.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;
use tcpd_core::random::Secret;

use super::entropy::random_bytes;

/// The file in the private directory.
pub const NAME: &str = "secret";
/// Where a new one is written before it takes that name.
const UNFINISHED: &str = "secret.new";
/// What the file begins with. It changes with the way the numbers are made of the secret.
const HEADER: &[u8; 14] = b"tcpd secret 1\n";
const KEY_BYTES: usize = 16;
const FILE_BYTES: usize = HEADER.len() + KEY_BYTES;
/// Another one for each boot. Not everywhere readable, but a directory that is gone after a boot does not need it.
const BOOT_IDENTITY: &str = "/proc/sys/kernel/random/boot_id";

/// What [`keep`] has found or made.
#[derive(Debug)]
pub struct KeptSecret {
    /// For the stack.
    pub secret: Secret,
    /// Why what was there is not used: then numbers were given that are not known any more (RFC 9293 §3.4.3).
    pub lost: Option<Unusable>,
    /// Why the next daemon will not find this secret.
    pub not_kept: Option<io::Error>,
}

/// Why a file with a secret is not used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// A directory, a link, a pipe.
    #[error("it is not a regular file")]
    NoFile,
    /// Somebody else can know or choose what is in it.
    #[error("it belongs to uid {0}")]
    Foreign(u32),
    /// The same.
    #[error("its mode is {0:04o}, and only its owner may read and write it")]
    Open(u32),
    /// Too short, too long, or not what a daemon of this version writes.
    #[error("it does not hold what this version writes")]
    Damaged,
    /// The system says no.
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
}

/// The secret kept in `directory`, or a new one that is kept there from now on.
///
/// # Errors
/// When the kernel has no random bytes. A file that cannot be used or written is no error: [`KeptSecret`] tells.
pub fn keep(directory: &Path) -> io::Result<KeptSecret> {
    let boot = std::fs::read_to_string(BOOT_IDENTITY).unwrap_or_default();
    let (key, lost) = match read(&directory.join(NAME)) {
        Ok(Some(key)) => {
            return Ok(KeptSecret {
                secret: of_boot(key, &boot),
                lost: None,
                not_kept: None,
            });
        }
        Ok(None) => (random_bytes()?, None),
        Err(unusable) => (random_bytes()?, Some(unusable)),
    };
    Ok(KeptSecret {
        secret: of_boot(key, &boot),
        lost,
        not_kept: write(directory, &key).err(),
    })
}

fn of_boot(key: [u8; KEY_BYTES], boot: &str) -> Secret {
    Secret::new(key).derive(boot)
}

/// The key in the file; `None` when there is no file.
fn read(path: &Path) -> Result<Option<[u8; KEY_BYTES]>, Unusable> {
    // A pipe must not make us wait, and a link leads to what somebody else may have written.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::LOOP) => {
            return Err(Unusable::NoFile);
        }
        Err(error) => return Err(Unusable::Unreadable(error)),
    };
    let found = file.metadata().map_err(Unusable::Unreadable)?;
    if !found.is_file() {
        return Err(Unusable::NoFile);
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(Unusable::Foreign(found.uid()));
    }
    if found.mode() & 0o077 != 0 {
        return Err(Unusable::Open(found.mode() & 0o7777));
    }
    let mut bytes = Vec::with_capacity(FILE_BYTES + 1);
    file.take(FILE_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(Unusable::Unreadable)?;
    parse(&bytes).ok_or(Unusable::Damaged).map(Some)
}

fn parse(bytes: &[u8]) -> Option<[u8; KEY_BYTES]> {
    let key: [u8; KEY_BYTES] = bytes.strip_prefix(HEADER)?.try_into().ok()?;
    // Zeros are what a disk gives for what it never got.
    (key != [0; KEY_BYTES]).then_some(key)
}

/// Writes it beside its place and moves it there, so that a daemon killed meanwhile leaves no half of it.
fn write(directory: &Path, key: &[u8; KEY_BYTES]) -> io::Result<()> {
    let unfinished = directory.join(UNFINISHED);
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(&[HEADER.as_slice(), key].concat())?;
    // Whatever the umask is.
    file.set_permissions(Permissions::from_mode(0o600))?;
    std::fs::rename(&unfinished, directory.join(NAME))
}

#[cfg(test)]
mod tests;
