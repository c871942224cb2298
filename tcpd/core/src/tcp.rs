//! TCP itself: RFC 9293 as nouns, verbs and algorithms.

pub mod buffer;
