//! The TUN interface: made, given its addresses, and read and written with offload.
//!
//! [`Tun::open`] in order: check name and MTU; open /dev/net/tun; attach to the interface (creating it if there is none of the
//! name); agree on offload; then, unless told not to configure, refuse ranges that are routed elsewhere, set the MTU, add
//! the addresses, bring it up, and wait until it is usable. What an existing interface has already is left alone, so that a TUN somebody prepared
//! can be used without any privilege. An interface that we created goes when the last descriptor of it is closed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

use super::error::DeviceError;
use super::netlink::{Link, Netlink, Range};
use super::queue::{Queue, Statistics};
use super::{Device, OutPacket, Received, vnet_header};

/// How often and how long to look for the routes of a new address: 5 s in all.
const ROUTE_LOOKS: u32 = 2500;
const ROUTE_LOOK_INTERVAL: Duration = Duration::from_millis(2);
const TUN_DEVICE: &str = "/dev/net/tun";
/// `struct ifreq`: a name and a union; the kernel copies 40 bytes.
const NAME_LEN: usize = libc::IFNAMSIZ;
/// RFC 791: every IPv4 link carries 68 bytes. RFC 8200 §5: every IPv6 link carries 1,280.
const LEAST_MTU_V4: u32 = 68;
const LEAST_MTU_V6: u32 = 1280;

/// What interface is wanted.
#[derive(Clone, Debug)]
pub struct TunOptions {
    /// Its name. An existing TUN of the name is used if no other process has it; otherwise one is created.
    pub name: String,
    /// Set MTU and addresses and bring it up; false = somebody else does.
    pub configure: bool,
    /// The kernel's own addresses on it; the ranges are routed to us. Not empty for both families is usual.
    pub host: Vec<Range>,
    /// Bytes of the longest IP packet: 68 (with IPv6 1,280) to 65,535.
    pub mtu: u32,
    /// Let the kernel segment and checksum. False forces the software path.
    pub offload: bool,
    /// Open it so that [`Tun::another_queue`] works.
    pub multi_queue: bool,
}

impl Default for TunOptions {
    fn default() -> Self {
        Self {
            name: "tcpd0".to_owned(),
            configure: true,
            host: Vec::new(),
            mtu: 1500,
            offload: true,
            multi_queue: false,
        }
    }
}

/// One queue of a TUN interface.
#[derive(Debug)]
pub struct Tun {
    queue: Queue,
    name: String,
    index: u32,
    mtu: u16,
    flags: libc::c_int,
}

impl Tun {
    /// Opens the interface in the calling thread's network namespace. See the module for the order.
    pub fn open(options: &TunOptions) -> Result<Self, DeviceError> {
        check_name(&options.name)?;
        check_mtu(options)?;
        let fd = open_device()?;
        let mut netlink = Netlink::open()
            .map_err(|error| step(options, "ask the kernel for its interfaces", error))?;
        let existed = find(&mut netlink, options)?.is_some();
        let flags = attach(&fd, options, existed)?;
        let offload = agree(&fd, options)?;
        let link = find(&mut netlink, options)?.ok_or_else(|| gone(options))?;
        if options.configure {
            configure(&mut netlink, &link, options)?;
        }
        let link = find(&mut netlink, options)?.ok_or_else(|| gone(options))?;
        Ok(Self {
            queue: Queue::new(fd, offload),
            name: link.name,
            index: link.index,
            mtu: u16::try_from(link.mtu).unwrap_or(u16::MAX),
            flags,
        })
    }

    /// A further queue of the same interface, for a further thread. It must have been opened with `multi_queue`.
    pub fn another_queue(&self) -> Result<Self, DeviceError> {
        let fail = |doing: &str, error| DeviceError::from_step(&self.name, doing, error);
        let fd = open_device()?;
        set_interface(&fd, &self.name, self.flags).map_err(|error| fail("add a queue", error))?;
        set_int(&fd, libc::TUNSETVNETHDRSZ, vnet_header::LEN as libc::c_int)
            .map_err(|error| fail("set the offload header's size", error))?;
        Ok(Self {
            queue: Queue::new(fd, self.queue.offloads()),
            name: self.name.clone(),
            ..*self
        })
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kernel's number for the interface.
    pub fn index(&self) -> u32 {
        self.index
    }
}

impl Device for Tun {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        self.queue.receive(buffer)
    }

    fn transmit(&mut self, packet: &OutPacket<'_>) -> io::Result<()> {
        self.queue.transmit(packet)
    }

    fn as_raw_fd(&self) -> RawFd {
        self.queue.as_raw_fd()
    }

