//! The sleep protocols of `shm::doorbell` in every order of every thread, by loom:
//! `RUSTFLAGS="--cfg loom" cargo test -p libtcpclient --test loom --release --target-dir target/loom`.
//!
//! The ordinary test run has the stress forms of the same tests instead, in `src/shm/*/tests.rs`.
#![cfg(loom)]

use libtcpclient::shm::doorbell::{
    Doorbell, WAITING_FUTEX, prepare_wait, publish_and_look, take_waiters,
};
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// A bell: ringing is remembered until somebody sleeps on it.
#[derive(Default)]
struct Bell {
    rings: Mutex<bool>,
    rung: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rings.lock().expect("bell") = true;
        self.rung.notify_one();
    }

    /// A sleeper that nobody rings is a deadlock, which loom reports.
    fn sleep(&self) {
        let mut rings = self.rings.lock().expect("bell");
        while !*rings {
            rings = self.rung.wait(rings).expect("bell");
        }
        *rings = false;
    }
}

/// One thread publishes a position and marks; the other takes marks, sleeps when there are none,
/// and must see the position. A lost wake-up is a thread that sleeps for ever: loom reports it.
#[test]
fn a_mark_is_never_lost_to_a_side_that_goes_to_sleep() {
    loom::model(|| {
        let doorbell = Arc::new(Doorbell::<1>::new());
        let (position, bell) = (Arc::new(AtomicU32::new(0)), Arc::new(Bell::default()));
        let publisher = {
            let (doorbell, position, bell) = (doorbell.clone(), position.clone(), bell.clone());
            thread::spawn(move || {
                position.store(1, Ordering::Relaxed);
                if doorbell.mark(5) {
                    bell.ring();
                }
            })
        };
        loop {
            if let Some(marked) = doorbell.take() {
                if marked.eq([5]) {
                    break;
                }
                continue;
            }
            if doorbell.prepare_sleep() {
                bell.sleep();
                doorbell.awake();
            }
        }
        assert_eq!(position.load(Ordering::Relaxed), 1);
        publisher.join().expect("publisher");
    });
}

/// Two threads mark the same slot: whoever finds the bit set leaves the ringing to the other, and
/// still the taker sees both positions in the end.
#[test]
fn who_finds_the_bit_set_may_leave_the_ringing_to_the_other() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let doorbell = Arc::new(Doorbell::<1>::new());
        let bell = Arc::new(Bell::default());
        let positions = [Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0))];
        let publishers = positions.clone().map(|position| {
            let (doorbell, bell) = (doorbell.clone(), bell.clone());
            thread::spawn(move || {
                position.store(1, Ordering::Relaxed);
                if doorbell.mark(0) {
                    bell.ring();
                }
            })
        });
        let seen = || positions.iter().all(|p| p.load(Ordering::Relaxed) == 1);
        let mut done = false;
        while !done {
            if let Some(marked) = doorbell.take() {
                done = marked.count() == 1 && seen();
            } else if doorbell.prepare_sleep() {
                bell.sleep();
                doorbell.awake();
            }
        }
        for publisher in publishers {
            publisher.join().expect("publisher");
        }
    });
}

/// A reader that waits with a futex: it says so, looks once more, and sleeps until the event word moves.
#[test]
fn a_waiting_thread_never_sleeps_through_the_news() {
    loom::model(|| {
        let [waiting, event, position] = [0; 3].map(|zero| Arc::new(AtomicU32::new(zero)));
        let daemon = {
            let (waiting, event, position) = (waiting.clone(), event.clone(), position.clone());
            thread::spawn(move || {
                position.store(1, Ordering::Release);
                let _ = take_waiters(&waiting, &event);
            })
        };
        loop {
            let seen = prepare_wait(&waiting, &event, WAITING_FUTEX);
            if position.load(Ordering::Acquire) == 1 {
                break;
            }
            // The futex: sleeps only while the word is what it was.
            while event.load(Ordering::Relaxed) == seen {
                thread::yield_now();
            }
        }
        daemon.join().expect("daemon");
    });
}

/// The daemon asks to be told when the client has read up to a position, while it reads there.
#[test]
fn a_notice_asked_for_while_the_client_reads_is_given_by_one_side() {
    loom::model(|| {
        let [read, notify] = [0, 9].map(|start| Arc::new(AtomicU64::new(start)));
        let client = {
            let (read, notify) = (read.clone(), notify.clone());
            thread::spawn(move || 4 >= publish_and_look(&read, 4, &notify))
        };
        let there_already = publish_and_look(&notify, 4, &read) >= 4;
        let told = client.join().expect("client");
        assert!(there_already || told);
    });
}
