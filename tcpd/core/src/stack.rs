//! The stack: what joins IP, ICMP and TCP to one owner.

pub mod deadlines;
pub mod fragments;
pub mod icmp;
pub mod initial_sequence;
pub mod ip_input;
pub mod ip_output;
pub mod path_mtu;
pub mod ports;
pub mod token_bucket;
