//! Real users: what a test does as somebody else.

use std::fs;
use std::thread;

use rustix::process::{Gid, Uid};

/// Whether this process may become other users. Where it may not, because only one is mapped into its user namespace, this
/// says so: the test does without them.
pub(crate) fn there_are_others() -> bool {
    let all = ["uid_map", "gid_map"].iter().all(|name| {
        let map = fs::read_to_string(format!("/proc/self/{name}")).expect("a map of users");
        map.split_whitespace().nth(2) == Some("4294967295")
    });
    let others = all && rustix::process::geteuid().is_root();
    if !others {
        println!("only one user here: what takes several is left out; run as root for all of it");
    }
    others
}

/// Does `what` as the user `uid`, in a thread: credentials are a thread's, and whatever connects there is that user's.
///
/// Needs [`there_are_others`]; the test fails where it is not so.
pub(crate) fn as_user<T: Send>(uid: u32, what: impl FnOnce() -> T + Send) -> T {
    let become_and_do = || {
        let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
        rustix::thread::set_thread_res_gid(group, group, group)
            .and_then(|()| rustix::thread::set_thread_res_uid(user, user, user))
            .expect("this test acts as several users: run it as root");
        what()
    };
    thread::scope(|scope| match scope.spawn(become_and_do).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
