//! tcpd's side of the spawner: starts it, gives it orders within its credits, watches the workers it forked, and
//! starts it again when it dies.
//!
//! All of it is driven by the control thread and never blocks it:
//! 1. A thread of its own ([`launch`]) starts the process and then receives its reports, because ipc-channel can
//!    only be waited for by blocking. It hands them over by channel and wakes.
//! 2. A worker's pidfd says that it has ended. Then the spawner is ordered to reap it, which gives status and usage.
//! 3. Everything that wakes (reports, pidfds) sits in one epoll set, so that the control loop watches a single
//!    descriptor: this handle's.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::Duration;

use ipc_channel::ipc::IpcSender;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token as PollToken, Waker};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tcpd_core::time::Instant;

use super::link::{Assignment, CREDITS, End, JobId, Order, Report};

pub mod launch;

use self::launch::{Launcher, Said};

/// A spawner that leaves an order unanswered for so long is killed and started again.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// A spawner that lived for so long is started again at once when it dies.
const STABLE: Duration = Duration::from_secs(10);
/// First pause before a spawner that dies early is started again; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

const WAKER: PollToken = PollToken(usize::MAX);

/// What there is to know about workers and their spawner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Workers can be ordered (again).
    Ready,
    /// The spawner is gone. Orders not yet answered are lost; whether they were carried out is not known. Workers go on.
    Lost {
        /// In words, for the log.
        reason: String,
    },
    /// The worker of this job runs.
    Started {
        /// Whose.
        job: JobId,
        /// The process.
        pid: i32,
    },
    /// The worker of this job could not be forked.
    NotStarted {
        /// Whose.
        job: JobId,
        /// In words.
        error: String,
    },
    /// The worker of this job has ended.
    Ended {
        /// Whose.
        job: JobId,
        /// `None` when its spawner died before it could say.
        end: Option<End>,
    },
}

/// What the supervisor needs of those who make workers.
pub trait Workforce {
    /// How many more orders to spawn may be given now.
    fn room(&self) -> usize;
    /// Orders a worker. Only within [`Workforce::room`].
    fn spawn(&mut self, now: Instant, assignment: Assignment);
    /// Watches a worker whose start was never reported, because its spawner died meanwhile.
    fn watch(&mut self, job: JobId, pid: i32);
    /// Kills a worker (SIGKILL). One that has ended already is left alone.
    fn kill(&mut self, job: JobId);
    /// What has happened since, oldest first; `None` when that was all.
    fn poll_event(&mut self, now: Instant) -> Option<Event>;
    /// When [`Workforce::on_deadline`] wants to be called.
    fn next_deadline(&self) -> Option<Instant>;
    /// Does what is due.
    fn on_deadline(&mut self, now: Instant);
}

/// The spawner as tcpd has it.
#[derive(Debug)]
pub struct SpawnerHandle {
    launcher: Arc<Launcher>,
    poll: Poll,
    waker: Arc<Waker>,
    state: State,
    pause: Duration,
    /// Times this handle had to start a spawner again.
    restarts: u64,
    workers: HashMap<JobId, Worker>,
    /// Workers that have ended and wait for a credit to be reaped.
    to_reap: VecDeque<JobId>,
    events: VecDeque<Event>,
}

#[derive(Debug)]
enum State {
    /// Its thread is starting it, or telling why not.
    Starting(LinkThread),
    /// It answers.
    Up {
        thread: LinkThread,
        spawner: Spawner,
        since: Instant,
    },
    /// It is dead and will be started at this time.
    Down { again: Instant },
}

