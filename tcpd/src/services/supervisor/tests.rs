use super::super::builtin::Handler;
use super::super::link::{End, EndStatus};
use super::*;

mod bounds;
mod lost_spawner;
mod prefork;
mod rights;

const OWN_UID: u32 = 990;

/// A workforce that only notes what it is told; the test says what happens.
#[derive(Debug, Default)]
struct FakeWorkforce {
    room: usize,
    ordered: Vec<Assignment>,
    assigned: Vec<(JobId, Ticket)>,
    watched: Vec<(JobId, i32)>,
    killed: Vec<JobId>,
    events: VecDeque<Event>,
}

impl Workforce for FakeWorkforce {
    fn room(&self) -> usize {
        self.room
    }

    fn spawn(&mut self, _now: Instant, assignment: Assignment) {
        assert!(self.room > 0, "an order beyond the credits");
        self.room -= 1;
        self.ordered.push(assignment);
    }

    fn watch(&mut self, job: JobId, pid: i32) {
        self.watched.push((job, pid));
    }

    fn room_to_assign(&self) -> usize {
        self.room
    }

    fn assign(&mut self, _now: Instant, job: JobId, ticket: Ticket) {
        self.assigned.push((job, ticket));
    }

    fn kill(&mut self, _now: Instant, job: JobId) {
        self.killed.push(job);
    }

    fn poll_event(&mut self, _now: Instant) -> Option<Event> {
        let event = self.events.pop_front()?;
        match &event {
            Event::Started { .. } | Event::NotStarted { .. } => self.room += 1,
            Event::Lost { .. } => self.room = 0,
            Event::Ready => self.room = 8,
            Event::Assigned { .. } | Event::Ended { .. } => {}
        }
        Some(event)
    }

    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    fn on_deadline(&mut self, _now: Instant) {}
}

/// A daemon with a backlog for each service, which answers when the test says so.
#[derive(Debug, Default)]
struct FakeDaemon {
    asked: Vec<ServiceIndex>,
    aborted: Vec<ConnectionId>,
    reset: Vec<ConnectionId>,
}

impl Daemon for FakeDaemon {
    fn accept_next(&mut self, service: ServiceIndex) {
        self.asked.push(service);
    }

    fn abort(&mut self, connection: ConnectionId) {
        self.aborted.push(connection);
    }

    fn reset(&mut self, connection: ConnectionId) {
        self.reset.push(connection);
    }
}

/// A supervisor with two services, `echo` with two workers at most and `time` with one.
struct Fixture {
    supervisor: Supervisor<FakeWorkforce>,
    daemon: FakeDaemon,
    now: Instant,
    backlog: [u64; 2],
    next_connection: ConnectionId,
    failed: FailedAttempts,
    /// Where connections come from.
    peer: SocketAddr,
}

impl Fixture {
    fn new() -> Self {
        Self::with(|_| {})
    }

    /// With another `echo`.
    fn with(change: impl FnOnce(&mut Service)) -> Self {
        let mut services = vec![
            Service::new("echo", 7, Handler::Echo),
            Service::new("time", 37, Handler::Time),
        ];
        (services[0].max_workers, services[1].max_workers) = (2, 1);
        change(&mut services[0]);
        let workforce = FakeWorkforce {
            room: 8,
            ..FakeWorkforce::default()
        };
        Self {
            supervisor: Supervisor::new(services, workforce, "/run/tcpd/tcpd.sock".into(), OWN_UID),
            daemon: FakeDaemon::default(),
            now: Instant::from_secs(100),
            backlog: [0; 2],
            next_connection: 1000,
            failed: FailedAttempts::default(),
            peer: addr("198.18.0.1:40000"),
        }
    }

    /// `count` connections arrive; the daemon serves whatever the supervisor asks for.
    fn arrive(&mut self, service: ServiceIndex, count: u64) {
        self.backlog[service as usize] += count;
        self.supervisor
            .incoming(self.now, service, &mut self.daemon);
        self.serve();
    }

    /// Answers every question for a connection, as the stack thread does.
    fn serve(&mut self) {
        while let Some(service) = self.daemon.asked.pop() {
            let backlog = &mut self.backlog[service as usize];
            if *backlog == 0 {
                self.supervisor
                    .no_connection(self.now, service, &mut self.daemon);
                continue;
            }
            *backlog -= 1;
            let more = *backlog > 0;
            let connection = self.next_connection;
            self.next_connection += 1;
            let (local, peer) = (addr("198.18.0.2:7"), self.peer);
            self.supervisor.connection(
                self.now,
                service,
                connection,
                local,
                peer,
                &mut self.daemon,
            );
            if more {
                self.supervisor
                    .incoming(self.now, service, &mut self.daemon);
            }
        }
    }

