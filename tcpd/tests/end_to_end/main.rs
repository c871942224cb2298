//! End to end: a daemon, its clients and services, and the kernel's TCP, each test in a network namespace of its own.

#[path = "../common"]
mod common {
    pub(crate) mod client_process;
    pub(crate) mod clients;
    pub(crate) mod daemon;
    pub(crate) mod deadline;
    pub(crate) mod examples;
    pub(crate) mod far;
    pub(crate) mod host;
    pub(crate) mod namespace;
    pub(crate) mod packet;
    pub(crate) mod pair;
    pub(crate) mod pattern;
    pub(crate) mod program;
    #[expect(dead_code, reason = "the bench uses the rest of it")]
    pub(crate) mod relay;
    pub(crate) mod rerun;
    pub(crate) mod resources;
    pub(crate) mod restart;
    pub(crate) mod tcp_info;
    pub(crate) mod tcpctl;
    pub(crate) mod three_hosts;
    pub(crate) mod user;
    pub(crate) mod wire_end;
}

mod campaign;
mod capture;
mod congestion;
mod crowded;
mod ecn;
mod endings;
mod fragments;
mod half_open;
mod handing_off;
mod hostile;
mod idle;
mod impairing;
mod killed;
mod kills;
mod lifecycle;
mod path_mtu;
mod polling;
mod programs;
mod quotas;
mod reaching;
mod refusals;
mod relay;
mod reload;
mod restart;
mod service_manager;
mod simultaneous_open;
mod sockets;
mod stopped;
mod ten_thousand;
mod time_wait;
mod unreachable;