#[derive(Debug)]
struct LinkThread {
    said: Receiver<Said>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
struct Spawner {
    orders: IpcSender<Order>,
    pid: u32,
    pidfd: OwnedFd,
    /// Orders to spawn that are not answered.
    spawning: usize,
    /// Those ordered reaped, oldest first. They are answered in order.
    reaping: VecDeque<JobId>,
    /// When the orders not yet answered were given, oldest first. They are answered in order.
    unanswered: VecDeque<Instant>,
}

#[derive(Debug)]
struct Worker {
    pid: i32,
    pidfd: OwnedFd,
    /// Whether the spawner that runs now is its parent.
    ours: bool,
    /// Its end was noticed. A pidfd wakes once more when its process is reaped, which says nothing new.
    ended: bool,
}

impl SpawnerHandle {
    /// Starts a spawner; [`Event::Ready`] follows.
    ///
    /// # Errors
    /// When the operating system has no descriptor or thread for us.
    pub fn start(launcher: Launcher) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let launcher = Arc::new(launcher);
        let state = State::Starting(link_thread(&launcher, &waker)?);
        Ok(Self {
            launcher,
            poll,
            waker,
            state,
            pause: FIRST_PAUSE,
            restarts: 0,
            workers: HashMap::new(),
            to_reap: VecDeque::new(),
            events: VecDeque::new(),
        })
    }

