//! tcpd: the daemon.
fn main() {}
