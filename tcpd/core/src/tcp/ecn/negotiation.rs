//! The handshake of ECN (RFC 3168 §6.1.1): a SYN with ECE and CWR asks, a SYN-ACK with ECE alone agrees.

use crate::tcp::config::EcnPolicy;
use crate::tcp::segment::Segment;
use crate::wire::{Ecn, Flags};

/// What of ECN the two ends of a connection have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum EcnMode {
    /// Nothing: no packet is marked as capable, and ECE and CWR mean nothing.
    #[default]
    Off,
    /// The peer may believe that ECN was agreed on, for one of the SYNs (or SYN-ACKs) between us said so and another did not: marks on what it
    /// sends are echoed, but nothing of ours is marked as capable (§6.1.1).
    EchoOnly,
    /// Both directions.
    On,
}

impl EcnMode {
    /// The word for people: `off`, `echo-only`, `on`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::EchoOnly => "echo-only",
            Self::On => "on",
        }
    }

    /// What a SYN brings about. One whose ECN field is not zero has come through something that writes there, for no sender does
    /// (§6.1.1): nothing that it would write later could be believed. (AccECN allows it, and says so by AE.)
    pub(crate) fn of_syn(seg: &Segment<'_>, policy: EcnPolicy) -> Self {
        if policy != EcnPolicy::Off && is_setup_syn(seg.flags) && seg.ecn == Ecn::NotEct {
            Self::On
        } else {
            Self::Off
        }
    }

    /// The SYN came again. Without the two flags it is its sender's second thought, who will mark nothing as capable; but the
    /// SYN-ACK that agreed may have reached it.
    pub(crate) fn of_syn_again(self, seg: &Segment<'_>) -> Self {
        match self {
            Self::On if !is_setup_syn(seg.flags) => Self::EchoOnly,
            known => known,
        }
    }

    /// What a SYN-ACK brings about. One with both flags is our own SYN's flags reflected, by a host that copies reserved bits.
    pub(crate) fn of_syn_ack(seg: &Segment<'_>, offer: Offer) -> Self {
        let agrees = is_setup_syn_ack(seg.flags);
        match offer {
            Offer::None => Self::Off,
            Offer::Made if agrees => Self::On,
            // It answers the SYN that asked. Who has sent one that did not must not mark its own packets.
            Offer::Withdrawn if agrees => Self::EchoOnly,
            Offer::Made | Offer::Withdrawn => Self::Off,
        }
    }

    /// The SYN-ACK of a peer whose SYN has crossed ours: it may take back what that SYN said (§6.1.1: "received at least one non-ECN-setup
    /// SYN or non-ECN-setup SYN-ACK").
    pub(crate) fn of_crossing_syn_ack(self, seg: &Segment<'_>) -> Self {
        if is_setup_syn_ack(seg.flags) {
            self
        } else {
            Self::Off
        }
    }

    /// The flags of the SYN-ACK that answers.
    pub(crate) fn syn_ack_flags(self) -> Flags {
        match self {
            Self::On => Flags::ECE,
            Self::Off | Self::EchoOnly => Flags::NONE,
        }
    }
}

/// What our SYN has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// Nothing of ECN.
    None,
    /// That we can do ECN, each time.
    Made,
    /// That we can, at first; then nothing, for there was no answer, or RST (§6.1.1.1).
    Withdrawn,
}

impl Offer {
    pub(crate) fn of(policy: EcnPolicy) -> Self {
        match policy {
            EcnPolicy::On => Self::Made,
            EcnPolicy::Off | EcnPolicy::Passive => Self::None,
        }
    }

    /// The SYN goes out again without, for boxes are about that drop or refuse one with ECN. Says whether that is new.
    pub(crate) fn withdraw(&mut self) -> bool {
        let made = *self == Self::Made;
        if made {
            *self = Self::Withdrawn;
        }
        made
    }

    /// What a SYN that crosses ours brings about (simultaneous open).
    pub(crate) fn crossed_by(self, seg: &Segment<'_>) -> EcnMode {
        match self {
            Self::None => EcnMode::Off,
            Self::Made => EcnMode::of_syn(seg, EcnPolicy::On),
            Self::Withdrawn => EcnMode::of_syn(seg, EcnPolicy::On).of_withdrawn(),
        }
    }

    /// The flags of our SYN.
    pub(crate) fn syn_flags(self) -> Flags {
        match self {
            Self::Made => Flags::ECE | Flags::CWR,
            Self::None | Self::Withdrawn => Flags::NONE,
        }
    }
}

impl EcnMode {
    /// The same after a SYN of ours that said nothing.
    fn of_withdrawn(self) -> Self {
        match self {
            Self::On | Self::EchoOnly => Self::EchoOnly,
            Self::Off => Self::Off,
        }
    }
}

fn is_setup_syn_ack(flags: Flags) -> bool {
    flags.contains(Flags::ECE) && !flags.contains(Flags::CWR)
}

fn is_setup_syn(flags: Flags) -> bool {
    flags.contains(Flags::ECE | Flags::CWR)
}
