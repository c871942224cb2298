//! ICMP errors that we send, within their rate.

use super::Icmp;
use crate::time::Instant;
use crate::wire::icmpv4::{self, Icmpv4Message};
use crate::wire::icmpv6::{self, Icmpv6Message};
use crate::wire::{IpAddresses, IpFields, IpHeader, ParameterProblem, checksum, protocol};

impl Icmp {
    /// Reports that nobody handles a packet for us that is neither TCP nor ICMP: port unreachable for UDP; for any other protocol protocol
    /// unreachable (RFC 1122 §3.2.2.1), or a parameter problem at the next header field (RFC 8200 §4). False, and nothing appended, when it must
    /// not be reported, or not now.
    pub fn no_handler(
        &mut self,
        now: Instant,
        header: &IpHeader,
        packet: &[u8],
        out: &mut Vec<u8>,
    ) -> bool {
        let datagram = &packet[header.payload.clone()];
        if header.protocol == protocol::UDP
            && header.fragment.is_none()
            && !udp_is_intact(&header.addresses, datagram)
        {
            return false;
        }
        let quote = &packet[..header.total_len()];
        if header.addresses.is_ipv6() {
            if header.protocol == protocol::NO_NEXT_HEADER
                || !icmpv6::may_report(header, packet)
                || !self.errors.take(now)
            {
                return false;
            }
            let message = match header.protocol {
                protocol::UDP => Icmpv6Message::Unreachable {
                    code: icmpv6::code::PORT_UNREACHABLE,
                    quote,
                },
                _ => Icmpv6Message::ParameterProblem {
                    code: icmpv6::code::UNRECOGNIZED_NEXT_HEADER,
                    pointer: u32::from(header.protocol_at),
                    quote,
                },
            };
            append_v6(header.addresses.reversed(), &message, out);
        } else {
            if !icmpv4::may_report(header, packet) || !self.errors.take(now) {
                return false;
            }
            let code = match header.protocol {
                protocol::UDP => icmpv4::code::PORT_UNREACHABLE,
                _ => icmpv4::code::PROTOCOL_UNREACHABLE,
            };
            let message = Icmpv4Message::Unreachable {
                code,
                mtu: 0,
                quote,
            };
            append_v4(header.addresses.reversed(), &message, out);
        }
        true
    }

    /// Reports an IPv6 packet that was refused with a parameter problem, from `own`, our address it was sent to, or any of ours when it was sent
    /// to a multicast address. False, and nothing appended, when it must not be reported, or not now.
    pub fn parameter_problem(
        &mut self,
        now: Instant,
        own: std::net::Ipv6Addr,
        packet: &[u8],
        problem: &ParameterProblem,
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(addresses) = icmpv6::may_report_problem(problem, packet) else {
            return false;
        };
        if !self.errors.take(now) {
            return false;
        }
        let addresses = IpAddresses {
            source: own.into(),
            destination: addresses.source,
        };
        let ParameterProblem { code, pointer, .. } = *problem;
        append_v6(
            addresses,
            &Icmpv6Message::ParameterProblem {
                code,
                pointer,
                quote: packet,
            },
            out,
        );
        true
    }

    /// Reports that a datagram did not become whole in time; `first` is its first fragment (RFC 1122 §3.3.2, RFC 8200 §4.5). False, and nothing
    /// appended, when it must not be reported, or not now.
    pub fn reassembly_timeout(
        &mut self,
        now: Instant,
        header: &IpHeader,
        first: &[u8],
        out: &mut Vec<u8>,
    ) -> bool {
        let back = header.addresses.reversed();
        if header.addresses.is_ipv6() {
            if !icmpv6::may_report(header, first) || !self.errors.take(now) {
                return false;
            }
            let message = Icmpv6Message::TimeExceeded {
                code: icmpv6::code::REASSEMBLY,
                quote: first,
            };
            append_v6(back, &message, out);
        } else {
            if !icmpv4::may_report(header, first) || !self.errors.take(now) {
                return false;
            }
            let message = Icmpv4Message::TimeExceeded {
                code: icmpv4::code::REASSEMBLY,
                quote: first,
            };
            append_v4(back, &message, out);
        }
        true
    }
}

fn append_v4(addresses: IpAddresses, message: &Icmpv4Message<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    message.emit(out);
    prepend_header(IpFields::new(addresses, protocol::ICMPV4), start, out);
}

fn append_v6(addresses: IpAddresses, message: &Icmpv6Message<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    message.emit(&addresses, out);
    prepend_header(IpFields::new(addresses, protocol::ICMPV6), start, out);
}

/// Puts an IP header before the bytes from `start` on: only the message knows how much it quotes.
fn prepend_header(fields: IpFields, start: usize, out: &mut Vec<u8>) {
    let mut header = Vec::with_capacity(fields.header_len());
    fields.emit(out.len() - start, &mut header);
    out.splice(start..start, header);
}

/// Length and checksum of a UDP datagram, so that noise is not answered. A zero checksum is none in IPv4 (RFC 768), an error in IPv6 (RFC 8200
/// §8.1).
fn udp_is_intact(addresses: &IpAddresses, datagram: &[u8]) -> bool {
    let Some(header) = datagram.first_chunk::<8>() else {
        return false;
    };
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let Some(datagram) = datagram.get(..length).filter(|_| length >= header.len()) else {
        return false;
    };
    let has_checksum = header[6..8] != [0, 0];
    if has_checksum {
        checksum::verify_transport(addresses, protocol::UDP, datagram)
    } else {
        !addresses.is_ipv6()
    }
}
