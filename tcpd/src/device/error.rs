//! Why the device could not be opened: one message each, with what to do about it.

use std::io;

use thiserror::Error;

use super::netlink::Range;

/// A failure to open or set up the TUN interface.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// There is no /dev/net/tun.
    #[error(
        "/dev/net/tun is missing: load the tun module (modprobe tun), or give the container the device"
    )]
    NoTunDevice,
    /// /dev/net/tun is there, and we may not open it.
    #[error(
        "/dev/net/tun may not be opened by this user: run as root, or make the device readable and writable"
    )]
    TunNotPermitted,
    /// A change of the interface was refused.
    #[error("not permitted to {doing}: this needs CAP_NET_ADMIN")]
    NotPermitted {
        /// What was being done, in the infinitive.
        doing: String,
    },
    /// An interface of that name exists and is something else: an Ethernet card, a TAP, a bridge.
    #[error(
        "interface {name:?} exists already and is not a TUN interface: choose another device name"
    )]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Another process has it open.
    #[error(
        "interface {name:?} is in use by another process: another tcpd runs, or the device name must be another"
    )]
    Busy {
        /// The name.
        name: String,
    },
    /// A name the kernel would not take.
    #[error("{name:?} is no interface name: 1 to 15 letters, digits, '.', '_' or '-'")]
    BadName {
        /// The name.
        name: String,
    },
    /// Packets to the range go elsewhere already.
    #[error("the range {range} is already routed: {route} goes to {to}; choose other addresses")]
    AlreadyRouted {
        /// The range asked for.
        range: Range,
        /// The route found.
        route: Range,
        /// Where it leads.
        to: String,
    },
    /// An MTU outside what IP allows.
    #[error("an MTU of {mtu} is not possible: {least} to 65535 bytes (RFC 791, RFC 8200 §5)")]
    BadMtu {
        /// The MTU asked for.
        mtu: u32,
        /// 68, or 1280 with an IPv6 address.
        least: u32,
    },
    /// Any other refusal of the kernel.
    #[error("interface {name:?} cannot be set up: {doing}: {source}")]
    Setup {
        /// The interface.
        name: String,
        /// What was being done, in the infinitive.
        doing: String,
        /// What the kernel said.
        source: io::Error,
    },
}

impl DeviceError {
    /// The sysexits code for it: 77 not permitted, 73 cannot create, 78 configuration, 71 anything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::TunNotPermitted | Self::NotPermitted { .. } => 77,
            Self::NameTaken { .. } | Self::Busy { .. } | Self::AlreadyRouted { .. } => 73,
            Self::BadName { .. } | Self::BadMtu { .. } => 78,
            Self::NoTunDevice | Self::Setup { .. } => 71,
        }
    }

    /// The right variant for a refused step: lack of privilege has its own message.
    pub(super) fn from_step(name: &str, doing: &str, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::NotPermitted {
                doing: format!("{doing} (interface {name:?})"),
            },
            _ => Self::Setup {
                name: name.to_owned(),
                doing: doing.to_owned(),
                source,
            },
        }
    }
}
