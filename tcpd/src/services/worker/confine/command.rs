//! How a command is confined. As far as configured: what it reads and writes, whether it uses the kernel's TCP. Always: it is
//! in a landlock domain of its own, so that it can neither trace nor signal anybody outside of it, its user's other
//! processes included; and the calls with which it could reach past that are refused (EPERM).
//!
//! One with the daemon's own user could do to the daemon's files what the daemon can. Their contents are kept from it by
//! landlock, which does not govern whose a file is and who may open it; so changing that is refused, wherever the file is.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    Scope, path_beneath_rules,
};
use rustix::io::Errno;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};

use super::super::super::work::Command;

#[cfg(test)]
mod tests;

const FILES: ABI = ABI::V5;

/// Takes on landlock, as far as the kernel has it. It cannot be taken off again and goes through exec.
///
/// # Errors
/// As landlock_restrict_self(2): no_new_privs is not set.
pub fn restrict_files(command: &Command) -> io::Result<()> {
    landlock(command).map_err(io::Error::other)
}

/// Takes on seccomp; likewise.
///
/// # Errors
/// As seccomp(2).
pub fn restrict_calls(command: &Command) -> io::Result<()> {
    for program in filters(command).map_err(io::Error::other)? {
        seccompiler::apply_filter(&program).map_err(io::Error::other)?;
    }
    Ok(())
}

fn landlock(command: &Command) -> Result<(), RulesetError> {
    let (all, reading) = (AccessFs::from_all(FILES), AccessFs::from_read(FILES));
    let guarded = &command.guarded[..];
    let listed = !(command.readable.is_empty() && command.writable.is_empty());
    let mut ruleset = Ruleset::default().scope(Scope::from_all(ABI::V6))?;
    if listed || !guarded.is_empty() {
        ruleset = ruleset.handle_access(all)?;
    } else {
        // Without a rule there is no domain before Linux 6.12. What is not allowed below takes a right that nobody has here.
        ruleset = ruleset.handle_access(AccessFs::MakeBlock | AccessFs::Refer)?;
    }
    if !command.network {
        ruleset = ruleset.handle_access(AccessNet::from_all(ABI::V5))?;
    }
    let ruleset = ruleset.create()?;
    let ruleset = if listed {
        let program = command.words.first().into_iter();
        ruleset
            .add_rules(path_beneath_rules(program, reading))?
            .add_rules(path_beneath_rules(but(&command.readable, guarded), reading))?
            .add_rules(path_beneath_rules(but(&command.writable, guarded), all))?
    } else if !guarded.is_empty() {
        ruleset
            .add_rules(path_beneath_rules(["/"], AccessFs::ReadDir))?
            .add_rules(path_beneath_rules(but(&["/".into()], guarded), all))?
    } else {
        ruleset.add_rules(path_beneath_rules(["/"], AccessFs::Refer))?
    };
    ruleset.restrict_self()?;
    Ok(())
}

/// What has to be named so that `paths` are named with all that is in them, but not `guarded` and what leads there.
fn but(paths: &[PathBuf], guarded: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in paths {
        let path = path.canonicalize().unwrap_or_else(|_| path.clone());
        if guarded.iter().any(|guarded| path.starts_with(guarded)) {
            continue;
        }
        if guarded.iter().any(|guarded| guarded.starts_with(&path)) {
            collect(&path, guarded, &mut found);
        } else {
            found.push(path);
        }
    }
    found
}

fn collect(directory: &Path, guarded: &[PathBuf], found: &mut Vec<PathBuf>) {
    // A directory that cannot be read is not given away.
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        // A link could lead to what is guarded; where it leads elsewhere, that place is named itself.
        if link || guarded.contains(&path) {
            continue;
        }
        if guarded.iter().any(|guarded| guarded.starts_with(&path)) {
            collect(&path, guarded, found);
        } else {
            found.push(path);
        }
    }
}

/// Other processes, other namespaces, the kernel itself, and ways past a filter of calls.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
    libc::SYS_perf_event_open,
    libc::SYS_bpf,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_open_by_handle_at,
];

