//! What `tcpctl list` was asked to show: states, ports and addresses by the names people know them by.

use std::net::IpAddr;
use std::str::FromStr;

use libtcpclient::protocol::status::TcpState;

#[cfg(test)]
mod tests;

/// The names that ss gives to states where they differ from RFC 9293's in more than case.
const NAMES_IN_SS: [(&str, TcpState); 4] = [
    ("syn-recv", TcpState::SynReceived),
    ("listening", TcpState::Listen),
    ("unconnected", TcpState::Closed),
    ("close", TcpState::Closed),
];

/// A state, or one of ss's groups of states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateFilter(u16);

impl StateFilter {
    /// Every state but LISTEN: what there is to see when nothing else is asked for.
    pub fn all_but_listen() -> StateFilter {
        StateFilter::all_but(&[TcpState::Listen])
    }

    /// Every state.
    pub fn all() -> StateFilter {
        StateFilter::all_but(&[])
    }

    /// One state.
    pub fn only(state: TcpState) -> StateFilter {
        StateFilter(state.bit())
    }

    fn all_but(left_out: &[TcpState]) -> StateFilter {
        let bits = TcpState::ALL
            .iter()
            .filter(|state| !left_out.contains(state))
            .map(|state| state.bit());
        StateFilter(bits.sum())
    }

    /// The states of both.
    pub fn or(self, other: StateFilter) -> StateFilter {
        StateFilter(self.0 | other.0)
    }

    /// All of them but one.
    pub fn without(self, state: TcpState) -> StateFilter {
        StateFilter(self.0 & !state.bit())
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `state` is one of these.
    pub fn contains(self, state: TcpState) -> bool {
        self.0 & state.bit() != 0
    }

    /// As [`libtcpclient::protocol::Filter::states`] has it.
    pub fn bits(self) -> u16 {
        self.0
    }
}

impl FromStr for StateFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<StateFilter, String> {
        use TcpState::{Closed, Listen, SynReceived, SynSent, TimeWait};
        let word = normal(text);
        match word.as_str() {
            "all" => return Ok(StateFilter::all()),
            "connected" => return Ok(StateFilter::all_but(&[Listen, Closed])),
            "synchronized" => return Ok(StateFilter::all_but(&[Listen, Closed, SynSent])),
            "bucket" => return Ok(StateFilter::only(SynReceived).or(StateFilter::only(TimeWait))),
            "big" => return Ok(StateFilter::all_but(&[SynReceived, TimeWait])),
            _ => {}
        }
        let rfc = TcpState::ALL.iter().map(|state| (state.name(), *state));
        let found = rfc
            .chain(NAMES_IN_SS)
            .find(|(name, _)| normal(name) == word);
        found
            .map(|(_, state)| StateFilter::only(state))
            .ok_or_else(|| format!("no such state; there are {}", names()))
    }
}

/// Upper and lower case, `-`, `_` and nothing between the words are all the same: `SYN-RECEIVED`, `syn_received`, `TimeWait`.
fn normal(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '-' | '_' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

fn names() -> String {
    let states: Vec<String> = TcpState::ALL
        .iter()
        .map(|state| state.name().to_lowercase())
        .collect();
    format!(
        "{}, and the groups all, connected, synchronized, bucket, big",
        states.join(", ")
    )
}

/// An address, or a network of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressFilter {
    address: IpAddr,
    prefix: u8,
}

impl AddressFilter {
    /// The address, and how many of its leading bits count.
    pub fn parts(self) -> (IpAddr, u8) {
        (self.address, self.prefix)
    }

    /// Whether `address` is the one, or lies in the network.
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(net), IpAddr::V4(address)) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(self.prefix))
                    .unwrap_or(0);
                (net.to_bits() ^ address.to_bits()) & mask == 0
            }
            (IpAddr::V6(net), IpAddr::V6(address)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.prefix))
                    .unwrap_or(0);
                (net.to_bits() ^ address.to_bits()) & mask == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for AddressFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<AddressFilter, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse()
            .map_err(|_| {
                "not an IPv4 or IPv6 address, as in 198.18.0.1, fd00::2 or 198.18.0.0/15".to_owned()
            })?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(prefix) => match prefix.parse::<u8>() {
                Ok(prefix) if prefix <= longest => prefix,
                _ => return Err(format!("the prefix length is a number from 0 to {longest}")),
            },
        };
        Ok(AddressFilter { address, prefix })
    }
}
