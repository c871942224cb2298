//! What happens to this process: forks, and signals in a library's thread.

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

static GENERATION: AtomicU64 = AtomicU64::new(0);
static REGISTERED: Once = Once::new();

/// A number that is another one in a forked child than in its parent. Compared before anything
/// shared with the daemon is touched: the child has no arena at that place (MADV_DONTFORK), and the
/// session is its parent's.
///
/// A child made by a bare `clone` system call, past libc, is not noticed; it dies of SIGSEGV if it
/// touches the arena, and so does not share it either.
pub(crate) fn generation() -> u64 {
    REGISTERED.call_once(|| {
        // SAFETY: `in_child` only adds to an atomic, which is async-signal-safe. It fails only
        // for lack of memory, and then a child's use of the arena ends as described above.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
    GENERATION.load(Ordering::Relaxed)
}

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// A value that a forked child has anew. Not a lock around one value: a thread that the child does
/// not have may have held it. Values are never freed; there is one per fork that asks.
pub(crate) struct PerProcess<T: 'static> {
    current: AtomicPtr<(u64, T)>,
}

impl<T: Default + Sync> PerProcess<T> {
    pub(crate) const fn new() -> PerProcess<T> {
        PerProcess {
            current: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// This process's value.
    pub(crate) fn get(&'static self) -> &'static T {
        let ours = generation();
        loop {
            let current = self.current.load(Ordering::Acquire);
            // SAFETY: null, or leaked below: valid for ever, and never changed but through `T`.
            if let Some((generation, value)) = unsafe { current.as_ref() }
                && *generation == ours
            {
                return value;
            }
            let fresh = Box::into_raw(Box::new((ours, T::default())));
            let ordering = Ordering::AcqRel;
            let won = self
                .current
                .compare_exchange(current, fresh, ordering, Ordering::Acquire);
            if won.is_err() {
                // SAFETY: made above, and nobody else has seen it.
                drop(unsafe { Box::from_raw(fresh) });
            }
        }
    }
}

/// Runs `f` with every signal blocked, so that a thread it spawns has them blocked for good: the
/// program's signals are for the program's threads.
pub(crate) fn without_signals<T>(f: impl FnOnce() -> T) -> T {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both sets are ours; the first call initialises `all`, the second `before`.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let result = f();
    // SAFETY: `before` was initialised above; pthread_sigmask fails only for an unknown first argument.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    result
}
