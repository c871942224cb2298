use super::*;

fn ends(t: &mut Fixture, order: usize, how: EndStatus) {
    let job = t.ordered()[order].job;
    let end = end(how);
    t.happens(Event::Ended { job, end });
}

#[test]
fn a_source_with_too_many_is_refused_and_another_one_is_not() {
    let mut t = Fixture::with(|echo| {
        echo.max_workers = 10;
        echo.max_per_source = 2;
    });
    t.arrive(0, 3);
    assert_eq!((t.ordered().len(), &t.daemon.aborted[..]), (2, &[1002][..]));
    t.peer = addr("198.18.0.9:40000");
    t.arrive(0, 1);
    assert_eq!(t.ordered().len(), 3);
    let row = t.row(0);
    assert_eq!((row.refused_per_source, row.workers, row.failed), (1, 3, 0));

    let job = t.ordered()[0].job;
    t.happens(Event::Started { job, pid: 5 });
    t.adopt(0, 5).expect("good");
    ends(&mut t, 0, EndStatus::Exited(0));
    t.peer = addr("198.18.0.1:40001");
    t.arrive(0, 1);
    assert_eq!(t.ordered().len(), 4, "one of its connections is over");
}

#[test]
fn after_its_time_a_worker_is_killed_and_its_connection_reset() {
    let mut t = Fixture::with(|echo| echo.wall_time = Duration::from_secs(60));
    t.arrive(0, 1);
    let job = t.ordered()[0].job;
    t.happens(Event::Started { job, pid: 5 });
    t.adopt(0, 5).expect("good");
    let end = t.now + Duration::from_secs(60);
    assert_eq!(t.supervisor.next_deadline(), Some(end));
    t.pass(Duration::from_secs(60) - Duration::from_nanos(1));
    assert_eq!(t.supervisor.workforce.killed, []);
    t.pass(Duration::from_nanos(1));
    assert_eq!(
        (&t.supervisor.workforce.killed[..], &t.daemon.reset[..]),
        (&[job][..], &[1000][..])
    );
    ends(&mut t, 0, EndStatus::Killed(9));
    let row = t.row(0);
    assert_eq!((row.out_of_time, row.workers), (1, 0));
    assert_eq!(t.supervisor.next_deadline(), None);
}

#[test]
fn a_worker_that_ends_in_time_leaves_no_deadline() {
    let mut t = Fixture::with(|echo| echo.wall_time = Duration::from_secs(60));
    t.arrive(0, 1);
    let job = t.ordered()[0].job;
    t.happens(Event::Started { job, pid: 5 });
    t.adopt(0, 5).expect("good");
    ends(&mut t, 0, EndStatus::Exited(0));
    assert_eq!(t.supervisor.next_deadline(), None);
    assert_eq!(t.row(0).out_of_time, 0);
}

#[test]
fn a_command_that_could_not_be_executed_is_counted() {
    let mut t = Fixture::new();
    t.arrive(0, 1);
    let job = t.ordered()[0].job;
    t.happens(Event::Started { job, pid: 5 });
    t.adopt(0, 5).expect("good");
    let failed = end(EndStatus::Exited(72)).map(|end| End {
        not_executed: Some(libc::ENOENT),
        ..end
    });
    t.happens(Event::Ended { job, end: failed });
    let row = t.row(0);
    assert_eq!(
        (row.not_executed, row.exits.by_status.get(&72)),
        (1, Some(&1))
    );
}
