//! The rights of spawner and workers: what the spawner keeps, and how a worker becomes somebody else.

use std::io;

use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Gid, Resource, Rlimit, Uid, set_dumpable_behavior, setrlimit,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use crate::system::accounts::Account;

/// What it takes to have workers with another user, and to end them.
pub const FOR_USERS: CapabilitySet = CapabilitySet::SETUID
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::KILL);

/// At the spawner's start: no new rights by exec, no capability now or later but those in `kept`, no core dump, no ptrace by
/// processes of the same user, since tokens pass through this memory.
pub(super) fn keep_only(kept: CapabilitySet) -> io::Result<()> {
    set_no_new_privs(true)?;
    for capability in CapabilitySet::all().iter() {
        if kept.contains(capability) {
            continue;
        }
        match remove_capability_from_bounding_set(capability) {
            // Without CAP_SETPCAP the bounding set stays; what is not permitted cannot be had from it without exec.
            // A capability newer than the kernel is not there to remove.
            Ok(()) | Err(Errno::PERM | Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    have(kept)?;
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)?;
    Ok(())
}

/// In a worker, before it does anything for anybody: becomes that user, if one is given, and gives up every capability. The
/// process must have one thread.
pub(super) fn become_user(account: Option<&Account>) -> io::Result<()> {
    if let Some(account) = account {
        let groups: Vec<Gid> = account
            .groups
            .iter()
            .map(|&gid| Gid::from_raw(gid))
            .collect();
        let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
        set_thread_groups(&groups)?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
    }
    have(CapabilitySet::empty())
}

/// Exactly these capabilities, none of them for what is executed. A change of user makes a process dumpable again.
fn have(kept: CapabilitySet) -> io::Result<()> {
    clear_ambient_capability_set()?;
    let sets = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets)?;
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}
