//! What a stack is told when it is made.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::stack::icmp::IcmpLimits;
use crate::stack::ip_input::IpCidr;
use crate::tcp::config::{Limits, TcpConfig};

/// Everything a [`Stack`](super::Stack) is configured with.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// Own addresses: tcpd's side of the interface. An address of 127/8 or ::1 is never put on the wire.
    pub addresses: Vec<IpCidr>,
    /// The largest IP packet of the interface, bytes; 1280 or more for IPv6, 576 or more for IPv4 is sensible.
    pub mtu: u16,
    /// The largest super-segment handed out, whole IP packet, bytes; 0 or not more than `mtu` means none.
    pub gso_max: u32,
    /// How TCP behaves.
    pub tcp: TcpConfig,
    /// How much of everything there may be.
    pub limits: Limits,
    /// The ephemeral ports (RFC 6056).
    pub ports: RangeInclusive<u16>,
    /// How much ICMP is sent.
    pub icmp: IcmpLimits,
    /// For how long after the start no connection is opened (RFC 9293 §3.4.3). `None`: at once.
    pub quiet_time: Option<Duration>,
}

impl Default for StackConfig {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            mtu: 1500,
            gso_max: 65_535,
            tcp: TcpConfig::default(),
            limits: Limits::default(),
            ports: 32_768..=60_999,
            icmp: IcmpLimits::default(),
            quiet_time: None,
        }
    }
}
