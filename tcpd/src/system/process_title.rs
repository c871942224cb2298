//! What `ps` shows for this process.
//!
//! The kernel lets `ps` read the argument strings out of the process' own memory, so a process that overwrites
//! them renames itself. The room is what `execve` was given: the spawner is executed with a padded `argv[0]`
//! ([`padded_argv0`]) and every worker forked from it inherits the room.

use std::ffi::{CString, OsString};
use std::fs;
use std::io;

#[cfg(test)]
mod tests;

/// Bytes of title that [`padded_argv0`] makes room for. An IPv6 peer and a long service name fit.
pub const ROOM: usize = 160;

/// An `argv[0]` for a program that will rename itself: `name` followed by spaces, [`ROOM`] bytes in all.
#[must_use]
pub fn padded_argv0(name: &str) -> OsString {
    format!("{name:<ROOM$}").into()
}

/// The memory that holds this process' arguments.
///
/// Not `Copy` or `Clone`: it is the only writer of that memory.
#[derive(Debug)]
pub struct ProcessTitle {
    /// Address of the first byte of `argv[0]`.
    start: usize,
    /// Bytes until the end of the last argument, its NUL included.
    length: usize,
}

impl ProcessTitle {
    /// Finds the arguments of this process through `/proc/self/stat`.
    ///
    /// # Safety
    /// There must be at most one `ProcessTitle` in a process, no reference into the memory of the argument strings may
    /// be left, and while [`ProcessTitle::set`] runs no other thread may read them (`std::env::args` does). Afterwards
    /// they are still strings that end inside their memory: the title, and parts of it.
    ///
    /// # Errors
    /// When `/proc` is not mounted or hides the addresses (a process that is not dumpable and not root).
    pub unsafe fn find() -> io::Result<Self> {
        let stat = fs::read_to_string("/proc/self/stat")?;
        let (start, end) = argument_range(&stat).ok_or_else(|| {
            io::Error::other("/proc/self/stat does not tell where the arguments are")
        })?;
        Ok(Self {
            start,
            length: end - start,
        })
    }

    /// Shows `title` in `ps`, cut to the room there is. Bytes that are not printable are shown as `?`.
    pub fn set(&mut self, title: &str) {
        let shown: Vec<u8> = title
            .bytes()
            .map(|byte| {
                if byte.is_ascii_graphic() || byte == b' ' {
                    byte
                } else {
                    b'?'
                }
            })
            .collect();
        // The last byte stays NUL: otherwise the kernel reads on into the environment.
        let length = shown.len().min(self.length.saturating_sub(1));
        let area = std::ptr::with_exposed_provenance_mut::<u8>(self.start);
        // SAFETY: `find` took the range from the kernel, which placed the arguments there, writable, for the life
        // of the process; its contract makes us the only user; `length < self.length`.
        unsafe {
            area.write_bytes(0, self.length);
            area.copy_from_nonoverlapping(shown.as_ptr(), length);
        }
    }

    /// The title as it stands now, without the padding.
    #[must_use]
    pub fn current() -> String {
        let bytes = fs::read("/proc/self/cmdline").unwrap_or_default();
        let end = bytes
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last + 1);
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }
}

/// Sets the 15-byte name that `top` and `/proc/PID/comm` show; longer names are cut.
///
/// # Errors
/// None that a valid name can cause; the kernel's error otherwise.
pub fn set_short_name(name: &str) -> io::Result<()> {
    let bytes: Vec<u8> = name.bytes().filter(|&byte| byte != 0).take(15).collect();
    let name = CString::new(bytes)?;
    Ok(rustix::thread::set_name(&name)?)
}

/// Fields 48 and 49 of `/proc/PID/stat` (proc_pid_stat(5)): `arg_start` and `arg_end`.
fn argument_range(stat: &str) -> Option<(usize, usize)> {
    // The second field is the name in parentheses and may itself hold spaces and parentheses.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(48 - 3);
    let start: usize = fields.next()?.parse().ok()?;
    let end: usize = fields.next()?.parse().ok()?;
    (start != 0 && end > start).then_some((start, end))
}
