//! Real users: what a test does as somebody else.

use std::thread;

use rustix::process::{Gid, Uid};

/// Does `what` as the user `uid`, in a thread: credentials are a thread's, and whatever connects there is that user's.
///
/// Needs root; the test fails where it is not.
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
