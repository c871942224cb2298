//! What a script says, as values. Nothing here knows a stack.

use std::net::IpAddr;
use std::time::Duration;

use super::Place;
use crate::wire::{Ecn, Flags};

/// A script: settings, then events in order.
#[derive(Debug, Clone)]
pub struct Script {
    /// The name for messages, as a rule the path.
    pub name: String,
    /// The first line when it is a `//` comment: the rule that the script shows.
    pub title: String,
    pub(super) settings: Vec<Setting>,
    pub(super) events: Vec<Event>,
}

/// One `--name=value` line, or one `key=value` of a `--set` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) place: Place,
    pub(super) key: String,
    pub(super) value: String,
}

/// One step.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) place: Place,
    pub(super) when: When,
    pub(super) action: Action,
}

/// When an event happens. Absolute times count from the start of the script, relative ones from the event before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// `0.100`
    At(Duration),
    /// `+.1`
    After(Duration),
    /// `0.1~0.2`
    Between(Duration, Duration),
    /// `+.1~+.2`
    AfterBetween(Duration, Duration),
    /// `*`
    Any,
}

#[derive(Debug, Clone)]
pub(super) enum Action {
    /// `<`: the far end sends this.
    Inject(Packet),
    /// `>`: the stack must have sent this, and nothing before it. `>?`: it may have; where a rule says MAY.
    Expect {
        packet: Packet,
        optional: bool,
    },
    Call(Invocation),
    /// `%{ assert … }%`
    Assert(Vec<Assertion>),
}

#[derive(Debug, Clone)]
pub(super) struct Packet {
    pub(super) place: Place,
    pub(super) attributes: Attributes,
    pub(super) body: Body,
}

/// What stands in `[…]` before a packet: everything that is the same for nearly all packets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    /// Which far end, from 1; each has a port (and number space) of its own.
    pub(super) peer: Option<u16>,
    pub(super) source: Option<IpAddr>,
    pub(super) destination: Option<IpAddr>,
    pub(super) source_port: Option<u16>,
    pub(super) destination_port: Option<u16>,
    /// Injected with a TCP (ICMP, UDP) checksum that is wrong by one bit.
    pub(super) bad_checksum: bool,
    /// The four bits between data offset and flags.
    pub(super) reserved: Option<u8>,
    /// A data offset (in words) other than the options need.
    pub(super) data_offset: Option<u8>,
    /// The IP version's traffic class / type of service byte.
    pub(super) traffic_class: Option<u8>,
    /// The ECN field alone, the lower two bits of that byte.
    pub(super) ecn: Option<Ecn>,
    /// Bytes behind the datagram that its IP header does not count.
    pub(super) trailer: Option<u16>,
    /// For a super-segment handed in by the device: the size at which it was cut.
    pub(super) segment_size: Option<u16>,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    Tcp(TcpPacket),
    Icmp(IcmpPacket),
    /// `udp (10)`: a datagram to the same ports, with so many bytes.
    Udp(u16),
}

