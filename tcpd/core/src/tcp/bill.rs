//! What the private rings of a connection occupy, on the bill of whoever it belongs to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes that a connection adds to a sum. They are taken off when it is dropped, wherever that is.
#[derive(Debug, Default)]
pub(crate) struct Bill {
    sum: Option<Arc<AtomicU64>>,
    bytes: u64,
}

impl Bill {
    /// Nothing yet, on this sum.
    pub(crate) fn to(sum: &Arc<AtomicU64>) -> Self {
        Self {
            sum: Some(Arc::clone(sum)),
            bytes: 0,
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// It is so many now.
    pub(crate) fn set(&mut self, bytes: u64) {
        if bytes != self.bytes
            && let Some(sum) = &self.sum
        {
            // All of it happens in one thread; it is atomic so that a stack can be sent to one. Below zero it wraps, and back.
            sum.fetch_add(bytes.wrapping_sub(self.bytes), Relaxed);
            self.bytes = bytes;
        }
    }
}

impl Drop for Bill {
    fn drop(&mut self) {
        self.set(0);
    }
}