    /// The spawner's process, if it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match &self.state {
            State::Up { spawner, .. } => Some(spawner.pid),
            State::Starting(_) | State::Down { .. } => None,
        }
    }

    /// Times a spawner had to be started again.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Takes all that the poll set and the link's thread have.
    fn gather(&mut self, now: Instant) {
        let mut ready = Events::with_capacity(64);
        loop {
            match self.poll.poll(&mut ready, Some(Duration::ZERO)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::error!(%error, "cannot watch the workers");
                    break;
                }
                Ok(()) if ready.is_empty() => break,
                Ok(()) => {}
            }
            // Reports first: a worker's start comes before its end.
            self.hear(now);
            for event in &ready {
                if event.token() != WAKER {
                    self.worker_ended(now, JobId(event.token().0 as u64));
                }
            }
        }
        self.hear(now);
    }

    /// Takes what the link's thread has said.
    fn hear(&mut self, now: Instant) {
        loop {
            let thread = match &self.state {
                State::Starting(thread) | State::Up { thread, .. } => thread,
                State::Down { .. } => return,
            };
            match thread.said.try_recv() {
                Ok(Said::Up { orders, pid, pidfd }) => self.up(now, orders, pid, pidfd),
                Ok(Said::Report(report)) => self.reported(now, report),
                Ok(Said::Down { reason }) => self.down(now, reason),
                Err(mpsc::TryRecvError::Empty) => return,
                Err(mpsc::TryRecvError::Disconnected) => {
                    self.down(now, "its thread is gone".to_owned())
                }
            }
        }
    }

    fn up(&mut self, now: Instant, orders: IpcSender<Order>, pid: u32, pidfd: OwnedFd) {
        let (reaping, unanswered) = (VecDeque::new(), VecDeque::new());
        let spawner = Spawner {
            orders,
            pid,
            pidfd,
            spawning: 0,
            reaping,
            unanswered,
        };
        self.state = match std::mem::replace(&mut self.state, State::Down { again: now }) {
            State::Starting(thread) | State::Up { thread, .. } => State::Up {
                thread,
                spawner,
                since: now,
            },
            down @ State::Down { .. } => down,
        };
        self.events.push_back(Event::Ready);
    }

    fn down(&mut self, now: Instant, reason: String) {
        let lived = match &self.state {
            State::Up { since, .. } => now.duration_since(*since),
            State::Starting(_) | State::Down { .. } => Duration::ZERO,
        };
        let pause = if lived >= STABLE {
            self.pause = FIRST_PAUSE;
            Duration::ZERO
        } else {
            let pause = self.pause;
            self.pause = (pause * 2).min(LONGEST_PAUSE);
            pause
        };
        self.state = State::Down { again: now + pause };
        self.events.push_back(Event::Lost { reason });
        for worker in self.workers.values_mut() {
            worker.ours = false;
        }
        // Those that have ended already are reaped by init; nobody will tell how they ended.
        let ended: Vec<JobId> = self
            .workers
            .iter()
            .filter(|(_, worker)| has_ended(worker))
            .map(|(&job, _)| job)
            .collect();
        self.to_reap.clear();
        for job in ended {
            self.forget(job);
            self.events.push_back(Event::Ended { job, end: None });
        }
    }

    fn reported(&mut self, now: Instant, report: Report) {
        let State::Up { spawner, .. } = &mut self.state else {
            return;
        };
        spawner.unanswered.pop_front();
        match report {
            Report::Started { job, pid } => {
                spawner.spawning = spawner.spawning.saturating_sub(1);
                self.events.push_back(Event::Started { job, pid });
                self.watch_child(job, pid, true);
            }
            Report::NotStarted { job, error } => {
                spawner.spawning = spawner.spawning.saturating_sub(1);
                self.events.push_back(Event::NotStarted { job, error });
            }
            Report::Ended { end, .. } => {
                if let Some(job) = spawner.reaping.pop_front() {
                    self.forget(job);
                    self.events.push_back(Event::Ended { job, end });
                }
            }
        }
        self.reap(now);
    }

    fn watch_child(&mut self, job: JobId, pid: i32, ours: bool) {
        let watched = self.open(job, pid);
        // The spawner keeps the id of a child that it has not reaped; but if it has died since, the id may be another's.
        let sure = match &self.state {
            State::Up { spawner, .. } => ours && launch::is_alive(&spawner.pidfd),
            State::Starting(_) | State::Down { .. } => false,
        };
        match watched {
            Ok(pidfd) if sure || !ours => {
                self.workers.insert(
                    job,
                    Worker {
                        pid,
                        pidfd,
                        ours,
                        ended: false,
                    },
                );
            }
            Ok(pidfd) => {
                self.deregister(&pidfd);
                self.events.push_back(Event::Ended { job, end: None });
            }
            Err(error) => {
                tracing::warn!(%error, pid, "cannot watch a worker");
                self.events.push_back(Event::Ended { job, end: None });
            }
        }
    }

    /// A pidfd that names its job when the process ends.
    fn open(&self, job: JobId, pid: i32) -> io::Result<OwnedFd> {
        let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
        let token = PollToken(usize::try_from(job.0).map_err(|_| io::ErrorKind::InvalidInput)?);
        let pidfd = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
        self.poll.registry().register(
            &mut SourceFd(&pidfd.as_raw_fd()),
            token,
            Interest::READABLE,
        )?;
        Ok(pidfd)
    }

    /// The job's pidfd is readable: its process has ended.
    fn worker_ended(&mut self, now: Instant, job: JobId) {
        let Some(worker) = self.workers.get_mut(&job) else {
            return;
        };
        if worker.ended {
            return;
        }
        worker.ended = true;
        if worker.ours {
            self.to_reap.push_back(job);
            self.reap(now);
        } else {
            self.forget(job);
            self.events.push_back(Event::Ended { job, end: None });
        }
    }

    /// Orders the ended workers reaped, as far as credits go.
    fn reap(&mut self, now: Instant) {
        while let State::Up { spawner, .. } = &mut self.state
            && spawner.reaping.len() < CREDITS
            && let Some(job) = self.to_reap.pop_front()
        {
            if let Some(worker) = self.workers.get(&job) {
                spawner.reaping.push_back(job);
                spawner.give(now, Order::Reap { pid: worker.pid });
            }
        }
    }

    fn forget(&mut self, job: JobId) {
        if let Some(worker) = self.workers.remove(&job) {
            self.deregister(&worker.pidfd);
        }
    }

    fn deregister(&self, pidfd: &OwnedFd) {
        if let Err(error) = self
            .poll
            .registry()
            .deregister(&mut SourceFd(&pidfd.as_raw_fd()))
        {
            tracing::debug!(%error, "a pidfd was not watched");
        }
    }
}

impl Spawner {
    /// Gives an order. A failure means that the spawner is gone, which its thread will say too.
    fn give(&mut self, now: Instant, order: Order) {
        self.unanswered.push_back(now);
        if let Err(error) = self.orders.send(order) {
            tracing::debug!(%error, "the spawner takes no order");
        }
    }
}

