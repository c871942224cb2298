//! What the machine lets processes have: descriptors, and time on its processors.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process, and what it starts from now on, have as many descriptors as it may.
pub(crate) fn many_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, most).expect("as many descriptors as may be");
}

/// For how long the threads of these processes could have run, and the machine had no processor for them (proc(5), schedstat).
///
/// What threads waited that have ended is not in it: a later value may be the smaller one.
pub(crate) fn kept_waiting(processes: &[u32]) -> Duration {
    let mut sum = 0;
    for process in processes {
        let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("it lives");
        for task in tasks.map_while(Result::ok) {
            let line = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let waited = line.split_whitespace().nth(1);
            sum += waited.map_or(0, |waited| waited.parse().expect("nanoseconds"));
        }
    }
    Duration::from_nanos(sum)
}
