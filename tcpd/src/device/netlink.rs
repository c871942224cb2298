//! The little of rtnetlink a TUN interface needs: read a link, bring it up, set its MTU, give it addresses, list routes.
//!
//! One request, one answer, in this order: encode the message, send it on a blocking socket, read until the kernel's
//! acknowledgement (or the end of the dump). Encoded by hand: five messages do not pay for a library.
//! The socket acts on the network namespace in which it was opened.

mod message;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use self::message::{Attributes, HEADER_LEN, Message, Reply};

/// `IFA_F_NODAD`: the address may be used at once, without duplicate address detection.
const IFA_F_NODAD: u8 = 0x02;
/// `IFA_ADDRESS`, `IFA_LOCAL` of linux/if_addr.h.
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
/// `IFLA_INET6_ADDR_GEN_MODE` and its value for "no link-local address of its own".
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const ADDR_GEN_MODE_NONE: u8 = 1;
/// `IFLA_*` of linux/if_link.h.
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_AF_SPEC: u16 = 26;
/// `RTA_*` and `RTN_*` of linux/rtnetlink.h.
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTN_UNICAST: u8 = 1;
const RTN_LOCAL: u8 = 2;
const RTN_BLACKHOLE: u8 = 6;
const RTN_UNREACHABLE: u8 = 7;
const RTN_PROHIBIT: u8 = 8;
/// `RTM_F_CLONED`: a cache entry, not a route.
const RTM_F_CLONED: u32 = 0x200;

/// A connection to the kernel's routing tables in one network namespace.
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

/// An interface, as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number for it.
    pub index: u32,
    /// Its name, at most 15 bytes.
    pub name: String,
    /// Bytes of the longest IP packet it carries.
    pub mtu: u32,
    /// Whether it is administratively up.
    pub up: bool,
}

/// An address with the length of its network's prefix, in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    /// The address.
    pub address: IpAddr,
    /// 0 to 32 for IPv4, 0 to 128 for IPv6.
    pub prefix: u8,
}

/// A route that settles what becomes of a packet: unicast, local, or one that refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads.
    pub destination: Range,
    /// The interface it uses; 0 if it names none (multipath, blackhole).
    pub interface: u32,
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// To this machine itself.
    pub local: bool,
    /// The interface it uses.
    pub interface: u32,
}

impl Range {
    /// Whether the two ranges share an address; never across address families.
    pub fn overlaps(&self, other: &Range) -> bool {
        let shared = u32::from(self.prefix.min(other.prefix));
        match (self.address, other.address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let difference = a.to_bits() ^ b.to_bits();
                shared == 0 || difference.leading_zeros() >= shared
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let difference = a.to_bits() ^ b.to_bits();
                shared == 0 || difference.leading_zeros() >= shared
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Netlink {
    /// Opens a connection for the calling thread's network namespace. Needs no privilege; changes need CAP_NET_ADMIN.
    pub fn open() -> io::Result<Self> {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None, // protocol 0: NETLINK_ROUTE
        )?;
        Ok(Self {
            socket,
            sequence: 0,
        })
    }

    /// The interface of that name, if there is one.
    pub fn link(&mut self, name: &str) -> io::Result<Option<Link>> {
        self.get_link(0, Some(name))
    }

    /// The interface of that number, if there is one.
    pub fn link_by_index(&mut self, index: u32) -> io::Result<Option<Link>> {
        self.get_link(index, None)
    }

    fn get_link(&mut self, index: u32, name: Option<&str>) -> io::Result<Option<Link>> {
        let mut message = Message::new(libc::RTM_GETLINK, 0);
        message.bytes(&link_body(index, 0, 0));
        if let Some(name) = name {
            message.attribute(IFLA_IFNAME, &with_nul(name));
        }
        match self.call(message) {
            Ok(replies) => Ok(replies.iter().find_map(parse_link)),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets the MTU, in bytes.
    pub fn set_mtu(&mut self, index: u32, mtu: u32) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_NEWLINK, libc::NLM_F_ACK as u16);
        message.bytes(&link_body(index, 0, 0));
        message.attribute(IFLA_MTU, &mtu.to_ne_bytes());
        self.call(message).map(drop)
    }

    /// Keeps the kernel from giving the interface a link-local IPv6 address, and so from soliciting routers there.
    pub fn no_link_local(&mut self, index: u32) -> io::Result<()> {
        let mut mode = Vec::new();
        message::put_attribute(&mut mode, IFLA_INET6_ADDR_GEN_MODE, &[ADDR_GEN_MODE_NONE]);
        let mut family = Vec::new();
        message::put_attribute(&mut family, libc::AF_INET6 as u16, &mode);
        let mut message = Message::new(libc::RTM_NEWLINK, libc::NLM_F_ACK as u16);
        message.bytes(&link_body(index, 0, 0));
        message.attribute(IFLA_AF_SPEC, &family);
        self.call(message).map(drop)
    }

    /// Brings the interface up.
    pub fn up(&mut self, index: u32) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_NEWLINK, libc::NLM_F_ACK as u16);
        message.bytes(&link_body(index, libc::IFF_UP as u32, libc::IFF_UP as u32));
        self.call(message).map(drop)
    }