    fn mtu(&self) -> u16 {
        self.mtu
    }

    fn offloads(&self) -> bool {
        self.queue.offloads()
    }

    fn statistics(&self) -> Statistics {
        self.queue.statistics()
    }
}

/// Whether this user may open /dev/net/tun at all.
pub fn check_openable() -> Result<(), DeviceError> {
    open_device().map(drop)
}

fn check_name(name: &str) -> Result<(), DeviceError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let good = (1..NAME_LEN).contains(&name.len())
        && name.bytes().all(allowed)
        && name != "."
        && name != "..";
    if good {
        Ok(())
    } else {
        Err(DeviceError::BadName {
            name: name.to_owned(),
        })
    }
}

fn check_mtu(options: &TunOptions) -> Result<(), DeviceError> {
    let v6 = options.host.iter().any(|range| range.address.is_ipv6());
    let least = if v6 { LEAST_MTU_V6 } else { LEAST_MTU_V4 };
    if (least..=65_535).contains(&options.mtu) {
        return Ok(());
    }
    Err(DeviceError::BadMtu {
        mtu: options.mtu,
        least,
    })
}

fn open_device() -> Result<OwnedFd, DeviceError> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(TUN_DEVICE, flags, Mode::empty()).map_err(|errno| match errno.raw_os_error() {
        libc::EACCES | libc::EPERM => DeviceError::TunNotPermitted,
        // ENXIO, ENODEV: the node is there, its driver is not.
        libc::ENOENT | libc::ENXIO | libc::ENODEV | libc::ENOTDIR => DeviceError::NoTunDevice,
        _ => DeviceError::from_step(TUN_DEVICE, "open it", errno.into()),
    })
}

fn find(netlink: &mut Netlink, options: &TunOptions) -> Result<Option<Link>, DeviceError> {
    netlink
        .link(&options.name)
        .map_err(|error| step(options, "look for it", error))
}

fn step(options: &TunOptions, doing: &str, error: io::Error) -> DeviceError {
    DeviceError::from_step(&options.name, doing, error)
}

fn gone(options: &TunOptions) -> DeviceError {
    step(
        options,
        "find it again",
        io::Error::from_raw_os_error(libc::ENODEV),
    )
}

/// Binds the descriptor to the interface; gives the flags that did it.
fn attach(fd: &OwnedFd, options: &TunOptions, existed: bool) -> Result<libc::c_int, DeviceError> {
    let plain = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    let multi = plain | libc::IFF_MULTI_QUEUE;
    let (wanted, other) = if options.multi_queue {
        (multi, plain)
    } else {
        (plain, multi)
    };
    let mut flags = wanted;
    let mut outcome = set_interface(fd, &options.name, flags);
    let mismatch = |outcome: &io::Result<()>| matches!(outcome, Err(error) if error.raw_os_error() == Some(libc::EINVAL));
    if existed && mismatch(&outcome) {
        // The one who made it persistent chose whether it has one queue or several.
        flags = other;
        outcome = set_interface(fd, &options.name, flags);
    }
    let name = || options.name.clone();
    match outcome {
        Ok(()) => Ok(flags),
        Err(error) => Err(match error.raw_os_error() {
            Some(libc::EBUSY) => DeviceError::Busy { name: name() },
            Some(libc::EINVAL) if existed => DeviceError::NameTaken { name: name() },
            _ if existed => step(options, "use it", error),
            _ => step(options, "create it", error),
        }),
    }
}

/// Agrees with the kernel on the header and on what it may leave to us. True if both ways are offloaded.
///
/// Both settings belong to the interface and outlive us on a persistent one, so they are always made.
fn agree(fd: &OwnedFd, options: &TunOptions) -> Result<bool, DeviceError> {
    set_int(fd, libc::TUNSETVNETHDRSZ, vnet_header::LEN as libc::c_int)
        .map_err(|error| step(options, "set the offload header's size", error))?;
    set_int(fd, libc::TUNSETVNETLE, 1)
        .map_err(|error| step(options, "set the offload header's byte order", error))?;
    // Of a super-segment with CWR the stack knows that it was the first segment's (RFC 3168 §6.1.2): it may come whole too.
    let segments = libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
    let offloads = libc::TUN_F_CSUM | segments;
    if options.offload && set_offload(fd, offloads).is_ok() {
        return Ok(true);
    }
    set_offload(fd, 0).map_err(|error| step(options, "turn its offload off", error))?;
    Ok(false)
}

