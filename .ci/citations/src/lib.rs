//! Where the repository cites RFCs: the requirements of RFC 9293 by their numbers (`MUST-12`), everything else by its section.
//!
//! `cargo xtask rfc` prints it, and `tcpd/core/tests/rfc9293.rs` holds that no MUST and no SHOULD lacks code or a test. In order:
//!
//! 1. [`requirement`]: the numbers, and the list of `requirements.toml`.
//! 2. [`exception`]: what has no code or no test, and why, from `exceptions.toml`.
//! 3. [`files`]: what is read, and whether a line of it is code, a test or neither.
//! 4. [`numbers`], [`sections`]: citations in a line.
//! 5. [`book`]: all of it together, and what is wrong with it.
//! 6. [`report`]: as text.
//!
//! A number is written out each time (`MUST-4, MUST-5`), so that it can be searched for.

pub mod book;
pub mod exception;
pub mod files;
pub mod numbers;
pub mod report;
pub mod requirement;
pub mod sections;

pub use book::Book;
