//! Proportional rate reduction (RFC 9937): while a recovery lasts, what goes out follows what is delivered, so that CWND comes down to
//! SSTHRESH smoothly and by the end of it.

#[cfg(test)]
mod tests;

/// The variables of RFC 9937 §6, bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Prr {
    /// RecoverFS: in flight when the recovery began.
    flight: u64,
    /// prr_delivered.
    delivered: u64,
    /// prr_out.
    out: u64,
}

/// One ACK during a recovery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct During {
    /// Bytes it has delivered.
    pub(crate) delivered: u64,
    /// Bytes in flight after it.
    pub(crate) in_flight: u64,
    pub(crate) ssthresh: u32,
    pub(crate) mss: u32,
    /// safeACK: SND.UNA moved, and nothing more was found to be lost.
    pub(crate) safe: bool,
}

impl Prr {
    /// A recovery begins with `flight` bytes in flight, those that this ACK delivered among them.
    pub(crate) fn begin(flight: u64) -> Self {
        Self {
            flight: flight.max(1),
            ..Self::default()
        }
    }

    /// Bytes went out, new or again.
    pub(crate) fn sent(&mut self, bytes: u64) {
        self.out += bytes;
    }

    /// RFC 9937 §6.2: CWND after an ACK.
    pub(crate) fn on_ack(&mut self, ack: During) -> u32 {
        let (ssthresh, mss) = (u64::from(ack.ssthresh), u64::from(ack.mss));
        self.delivered += ack.delivered;
        let mut send = if ack.in_flight > ssthresh {
            let target = u128::from(self.delivered) * u128::from(ssthresh);
            let target = target.div_ceil(u128::from(self.flight)) as u64;
            target.saturating_sub(self.out)
        } else {
            let mut send = self.delivered.saturating_sub(self.out).max(ack.delivered);
            if ack.safe {
                send += mss;
            }
            send.min(ssthresh - ack.in_flight)
        };
        // The first one goes out at once.
        if self.out == 0 {
            send = send.max(mss);
        }
        u32::try_from(ack.in_flight + send).unwrap_or(u32::MAX)
    }
}