/// What changes whose a file is and who may open it.
const OWNERSHIP: &[libc::c_long] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    SETXATTRAT,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    REMOVEXATTRAT,
];

/// fchmodat2(2) of Linux 6.6, setxattrat(2) and removexattrat(2) of Linux 6.13 have the same numbers everywhere.
const FCHMODAT2: libc::c_long = 452;
const SETXATTRAT: libc::c_long = 463;
const REMOVEXATTRAT: libc::c_long = 466;

/// Calls that can be for all processes of a user, and the first argument when they are for one.
const OF_ONE: &[(libc::c_long, u64)] = &[
    (libc::SYS_setpriority, libc::PRIO_PROCESS as u64),
    (libc::SYS_ioprio_set, 1),
];

/// Calls that are for the process itself only, and which argument names another one.
const OWN_ONLY: &[(libc::c_long, u8)] = &[
    (libc::SYS_prlimit64, 0),
    (libc::SYS_setpriority, 1),
    (libc::SYS_ioprio_set, 1),
    (libc::SYS_sched_setaffinity, 0),
    (libc::SYS_sched_setscheduler, 0),
    (libc::SYS_sched_setparam, 0),
    (libc::SYS_sched_setattr, 0),
    (libc::SYS_migrate_pages, 0),
    (libc::SYS_move_pages, 0),
];

/// Every namespace flag of clone(2).
const NAMESPACES: u64 = 0x7e02_0000;

fn filters(command: &Command) -> Result<[BpfProgram; 2], BackendError> {
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().map(|&call| (call, Vec::new())).collect();
    for &(call, argument) in OWN_ONLY {
        let other = condition(argument, SeccompCmpOp::Ne, 0)?;
        refused.insert(call, vec![SeccompRule::new(vec![other])?]);
    }
    for &(call, one) in OF_ONE {
        let more = condition(0, SeccompCmpOp::Ne, one)?;
        let rules = refused.entry(call).or_default();
        rules.push(SeccompRule::new(vec![more])?);
    }
    if !command.guarded.is_empty() {
        refused.extend(OWNERSHIP.iter().map(|&call| (call, Vec::new())));
    }
    let mut spaces = Vec::new();
    for bit in (0..32)
        .map(|bit| 1 << bit)
        .filter(|bit| NAMESPACES & bit != 0)
    {
        let new = condition(0, SeccompCmpOp::MaskedEq(bit), bit)?;
        spaces.push(SeccompRule::new(vec![new])?);
    }
    refused.insert(libc::SYS_clone, spaces);
    if !command.sessions {
        // tcpd's socket is of that type, and so is the link to its spawner.
        let unix = condition(0, SeccompCmpOp::Eq, libc::AF_UNIX as u64)?;
        let kind = SeccompCmpOp::MaskedEq(0xf);
        let packets = condition(1, kind, libc::SOCK_SEQPACKET as u64)?;
        let rule = SeccompRule::new(vec![unix, packets])?;
        refused.insert(libc::SYS_socket, vec![rule]);
    }
    // Its flags are in memory, which a filter cannot see; the C library takes clone then.
    let unseen = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    Ok([
        program(refused, Errno::PERM)?,
        program(unseen, Errno::NOSYS)?,
    ])
}

fn program(
    mut refused: BTreeMap<i64, Vec<SeccompRule>>,
    with: Errno,
) -> Result<BpfProgram, BackendError> {
    // The kernel may know every call by a second number, that of the x32 ABI.
    #[cfg(target_arch = "x86_64")]
    for (call, rules) in refused.clone() {
        refused.insert(call | 0x4000_0000, rules);
    }
    SeccompFilter::new(
        refused,
        SeccompAction::Allow,
        SeccompAction::Errno(with.raw_os_error().unsigned_abs()),
        std::env::consts::ARCH.try_into()?,
    )?
    .try_into()
}

fn condition(
    argument: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}
