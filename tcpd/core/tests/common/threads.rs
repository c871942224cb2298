//! Work on all processors.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs `work` for every item on all processors, and returns what came of them in the order of the items. A panic of one is told
/// when the others are done.
pub(crate) fn on_all_processors<I: Sync, O: Send>(
    items: &[I],
    work: impl Fn(&I) -> O + Sync,
) -> Vec<O> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let next = AtomicUsize::new(0);
    let mut done: Vec<(usize, O)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut mine = Vec::new();
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(item) = items.get(index) else {
                            return mine;
                        };
                        mine.push((index, work(item)));
                    }
                })
            })
            .collect();
        let results = workers.into_iter().flat_map(|worker| match worker.join() {
            Ok(mine) => mine,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        results.collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}
