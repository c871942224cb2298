//! Whom a packet may come from and be for (RFC 1122 §3.2.1.3, RFC 9293 §3.9.2.3 MUST-57, MUST-63, RFC 4291).
//!
//! What is refused here is dropped in silence: no RST, no ICMP, no counting as a connection's segment.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::tcp::endpoint::Pair;
use crate::tcp::endpoint::time_wait::CompactPair;
use crate::wire::IpAddresses;

/// An address with the length of its network's prefix: `198.18.0.2/24`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct IpCidr {
    /// The host's address.
    pub addr: IpAddr,
    /// Bits of the network, 0 to 32 or 128.
    pub prefix: u8,
}

impl IpCidr {
    /// The address with its prefix; one too long is cut to the longest.
    pub fn new(addr: IpAddr, prefix: u8) -> IpCidr {
        IpCidr {
            addr,
            prefix: prefix.min(width(addr)),
        }
    }

    /// Whether `address` lies in the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.addr, address) {
            (IpAddr::V4(ours), IpAddr::V4(address)) => {
                (ours.to_bits() ^ address.to_bits())
                    .checked_shr(32 - u32::from(self.prefix.min(32)))
                    .unwrap_or(0)
                    == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(address)) => {
                (ours.to_bits() ^ address.to_bits())
                    .checked_shr(128 - u32::from(self.prefix.min(128)))
                    .unwrap_or(0)
                    == 0
            }
            _ => false,
        }
    }

    /// Whether `address` is a broadcast address of the network: its last one, or its first as old hosts had it (RFC 1122 §3.3.6). A network of
    /// one or two addresses has none (RFC 3021).
    pub fn is_broadcast(&self, address: Ipv4Addr) -> bool {
        if self.prefix > 30 || !self.contains(IpAddr::V4(address)) {
            return false;
        }
        let hosts = u32::MAX >> self.prefix;
        matches!(address.to_bits() & hosts, 0) || address.to_bits() & hosts == hosts
    }
}

fn width(addr: IpAddr) -> u8 {
    if addr.is_ipv4() { 32 } else { 128 }
}

impl fmt::Display for IpCidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.prefix)
    }
}

/// Not of the form `ADDRESS/PREFIX`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not an address with a prefix length, such as 198.18.0.2/24 or fd00::2/64")]
pub struct InvalidCidr;

impl FromStr for IpCidr {
    type Err = InvalidCidr;
    fn from_str(text: &str) -> Result<IpCidr, InvalidCidr> {
        let (addr, prefix) = text.split_once('/').ok_or(InvalidCidr)?;
        let addr: IpAddr = addr.parse().map_err(|_| InvalidCidr)?;
        let prefix = prefix
            .parse()
            .ok()
            .filter(|prefix| *prefix <= width(addr))
            .ok_or(InvalidCidr)?;
        Ok(IpCidr { addr, prefix })
    }
}

/// Where a packet came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// The device: the world outside.
    Device,
    /// This stack itself.
    Loopback,
}

/// Why a packet's addresses are refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AddressRefusal {
    /// From a multicast address.
    #[error("from a multicast address")]
    SourceMulticast,
    /// From a broadcast address, of the whole network or of our subnet.
    #[error("from a broadcast address")]
    SourceBroadcast,
    /// From no address: unspecified, or 0.0.0.0/8.
    #[error("from the unspecified address")]
    SourceUnspecified,
    /// From a loopback address, out of the device.
    #[error("from a loopback address")]
    SourceLoopback,
    /// From an address nobody may have: 240.0.0.0/4, or IPv4-mapped on the wire.
    #[error("from a reserved address")]
    SourceReserved,
    /// From one of our own addresses, out of the device (LAND, CVE-1999-0016).
    #[error("from our own address")]
    SourceOurs,
    /// To a multicast address.
    #[error("to a multicast address")]
    DestinationMulticast,
    /// To a broadcast address.
    #[error("to a broadcast address")]
    DestinationBroadcast,
    /// To no address.
    #[error("to the unspecified address")]
    DestinationUnspecified,
    /// To a loopback address, out of the device.
    #[error("to a loopback address")]
    DestinationLoopback,
    /// To somebody else: a host does not forward.
    #[error("to an address that is not ours")]
    NotForUs,
}

/// The addresses of this stack.
#[derive(Clone, Debug)]
pub struct OwnAddresses {
    addresses: Vec<IpCidr>,
}

impl OwnAddresses {
    /// These, in order of preference.
    pub fn new(addresses: Vec<IpCidr>) -> OwnAddresses {
        OwnAddresses { addresses }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = IpCidr> + '_ {
        self.addresses.iter().copied()
    }

