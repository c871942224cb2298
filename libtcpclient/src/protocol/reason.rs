//! Why something was refused, and why a connection ended.

use std::io;

/// Defines an enum of numbered words: number on the wire, name for machines, sentence for people.
macro_rules! words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident: $repr:ty {
            $( $(#[$vmeta:meta])* $variant:ident = $value:literal, $word:literal, $sentence:literal; )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr($repr)]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[$vmeta])* #[doc = concat!("`", $word, "`: ", $sentence, ".")] $variant = $value, )*
        }

        impl $name {
            /// Every one of them, by number.
            pub const ALL: &[$name] = &[$($name::$variant),*];

            /// The number on the wire.
            pub fn code(self) -> $repr {
                self as $repr
            }

            /// The one with this number.
            pub fn from_code(code: $repr) -> Option<$name> {
                match code {
                    $( $value => Some($name::$variant), )*
                    _ => None,
                }
            }

            /// A word in kebab-case, for logs, counters and JSON.
            pub fn name(self) -> &'static str {
                match self {
                    $( $name::$variant => $word, )*
                }
            }

            /// A sentence for people, in RFC 9293's words where it has them.
            pub fn sentence(self) -> &'static str {
                match self {
                    $( $name::$variant => $sentence, )*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.sentence())
            }
        }

        impl std::error::Error for $name {}
    };
}

words! {
    /// Why a request was refused. The first ones are the sentences of RFC 9293 §3.10 ("error: …").
    pub enum ErrorCode: u16 {
        ConnectionIllegal = 1, "connection-illegal", "connection illegal for this process";
        NoSuchConnection = 2, "no-such-connection", "connection does not exist";
        ConnectionExists = 3, "connection-exists", "connection already exists";
        RemoteUnspecified = 4, "remote-unspecified", "remote socket unspecified";
        InsufficientResources = 5, "insufficient-resources", "insufficient resources";
        ConnectionClosing = 6, "connection-closing", "connection closing";
        ConnectionRefused = 7, "connection-refused", "connection refused";
        ConnectionReset = 8, "connection-reset", "connection reset";
        UserTimeout = 9, "user-timeout", "connection aborted due to user timeout";
        ConnectionAborted = 10, "connection-aborted", "connection aborted by this side";
        TimedOut = 11, "timed-out", "the time the caller allowed has passed";
        NetworkUnreachable = 12, "network-unreachable", "the network is unreachable";
        HostUnreachable = 13, "host-unreachable", "the host is unreachable";
        AddressInUse = 14, "address-in-use", "the address is in use";
        AddressNotAvailable = 15, "address-not-available", "the address is not one of this stack's";
        PortsExhausted = 16, "ports-exhausted", "no ephemeral port is free";
        NotPermitted = 17, "not-permitted", "not permitted";
        QuotaExceeded = 18, "quota-exceeded", "a quota is used up";
        WouldBlock = 19, "would-block", "nothing is there yet";
        Cancelled = 20, "cancelled", "the request was cancelled";
        NoSuchListener = 21, "no-such-listener", "listener does not exist";
        BadRequest = 22, "bad-request", "the request is malformed or holds a value out of range";
        UnknownRequest = 23, "unknown-request", "the daemon does not know this request";
        VersionMismatch = 24, "version-mismatch", "daemon and client speak different versions";
        HelloExpected = 25, "hello-expected", "a session begins with exactly one Hello";
        ArenaRequired = 26, "arena-required", "this session has no arena for connections";
        BadToken = 27, "bad-token", "the token is unknown, used, expired or another's";
        Draining = 28, "draining", "the daemon is stopping and takes nothing new";
        Unsupported = 29, "unsupported", "not supported";
        Internal = 30, "internal", "the daemon failed";
        ListenerClosed = 31, "listener-closed", "the listener was closed";
        TooManyRequests = 32, "too-many-requests", "too many requests are waiting for an answer";
        BadConfiguration = 33, "bad-configuration", "the configuration is wrong";
        NeedsRestart = 34, "needs-restart", "only a restart of the daemon can change that";
    }
}

