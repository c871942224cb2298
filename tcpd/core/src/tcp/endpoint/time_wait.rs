//! TIME-WAIT: what is left of a connection for 2MSL, small because busy servers have many.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::tcp::endpoint::Pair;
use crate::wire::SequenceNumber;

/// Enough to acknowledge the peer's FIN again, and to tell a new SYN from an old one. Its deadline is in the wheel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeWait {
    pub(crate) pair: CompactPair,
    /// SND.NXT at the end.
    pub(crate) snd_nxt: SequenceNumber,
    /// RCV.NXT at the end.
    pub(crate) rcv_nxt: SequenceNumber,
    /// TS.Recent, if timestamps were agreed.
    pub(crate) ts_recent: u32,
    /// The window field of an ACK.
    pub(crate) window: u16,
    /// Whether timestamps were agreed.
    pub(crate) timestamps: bool,
    /// Whether the pair's port may be bound again meanwhile.
    pub(crate) reuse: bool,
}

const _: () = assert!(size_of::<TimeWait>() <= 40, "a million of these");

/// A pair of addresses and ports that leaves out what the stack knows: the own address is its place among the stack's, and says of which
/// family the other one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CompactPair {
    /// An IPv4 address as IPv4-mapped.
    remote: [u8; 16],
    local: u32,
    local_port: u16,
    remote_port: u16,
}

impl CompactPair {
    /// `local`: the place of `pair.local` among the stack's addresses.
    pub(crate) fn new(pair: &Pair, local: u32) -> Self {
        let remote = match pair.remote {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        Self {
            remote: remote.octets(),
            local,
            local_port: pair.local_port,
            remote_port: pair.remote_port,
        }
    }

    /// The place of the own address among the stack's.
    pub(crate) fn local(&self) -> u32 {
        self.local
    }

    /// The whole pair; `local` is the address at that place.
    pub(crate) fn expand(&self, local: IpAddr) -> Pair {
        let [.., a, b, c, d] = self.remote;
        let remote = match local {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(self.remote)),
        };
        Pair {
            local,
            remote,
            local_port: self.local_port,
            remote_port: self.remote_port,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::CompactPair;
    use crate::tcp::endpoint::Pair;

    #[test]
    fn a_compact_pair_is_the_same_pair_for_both_families() {
        for (local, remote) in [("10.0.0.1", "10.255.0.2"), ("fd00::1", "fd00::ffff:a00:2")] {
            let address = |text: &str| text.parse::<IpAddr>().expect("an address");
            let pair = Pair {
                local: address(local),
                remote: address(remote),
                local_port: 1,
                remote_port: 65_535,
            };
            let compact = CompactPair::new(&pair, 7);
            assert_eq!((compact.expand(pair.local), compact.local()), (pair, 7));
        }
    }
}
