use super::super::prefork::PAUSE;
use super::*;

/// `echo` with `idle` workers that wait, of five at most; they have started, as processes 100 and so on.
fn waiting(idle: u32) -> Fixture {
    let mut t = Fixture::with(|echo| {
        echo.max_workers = 5;
        echo.idle_workers = idle;
    });
    t.supervisor.start(t.now);
    start_all(&mut t);
    t
}

/// What was ordered and has not started does so.
fn start_all(t: &mut Fixture) {
    let mut next = 0;
    while let Some(order) = t.ordered().get(next) {
        let job = order.job;
        if t.supervisor
            .jobs
            .get(&job)
            .is_some_and(|job| job.pid.is_none())
        {
            t.happens(Event::Started {
                job,
                pid: 100 + job.0 as i32,
            });
        }
        next += 1;
    }
}

fn assigned(t: &Fixture, place: usize) -> (JobId, Ticket) {
    t.supervisor.workforce.assigned[place]
}

#[test]
fn workers_wait_before_there_is_a_connection() {
    let t = waiting(2);
    assert!(t.ordered().iter().all(|order| order.ticket.is_none()));
    let row = t.row(0);
    assert_eq!(
        (t.ordered().len(), row.idle, row.workers, row.started),
        (2, 2, 0, 0)
    );
}

#[test]
fn a_connection_goes_to_a_worker_that_waits_and_another_one_takes_its_place() {
    let mut t = waiting(2);
    t.arrive(0, 1);
    let (job, ticket) = assigned(&t, 0);
    assert_eq!(job, t.ordered()[0].job);
    t.happens(Event::Assigned { job, given: true });
    let adopted = t.hello(ticket.token.0, OWN_UID, 100);
    assert_eq!(adopted.expect("good").connection, 1000);
    start_all(&mut t);
    let row = t.row(0);
    assert_eq!(
        (t.ordered().len(), row.idle, row.workers, row.started),
        (3, 2, 1, 1)
    );
    t.happens(Event::Ended {
        job,
        end: end(EndStatus::Exited(0)),
    });
    let row = t.row(0);
    assert_eq!(
        (row.idle, row.workers, row.exits.by_status.get(&0)),
        (2, 0, Some(&1))
    );
}

#[test]
fn those_that_wait_count_among_max_workers() {
    let mut t = waiting(4);
    t.arrive(0, 9);
    for place in 0..5 {
        let (job, _) = assigned(&t, place);
        t.happens(Event::Assigned { job, given: true });
        start_all(&mut t);
    }
    let row = t.row(0);
    assert_eq!((row.workers, row.idle, row.waiting), (5, 0, 4));
    assert_eq!(t.ordered().len(), 5);
}

#[test]
fn a_waiting_worker_that_is_gone_has_taken_nothing() {
    let mut t = waiting(1);
    t.arrive(0, 1);
    let (job, old) = assigned(&t, 0);
    t.happens(Event::Assigned { job, given: false });
    t.happens(Event::Ended {
        job,
        end: end(EndStatus::Killed(9)),
    });
    assert_eq!(t.daemon.aborted, [0; 0]);
    let again = t.ordered().iter().find_map(|order| order.ticket);
    let again = again.expect("the connection is for another worker");
    assert!(again.token != old.token);
    assert_eq!(t.row(0).workers, 1);
}

#[test]
fn a_worker_that_ends_before_it_was_known_to_have_its_connection_has_not_cost_it() {
    let mut t = waiting(1);
    t.arrive(0, 1);
    let (job, _) = assigned(&t, 0);
    let end = end(EndStatus::Killed(9));
    t.happens(Event::Ended { job, end });
    let given = false;
    t.happens(Event::Assigned { job, given });
    assert_eq!(t.daemon.aborted, [0; 0]);
    let again = t.ordered().iter().find(|order| order.ticket.is_some());
    assert!(again.is_some_and(|order| order.job != job));
    assert_eq!(t.row(0).workers, 1);
}

#[test]
fn a_waiting_worker_given_up_before_it_is_known_to_be_gone_frees_its_place() {
    let mut t = waiting(1);
    t.arrive(0, 1);
    let (job, _) = assigned(&t, 0);
    t.pass(TOKEN_LIFE);
    assert_eq!((t.row(0).workers, t.daemon.aborted.len()), (1, 1));
    t.happens(Event::Assigned { job, given: false });
    t.happens(Event::Ended {
        job,
        end: end(EndStatus::Killed(9)),
    });
    assert_eq!((t.row(0).workers, t.daemon.aborted.len()), (0, 1));
}

#[test]
fn a_waiting_worker_that_ends_by_itself_is_replaced_after_a_pause() {
    let mut t = waiting(2);
    let job = t.ordered()[0].job;
    t.happens(Event::Ended {
        job,
        end: end(EndStatus::Exited(71)),
    });
    assert_eq!((t.ordered().len(), t.row(0).idle), (2, 1));
    assert_eq!(t.supervisor.next_deadline(), Some(t.now + PAUSE));
    t.pass(PAUSE);
    assert_eq!(t.ordered().len(), 3);
    let row = t.row(0);
    assert_eq!(
        (row.started, row.exits.by_status.get(&71)),
        (1, Some(&1)),
        "what has ended was started"
    );
}

#[test]
fn a_changed_service_has_other_waiting_workers_and_a_retired_one_none() {
    let mut t = waiting(1);
    let old = t.ordered()[0].job;
    let mut changed = t.supervisor.services().next().expect("echo").1.clone();
    changed.idle_workers = 2;
    t.supervisor.change(t.now, 0, changed);
    assert_eq!(t.supervisor.workforce.killed, [old]);
    t.happens(Event::Ended {
        job: old,
        end: end(EndStatus::Killed(9)),
    });
    start_all(&mut t);
    assert_eq!((t.row(0).idle, t.row(0).exits.by_signal.len()), (2, 0));
    t.supervisor.retire(t.now, 0);
    assert_eq!(t.supervisor.workforce.killed.len(), 3);
}

#[test]
fn nobody_waits_while_the_daemon_stops() {
    let mut t = waiting(2);
    t.supervisor.stop_accepting(t.now);
    assert_eq!(t.supervisor.workforce.killed.len(), 2);
    t.supervisor.on_ready(t.now, &mut t.daemon);
    assert_eq!(t.ordered().len(), 2);
}

#[test]
fn with_a_new_spawner_there_are_new_waiting_workers() {
    let mut t = waiting(2);
    t.arrive(0, 1);
    let (job, _) = assigned(&t, 0);
    let reason = "it ended with signal: 9".to_owned();
    t.happens(Event::Lost { reason });
    assert_eq!(t.row(0).idle, 0);
    // Its spawner died with the ticket: it has seen the end of its line instead.
    t.happens(Event::Ended { job, end: None });
    t.happens(Event::Ready);
    start_all(&mut t);
    let again = t.ordered().iter().find(|order| order.ticket.is_some());
    assert!(
        again.is_some_and(|order| order.job != job),
        "the connection is not lost"
    );
    let row = t.row(0);
    assert_eq!((row.workers, row.idle, t.daemon.aborted.len()), (1, 2, 0));
}