    /// The place of `address` among ours.
    pub(crate) fn place_of(&self, address: IpAddr) -> Option<u32> {
        let place = self.addresses.iter().position(|own| own.addr == address)?;
        u32::try_from(place).ok()
    }

    /// The pair of a TIME-WAIT entry of this stack.
    pub(crate) fn expand(&self, pair: &CompactPair) -> Pair {
        let own = self.addresses.get(pair.local() as usize);
        debug_assert!(own.is_some(), "an address that is not ours");
        pair.expand(own.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |own| own.addr))
    }

    /// Whether `address` is one of ours.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|own| own.addr == address)
    }

    /// Which address to send from to `destination` (MUST-44): itself if it is ours, else the one whose network holds it, the longest prefix
    /// first, else the first of its family (RFC 6724 §5 rules 1 and 8). `None` when there is none of its family.
    pub fn source_for(&self, destination: IpAddr) -> Option<IpAddr> {
        let family = self
            .addresses
            .iter()
            .filter(|own| own.addr.is_ipv4() == destination.is_ipv4());
        if self.contains(destination) {
            return Some(destination);
        }
        // Of equal ones `max_by_key` takes the last, and the first is preferred.
        let on_link = family
            .clone()
            .rev()
            .filter(|own| own.contains(destination))
            .max_by_key(|own| own.prefix);
        on_link.or(family.clone().next()).map(|own| own.addr)
    }

    /// Judges source, then destination.
    ///
    /// # Errors
    /// [`AddressRefusal`]: the packet is dropped, its sender is told nothing.
    pub fn judge(&self, addresses: &IpAddresses, origin: Origin) -> Result<(), AddressRefusal> {
        self.judge_source(addresses.source, origin)?;
        self.judge_destination(addresses.destination, origin)
    }

    /// Whether `remote` is an address that a connection can be opened to (MUST-46): one host's, not loopback, which never goes onto a
    /// wire (RFC 1122 §3.2.1.3 (g)). Our own addresses are fine.
    pub fn can_open_to(&self, remote: IpAddr) -> bool {
        self.contains(remote) || self.judge_source(remote, Origin::Device).is_ok()
    }

    fn judge_source(&self, source: IpAddr, origin: Origin) -> Result<(), AddressRefusal> {
        match source {
            IpAddr::V4(source) => self.judge_source_v4(source, origin)?,
            IpAddr::V6(source) => judge_source_v6(source, origin)?,
        }
        if origin == Origin::Device && self.contains(source) {
            return Err(AddressRefusal::SourceOurs);
        }
        Ok(())
    }

    fn judge_source_v4(&self, source: Ipv4Addr, origin: Origin) -> Result<(), AddressRefusal> {
        match source.octets()[0] {
            0 => Err(AddressRefusal::SourceUnspecified),
            127 if origin == Origin::Device => Err(AddressRefusal::SourceLoopback),
            224..=239 => Err(AddressRefusal::SourceMulticast),
            _ if self.is_broadcast(source) => Err(AddressRefusal::SourceBroadcast),
            240..=255 => Err(AddressRefusal::SourceReserved),
            _ => Ok(()),
        }
    }

    fn judge_destination(&self, destination: IpAddr, origin: Origin) -> Result<(), AddressRefusal> {
        if self.contains(destination) {
            return Ok(());
        }
        if destination.is_multicast() {
            return Err(AddressRefusal::DestinationMulticast);
        }
        if destination.is_unspecified() {
            return Err(AddressRefusal::DestinationUnspecified);
        }
        if destination.is_loopback() && origin == Origin::Device {
            return Err(AddressRefusal::DestinationLoopback);
        }
        match destination {
            IpAddr::V4(destination) if self.is_broadcast(destination) => {
                Err(AddressRefusal::DestinationBroadcast)
            }
            _ => Err(AddressRefusal::NotForUs),
        }
    }

    /// Of the whole network, or of one of our subnets; never one of our own addresses.
    fn is_broadcast(&self, address: Ipv4Addr) -> bool {
        let own = self.contains(IpAddr::V4(address));
        address.is_broadcast()
            || !own
                && self
                    .addresses
                    .iter()
                    .any(|own| own.is_v4() && own.is_broadcast(address))
    }
}

impl IpCidr {
    fn is_v4(&self) -> bool {
        self.addr.is_ipv4()
    }
}

fn judge_source_v6(source: Ipv6Addr, origin: Origin) -> Result<(), AddressRefusal> {
    if source.is_unspecified() {
        Err(AddressRefusal::SourceUnspecified)
    } else if source.is_multicast() {
        Err(AddressRefusal::SourceMulticast)
    } else if source.is_loopback() && origin == Origin::Device {
        Err(AddressRefusal::SourceLoopback)
    } else if source.to_ipv4_mapped().is_some() {
        Err(AddressRefusal::SourceReserved)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
