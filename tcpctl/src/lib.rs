//! tcpctl shows every connection of tcpd, and why it is where it is.
//!
//! 1. [`cli`] says what can be asked, and `--help` says what that means;
//! 2. [`commands`] ask the daemon through [`libtcpclient`], and only through it;
//! 3. [`output`] makes text for people or JSON for programs of the answer;
//! 4. [`failure`] says what went wrong in one line, and [`exit_code`] in a number.

pub mod cli;
pub mod clock;
pub mod commands;
pub mod exit_code;
pub mod failure;
pub mod filter;
pub mod output;
pub mod terminal;