#[derive(Debug, Clone)]
pub(super) struct TcpPacket {
    pub(super) flags: Flags,
    pub(super) seq: u32,
    /// Bytes of payload: what the script calls `(len)`.
    pub(super) length: u32,
    pub(super) ack: Option<u32>,
    pub(super) window: Option<u16>,
    pub(super) urgent: Option<u16>,
    pub(super) options: Options,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Options {
    /// `<...>`, expected packets only.
    Any,
    /// In wire order.
    These(Vec<TcpOption>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TcpOption {
    Mss(u16),
    WindowScale(u8),
    SackPermitted,
    /// Relative to the numbers of the side whose data they name.
    Sack(Vec<(u32, u32)>),
    Timestamps {
        value: Stamp,
        echo: Stamp,
    },
    Nop,
    End,
    /// `raw 0x1e03…`: whole options (or garbage), byte for byte.
    Raw(Vec<u8>),
}

/// A timestamp in a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    /// The far end's as they are, ours relative to the first one that a script names.
    Number(u32),
    /// `any`: not looked at. Expected packets only.
    Any,
    /// `last`: echoes the newest value the stack sent. Injected packets only.
    Last,
}

/// `icmp unreachable port [1:1(0)]`, `icmp echo_request id 1 seq 2 (56)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IcmpPacket {
    pub(super) kind: u8,
    pub(super) code: u8,
    /// Bytes 4..8: MTU, identifier and sequence, pointer or zero.
    pub(super) rest: u32,
    pub(super) content: IcmpContent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IcmpContent {
    /// An error that quotes a segment the stack sent: its sequence number and payload length.
    Quote { seq: u32, length: u32 },
    /// An echo with so many bytes of data.
    Data(u16),
}

/// A call, what it must return, and when a call that blocks must return.
#[derive(Debug, Clone)]
pub(super) struct Invocation {
    pub(super) call: Call,
    /// From the same origin as the event's own time. `None`: it must not block.
    pub(super) returns_at: Option<Duration>,
    pub(super) wanted: Wanted,
    pub(super) errno: Option<Errno>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    Integer(i64),
    /// The name of a state as RFC 9293 writes it; CLOSED when there is no connection.
    State(String),
    /// `?`
    Any,
}

/// A descriptor as scripts number them.
pub(super) type Descriptor = i64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    Socket,
    Bind {
        fd: Descriptor,
        /// `None`: `...`, the script's own port. `Some(0)` lets the stack pick.
        port: Option<u16>,
        address: Option<IpAddr>,
    },
    Listen {
        fd: Descriptor,
        backlog: u32,
    },
    Accept {
        fd: Descriptor,
    },
    Connect {
        fd: Descriptor,
        peer: u16,
    },
    Read {
        fd: Descriptor,
        size: u32,
    },
    Write {
        fd: Descriptor,
        size: u32,
        /// With MSG_OOB.
        urgent: bool,
    },
    Shutdown {
        fd: Descriptor,
        how: How,
    },
    Close {
        fd: Descriptor,
    },
    SetOption {
        fd: Descriptor,
        option: SocketOption,
    },
    GetOption {
        fd: Descriptor,
        option: SocketOption,
    },
    /// `fcntl(fd, F_GETFL)`
    GetFlags {
        fd: Descriptor,
    },
    /// `fcntl(fd, F_SETFL, …)`
    SetFlags {
        fd: Descriptor,
        nonblocking: bool,
    },
    /// `state(fd)`.
    State {
        fd: Descriptor,
    },
    /// `state()`, `state(peer 2)`: of the connection with a far end, whoever holds it.
    StateOfPeer {
        peer: u16,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Read,
    Write,
    Both,
}

/// A socket option with its value (`getsockopt`: the value it must have).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SocketOption {
    NoDelay(bool),
    KeepAlive(bool),
    /// Seconds.
    KeepIdle(u32),
    /// Seconds.
    KeepInterval(u32),
    KeepCount(u32),
    /// On, and seconds.
    Linger(bool, u32),
    ReceiveBuffer(u32),
    SendBuffer(u32),
    MaximumSegment(u16),
    /// Milliseconds; 0 = none.
    UserTimeout(u32),
    /// Milliseconds; 0 = none. Ours: `ConnectionOptions::idle_timeout`.
    IdleTimeout(u32),
    /// Bytes; 0 = none. `Stack::hold_window`.
    WindowClamp(u32),
    ReuseAddress(bool),
    /// The whole byte; its upper six bits count.
    TrafficClass(u8),
    Error(Option<Errno>),
}

/// `assert name op value`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assertion {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) comparison: Comparison,
    pub(super) value: Wanted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The errors a call can give, by their names in `errno.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Errno {
    pub(super) name: &'static str,
    pub(super) number: i64,
}

/// Every errno a script may name, with Linux's numbers.
const ERRNOS: &[(&str, i64)] = &[
    ("EBADF", 9),
    ("EAGAIN", 11),
    ("EACCES", 13),
    ("EINVAL", 22),
    ("EPIPE", 32),
    ("EMSGSIZE", 90),
    ("ENOPROTOOPT", 92),
    ("EPROTO", 71),
    ("EOPNOTSUPP", 95),
    ("EADDRINUSE", 98),
    ("EADDRNOTAVAIL", 99),
    ("ENETUNREACH", 101),
    ("ECONNABORTED", 103),
    ("ECONNRESET", 104),
    ("ENOBUFS", 105),
    ("EISCONN", 106),
    ("ENOTCONN", 107),
    ("ETIMEDOUT", 110),
    ("ECONNREFUSED", 111),
    ("EHOSTUNREACH", 113),
    ("EALREADY", 114),
    ("EINPROGRESS", 115),
];

impl Errno {
    /// The errno of that name.
    pub(super) fn named(name: &str) -> Option<Errno> {
        let name = if name == "EWOULDBLOCK" {
            "EAGAIN"
        } else {
            name
        };
        ERRNOS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|&(name, number)| Errno { name, number })
    }

    /// The errno of that number.
    pub(super) fn numbered(number: i64) -> Option<Errno> {
        ERRNOS
            .iter()
            .find(|(_, known)| *known == number)
            .map(|&(name, number)| Errno { name, number })
    }
}
