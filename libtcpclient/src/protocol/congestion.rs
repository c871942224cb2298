//! The algorithms of congestion control, by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An algorithm of congestion control (RFC 9293 §3.8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum CongestionControl {
    /// CUBIC (RFC 9438) with HyStart++ (RFC 9406).
    Cubic = 1,
    /// NewReno (RFC 5681, RFC 6582, RFC 3465).
    NewReno = 2,
}

/// No algorithm has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no congestion control; allowed: cubic, newreno")]
pub struct UnknownCongestionControl {
    /// The name.
    pub given: String,
}

impl CongestionControl {
    /// Every algorithm, the default first.
    pub const ALL: [CongestionControl; 2] = [CongestionControl::Cubic, CongestionControl::NewReno];

    /// Its name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            CongestionControl::Cubic => "cubic",
            CongestionControl::NewReno => "newreno",
        }
    }

    /// From its number on the wire.
    pub(super) fn from_number(number: u32) -> Option<CongestionControl> {
        CongestionControl::ALL
            .into_iter()
            .find(|kind| *kind as u32 == number)
    }
}

impl fmt::Display for CongestionControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for CongestionControl {
    type Err = UnknownCongestionControl;

    fn from_str(name: &str) -> Result<CongestionControl, UnknownCongestionControl> {
        CongestionControl::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| UnknownCongestionControl {
                // As much as anybody wants to read back.
                given: name.chars().take(64).collect(),
            })
    }
}
