//! TCP as its users and its peers see it: one file a chapter.
//!
//! `wire` joins two stacks under one clock; `peer` is one stack and a peer that sends whatever a test writes.

#[path = "../common"]
mod common {
    pub(crate) mod packets;
}

mod peer;
mod wire;

mod accounts;
mod acknowledging;
mod closing;
mod data;
mod flood;
mod fragments;
mod half_open;
mod icmp_table;
mod interface;
mod limits;
mod loss;
mod opening;
mod owner;
mod path_mtu;
mod resets;
mod side_channels;
mod simultaneous;
mod time_wait;
mod time_wait_reuse;
mod timers;
mod two_stacks;
mod windows;
