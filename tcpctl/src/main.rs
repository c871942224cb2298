//! tcpctl.
fn main() {}
