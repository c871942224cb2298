//! Users and groups of this machine, by name, as its name service knows them.

use std::io;
use std::path::PathBuf;

use nix::unistd::{Gid, Group, User, getgrouplist};
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// Everything that a process of a user begins with (credentials(7), login(1)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The user's name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Its group, or the one asked for.
    pub gid: u32,
    /// Its supplementary groups, `gid` among them.
    pub groups: Vec<u32>,
    /// Its home directory.
    pub home: PathBuf,
    /// Its login shell.
    pub shell: PathBuf,
}

/// Why there is no account.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// No user has this name.
    #[error("there is no such user")]
    NoUser,
    /// No group has this name.
    #[error("there is no such group")]
    NoGroup,
    /// The name service failed.
    #[error("the name service says: {0}")]
    Failed(#[from] io::Error),
}

/// The account of `user`, in `group` instead of its own if one is given.
///
/// # Errors
/// An unknown name, or a name service that fails.
pub fn account(user: &str, group: Option<&str>) -> Result<Account, AccountError> {
    let found = User::from_name(user).map_err(io::Error::from)?;
    let found = found.ok_or(AccountError::NoUser)?;
    let gid = match group {
        None => found.gid,
        Some(group) => {
            let group = Group::from_name(group).map_err(io::Error::from)?;
            group.ok_or(AccountError::NoGroup)?.gid
        }
    };
    let name = std::ffi::CString::new(user).map_err(io::Error::from)?;
    let groups = getgrouplist(&name, gid).map_err(io::Error::from)?;
    Ok(Account {
        name: found.name,
        uid: found.uid.as_raw(),
        gid: gid.as_raw(),
        groups: groups.into_iter().map(Gid::as_raw).collect(),
        home: found.dir,
        shell: found.shell,
    })
}
