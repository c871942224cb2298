//! Whose a connection is, and what its private rings occupy on that one's bill.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes that a connection adds to a sum. They are taken off when it is dropped, wherever that is.
#[derive(Debug, Default)]
pub(crate) struct Bill {
    sum: Option<Arc<AtomicU64>>,
    /// Two rings of 1 GiB at most.
    bytes: u32,
    account: u32,
}

impl Bill {
    /// Of `account`, with nothing yet on this sum.
    pub(crate) fn to(account: u32, sum: &Arc<AtomicU64>) -> Self {
        Self {
            sum: Some(Arc::clone(sum)),
            bytes: 0,
            account,
        }
    }

    pub(crate) fn account(&self) -> u32 {
        self.account
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.into()
    }

    /// It is so many now.
    pub(crate) fn set(&mut self, bytes: u64) {
        let before = self.bytes();
        if bytes != before
            && let Some(sum) = &self.sum
        {
            // All of it happens in one thread; it is atomic so that a stack can be sent to one. Below zero it wraps, and back.
            sum.fetch_add(bytes.wrapping_sub(before), Relaxed);
            self.bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        }
    }
}

impl Drop for Bill {
    fn drop(&mut self) {
        self.set(0);
    }
}
