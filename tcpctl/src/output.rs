//! What is printed: text for people, JSON for programs.

#[cfg(test)]
pub(crate) mod examples;
pub mod human;
pub mod impairments;
pub mod json;
pub mod list;
pub mod quotas;
pub mod ruler;
pub mod services;
pub mod sheet;
pub mod show;
pub mod stats;
pub mod table;
pub mod users;
pub mod why;
