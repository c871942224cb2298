//! tcpd: TCP as a service.

pub mod cli;
pub mod daemon;
pub mod demo;
pub mod device;
pub mod exit_code;
pub mod ipc;
pub mod sandbox;
pub mod scenario;
pub mod services;
pub mod system;
pub mod tokens;