    /// Gives the interface an address, usable at once; the kernel adds the route to the range.
    /// `AlreadyExists` if the interface has it already.
    pub fn add_address(&mut self, index: u32, range: Range) -> io::Result<()> {
        let (family, address) = address_bytes(range.address);
        let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        let mut message = Message::new(libc::RTM_NEWADDR, flags as u16);
        let nodad = if range.address.is_ipv6() {
            IFA_F_NODAD
        } else {
            0
        };
        message.bytes(&[family, range.prefix, nodad, 0]);
        message.bytes(&index.to_ne_bytes());
        message.attribute(IFA_LOCAL, &address);
        message.attribute(IFA_ADDRESS, &address);
        self.call(message).map(drop)
    }

    /// The addresses of an interface.
    pub fn addresses(&mut self, index: u32) -> io::Result<Vec<Range>> {
        let mut message = Message::new(libc::RTM_GETADDR, libc::NLM_F_DUMP as u16);
        message.bytes(&[0; 8]);
        let replies = self.call(message)?;
        Ok(replies
            .iter()
            .filter_map(|reply| parse_address(reply, index))
            .collect())
    }

    /// Every route of every table that delivers packets, default routes included.
    pub fn routes(&mut self) -> io::Result<Vec<Route>> {
        let mut message = Message::new(libc::RTM_GETROUTE, libc::NLM_F_DUMP as u16);
        message.bytes(&[0; 12]);
        let replies = self.call(message)?;
        Ok(replies.iter().filter_map(parse_route).collect())
    }

    /// What the kernel would do with a packet to `destination` now; `None` if it has no route for it.
    pub fn route_to(&mut self, destination: IpAddr) -> io::Result<Option<Resolved>> {
        let (family, bytes) = address_bytes(destination);
        let mut message = Message::new(libc::RTM_GETROUTE, 0);
        let mut body = [0; 12];
        body[0] = family;
        body[1] = if destination.is_ipv6() { 128 } else { 32 };
        message.bytes(&body);
        message.attribute(RTA_DST, &bytes);
        match self.call(message) {
            Ok(replies) => Ok(replies.iter().find_map(parse_resolved)),
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ESRCH)
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends one request and collects the answer's messages.
    fn call(&mut self, mut message: Message) -> io::Result<Vec<Reply>> {
        self.sequence += 1;
        let dump = message.is_dump();
        // A plain get is answered by its object alone unless an acknowledgement is asked for.
        message.want_acknowledgement(!dump);
        rustix::net::send(
            &self.socket,
            message.finish(self.sequence),
            SendFlags::empty(),
        )?;
        let mut replies = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let (len, _) = rustix::net::recv(&self.socket, &mut buffer[..], RecvFlags::empty())?;
            let mut rest = &buffer[..len];
            while rest.len() >= HEADER_LEN {
                let (reply, tail) = Reply::parse(rest)?;
                rest = tail;
                if reply.sequence != self.sequence {
                    continue; // a late answer to a request that failed half-way
                }
                match i32::from(reply.kind) {
                    libc::NLMSG_DONE => return Ok(replies),
                    libc::NLMSG_ERROR => return reply.acknowledgement().map(|()| replies),
                    _ => replies.push(reply),
                }
            }
        }
    }
}

