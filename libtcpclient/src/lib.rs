//! libtcpclient: the client library of tcpd.

pub mod protocol;
