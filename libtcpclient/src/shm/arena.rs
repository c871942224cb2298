//! The memfd of a session: made by the daemon, mapped by both.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags};

use super::layout::{Direction, DoorbellBlock, Layout, SlotHeader};
use super::process;

const SEALS: SealFlags = SealFlags::SHRINK
    .union(SealFlags::GROW)
    .union(SealFlags::SEAL);

/// A mapped arena. Shared between threads as it is (`Arc<Arena>`); unmapped when dropped.
#[derive(Debug)]
pub struct Arena {
    base: NonNull<u8>,
    layout: Layout,
    file: OwnedFd,
    /// [`process::generation`] of who mapped it. After a fork the child has no mapping at this
    /// place (MADV_DONTFORK), or another one.
    generation: u64,
}

// SAFETY: everything behind `base` is accessed through atomics or raw copies, from any thread.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

/// Why a memfd that a daemon passed is not an arena.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// Its size is not what the layout says.
    #[error("the arena has {0} bytes and not {1}")]
    Size(u64, usize),
    /// It could shrink under the mapping: reading it could kill this process.
    #[error("the arena is not a sealed memfd")]
    NotSealed,
    /// The operating system refused.
    #[error("the arena cannot be mapped: {0}")]
    Os(#[from] io::Error),
}

impl Arena {
    /// Makes a new arena, sealed against shrinking, growing and further seals, all zero. The
    /// descriptor to pass is its [`AsFd`].
    ///
    /// # Errors
    /// As `memfd_create(2)`, `ftruncate(2)`, `mmap(2)`.
    pub fn create(layout: Layout) -> io::Result<Arena> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = match rustix::fs::memfd_create("tcpd-arena", flags | MemfdFlags::NOEXEC_SEAL) {
            // Before Linux 6.3.
            Err(Errno::INVAL) => rustix::fs::memfd_create("tcpd-arena", flags)?,
            other => other?,
        };
        rustix::fs::ftruncate(&file, layout.len() as u64)?;
        rustix::fs::fcntl_add_seals(&file, SEALS)?;
        Arena::map_file(file, layout)
    }

    /// Maps an arena that the daemon made. It is not inherited by a fork.
    ///
    /// # Errors
    /// [`MapError`]: nothing is mapped that could vanish under our feet.
    pub fn map(file: OwnedFd, layout: Layout) -> Result<Arena, MapError> {
        let size = rustix::fs::fstat(&file).map_err(io::Error::from)?.st_size;
        let size = u64::try_from(size).unwrap_or(0);
        if size != layout.len() as u64 {
            return Err(MapError::Size(size, layout.len()));
        }
        match rustix::fs::fcntl_get_seals(&file) {
            Ok(seals) if seals.contains(SealFlags::SHRINK) => {}
            _ => return Err(MapError::NotSealed),
        }
        Ok(Arena::map_file(file, layout)?)
    }

    fn map_file(file: OwnedFd, layout: Layout) -> io::Result<Arena> {
        // SAFETY: a new mapping at a place the kernel chooses; it replaces nothing.
        let base = unsafe {
            rustix::mm::mmap(
                ptr::null_mut(),
                layout.len(),
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED | MapFlags::NORESERVE,
                &file,
                0,
            )
        }?;
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let arena = Arena {
            base,
            layout,
            file,
            generation: process::generation(),
        };
        // SAFETY: exactly the mapping made above; the advice changes nothing in this process.
        unsafe {
            rustix::mm::madvise(
                base.as_ptr().cast(),
                arena.layout.len(),
                Advice::LinuxDontFork,
            )
        }?;
        Ok(arena)
    }

    /// Its sizes.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The doorbells of a stack thread.
    ///
    /// # Panics
    /// When there is no such thread: numbers from outside are checked where they come in.
    pub fn doorbells(&self, thread: u16) -> &DoorbellBlock {
        let offset = self.layout.doorbell_offset(thread);
        // SAFETY: the offset is inside the mapping and a multiple of 4096, the mapping lives as
        // long as `self`, and the struct consists of atomics for which all bytes are values.
        unsafe { self.at(offset).cast::<DoorbellBlock>().as_ref() }
    }

    /// The words of a slot.
    ///
    /// # Panics
    /// When there is no such slot: numbers from outside are checked where they come in.
    pub fn header(&self, slot: u32) -> &SlotHeader {
        let offset = self.layout.header_offset(slot);
        // SAFETY: the offset is inside the mapping and a multiple of 256, the mapping lives as
        // long as `self`, and the struct consists of atomics for which all bytes are values.
        unsafe { self.at(offset).cast::<SlotHeader>().as_ref() }
    }

    /// The first byte of a ring's place, which has [`Layout::ring_maximum`] bytes.
    pub(super) fn ring(&self, slot: u32, direction: Direction) -> NonNull<u8> {
        let offset = self.layout.ring_offset(slot, direction);
        // SAFETY: the offset is inside the mapping.
        unsafe { self.at(offset) }
    }

    /// # Safety
    /// `offset` must be inside the mapping.
    unsafe fn at(&self, offset: usize) -> NonNull<u8> {
        debug_assert!(offset < self.layout.len());
        // SAFETY: the caller's promise.
        unsafe { self.base.add(offset) }
    }

    /// Gives the pages of a ring back to the system; it reads as zero then. Only for an empty ring.
    ///
    /// It waits for the lock of the file, which anybody holds who writes to it or allocates in it: whoever got the descriptor can
    /// make it wait for ever.
    ///
    /// # Errors
    /// As MADV_REMOVE in `madvise(2)`.
    pub fn punch(&self, slot: u32, direction: Direction) -> io::Result<()> {
        let offset = self.layout.ring_offset(slot, direction);
        self.punch_range(offset, self.layout.ring_maximum() as usize)
    }

    /// Gives every page back: the last thing a daemon does with an arena whose client is gone.
    ///
    /// # Errors
    /// As [`Arena::punch`].
    pub fn punch_all(&self) -> io::Result<()> {
        self.punch_range(0, self.layout.len())
    }

    /// By the mapping, so that a thread can do it that has no descriptors.
    fn punch_range(&self, offset: usize, len: usize) -> io::Result<()> {
        // SAFETY: the range is inside the mapping, in whole pages; what stands there reads as zero afterwards, which every
        // user of this memory must be prepared for, since the other side may write it at any time.
        let punch = || unsafe {
            let start = self.at(offset).as_ptr().cast();
            rustix::mm::madvise(start, len, Advice::LinuxRemove)
        };
        Ok(rustix::io::retry_on_intr(punch)?)
    }

    /// The memory that is really allocated, in bytes. Reading a hole allocates too, on either side.
    ///
    /// # Errors
    /// As `fstat(2)`.
    pub fn allocated_bytes(&self) -> io::Result<u64> {
        let blocks = rustix::fs::fstat(&self.file)?.st_blocks;
        Ok(u64::try_from(blocks).unwrap_or(0) * 512)
    }
}

impl AsFd for Arena {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if self.generation != process::generation() {
            // A forked child never had the mapping, and may have put something else there.
            return;
        }
        // SAFETY: exactly the mapping that `map_file` made, in the process that made it; nobody
        // has a reference into it, they borrow `self`.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.layout.len()) };
    }
}
