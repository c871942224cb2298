//! The core's words in the protocol's words, and back.

use std::time::Duration;

use libtcpclient::protocol::{CongestionControl, EndReason, ErrorCode, Reply, StreamOptions};
use tcpd_core::stack::icmp::IcmpCause;
use tcpd_core::stack::{CloseError, ConnectionOptions, EndReason as CoreEnd, KeepAlive, OpenError};
use tcpd_core::tcp::timers::Timer;

use super::BridgeConfig;

/// Why a connection ended.
pub(in crate::daemon) fn end_reason(end: CoreEnd) -> EndReason {
    match end {
        CoreEnd::Closed => EndReason::Closed,
        CoreEnd::Refused => EndReason::Refused,
        CoreEnd::Reset => EndReason::Reset,
        CoreEnd::TimedOut(timer) => timed_out(timer),
        CoreEnd::Unreachable(IcmpCause::Network) => EndReason::NetworkUnreachable,
        CoreEnd::Unreachable(IcmpCause::Port | IcmpCause::Protocol) => EndReason::PortUnreachable,
        CoreEnd::Unreachable(
            IcmpCause::Host
            | IcmpCause::Prohibited
            | IcmpCause::TimeExceeded
            | IcmpCause::ParameterProblem,
        ) => EndReason::HostUnreachable,
        CoreEnd::Aborted => EndReason::Aborted,
        CoreEnd::Evicted => EndReason::LimitExceeded,
    }
}

fn timed_out(timer: Timer) -> EndReason {
    match timer {
        Timer::Handshake => EndReason::HandshakeTimeout,
        Timer::Retransmission | Timer::ZeroWindow => EndReason::RetransmissionTimeout,
        Timer::KeepAlive => EndReason::KeepaliveTimeout,
        Timer::User => EndReason::UserTimeout,
        Timer::Idle => EndReason::IdleTimeout,
        Timer::Orphan => EndReason::FinWaitTimeout,
        Timer::TailLoss
        | Timer::Reordering
        | Timer::Pacing
        | Timer::DelayedAck
        | Timer::ChallengeAck
        | Timer::TimeWait => EndReason::Closed,
    }
}

/// How a request on a connection that ended is refused; `None` for an orderly end.
pub(super) fn end_error(end: CoreEnd) -> Option<ErrorCode> {
    reason_error(end_reason(end))
}

/// The same of a reason in the protocol's words.
pub(super) fn reason_error(end: EndReason) -> Option<ErrorCode> {
    Some(match end {
        EndReason::Closed => return None,
        EndReason::Refused | EndReason::PortUnreachable => ErrorCode::ConnectionRefused,
        EndReason::Reset => ErrorCode::ConnectionReset,
        EndReason::RetransmissionTimeout
        | EndReason::HandshakeTimeout
        | EndReason::KeepaliveTimeout
        | EndReason::IdleTimeout => ErrorCode::TimedOut,
        EndReason::UserTimeout => ErrorCode::UserTimeout,
        EndReason::NetworkUnreachable => ErrorCode::NetworkUnreachable,
        EndReason::HostUnreachable => ErrorCode::HostUnreachable,
        _ => ErrorCode::ConnectionAborted,
    })
}

/// What a client wants of a connection.
pub(super) fn connection_options(
    options: &StreamOptions,
    config: BridgeConfig,
) -> ConnectionOptions {
    let keepalive = options.keepalive.map(|keepalive| KeepAlive {
        idle: Duration::from_secs(keepalive.idle_s.into()),
        interval: Duration::from_secs(keepalive.interval_s.into()),
        count: u8::try_from(keepalive.count).unwrap_or(u8::MAX),
    });
    let some = |ms: u32| (ms != 0).then(|| Duration::from_millis(ms.into()));
    ConnectionOptions {
        nodelay: options.nodelay,
        keepalive: keepalive.or(config.keepalive),
        user_timeout: some(options.user_timeout_ms),
        idle_timeout: some(options.idle_timeout_ms),
        dscp: options.dscp,
        congestion: options.congestion.map(congestion_control),
        receive_ring_max: config.receive.maximum(options.receive_maximum),
        ..ConnectionOptions::default()
    }
}

/// An algorithm in the core's words.
pub(in crate::daemon) fn congestion_control(
    kind: CongestionControl,
) -> tcpd_core::stack::CongestionControl {
    use tcpd_core::stack::CongestionControl as Core;
    match kind {
        CongestionControl::Cubic => Core::Cubic,
        CongestionControl::NewReno => Core::NewReno,
    }
}

/// Why Listen or Connect is refused.
pub(super) fn open_error(error: &OpenError) -> Reply {
    // The particulars say what the code does not.
    let (code, particulars) = match error {
        OpenError::AddressInUse => (ErrorCode::AddressInUse, ""),
        OpenError::AddressNotAvailable => (ErrorCode::AddressNotAvailable, ""),
        OpenError::NoFreePort => (
            ErrorCode::PortsExhausted,
            "each of tcp.ephemeral_ports is taken",
        ),
        OpenError::RemoteInvalid => (ErrorCode::RemoteUnspecified, "it cannot be connected to"),
        OpenError::NoRoute => (
            ErrorCode::NetworkUnreachable,
            "tcpd has no address of that family",
        ),
        OpenError::InsufficientResources => (ErrorCode::InsufficientResources, ""),
    };
    Reply::error(code, particulars)
}

/// Why Shutdown is refused.
pub(super) fn close_error(error: &CloseError) -> Reply {
    let code = match error {
        CloseError::NoSuchConnection => ErrorCode::NoSuchConnection,
        CloseError::Closing => ErrorCode::ConnectionClosing,
        CloseError::Ended(end) => end_error(*end).unwrap_or(ErrorCode::ConnectionClosing),
    };
    Reply::error(code, "")
}
