//! libtcpclient: the client library of tcpd.

#[cfg(not(loom))]
pub mod client;
pub mod protocol;
pub mod shm;
#[cfg(not(loom))]
pub mod socket;