    fn happens(&mut self, event: Event) {
        self.supervisor.workforce.events.push_back(event);
        self.supervisor.on_ready(self.now, &mut self.daemon);
        self.serve();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.supervisor.on_deadline(self.now, &mut self.daemon);
        self.serve();
    }

    fn ordered(&self) -> &[Assignment] {
        &self.supervisor.workforce.ordered
    }

    /// The worker of the last order starts and adopts.
    fn adopt(&mut self, order: usize, pid: i32) -> Result<Adopted, Refusal> {
        let token = ticket(&self.ordered()[order]).token;
        self.hello(token.0, OWN_UID, pid)
    }

    fn hello(&mut self, token: [u8; 16], uid: u32, pid: i32) -> Result<Adopted, Refusal> {
        let failed = &mut self.failed;
        self.supervisor
            .hello_with_token(self.now, token, uid, pid, failed)
    }

    fn row(&self, service: usize) -> ServiceRow {
        let backlog = self.backlog;
        self.supervisor
            .rows(|index| u32::try_from(backlog[index as usize]).expect("small"))
            .swap_remove(service)
    }
}

fn ticket(order: &Assignment) -> Ticket {
    order.ticket.expect("an order with a connection")
}

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn end(status: EndStatus) -> Option<End> {
    Some(End {
        status,
        user: Duration::from_millis(2),
        system: Duration::from_millis(3),
        max_resident: 1 << 20,
        minor_faults: 10,
        major_faults: 1,
        context_switches: 4,
        not_executed: None,
    })
}

#[test]
fn a_connection_gets_a_worker_that_adopts_it_and_is_counted() {
    let mut t = Fixture::new();
    t.arrive(0, 1);
    let order = t.ordered()[0].clone();
    assert_eq!(
        (order.service.as_str(), ticket(&order).peer),
        ("echo", addr("198.18.0.1:40000"))
    );
    t.happens(Event::Started {
        job: order.job,
        pid: 77,
    });
    let adopted = t.adopt(0, 77).expect("the token is good");
    assert_eq!(
        adopted,
        Adopted {
            connection: 1000,
            service: 0,
            name: "echo".into(),
            job: order.job,
            command: false,
        }
    );
    assert_eq!(
        t.supervisor.owners().collect::<Vec<_>>(),
        [(1000, "echo", Some(77))]
    );
    assert_eq!(t.row(0).workers, 1);

    t.happens(Event::Ended {
        job: order.job,
        end: end(EndStatus::Exited(0)),
    });
    let row = t.row(0);
    assert_eq!((row.workers, row.started, row.failed), (0, 1, 0));
    assert_eq!(row.exits.by_status.get(&0), Some(&1));
    assert_eq!(
        (
            row.usage.user_us,
            row.usage.system_us,
            row.usage.max_rss_bytes
        ),
        (2000, 3000, 1 << 20)
    );
    assert_eq!(
        t.daemon.aborted, [0; 0],
        "its session, not we, ended the connection"
    );
}

#[test]
fn at_max_workers_connections_wait_in_the_backlog_and_go_on_one_by_one() {
    let mut t = Fixture::new();
    t.arrive(0, 5);
    assert_eq!(t.ordered().len(), 2);
    assert_eq!((t.row(0).workers, t.row(0).waiting), (2, 3));
    for worker in 0..5 {
        let job = t.ordered()[worker].job;
        t.happens(Event::Started {
            job,
            pid: 100 + worker as i32,
        });
        t.adopt(worker, 100 + worker as i32).expect("good");
        t.happens(Event::Ended {
            job,
            end: end(EndStatus::Exited(0)),
        });
        assert_eq!(t.ordered().len(), 5.min(worker + 3));
    }
    assert_eq!(
        (t.row(0).workers, t.row(0).waiting, t.row(0).started),
        (0, 0, 5)
    );
}

#[test]
fn a_full_service_does_not_hold_up_another() {
    let mut t = Fixture::new();
    t.arrive(0, 4);
    t.arrive(1, 2);
    let of = |name: &str| {
        t.ordered()
            .iter()
            .filter(|order| order.service == name)
            .count()
    };
    assert_eq!((of("echo"), of("time")), (2, 1));
}

