//! Rights: CAP_NET_ADMIN while the device opens, and none after.
//!
//! Capabilities belong to a thread, so all of this happens before the second thread starts:
//! 1. [`harden`]: no new rights by exec, no core dump, no ptrace by equals, as many descriptors as allowed.
//! 2. [`keep_what_start_needs`]: everything but the few capabilities that opening device and socket need is given up, and
//!    those that workers with a `user` need.
//! 3. [`keep_for_spawner`], where a service has a `user`, in the one thread that executes spawners: what they need, for them.
//! 4. [`give_up_all`], when both are open. An exec'd spawner cannot get anything back but that.

use std::io;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    configure_capability_in_ambient_set, set_capabilities, set_no_new_privs,
};

use crate::services::rights;

/// For the device and, when started as root, for the owner of socket and log files.
const NEEDED_AT_START: CapabilitySet = CapabilitySet::NET_ADMIN.union(CapabilitySet::CHOWN);

/// No new rights by exec, not dumpable, the soft limit of descriptors raised to the hard one.
pub fn harden() -> io::Result<()> {
    set_no_new_privs(true)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // A session holds two descriptors and every worker is a session. A refusal only means fewer of them.
    if let Err(error) = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    ) {
        tracing::debug!(%error, "the limit of descriptors stays as it is");
    }
    Ok(())
}

/// Gives up every capability but those for opening device and socket, and with `users` those for workers of other users.
pub fn keep_what_start_needs(users: bool) -> io::Result<()> {
    let for_users = if users {
        rights::FOR_USERS
    } else {
        CapabilitySet::empty()
    };
    let permitted = capabilities(None)?.permitted & (NEEDED_AT_START | for_users);
    set(permitted)
}

/// Whether this thread may have workers of other users.
pub fn may_switch_users() -> io::Result<bool> {
    Ok(capabilities(None)?.permitted.contains(rights::FOR_USERS))
}

/// Leaves this thread what it takes to have workers of other users, not to use, but for what it executes.
pub fn keep_for_spawner() -> io::Result<()> {
    clear_ambient_capability_set()?;
    let sets = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: rights::FOR_USERS,
        inheritable: rights::FOR_USERS,
    };
    set_capabilities(None, sets)?;
    for capability in rights::FOR_USERS.iter() {
        configure_capability_in_ambient_set(capability, true)?;
    }
    Ok(())
}

/// Gives up every capability.
pub fn give_up_all() -> io::Result<()> {
    set(CapabilitySet::empty())
}

/// Whether this thread may administer its network namespace.
pub fn may_administer_network() -> io::Result<bool> {
    Ok(capabilities(None)?
        .effective
        .contains(CapabilitySet::NET_ADMIN))
}

fn set(permitted: CapabilitySet) -> io::Result<()> {
    clear_ambient_capability_set()?;
    let sets = CapabilitySets {
        effective: permitted,
        permitted,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Capabilities are a thread's, so a test may give up its own.
    #[test]
    fn after_giving_up_nothing_is_left() {
        let left = std::thread::spawn(|| {
            keep_what_start_needs(false)?;
            let start = capabilities(None)?;
            give_up_all()?;
            io::Result::Ok((start, capabilities(None)?))
        });
        let (start, end) = left
            .join()
            .expect("no panic")
            .expect("giving up is always allowed");
        assert!(NEEDED_AT_START.contains(start.permitted), "{start:?}");
        assert!(
            end.permitted.is_empty() && end.effective.is_empty() && end.inheritable.is_empty(),
            "{end:?}"
        );
    }
}
