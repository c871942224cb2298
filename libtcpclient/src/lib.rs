//! libtcpclient: the client library of tcpd.

pub mod client;
pub mod protocol;
pub mod socket;
