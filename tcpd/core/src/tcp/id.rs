//! Names for what lives in a stack: an index and the generation of its slot, so that an old name never means a new thing.

use std::fmt;
use std::str::FromStr;

use slotmap::{Key, KeyData};

slotmap::new_key_type! {
    /// The slot of an endpoint.
    pub(crate) struct SlotKey;
}

/// Names an endpoint (a connection in any state, or a listener) for as long as the stack lives.
///
/// Displays as `index.generation`, and is read back from the same. A connection keeps its name from SYN-SENT to
/// the end of TIME-WAIT.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(u64);

impl EndpointId {
    /// The name as 64 bits, to cross a boundary.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The name back from [`EndpointId::to_bits`]. Any other bits name nothing.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) fn key(self) -> SlotKey {
        SlotKey::from(KeyData::from_ffi(self.0))
    }

    /// The slot's index alone: what the wheel of deadlines is keyed by.
    pub(crate) const fn index(self) -> u32 {
        self.0 as u32
    }
}

impl From<SlotKey> for EndpointId {
    fn from(key: SlotKey) -> Self {
        Self(key.data().as_ffi())
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 as u32, self.0 >> 32)
    }
}

impl fmt::Debug for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not `index.generation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an endpoint is named index.generation, as in 17.3")]
pub struct ParseIdError;

impl FromStr for EndpointId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let (index, generation) = text.split_once('.').ok_or(ParseIdError)?;
        let number = |digits: &str| -> Result<u32, ParseIdError> {
            if digits.bytes().all(|byte| byte.is_ascii_digit()) {
                digits.parse().map_err(|_| ParseIdError)
            } else {
                Err(ParseIdError)
            }
        };
        Ok(Self(
            u64::from(number(generation)?) << 32 | u64::from(number(index)?),
        ))
    }
}

/// Names a listener. It is the [`EndpointId`] of an endpoint in LISTEN.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub(crate) EndpointId);

impl ListenerId {
    /// The listener as an endpoint, as `endpoints()` lists it.
    #[must_use]
    pub const fn endpoint(self) -> EndpointId {
        self.0
    }

    /// The name as 64 bits, to cross a boundary.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0.to_bits()
    }

    /// The name back from [`ListenerId::to_bits`]. Any other bits name nothing.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(EndpointId::from_bits(bits))
    }
}

impl fmt::Display for ListenerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ListenerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::{EndpointId, ListenerId};

    #[test]
    fn a_name_reads_back_from_its_text() {
        let id = EndpointId::from_bits(3 << 32 | 17);
        assert_eq!(id.to_string(), "17.3");
        assert_eq!("17.3".parse(), Ok(id));
        for wrong in [
            "",
            "17",
            "17.",
            ".3",
            "-1.3",
            "+1.3",
            "4294967296.1",
            "1.2.3",
        ] {
            assert!(wrong.parse::<EndpointId>().is_err(), "{wrong}");
        }
        assert_eq!(ListenerId::from_bits(id.to_bits()).endpoint(), id);
    }
}
