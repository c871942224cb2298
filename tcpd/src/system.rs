//! The operating system as daemon, services and sandbox alike need it: below all of them, knowing none.

pub mod accounts;
pub mod clock;
pub mod entropy;
pub mod private_directory;
pub mod process;
pub mod process_title;
