//! The two channels between control thread and stack thread: an mpsc queue, and an eventfd that makes the receiver's
//! poll return. The eventfds never leave this process, so nobody can fill them or make them block.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};

use rustix::event::{EventfdFlags, eventfd};

/// The receiver's thread has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other thread has ended")]
pub struct Disconnected;

/// Sends orders: many in a turn, one wake-up for all of them.
#[derive(Debug)]
pub struct OrderSender<T> {
    sender: Sender<T>,
    waiting: OwnedFd,
    unsaid: bool,
}

/// A channel whose receiver polls the descriptor that comes with it, and reads it empty when it is readable.
pub fn orders<T>() -> io::Result<(OrderSender<T>, Receiver<T>, OwnedFd)> {
    let (sender, receiver) = mpsc::channel();
    let waiting = event()?;
    let receivers = waiting.try_clone()?;
    Ok((
        OrderSender {
            sender,
            waiting,
            unsaid: false,
        },
        receiver,
        receivers,
    ))
}

impl<T> OrderSender<T> {
    /// Queues an order; [`OrderSender::flush`] must follow before this thread sleeps.
    pub fn send(&mut self, order: T) -> Result<(), Disconnected> {
        self.unsaid = true;
        self.sender.send(order).map_err(|_| Disconnected)
    }

    /// Wakes the receiver if something was queued since the last time.
    pub fn flush(&mut self) {
        if std::mem::take(&mut self.unsaid) {
            ring(&self.waiting);
        }
    }
}

/// Sends reports; each wakes the receiver, unless it has been woken and has not looked yet.
#[derive(Debug)]
pub struct ReportSender<T> {
    /// `Some` until it is dropped.
    sender: Option<Sender<T>>,
    bell: Arc<ReportBell>,
}

// Not derived: that would ask for `T: Clone`.
impl<T> Clone for ReportSender<T> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            bell: Arc::clone(&self.bell),
        }
    }
}

/// The other end of [`ReportSender`]: registered with a poll by its descriptor.
#[derive(Debug)]
pub struct ReportReceiver<T> {
    receiver: Receiver<T>,
    bell: Arc<ReportBell>,
}

#[derive(Debug)]
struct ReportBell {
    waiting: OwnedFd,
    rung: AtomicBool,
}

/// A channel for reports.
pub fn reports<T>() -> io::Result<(ReportSender<T>, ReportReceiver<T>)> {
    let (sender, receiver) = mpsc::channel();
    let bell = Arc::new(ReportBell {
        waiting: event()?,
        rung: AtomicBool::new(false),
    });
    Ok((
        ReportSender {
            sender: Some(sender),
            bell: Arc::clone(&bell),
        },
        ReportReceiver { receiver, bell },
    ))
}

impl<T> ReportSender<T> {
    /// Queues a report and wakes the receiver.
    pub fn send(&self, report: T) -> Result<(), Disconnected> {
        let sender = self.sender.as_ref().ok_or(Disconnected)?;
        sender.send(report).map_err(|_| Disconnected)?;
        self.bell.ring();
        Ok(())
    }
}

impl ReportBell {
    fn ring(&self) {
        // The swap comes after the report is queued, the receiver's swap before it looks: one of the two sees the other.
        if !self.rung.swap(true, Ordering::AcqRel) {
            ring(&self.waiting);
        }
    }
}

/// The last sender's end is news too.
impl<T> Drop for ReportSender<T> {
    fn drop(&mut self) {
        self.sender = None;
        self.bell.ring();
    }
}

impl<T> ReportReceiver<T> {
    /// To be called when the descriptor was readable, before [`ReportReceiver::next`].
    pub fn wake(&self) {
        let mut count = [0; 8];
        // Empty or not, what counts is that it is empty now.
        let _ = rustix::io::read(&self.bell.waiting, &mut count);
        self.bell.rung.swap(false, Ordering::AcqRel);
    }

    /// The next report; `Ok(None)` when there is none now.
    pub fn next(&self) -> Result<Option<T>, Disconnected> {
        match self.receiver.try_recv() {
            Ok(report) => Ok(Some(report)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(Disconnected),
        }
    }
}

impl<T> AsRawFd for ReportReceiver<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.bell.waiting.as_raw_fd()
    }
}

fn event() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

fn ring(waiting: &impl AsFd) {
    // It can only fail when the count is at its end, and then it has been rung before.
    let _ = rustix::io::write(waiting, &1_u64.to_ne_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_readable(descriptor: &impl AsFd) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut polled = [PollFd::from_borrowed_fd(descriptor.as_fd(), PollFlags::IN)];
        poll(
            &mut polled,
            Some(&Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            }),
        )
        .expect("poll")
            > 0
    }

    #[test]
    fn orders_of_one_turn_are_one_wake_up() {
        let (mut sender, receiver, waiting) = orders().expect("an eventfd");
        sender.send(1).expect("there is a receiver");
        sender.send(2).expect("there is a receiver");
        assert!(!is_readable(&waiting));
        sender.flush();
        let mut count = [0; 8];
        rustix::io::read(&waiting, &mut count).expect("it was rung");
        assert_eq!(u64::from_ne_bytes(count), 1);
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1, 2]);
        sender.flush();
        assert!(!is_readable(&waiting));
        drop(receiver);
        assert_eq!(sender.send(3), Err(Disconnected));
    }

    #[test]
    fn a_report_is_never_missed() {
        let (sender, receiver) = reports().expect("an eventfd");
        let thread = std::thread::spawn(move || {
            (0..50_000_u32).for_each(|value| sender.send(value).expect("received"))
        });
        let mut expected = 0;
        loop {
            use rustix::event::{PollFd, PollFlags, poll};
            poll(
                &mut [PollFd::from_borrowed_fd(
                    receiver.bell.waiting.as_fd(),
                    PollFlags::IN,
                )],
                None,
            )
            .expect("poll");
            receiver.wake();
            let end = loop {
                match receiver.next() {
                    Ok(Some(value)) => {
                        assert_eq!(value, expected);
                        expected += 1;
                    }
                    Ok(None) => break false,
                    Err(Disconnected) => break true,
                }
            };
            if end {
                break;
            }
        }
        assert_eq!(expected, 50_000);
        thread.join().expect("no panic");
    }
}
