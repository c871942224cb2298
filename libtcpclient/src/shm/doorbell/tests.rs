use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::*;
use crate::socket::Bell;

#[test]
fn a_mark_is_taken_once_and_tells_which_slot() {
    let doorbell = Doorbell::<64>::new();
    assert_eq!(doorbell.take(), None);
    for slot in [0, 63, 64, 4095, 64] {
        assert!(!doorbell.mark(slot), "nobody sleeps");
    }
    let mut taken = Vec::new();
    while let Some(marked) = doorbell.take() {
        taken.extend(marked);
    }
    assert_eq!(taken, [0, 63, 64, 4095]);
    assert!(!doorbell.is_marked());
}

#[test]
fn who_goes_on_behind_the_last_word_comes_to_every_word() {
    let doorbell = Doorbell::<64>::new();
    let mut next = 0;
    let mut words = Vec::new();
    for _ in 0..5 {
        for slot in [0, 64, 4032] {
            assert!(!doorbell.mark(slot), "nobody sleeps");
        }
        let marked = doorbell.take_from(next).expect("marked");
        next = marked.next_word();
        words.push(next - 1);
    }
    assert_eq!(words, [0, 1, 63, 0, 1]);
    while doorbell.take().is_some() {}
    assert_eq!(doorbell.take_from(next), None);
}

#[test]
fn a_slot_beyond_the_bitmap_is_ignored() {
    let doorbell = Doorbell::<64>::new();
    assert!(!doorbell.mark(4096) && !doorbell.mark(u32::MAX));
    assert_eq!(doorbell.take(), None);
}

#[test]
fn only_a_sleeper_is_rung_and_only_once() {
    let doorbell = Doorbell::<64>::new();
    assert!(doorbell.prepare_sleep());
    assert!(doorbell.mark(7));
    assert!(!doorbell.mark(8));
    assert!(!doorbell.prepare_sleep(), "something is marked");
    doorbell.take().expect("marked");
    assert!(doorbell.prepare_sleep());
    doorbell.awake();
    assert!(!doorbell.mark(9));
}

#[test]
fn a_summary_full_of_lies_is_a_spurious_wake_up_and_ends() {
    let doorbell = Doorbell::<64>::new();
    doorbell.summary.0.store(u64::MAX, Ordering::Relaxed);
    let mut rounds = 0;
    while let Some(marked) = doorbell.take() {
        assert_eq!(marked.count(), 0);
        rounds += 1;
    }
    assert_eq!(rounds, 64);
    let small = Doorbell::<1>::new();
    small.summary.0.store(2, Ordering::Relaxed);
    assert_eq!(small.take(), None);
    assert!(!small.is_marked());
}

/// The stress form of tests/loom.rs: two threads publish and ring, one sleeps on a real bell. A mark
/// that is lost is a hang, which the deadline turns into a failure.
#[test]
fn no_news_is_lost_between_two_publishers_and_a_sleeper() {
    const NEWS: u64 = 20_000;
    let doorbell = Arc::new(Doorbell::<64>::new());
    let words: Arc<[AtomicU64; 2]> = Arc::default();
    let (ours, theirs) = Bell::pair().expect("a bell");
    let theirs = Arc::new(theirs);
    let publishers: Vec<_> = [3u32, 130]
        .into_iter()
        .enumerate()
        .map(|(index, slot)| {
            let (doorbell, words, bell) = (doorbell.clone(), words.clone(), theirs.clone());
            thread::spawn(move || {
                for news in 1..=NEWS {
                    words[index].store(news, Ordering::Relaxed);
                    if doorbell.mark(slot) {
                        bell.ring().expect("ring");
                    }
                    if news % 64 == 0 {
                        thread::yield_now();
                    }
                }
            })
        })
        .collect();
    let mut seen = [0; 2];
    while seen != [NEWS; 2] {
        while let Some(marked) = doorbell.take() {
            for slot in marked {
                let index = usize::from(slot == 130);
                seen[index] = words[index].load(Ordering::Relaxed);
            }
        }
        if seen != [NEWS; 2] && doorbell.prepare_sleep() {
            sleep_on(&ours);
            doorbell.awake();
        }
    }
    for publisher in publishers {
        publisher.join().expect("a publisher");
    }
}

fn sleep_on(bell: &Bell) {
    use rustix::event::{PollFd, PollFlags, Timespec};
    let mut fds = [PollFd::new(bell, PollFlags::IN)];
    let limit = Timespec {
        tv_sec: 20,
        tv_nsec: 0,
    };
    let ready = rustix::event::poll(&mut fds, Some(&limit)).expect("poll");
    assert_eq!(ready, 1, "slept for ever: news was lost");
    bell.silence().expect("silence");
}
