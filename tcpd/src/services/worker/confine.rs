//! What a worker may still do once it has its connection: read and write, wait, allocate memory, ask the time; for
//! `http` also open files of its site for reading. Everything else kills it (SIGSYS).
//!
//! Standard input, output and error are not its own: the daemon and every other worker have the same ones. All it may do
//! with them is to write.

use std::collections::BTreeMap;
use std::io;

use landlock::{
    ABI, Access, AccessFs, AccessNet, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope,
};
use rustix::process::Resource;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use super::super::builtin::Prepared;
use super::at_most;

pub mod command;

/// Descriptors a worker may hold: standard ones, its session and bells, a site and a file, and some to spare.
const MAX_DESCRIPTORS: u64 = 64;
/// Private memory a worker may allocate, bytes. Rings are shared memory and do not count.
const MAX_MEMORY: u64 = 256 << 20;

/// The first descriptor that a worker has for itself.
const FIRST_OWN: u64 = 3;

/// Bounds what a worker gone wrong can use up.
///
/// # Errors
/// As setrlimit(2).
pub fn limit_resources() -> io::Result<()> {
    at_most(Resource::Nofile, MAX_DESCRIPTORS, MAX_DESCRIPTORS)?;
    at_most(Resource::Data, MAX_MEMORY, MAX_MEMORY)?;
    at_most(Resource::Memlock, 0, 0)
}

/// Takes on landlock: no file but those of the site, for reading; no TCP of the kernel, no abstract socket, no signal to
/// others. It cannot be taken off again.
///
/// To be called before the session opens, because threads inherit it and the session has one. It does not govern
/// connecting to the daemon's socket, which has a name in the file system. Taken as far as the kernel has it.
///
/// # Errors
/// As landlock_restrict_self(2): no_new_privs is not set.
pub fn restrict_files(handler: &Prepared) -> io::Result<()> {
    landlock(handler).map_err(io::Error::other)
}

/// Takes on seccomp, on all threads. It cannot be taken off again.
///
/// Needs no_new_privs, which the spawner has set. A kernel without seccomp has no workers.
///
/// # Errors
/// As seccomp(2).
pub fn restrict_calls(handler: &Prepared) -> io::Result<()> {
    let program = filter(matches!(handler, Prepared::Http(_))).map_err(io::Error::other)?;
    seccompiler::apply_filter_all_threads(&program).map_err(io::Error::other)
}

fn landlock(handler: &Prepared) -> Result<(), landlock::RulesetError> {
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V5))?
        .handle_access(AccessNet::from_all(ABI::V5))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?;
    let ruleset = match handler {
        Prepared::Http(site) => ruleset.add_rule(PathBeneath::new(site, AccessFs::ReadFile))?,
        Prepared::Echo
        | Prepared::Discard
        | Prepared::Daytime
        | Prepared::Time
        | Prepared::Chargen => ruleset,
    };
    ruleset.restrict_self()?;
    Ok(())
}

/// What is done with the session, its bells, a site and its files: with own descriptors only.
const WITH_OWN: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_shutdown,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
];

/// What every handler needs.
const COMMON: &[libc::c_long] = &[
    libc::SYS_write,
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_futex,
    libc::SYS_close,
    // memory: mmap and mprotect are in `memory`
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    // time
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    // the process itself
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getrandom,
    libc::SYS_sched_yield,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigprocmask,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// What only files need.
const FILES: &[libc::c_long] = &[
    libc::SYS_openat2,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_lseek,
    libc::SYS_pread64,
];

fn filter(files: bool) -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        COMMON.iter().map(|&call| (call, Vec::new())).collect();
    if files {
        rules.extend(FILES.iter().map(|&call| (call, Vec::new())));
    }
    for &call in WITH_OWN {
        rules.insert(call, vec![rule(&[own()?])?]);
    }
    // FIONBIO is all that std asks of ioctl.
    let nonblocking = compare(1, SeccompCmpOp::Eq, libc::FIONBIO)?;
    rules.insert(libc::SYS_ioctl, vec![rule(&[own()?, nonblocking])?]);
    let commands = [
        libc::F_GETFL,
        libc::F_SETFL,
        libc::F_GETFD,
        libc::F_DUPFD_CLOEXEC,
    ];
    let commands: Result<_, _> = commands
        .iter()
        .map(|&command| rule(&[own()?, compare(1, SeccompCmpOp::Eq, command as u64)?]))
        .collect();
    rules.insert(libc::SYS_fcntl, commands?);
    rules.extend(memory()?);
    SeccompFilter::new(
        rules,
        SeccompAction::KillProcess,
        SeccompAction::Allow,
        std::env::consts::ARCH.try_into()?,
    )?
    .try_into()
}

/// Memory that is written is never executed, and all of it counts against [`MAX_MEMORY`], which shared memory would not.
fn memory() -> Result<[(i64, Vec<SeccompRule>); 2], seccompiler::BackendError> {
    let not_executable = || compare(2, SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64), 0);
    let private = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
    let kind = SeccompCmpOp::MaskedEq((libc::MAP_TYPE | libc::MAP_ANONYMOUS) as u64);
    Ok([
        (
            libc::SYS_mmap,
            vec![rule(&[not_executable()?, compare(3, kind, private)?])?],
        ),
        (libc::SYS_mprotect, vec![rule(&[not_executable()?])?]),
    ])
}

/// The call's first argument is a descriptor that the worker has for itself.
fn own() -> Result<SeccompCondition, seccompiler::BackendError> {
    compare(0, SeccompCmpOp::Ge, FIRST_OWN)
}

/// The call is allowed when all of this holds.
fn rule(conditions: &[SeccompCondition]) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(conditions.to_vec())
}

/// The argument compares so with `value`.
fn compare(
    argument: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}