impl ErrorCode {
    /// The kind that the kernel's TCP through `std::net` would give.
    pub fn kind(self) -> io::ErrorKind {
        use ErrorCode::*;
        match self {
            ConnectionIllegal | NotPermitted | BadToken => io::ErrorKind::PermissionDenied,
            NoSuchConnection => io::ErrorKind::NotConnected,
            ConnectionExists | AddressInUse => io::ErrorKind::AddrInUse,
            RemoteUnspecified | BadRequest | ArenaRequired | HelloExpected | NoSuchListener
            | ListenerClosed => io::ErrorKind::InvalidInput,
            BadConfiguration => io::ErrorKind::InvalidData,
            InsufficientResources => io::ErrorKind::OutOfMemory,
            ConnectionClosing => io::ErrorKind::BrokenPipe,
            ConnectionRefused => io::ErrorKind::ConnectionRefused,
            ConnectionReset => io::ErrorKind::ConnectionReset,
            UserTimeout | TimedOut => io::ErrorKind::TimedOut,
            ConnectionAborted | Draining => io::ErrorKind::ConnectionAborted,
            NetworkUnreachable => io::ErrorKind::NetworkUnreachable,
            HostUnreachable => io::ErrorKind::HostUnreachable,
            AddressNotAvailable | PortsExhausted => io::ErrorKind::AddrNotAvailable,
            QuotaExceeded => io::ErrorKind::QuotaExceeded,
            WouldBlock | TooManyRequests => io::ErrorKind::WouldBlock,
            Cancelled => io::ErrorKind::Interrupted,
            UnknownRequest | VersionMismatch | Unsupported | NeedsRestart => {
                io::ErrorKind::Unsupported
            }
            Internal => io::ErrorKind::Other,
        }
    }
}

words! {
    /// Why a connection ended: the word in the slot header, and in every report of its end.
    pub enum EndReason: u32 {
        Closed = 1, "closed", "both sides closed";
        Reset = 2, "reset", "the peer reset the connection";
        Refused = 3, "refused", "the peer refused the connection";
        RetransmissionTimeout = 4, "retransmission-timeout", "the peer did not acknowledge in time";
        HandshakeTimeout = 5, "handshake-timeout", "the handshake was not answered in time";
        UserTimeout = 6, "user-timeout", "connection aborted due to user timeout";
        KeepaliveTimeout = 7, "keepalive-timeout", "the peer does not answer keepalive probes";
        NetworkUnreachable = 8, "network-unreachable", "the network is unreachable";
        HostUnreachable = 9, "host-unreachable", "the host is unreachable";
        PortUnreachable = 10, "port-unreachable", "the peer's host knows no such port or protocol";
        Aborted = 11, "aborted", "this side aborted the connection";
        UnreadData = 12, "unread-data", "this side closed with unread data";
        OperatorReset = 13, "operator-reset", "an operator reset the connection";
        SessionEnded = 14, "session-ended", "the program that owned the connection is gone";
        Violation = 15, "violation", "the program broke the rules of shared memory";
        ListenerClosed = 16, "listener-closed", "the listener closed before anybody accepted";
        DaemonStopping = 17, "daemon-stopping", "the daemon stopped";
        FinWaitTimeout = 18, "fin-wait-timeout", "the peer did not close its side in time";
        LimitExceeded = 19, "limit-exceeded", "a limit of the stack was reached";
        IdleTimeout = 20, "idle-timeout", "connection aborted: no data passed for the time this side allowed";
    }
}

impl EndReason {
    /// What reading or writing such a connection fails with, as `std::net` would say it;
    /// `None` when an orderly end (end of file, broken pipe on write) is all there is.
    pub fn kind(self) -> Option<io::ErrorKind> {
        use EndReason::*;
        Some(match self {
            Closed => return None,
            Reset => io::ErrorKind::ConnectionReset,
            Refused | PortUnreachable => io::ErrorKind::ConnectionRefused,
            RetransmissionTimeout
            | HandshakeTimeout
            | UserTimeout
            | KeepaliveTimeout
            | IdleTimeout => io::ErrorKind::TimedOut,
            NetworkUnreachable => io::ErrorKind::NetworkUnreachable,
            HostUnreachable => io::ErrorKind::HostUnreachable,
            Aborted | UnreadData | OperatorReset | SessionEnded | Violation | ListenerClosed
            | DaemonStopping | FinWaitTimeout | LimitExceeded => io::ErrorKind::ConnectionAborted,
        })
    }
}
