//! Fragments: what they are. Reassembly is not here yet, so each is refused under its name; TCP sends with DF and needs none.

use crate::wire::{IpHeader, protocol, tcp};

/// Why a fragment is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FragmentRefusal {
    /// A piece of an IPv4 datagram.
    Ipv4,
    /// A piece of an IPv6 datagram.
    Ipv6,
    /// A first piece too small for the TCP header, or one that would overwrite its flags: no honest sender makes it (RFC 1858 §3, RFC 3128,
    /// RFC 7112).
    Tiny,
}

/// Passes what is whole.
///
/// # Errors
/// [`FragmentRefusal`] for a piece; its sender is told nothing.
pub fn classify(header: &IpHeader) -> Result<(), FragmentRefusal> {
    let Some(fragment) = header.fragment else {
        return Ok(());
    };
    let too_small = fragment.offset == 0 && header.payload.len() < tcp::HEADER_LEN;
    // RFC 3128: an offset of eight bytes puts the TCP flags into the second piece.
    let overwrites_flags = fragment.offset == 8;
    if header.protocol == protocol::TCP && (too_small || overwrites_flags) {
        Err(FragmentRefusal::Tiny)
    } else if header.addresses.is_ipv6() {
        Err(FragmentRefusal::Ipv6)
    } else {
        Err(FragmentRefusal::Ipv4)
    }
}

#[cfg(test)]
mod tests;
