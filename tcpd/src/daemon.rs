//! The daemon: a control thread and a stack thread, wired together.

mod bridge;
pub mod channel;
pub mod clock;
pub mod config;
pub mod configured_services;
pub mod control_loop;
pub mod control_socket;
pub mod entropy;
pub mod logging;
pub mod notify;
pub mod orders;
pub mod privileges;
pub mod process;
pub mod process_title;
mod ring_buffer;
mod rows;
pub mod signals;
mod stack_config;
mod stack_loop;