#[test]
fn a_backlog_that_empties_itself_is_asked_again_when_more_come() {
    let mut t = Fixture::new();
    t.supervisor.incoming(t.now, 0, &mut t.daemon);
    t.serve();
    assert_eq!(t.ordered().len(), 0);
    t.arrive(0, 1);
    assert_eq!(t.ordered().len(), 1);
}

#[test]
fn orders_beyond_the_spawners_credits_stay_in_the_backlog() {
    let mut t = Fixture::new();
    t.supervisor.workforce.room = 1;
    t.arrive(0, 2);
    assert_eq!((t.ordered().len(), t.row(0).waiting), (1, 1));
    let job = t.ordered()[0].job;
    t.happens(Event::Started { job, pid: 5 });
    assert_eq!((t.ordered().len(), t.row(0).waiting), (2, 0));
}

#[test]
fn a_worker_that_ends_before_adopting_costs_its_connection_only() {
    let mut t = Fixture::new();
    t.arrive(0, 2);
    let (first, second) = (t.ordered()[0].job, t.ordered()[1].job);
    t.happens(Event::Started { job: first, pid: 5 });
    t.happens(Event::Started {
        job: second,
        pid: 6,
    });
    t.happens(Event::Ended {
        job: first,
        end: end(EndStatus::Killed(11)),
    });
    assert_eq!(t.daemon.aborted, [1000]);
    assert_eq!(t.row(0).exits.by_signal.get(&11), Some(&1));
    assert_eq!(
        t.adopt(0, 5),
        Err(Refusal::Unknown),
        "its token went with it"
    );
    t.adopt(1, 6).expect("the other is untouched");
}

#[test]
fn a_worker_that_could_not_be_forked_costs_its_connection() {
    let mut t = Fixture::new();
    t.arrive(1, 2);
    let job = t.ordered()[0].job;
    t.happens(Event::NotStarted {
        job,
        error: "Resource temporarily unavailable".into(),
    });
    assert_eq!(t.daemon.aborted, [1000]);
    assert_eq!((t.row(1).failed, t.row(1).started), (1, 0));
    assert_eq!(t.ordered().len(), 2, "the next one gets its chance");
}

#[test]
fn a_worker_that_does_not_come_in_time_is_killed_and_its_connection_reset() {
    let mut t = Fixture::new();
    t.arrive(0, 1);
    let job = t.ordered()[0].job;
    t.happens(Event::Started { job, pid: 5 });
    assert_eq!(t.supervisor.next_deadline(), Some(t.now + TOKEN_LIFE));
    t.pass(TOKEN_LIFE - Duration::from_nanos(1));
    assert_eq!(t.daemon.aborted, [0; 0]);
    t.pass(Duration::from_nanos(1));
    assert_eq!(
        (
            t.daemon.aborted.as_slice(),
            t.supervisor.workforce.killed.as_slice()
        ),
        (&[1000][..], &[job][..])
    );
    assert_eq!(t.adopt(0, 5), Err(Refusal::Unknown));
    t.happens(Event::Ended {
        job,
        end: end(EndStatus::Killed(9)),
    });
    assert_eq!(t.daemon.aborted, [1000], "once");
    assert_eq!(t.supervisor.next_deadline(), None);
}

#[test]
fn a_worker_given_up_before_its_start_was_known_is_killed_then() {
    let mut t = Fixture::new();
    t.arrive(0, 1);
    let job = t.ordered()[0].job;
    t.pass(TOKEN_LIFE);
    t.supervisor.workforce.killed.clear();
    t.happens(Event::Started { job, pid: 5 });
    assert_eq!(t.supervisor.workforce.killed, [job]);
}

#[test]
fn after_stop_nothing_more_is_accepted() {
    let mut t = Fixture::new();
    t.arrive(0, 1);
    t.supervisor.stop_accepting(t.now);
    t.arrive(0, 1);
    let job = t.ordered()[0].job;
    t.happens(Event::Started { job, pid: 5 });
    t.adopt(0, 5).expect("those accepted go on");
    t.supervisor.kill_all(t.now);
    assert_eq!(t.supervisor.workforce.killed, [job]);
    t.happens(Event::Ended {
        job,
        end: end(EndStatus::Killed(9)),
    });
    assert_eq!(
        (t.ordered().len(), t.supervisor.running(), t.row(0).waiting),
        (1, 0, 1)
    );
}
