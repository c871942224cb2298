//! Whether a reduction was for nothing: what was taken for lost was only late.
//!
//! Two witnesses: the timestamp that comes back is older than the first retransmission, so the original arrived (Eifel, RFC 3522); or
//! every byte sent again was reported as a duplicate (D-SACK, RFC 3708). A third, F-RTO, is in [`super::reaction`].

#[cfg(test)]
mod tests;

/// What may be undone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Undo {
    /// SND.UNA when the reduction began; `None`: there is nothing to undo.
    since: Option<u64>,
    /// Bytes sent again since, less those the peer said were duplicates.
    unexplained: u64,
    /// Something was sent again.
    retransmitted: bool,
    /// Our timestamp at the first retransmission.
    first_at: Option<u32>,
}

impl Undo {
    /// A reduction begins.
    pub(crate) fn begin(una: u64) -> Self {
        Self {
            since: Some(una),
            ..Self::default()
        }
    }

    /// `bytes` were sent again, with our timestamp `value` if timestamps are in use.
    pub(crate) fn retransmitted(&mut self, bytes: u64, value: Option<u32>) {
        if self.since.is_some() {
            self.unexplained += bytes;
            self.retransmitted = true;
            self.first_at = self.first_at.or(value);
        }
    }

    /// The peer had `start..end` twice.
    pub(crate) fn duplicate(&mut self, start: u64, end: u64) {
        if self.since.is_some_and(|since| end > since) {
            self.unexplained = self.unexplained.saturating_sub(end - start);
        }
    }

    /// RFC 3708: all that was sent again was there already.
    pub(crate) fn all_were_duplicates(&self) -> bool {
        self.since.is_some() && self.retransmitted && self.unexplained == 0
    }

    /// RFC 3522 §3.2: what was acknowledged with this echo was sent before anything was sent again.
    pub(crate) fn is_older(&self, echo: Option<u32>) -> bool {
        let (Some(_), Some(first), Some(echo)) = (self.since, self.first_at, echo) else {
            return false;
        };
        (echo.wrapping_sub(first) as i32) < 0
    }
}
