//! tcpd: TCP as a service.
