//! Which packets a rule is for, and whose a packet is.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tcpd_core::stack::{EndpointId, IpCidr};
use tcpd_core::wire::{ipv4, ipv6, protocol};

/// Which way a packet goes, as the stack sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From the network.
    In = 0,
    /// To the network.
    Out = 1,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::In => "in",
            Direction::Out => "out",
        })
    }
}

/// One direction or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directions {
    /// From the network.
    In,
    /// To the network.
    Out,
    /// Both, each a path of its own.
    Both,
}

impl Directions {
    /// Each of them.
    pub fn each(self) -> impl Iterator<Item = Direction> {
        let all = [Direction::In, Direction::Out].into_iter();
        all.filter(move |direction| self.contains(*direction))
    }

    /// Whether `direction` is one of them.
    pub fn contains(self, direction: Direction) -> bool {
        match self {
            Directions::In => direction == Direction::In,
            Directions::Out => direction == Direction::Out,
            Directions::Both => true,
        }
    }
}

/// Which packets a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Every packet that crosses the device.
    Everything,
    /// Those from or to a host in this network.
    Peer(IpCidr),
    /// The segments of one connection.
    Connection {
        /// Which.
        id: EndpointId,
        /// Our side.
        local: SocketAddr,
        /// The other side.
        remote: SocketAddr,
    },
}

impl Target {
    /// Those from or to a host in this network. Bits of the address behind the prefix do not count.
    pub fn peer(address: IpAddr, prefix: u8) -> Target {
        let prefix = IpCidr::new(address, prefix).prefix;
        let address = match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        };
        Target::Peer(IpCidr::new(address, prefix))
    }

    /// The connection, if it is one's.
    pub fn connection(&self) -> Option<EndpointId> {
        match self {
            Target::Connection { id, .. } => Some(*id),
            Target::Everything | Target::Peer(_) => None,
        }
    }

    /// Whether both are for the same packets.
    pub(super) fn is(&self, other: &Target) -> bool {
        match (self, other) {
            (Target::Everything, Target::Everything) => true,
            (Target::Peer(one), Target::Peer(other)) => one == other,
            (Target::Connection { id: one, .. }, Target::Connection { id: other, .. }) => {
                one == other
            }
            _ => false,
        }
    }

    /// How particular it is.
    pub(super) fn rank(&self) -> u16 {
        match self {
            Target::Everything => 0,
            Target::Peer(network) => 1 + u16::from(network.prefix),
            Target::Connection { .. } => 1_000,
        }
    }

    pub(super) fn fits(&self, flow: &Flow) -> bool {
        match self {
            Target::Everything => true,
            Target::Peer(network) => network.contains(flow.remote),
            Target::Connection { local, remote, .. } => {
                flow.ports == Some((local.port(), remote.port()))
                    && (flow.local, flow.remote) == (local.ip(), remote.ip())
            }
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Everything => f.write_str("everything"),
            Target::Peer(network) => write!(f, "{}/{}", network.addr, network.prefix),
            Target::Connection { id, .. } => write!(f, "connection {id}"),
        }
    }
}

/// Whose a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    local: IpAddr,
    remote: IpAddr,
    /// Ours and the other one's, of a TCP segment that is neither a fragment nor behind extension headers.
    ports: Option<(u16, u16)>,
}

impl Flow {
    /// Of a packet from the network; `None` when its header is no IP header.
    pub(super) fn of_received(packet: &[u8]) -> Option<Flow> {
        let (source, destination, ports) = parse(packet)?;
        Some(Flow {
            local: destination,
            remote: source,
            ports: ports.map(|(from, to)| (to, from)),
        })
    }

    /// Of a packet to the network, or of its headers.
    pub(super) fn of_sent(header: &[u8]) -> Option<Flow> {
        let (local, remote, ports) = parse(header)?;
        Some(Flow {
            local,
            remote,
            ports,
        })
    }
}

type Ports = Option<(u16, u16)>;

fn parse(packet: &[u8]) -> Option<(IpAddr, IpAddr, Ports)> {
    let (source, destination, ports_at) = match packet.first()? >> 4 {
        4 if packet.len() >= ipv4::HEADER_LEN => {
            let address = |at: usize| bytes(packet, at).map(|b| IpAddr::V4(Ipv4Addr::from(b)));
            let fragment = u16::from_be_bytes(bytes(packet, 6)?) & 0x3fff != 0;
            let tcp = packet[9] == protocol::TCP && !fragment;
            let ports_at = tcp.then_some(usize::from(packet[0] & 0xf) * 4);
            (address(12)?, address(16)?, ports_at)
        }
        6 if packet.len() >= ipv6::HEADER_LEN => {
            let address = |at: usize| bytes(packet, at).map(|b: [u8; 16]| IpAddr::from(b));
            let ports_at = (packet[6] == protocol::TCP).then_some(ipv6::HEADER_LEN);
            (address(8)?, address(24)?, ports_at)
        }
        _ => return None,
    };
    let ports = ports_at.and_then(|at| {
        let port = |at| bytes(packet, at).map(u16::from_be_bytes);
        Some((port(at)?, port(at + 2)?))
    });
    Some((source, destination, ports))
}

fn bytes<const N: usize>(packet: &[u8], at: usize) -> Option<[u8; N]> {
    packet.get(at..at + N)?.try_into().ok()
}
