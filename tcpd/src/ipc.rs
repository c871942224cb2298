//! Sessions: who connects to the control socket, what they may ask, and how much of it.
//!
//! Nothing here knows the stack or the event loop: [`credentials`] says who somebody is, [`policy`] what they may do,
//! [`session`] moves messages over one socket within its limits, [`arena`] makes the shared memory of one.

pub mod arena;
pub mod credentials;
pub mod policy;
pub mod session;