/// `struct ifinfomsg`.
fn link_body(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut body = [0; 16];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[8..12].copy_from_slice(&flags.to_ne_bytes());
    body[12..16].copy_from_slice(&change.to_ne_bytes());
    body
}

fn with_nul(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

fn address_bytes(address: IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(address) => (libc::AF_INET as u8, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6 as u8, address.octets().to_vec()),
    }
}

fn parse_ip(family: u8, bytes: &[u8]) -> Option<IpAddr> {
    match i32::from(family) {
        libc::AF_INET => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        libc::AF_INET6 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
        _ => None,
    }
}

fn parse_u32(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

fn parse_link(reply: &Reply) -> Option<Link> {
    let (body, attributes) = reply.body.split_at_checked(16)?;
    if reply.kind != libc::RTM_NEWLINK {
        return None;
    }
    let (mut name, mut mtu) = (None, None);
    for (kind, value) in Attributes(attributes) {
        match kind {
            IFLA_IFNAME => {
                let text = value.strip_suffix(&[0]).unwrap_or(value);
                name = Some(String::from_utf8_lossy(text).into_owned());
            }
            IFLA_MTU => mtu = parse_u32(value),
            _ => {}
        }
    }
    Some(Link {
        index: parse_u32(&body[4..8])?,
        name: name?,
        mtu: mtu?,
        up: parse_u32(&body[8..12])? & libc::IFF_UP as u32 != 0,
    })
}

fn parse_address(reply: &Reply, index: u32) -> Option<Range> {
    let (body, attributes) = reply.body.split_at_checked(8)?;
    if reply.kind != libc::RTM_NEWADDR || parse_u32(&body[4..8])? != index {
        return None;
    }
    // On a point-to-point link IFA_ADDRESS is the peer; IFA_LOCAL, where present, is ours.
    let mut address = None;
    for (kind, value) in Attributes(attributes) {
        if kind == IFA_LOCAL || (kind == IFA_ADDRESS && address.is_none()) {
            address = parse_ip(body[0], value);
        }
    }
    Some(Range {
        address: address?,
        prefix: body[1],
    })
}

fn parse_route(reply: &Reply) -> Option<Route> {
    let (body, attributes) = reply.body.split_at_checked(12)?;
    let cloned = parse_u32(&body[8..12])? & RTM_F_CLONED != 0;
    if reply.kind != libc::RTM_NEWROUTE || cloned || !is_decision(body[7]) {
        return None;
    }
    let unspecified = match i32::from(body[0]) {
        libc::AF_INET => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        libc::AF_INET6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let (mut address, mut interface) = (unspecified, 0);
    for (kind, value) in Attributes(attributes) {
        match kind {
            RTA_DST => address = parse_ip(body[0], value)?,
            RTA_OIF => interface = parse_u32(value)?,
            _ => {}
        }
    }
    Some(Route {
        destination: Range {
            address,
            prefix: body[1],
        },
        interface,
    })
}

/// What becomes of a packet is settled by such a route; by others (multicast, broadcast, throw) it is not.
fn is_decision(kind: u8) -> bool {
    matches!(
        kind,
        RTN_UNICAST | RTN_LOCAL | RTN_BLACKHOLE | RTN_UNREACHABLE | RTN_PROHIBIT
    )
}

/// Unlike a table's entry, the answer to a lookup may be flagged as cloned.
fn parse_resolved(reply: &Reply) -> Option<Resolved> {
    let (body, attributes) = reply.body.split_at_checked(12)?;
    let delivers = reply.kind == libc::RTM_NEWROUTE && matches!(body[7], RTN_UNICAST | RTN_LOCAL);
    let oif = Attributes(attributes).find(|(kind, _)| *kind == RTA_OIF);
    delivers.then_some(Resolved {
        local: body[7] == RTN_LOCAL,
        interface: parse_u32(oif?.1)?,
    })
}

#[cfg(test)]
mod tests;