impl Workforce for SpawnerHandle {
    fn room(&self) -> usize {
        match &self.state {
            State::Up { spawner, .. } => CREDITS.saturating_sub(spawner.spawning),
            State::Starting(_) | State::Down { .. } => 0,
        }
    }

    fn spawn(&mut self, now: Instant, assignment: Assignment) {
        match &mut self.state {
            State::Up { spawner, .. } => {
                spawner.spawning += 1;
                spawner.give(now, Order::Spawn(assignment));
            }
            State::Starting(_) | State::Down { .. } => {
                let error = "the spawner is not there".to_owned();
                self.events.push_back(Event::NotStarted {
                    job: assignment.job,
                    error,
                });
            }
        }
    }

    fn watch(&mut self, job: JobId, pid: i32) {
        self.watch_child(job, pid, false);
    }

    fn kill(&mut self, job: JobId) {
        if let Some(worker) = self.workers.get(&job)
            && let Err(error) = pidfd_send_signal(&worker.pidfd, Signal::KILL)
        {
            tracing::debug!(%error, pid = worker.pid, "cannot kill a worker");
        }
    }

    fn poll_event(&mut self, now: Instant) -> Option<Event> {
        if self.events.is_empty() {
            self.gather(now);
        }
        self.events.pop_front()
    }

    fn next_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Starting(_) => None, // The launch has its own deadline.
            State::Up { spawner, .. } => spawner.unanswered.front().map(|&since| since + PATIENCE),
            State::Down { again } => Some(*again),
        }
    }

    fn on_deadline(&mut self, now: Instant) {
        match &self.state {
            State::Up { spawner, .. }
                if spawner
                    .unanswered
                    .front()
                    .is_some_and(|&since| now >= since + PATIENCE) =>
            {
                tracing::warn!("the spawner does not answer and is killed");
                launch::kill(&spawner.pidfd);
            }
            State::Down { again } if now >= *again => {
                match link_thread(&self.launcher, &self.waker) {
                    Ok(thread) => {
                        self.restarts += 1;
                        self.state = State::Starting(thread);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot start the spawner again");
                        self.state = State::Down {
                            again: now + LONGEST_PAUSE,
                        };
                    }
                }
            }
            State::Starting(_) | State::Up { .. } | State::Down { .. } => {}
        }
    }
}

impl AsRawFd for SpawnerHandle {
    /// Readable when [`Workforce::poll_event`] has something; to be watched, edge- or level-triggered.
    fn as_raw_fd(&self) -> RawFd {
        self.poll.as_raw_fd()
    }
}

impl Drop for SpawnerHandle {
    /// Ends the spawner and waits for it. Workers go on.
    fn drop(&mut self) {
        match std::mem::replace(
            &mut self.state,
            State::Down {
                again: Instant::ZERO,
            },
        ) {
            State::Up {
                thread,
                mut spawner,
                ..
            } => {
                spawner.give(Instant::ZERO, Order::Stop);
                drop(spawner);
                drop(thread.said);
                let _ = thread.thread.join();
            }
            State::Starting(thread) => {
                drop(thread.said);
                let _ = thread.thread.join();
            }
            State::Down { .. } => {}
        }
    }
}

fn has_ended(worker: &Worker) -> bool {
    !launch::is_alive(&worker.pidfd)
}

/// The thread that starts a spawner and listens to it.
fn link_thread(launcher: &Arc<Launcher>, waker: &Arc<Waker>) -> io::Result<LinkThread> {
    let (say, said) = mpsc::channel();
    let (launcher, waker) = (Arc::clone(launcher), Arc::clone(waker));
    let thread = std::thread::Builder::new()
        .name("spawner link".to_owned())
        .spawn(move || {
            launcher.run(|what| {
                let heard = say.send(what).is_ok();
                if let Err(error) = waker.wake() {
                    tracing::error!(%error, "cannot wake the control thread");
                }
                heard
            });
        })?;
    Ok(LinkThread { said, thread })
}
