//! tcpd-core: the sans-I/O TCP/IP stack of tcpd.
#![forbid(unsafe_code)]
