//! How many connections of a service each source has.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// Counts by IPv4 address or IPv6 /64. As many entries as there are connections, at most.
#[derive(Debug, Default)]
pub(super) struct Sources(HashMap<IpAddr, u32>);

impl Sources {
    /// Connections from where this address belongs.
    pub(super) fn of(&self, address: IpAddr) -> u32 {
        self.0.get(&source(address)).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, address: IpAddr) {
        *self.0.entry(source(address)).or_default() += 1;
    }

    pub(super) fn remove(&mut self, address: IpAddr) {
        let source = source(address);
        if let Some(count) = self.0.get_mut(&source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.0.remove(&source);
            }
        }
    }
}

/// A host has a whole /64 of IPv6 addresses to choose from (RFC 4291 §2.5.4).
fn source(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(
            address.to_bits() & !u128::from(u64::MAX),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_ipv6_host_is_one_source_with_all_its_addresses() {
        let mut sources = Sources::default();
        sources.add(address("2001:db8::1"));
        sources.add(address("2001:db8::ffff:1"));
        sources.add(address("192.0.2.1"));
        assert_eq!(sources.of(address("2001:db8::2")), 2);
        assert_eq!(sources.of(address("2001:db8:0:1::1")), 0);
        assert_eq!(sources.of(address("192.0.2.2")), 0);
    }

    #[test]
    fn a_source_without_connections_is_forgotten() {
        let mut sources = Sources::default();
        let one = address("192.0.2.1");
        sources.add(one);
        sources.add(one);
        sources.remove(one);
        assert_eq!(sources.of(one), 1);
        sources.remove(one);
        sources.remove(one);
        assert_eq!((sources.of(one), sources.0.len()), (0, 0));
    }
}
