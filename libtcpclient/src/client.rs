//! The public client API.

pub mod control;
pub mod error;