/// Gives the interface its MTU and addresses and brings it up, leaving alone what it has.
fn configure(netlink: &mut Netlink, link: &Link, options: &TunOptions) -> Result<(), DeviceError> {
    refuse_routed(netlink, link, options)?;
    if !link.up {
        // Best effort: without it the kernel solicits routers on the link now and then, which costs a wake-up.
        let _ = netlink.no_link_local(link.index);
    }
    if link.mtu != options.mtu {
        netlink
            .set_mtu(link.index, options.mtu)
            .map_err(|error| step(options, "set its MTU", error))?;
    }
    let present = netlink
        .addresses(link.index)
        .map_err(|error| step(options, "read its addresses", error))?;
    for range in options.host.iter().filter(|range| !present.contains(range)) {
        let doing = format!("give it the address {range}");
        netlink
            .add_address(link.index, *range)
            .map_err(|error| step(options, &doing, error))?;
    }
    if !link.up {
        netlink
            .up(link.index)
            .map_err(|error| step(options, "bring it up", error))?;
    }
    await_routes(netlink, link, options)
}

/// The kernel makes IPv6 addresses usable on a work queue of its own, some milliseconds after the link is up; whoever connects
/// before that is lost. So look until packets both to the host's address and to its range go where they shall.
fn await_routes(
    netlink: &mut Netlink,
    link: &Link,
    options: &TunOptions,
) -> Result<(), DeviceError> {
    for range in options.host.iter().filter(|range| range.address.is_ipv6()) {
        let doing = format!("make the address {range} usable");
        let mut usable = false;
        for _ in 0..ROUTE_LOOKS {
            usable =
                is_usable(netlink, link, *range).map_err(|error| step(options, &doing, error))?;
            if usable {
                break;
            }
            std::thread::sleep(ROUTE_LOOK_INTERVAL);
        }
        if !usable {
            return Err(step(options, &doing, io::ErrorKind::TimedOut.into()));
        }
    }
    Ok(())
}

fn is_usable(netlink: &mut Netlink, link: &Link, range: Range) -> io::Result<bool> {
    let own = netlink.route_to(range.address)?;
    if !own.is_some_and(|route| route.local) {
        return Ok(false);
    }
    let neighbour = netlink.route_to(neighbour(range.address))?;
    Ok(range.prefix > 126 || neighbour.is_some_and(|route| route.interface == link.index))
}

/// Another address of the same range, if that is not tiny.
fn neighbour(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() ^ 2).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() ^ 2).into(),
    }
}

/// A range that is already routed to another interface is somebody's network: refuse to shadow it. Default routes do not count.
fn refuse_routed(
    netlink: &mut Netlink,
    link: &Link,
    options: &TunOptions,
) -> Result<(), DeviceError> {
    let routes = netlink
        .routes()
        .map_err(|error| step(options, "read the routes", error))?;
    for range in &options.host {
        let taken = |route: &&super::netlink::Route| {
            route.interface != link.index
                && route.destination.prefix != 0
                && route.destination.overlaps(range)
        };
        if let Some(route) = routes.iter().find(taken) {
            let to = match netlink.link_by_index(route.interface) {
                Ok(Some(link)) => format!("interface {}", link.name),
                _ if route.interface == 0 => "several interfaces, or is refused".to_owned(),
                _ => format!("interface number {}", route.interface),
            };
            return Err(DeviceError::AlreadyRouted {
                range: *range,
                route: route.destination,
                to,
            });
        }
    }
    Ok(())
}

/// TUNSETIFF.
fn set_interface(fd: &OwnedFd, name: &str, flags: libc::c_int) -> io::Result<()> {
    let mut request = [0u8; 40];
    request[..name.len()].copy_from_slice(name.as_bytes());
    request[NAME_LEN..NAME_LEN + 2].copy_from_slice(&(flags as u16).to_ne_bytes());
    // SAFETY: TUNSETIFF reads and writes a `struct ifreq`, 40 bytes on 64-bit machines and less on others.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETIFF, request.as_mut_ptr()) })
}

/// The TUN ioctls that take a pointer to an `int`.
fn set_int(fd: &OwnedFd, request: libc::Ioctl, value: libc::c_int) -> io::Result<()> {
    // SAFETY: `request` reads one `int` through the pointer, which lives for the call.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), request, &raw const value) })
}

/// TUNSETOFFLOAD takes its flags by value.
fn set_offload(fd: &OwnedFd, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: TUNSETOFFLOAD takes an integer; no memory is involved.
    check(unsafe {
        libc::ioctl(
            fd.as_raw_fd(),
            libc::TUNSETOFFLOAD,
            libc::c_ulong::from(flags),
        )
    })
}

fn check(outcome: libc::c_int) -> io::Result<()> {
    if outcome < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
