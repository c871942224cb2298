//! Why something that arrived was not taken in: one name for the counter, the trace and tcpctl.

use std::fmt;

#[cfg(test)]
mod tests;

macro_rules! drop_reasons {
    ($($(#[doc = $help:literal])+ $variant:ident = $name:literal,)+) => {
        /// Why a packet or segment was refused. `segments_in == segments_accepted + Σ dropped` over these.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum DropReason {
            $($(#[doc = $help])+ $variant,)+
        }

        impl DropReason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// How many reasons there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The reason's word, in kebab-case.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// One sentence about it.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($help),+),)+
                }
            }
        }
    };
}

drop_reasons! {
    // The IP layer.
    /// The IP header is shorter or longer than the packet, or of no known version.
    MalformedIp = "malformed-ip",
    /// The IPv4 header checksum is wrong.
    IpChecksum = "ip-checksum",
    /// The destination is none of our addresses.
    NotOurAddress = "not-our-address",
    /// The source cannot be a host: multicast, broadcast, unspecified, loopback from outside, or our own (RFC 1122 §3.2.1.3).
    MartianSource = "martian-source",
    /// A fragment that no honest sender makes: too small for its headers, no multiple of eight bytes, beyond the end (RFC 1858, 3128, 7112).
    FragmentMalformed = "fragment-malformed",
    /// A fragment that overlaps another one of its datagram, or comes after such a one (RFC 5722).
    FragmentOverlap = "fragment-overlap",
    /// A fragment that had come already.
    FragmentDuplicate = "fragment-duplicate",
    /// A fragment beyond the pieces that a datagram may have, or while reassembly is off (limits.fragment_bytes).
    FragmentLimit = "fragment-limit",
    /// The last fragment of a datagram whose ECN marks contradict each other (RFC 3168 §5.3).
    FragmentMarks = "fragment-marks",
    /// An extension header chain that is not accepted.
    ExtensionHeaders = "extension-headers",
    /// A source route (RFC 1122 §3.2.1.8).
    SourceRoute = "source-route",
    /// No protocol of ours.
    UnknownProtocol = "unknown-protocol",
    // ICMP.
    /// An ICMP message that is too short, has a bad checksum, or quotes too little.
    MalformedIcmp = "malformed-icmp",
    /// An ICMP message of a type that means nothing to us.
    IcmpIgnored = "icmp-ignored",
    /// An ICMP error about a segment that is not outstanding (RFC 5927 §4.1).
    IcmpNotOutstanding = "icmp-not-outstanding",
    /// An answer was due, but its rate limit is used up.
    RateLimited = "rate-limited",
    // TCP, before a connection is known.
    /// The TCP header is shorter or longer than the segment.
    MalformedTcp = "malformed-tcp",
    /// The TCP checksum is wrong (MUST-3).
    TcpChecksum = "tcp-checksum",
    /// No connection and no listener: answered with RST (RFC 9293 §3.10.7.1).
    NoConnection = "no-connection",
    /// A RST for which there is no connection.
    ResetForNoConnection = "reset-for-no-connection",
    /// A SYN during the quiet time after the start (RFC 9293 §3.4.3).
    QuietTime = "quiet-time",
    /// SYN together with FIN or RST.
    BadFlags = "bad-flags",
    // LISTEN.
    /// A RST to a listener.
    ListenReset = "listen-reset",
    /// An ACK to a listener, with nothing to acknowledge: answered with RST.
    ListenAck = "listen-ack",
    /// Text to a listener that lately sent SYN cookies, and brings none back: it may have overtaken the segment that does.
    NoCookie = "no-cookie",
    /// Neither RST, ACK nor SYN to a listener.
    ListenNoSyn = "listen-no-syn",
    /// A SYN while the listener's queue of established connections is full.
    ListenQueueFull = "listen-queue-full",
    // SYN-SENT.
    /// An ACK that acknowledges something never sent in SYN-SENT: answered with RST.
    SynSentBadAck = "syn-sent-bad-ack",
    /// A RST without an acceptable ACK in SYN-SENT.
    SynSentBlindReset = "syn-sent-blind-reset",
    /// Neither SYN nor RST in SYN-SENT.
    SynSentNoSyn = "syn-sent-no-syn",
    // SYN-RECEIVED.
    /// The SYN came again: SYN-ACK goes out again.
    DuplicateSyn = "duplicate-syn",
    /// A bad ACK in SYN-RECEIVED: answered with RST.
    SynReceivedBadAck = "syn-received-bad-ack",
    /// The handshake is complete but the queue of established connections is full.
    AcceptQueueFull = "accept-queue-full",
    // The eight steps.
    /// Outside the receive window (first step).
    OutsideWindow = "outside-window",
    /// An old timestamp (PAWS, RFC 7323 §5).
    Paws = "paws",
    /// No timestamp although the option was agreed (RFC 7323 §3.2).
    TimestampMissing = "timestamp-missing",
    /// A RST outside the window (second step).
    ResetOutsideWindow = "reset-outside-window",
    /// A RST in the window but not exactly at RCV.NXT: answered with a challenge ACK (RFC 5961 §3).
    ResetChallenged = "reset-challenged",
    /// A SYN in a synchronised state: answered with a challenge ACK (RFC 5961 §4).
    SynChallenged = "syn-challenged",
    /// No ACK bit (fifth step).
    NoAck = "no-ack",
    /// It acknowledges something older than MAX.SND.WND or ISS (RFC 5961 §5).
    AckTooOld = "ack-too-old",
    /// It acknowledges something never sent.
    AckOfUnsent = "ack-of-unsent",
    /// Data after the peer's FIN.
    DataAfterFin = "data-after-fin",
    /// Data for a user who has closed: the connection is reset.
    DataAfterClose = "data-after-close",
    /// Too many holes: the data lies farther away than those remembered.
    TooManyRanges = "too-many-ranges",
    // TIME-WAIT.
    /// A RST in TIME-WAIT (RFC 1337).
    TimeWaitReset = "time-wait-reset",
    /// An old duplicate in TIME-WAIT, answered with an ACK.
    TimeWaitDuplicate = "time-wait-duplicate",
    // Limits.
    /// The number of connections is at its limit.
    ConnectionLimit = "connection-limit",
    /// The account of the listener has as many connections as it may, or takes no new ones now.
    AccountLimit = "account-limit",
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
