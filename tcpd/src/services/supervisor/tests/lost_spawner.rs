use super::*;

fn lost() -> Event {
    Event::Lost {
        reason: "it ended with signal: 9".into(),
    }
}

#[test]
fn orders_without_an_answer_are_given_again_with_a_new_token() {
    let mut t = Fixture::new();
    t.arrive(0, 1);
    let old = t.ordered()[0].clone();
    t.happens(lost());
    assert_eq!(
        t.adopt(0, 5),
        Err(Refusal::Unknown),
        "a worker of the lost order comes too late"
    );
    t.happens(Event::Ready);
    let new = t.ordered()[1].clone();
    let (before, after) = (ticket(&old), ticket(&new));
    assert_eq!((after.peer, &new.service), (before.peer, &old.service));
    assert!(after.token != before.token && new.job != old.job);
    t.happens(Event::Started {
        job: new.job,
        pid: 6,
    });
    assert_eq!(t.adopt(1, 6).expect("good").connection, 1000);
    assert_eq!(
        (t.row(0).workers, t.row(0).started, t.row(0).failed),
        (1, 1, 0)
    );
}

#[test]
fn a_worker_that_adopted_before_its_start_was_reported_is_watched_by_its_id() {
    let mut t = Fixture::new();
    t.arrive(0, 1);
    let job = t.ordered()[0].job;
    t.adopt(0, 55).expect("good");
    t.happens(lost());
    assert_eq!(t.supervisor.workforce.watched, [(job, 55)]);
    t.happens(Event::Ready);
    assert_eq!(t.ordered().len(), 1, "no second worker");
    t.happens(Event::Ended { job, end: None });
    let row = t.row(0);
    assert_eq!((row.workers, row.started, row.exits.unknown), (0, 1, 1));
}

#[test]
fn workers_alive_go_on_and_end_as_unknown() {
    let mut t = Fixture::new();
    t.arrive(0, 2);
    for worker in 0..2 {
        let job = t.ordered()[worker].job;
        t.happens(Event::Started {
            job,
            pid: 50 + worker as i32,
        });
        t.adopt(worker, 50 + worker as i32).expect("good");
    }
    t.happens(lost());
    assert_eq!((t.row(0).workers, t.daemon.aborted.len()), (2, 0));
    let jobs = [t.ordered()[0].job, t.ordered()[1].job];
    t.happens(Event::Ended {
        job: jobs[0],
        end: None,
    });
    t.happens(Event::Ended {
        job: jobs[1],
        end: None,
    });
    assert_eq!((t.row(0).workers, t.row(0).exits.unknown), (0, 2));
}

#[test]
fn without_a_spawner_connections_stay_in_the_backlog() {
    let mut t = Fixture::new();
    t.happens(lost());
    t.arrive(0, 2);
    assert_eq!((t.ordered().len(), t.row(0).waiting), (0, 2));
    t.happens(Event::Ready);
    assert_eq!((t.ordered().len(), t.row(0).waiting), (2, 0));
}

#[test]
fn a_connection_that_was_on_its_way_waits_for_the_next_spawner_but_not_for_ever() {
    let mut t = Fixture::new();
    t.backlog[0] = 1;
    t.supervisor.incoming(t.now, 0, &mut t.daemon);
    t.happens(lost());
    assert_eq!((t.ordered().len(), t.row(0).workers), (0, 1));
    assert_eq!(t.supervisor.next_deadline(), Some(t.now + LOST_PATIENCE));
    t.pass(LOST_PATIENCE);
    assert_eq!(t.daemon.aborted, [1000]);
    assert_eq!((t.row(0).workers, t.row(0).failed), (0, 1));
}

#[test]
fn a_job_given_up_leaves_nothing_behind_when_the_spawner_dies() {
    let mut t = Fixture::new();
    t.arrive(1, 1);
    t.pass(TOKEN_LIFE);
    t.happens(lost());
    assert_eq!((t.supervisor.running(), t.row(1).workers), (0, 0));
    t.happens(Event::Ready);
    t.arrive(1, 1);
    assert_eq!(t.ordered().len(), 2);
    assert_eq!(t.daemon.aborted, [1000]);
}
