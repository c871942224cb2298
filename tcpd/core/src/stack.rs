//! The stack: what joins IP, ICMP and TCP to one owner.

pub mod deadlines;
