//! tcpd's side of the spawner: starts it, gives it orders within its credits, watches the workers it forked, and
//! starts it again when it dies.
//!
//! All of it is driven by the control thread and never blocks it:
//! 1. A [`thread`] of its own starts the process ([`launch`]) and then receives its reports, because ipc-channel can
//!    only be waited for by blocking. It hands them over by channel and wakes.
//! 2. A worker's pidfd says that it has ended. Then the spawner is ordered to reap it, which gives status and usage.
//! 3. Everything that wakes (reports, pidfds) sits in one epoll set, so that the control loop watches a single
//!    descriptor: this handle's.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::mpsc::TryRecvError;
use std::time::Duration;

use ipc_channel::ipc::IpcSender;
use mio::{Events, Poll, Token as PollToken, Waker};
use tcpd_core::time::Instant;

use super::link::{Assignment, CREDITS, JobId, Order, Report, Ticket};
use super::workforce::{Event, Workforce};

pub mod launch;
pub mod thread;
mod workers;

use self::launch::{Launcher, Said};
use self::thread::LaunchThread;
use self::workers::Worker;

/// A spawner that leaves an order unanswered for so long is killed and started again.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// A spawner that lived for so long is started again at once when it dies.
const STABLE: Duration = Duration::from_secs(10);
/// First pause before a spawner that dies early is started again; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

const WAKER: PollToken = PollToken(usize::MAX);

/// The spawner as tcpd has it.
#[derive(Debug)]
pub struct SpawnerHandle {
    launcher: Arc<Launcher>,
    /// Taken when it ends.
    thread: Option<LaunchThread>,
    poll: Poll,
    waker: Arc<Waker>,
    state: State,
    pause: Duration,
    /// Times this handle had to start a spawner again.
    restarts: u64,
    workers: HashMap<JobId, Worker>,
    /// Workers that have ended and wait for a credit to be reaped.
    to_reap: VecDeque<JobId>,
    /// Workers of other users that wait for a credit to be killed.
    to_kill: Vec<JobId>,
    events: VecDeque<Event>,
}

#[derive(Debug)]
enum State {
    /// The thread is starting it, or telling why not.
    Starting,
    /// It answers.
    Up { spawner: Spawner, since: Instant },
    /// It is dead and will be started at this time.
    Down { again: Instant },
}

#[derive(Debug)]
struct Spawner {
    orders: IpcSender<Order>,
    pid: u32,
    pidfd: OwnedFd,
    /// Orders to spawn, to assign and to kill that are not answered.
    spawning: usize,
    assigning: usize,
    killing: usize,
    /// Those ordered reaped, oldest first. They are answered in order.
    reaping: VecDeque<JobId>,
    /// When the orders not yet answered were given, oldest first. They are answered in order.
    unanswered: VecDeque<Instant>,
}

impl SpawnerHandle {
    /// Starts a spawner with the rights that this thread has; [`Event::Ready`] follows.
    ///
    /// # Errors
    /// When the operating system has no descriptor or thread for us.
    pub fn start(launcher: Launcher) -> io::Result<Self> {
        Self::start_on(LaunchThread::start(|| Ok(()))?, launcher)
    }

    /// The same with the rights that `thread` has.
    ///
    /// # Errors
    /// When the operating system has no descriptor for us, or the thread has ended.
    pub fn start_on(thread: LaunchThread, launcher: Launcher) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let launcher = Arc::new(launcher);
        thread.launch(&launcher, &waker)?;
        Ok(Self {
            launcher,
            thread: Some(thread),
            poll,
            waker,
            state: State::Starting,
            pause: FIRST_PAUSE,
            restarts: 0,
            workers: HashMap::new(),
            to_reap: VecDeque::new(),
            to_kill: Vec::new(),
            events: VecDeque::new(),
        })
    }

    /// The spawner's process, if it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match &self.state {
            State::Up { spawner, .. } => Some(spawner.pid),
            State::Starting | State::Down { .. } => None,
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
        while let Some(thread) = &self.thread {
            match thread.said() {
                Ok(Said::Up { orders, pid, pidfd }) => self.up(now, orders, pid, pidfd),
                Ok(Said::Report(report)) => self.reported(now, report),
                Ok(Said::Down { reason }) => self.down(now, reason),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.thread = None;
                    self.down(now, "its thread is gone".to_owned());
                }
            }
        }
    }

    fn up(&mut self, now: Instant, orders: IpcSender<Order>, pid: u32, pidfd: OwnedFd) {
        let spawner = Spawner {
            orders,
            pid,
            pidfd,
            spawning: 0,
            assigning: 0,
            killing: 0,
            reaping: VecDeque::new(),
            unanswered: VecDeque::new(),
        };
        self.state = State::Up {
            spawner,
            since: now,
        };
        self.events.push_back(Event::Ready);
        self.kill_by_spawner(now);
    }

    fn down(&mut self, now: Instant, reason: String) {
        let lived = match &self.state {
            State::Up { since, .. } => now.duration_since(*since),
            State::Starting | State::Down { .. } => Duration::ZERO,
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
        self.to_reap.clear();
        self.forget_ended();
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
            Report::Assigned { job, given } => {
                spawner.assigning = spawner.assigning.saturating_sub(1);
                self.events.push_back(Event::Assigned { job, given });
            }
            Report::Killed => {
                spawner.killing = spawner.killing.saturating_sub(1);
                self.kill_by_spawner(now);
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
            State::Starting | State::Down { .. } => 0,
        }
    }

    fn room_to_assign(&self) -> usize {
        match &self.state {
            State::Up { spawner, .. } => CREDITS.saturating_sub(spawner.assigning),
            State::Starting | State::Down { .. } => 0,
        }
    }

    fn assign(&mut self, now: Instant, job: JobId, ticket: Ticket) {
        let worker = self.workers.get(&job).filter(|worker| worker.ours);
        match (&mut self.state, worker) {
            (State::Up { spawner, .. }, Some(worker)) => {
                let pid = worker.pid;
                spawner.assigning += 1;
                spawner.give(now, Order::Assign { job, pid, ticket });
            }
            (State::Up { .. } | State::Starting | State::Down { .. }, _) => {
                let given = false;
                self.events.push_back(Event::Assigned { job, given });
            }
        }
    }

    fn spawn(&mut self, now: Instant, assignment: Assignment) {
        match &mut self.state {
            State::Up { spawner, .. } => {
                spawner.spawning += 1;
                spawner.give(now, Order::Spawn(Box::new(assignment)));
            }
            State::Starting | State::Down { .. } => {
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

    fn kill(&mut self, now: Instant, job: JobId) {
        if let Some(worker) = self.workers.get(&job)
            && !worker.kill()
        {
            self.to_kill.push(job);
            self.kill_by_spawner(now);
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
            State::Starting => None, // The launch has its own deadline.
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
                let thread = self.thread.as_ref().ok_or(io::ErrorKind::BrokenPipe.into());
                match thread.and_then(|thread| thread.launch(&self.launcher, &self.waker)) {
                    Ok(()) => {
                        self.restarts += 1;
                        self.state = State::Starting;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot start the spawner again");
                        self.state = State::Down {
                            again: now + LONGEST_PAUSE,
                        };
                    }
                }
            }
            State::Starting | State::Up { .. } | State::Down { .. } => {}
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
        let again = Instant::ZERO;
        if let State::Up { mut spawner, .. } =
            std::mem::replace(&mut self.state, State::Down { again })
        {
            spawner.give(Instant::ZERO, Order::Stop);
        }
        if let Some(thread) = self.thread.take() {
            thread.end();
        }
    }
}
