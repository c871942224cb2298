//! The IP header of what we send: DF, identification 0, TTL 64, a flow label of its own for each connection.

use crate::random::Secret;
use crate::wire::{FlowTuple, IpAddresses, IpFields, protocol};

/// The flow label of a connection as we send it: 20 bits of a keyed hash, never 0 (RFC 6437 §3). It does not change while the connection lives; a
/// caller that keeps it saves the hash. IPv4 has none: 0.
pub fn flow_label(secret: &Secret, flow: &FlowTuple) -> u32 {
    if !flow.addresses.is_ipv6() {
        return 0;
    }
    (secret.hash(flow) as u32 & 0xf_ffff).max(1)
}

/// The IP header of a TCP segment of `flow`.
pub fn tcp_fields(flow: &FlowTuple, flow_label: u32, traffic_class: u8) -> IpFields {
    IpFields {
        flow_label,
        traffic_class,
        ..IpFields::new(flow.addresses, protocol::TCP)
    }
}

/// Identifications for the few packets of ours that leave in fragments (large echo replies): nobody can guess the next one, nor learn from one how
/// many others there were (RFC 7739 §5.3, RFC 6864 §4).
#[derive(Debug)]
pub struct FragmentIds {
    secret: Secret,
    count: u64,
}

impl FragmentIds {
    /// With a secret of their own, made from the stack's.
    pub fn new(secret: &Secret) -> FragmentIds {
        FragmentIds {
            secret: secret.derive("fragment identifications"),
            count: 0,
        }
    }

    /// The next one for a packet between these; IPv4 has room for its lower 16 bits.
    pub fn next(&mut self, addresses: &IpAddresses) -> u32 {
        self.count += 1;
        let IpAddresses {
            source,
            destination,
        } = addresses;
        self.secret.hash((self.count, source, destination)) as u32
    }
}

#[cfg(test)]
mod tests;
