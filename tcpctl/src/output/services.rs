//! Services and their workers as a table.

use libtcpclient::protocol::status::{ConnectionRow, OwnerKind, ServiceRow};

use super::human::{bytes, count, duration, harmless};
use super::table::{Column, Table};

#[cfg(test)]
mod tests;

const COLUMNS: [Column; 11] = [
    Column::new("Service"),
    Column::new("Handler").shrinks_to(8).leaves(5),
    Column::new("Listens on").shrinks_to(12).leaves(4),
    Column::new("Workers").right(),
    Column::new("Idle").right().leaves(3),
    Column::new("Waiting").right(),
    Column::new("Refused").right().leaves(3),
    Column::new("Started").right(),
    Column::new("Exits").shrinks_to(10).leaves(3),
    Column::new("CPU user+sys").leaves(2),
    Column::new("Max RSS").right().leaves(1),
];

const WORKER_COLUMNS: [Column; 6] = [
    Column::new("Worker").right(),
    Column::new("Service"),
    Column::new("ID"),
    Column::new("State"),
    Column::new("Local").leaves(1),
    Column::new("Peer"),
];

/// A line for every service.
pub fn table(rows: &[ServiceRow]) -> Table {
    let mut table = Table::new(&COLUMNS);
    for row in rows {
        table.row(vec![
            harmless(&row.name),
            harmless(&row.handler),
            listens_on(row),
            format!("{}/{}", row.workers, row.max_workers),
            count(row.idle.into()),
            count(row.waiting.into()),
            count(row.refused_per_source),
            started(row),
            exits(row),
            format!(
                "{} + {}",
                duration(row.usage.user_us),
                duration(row.usage.system_us)
            ),
            bytes(row.usage.max_rss_bytes),
        ]);
    }
    table
}

/// A line for every worker that holds a connection, in the order of the services, then by process number.
pub fn workers_table(services: &[ServiceRow], connections: &[ConnectionRow]) -> Table {
    let mut table = Table::new(&WORKER_COLUMNS);
    for service in services {
        for (pid, row) in workers_of(&service.name, connections) {
            table.row(vec![
                pid.to_string(),
                harmless(&service.name),
                harmless(&row.id),
                row.state.to_string(),
                row.local.to_string(),
                row.peer.to_string(),
            ]);
        }
    }
    table
}

/// The workers of a service and the connections they hold, by process number.
pub fn workers_of<'a>(
    service: &str,
    connections: &'a [ConnectionRow],
) -> Vec<(u32, &'a ConnectionRow)> {
    let mut workers: Vec<(u32, &ConnectionRow)> = connections
        .iter()
        .filter(|row| {
            row.owner.kind == OwnerKind::Service && row.owner.service.as_deref() == Some(service)
        })
        .filter_map(|row| Some((row.owner.pid?, row)))
        .collect();
    workers.sort_by_key(|(pid, _)| *pid);
    workers
}

fn listens_on(row: &ServiceRow) -> String {
    if row.addresses.is_empty() {
        return format!("*:{}", row.port);
    }
    let addresses: Vec<String> = row
        .addresses
        .iter()
        .map(|address| std::net::SocketAddr::new(*address, row.port).to_string())
        .collect();
    addresses.join(", ")
}

/// Those that could not be started stand beside those that were.
fn started(row: &ServiceRow) -> String {
    match row.failed {
        0 => count(row.started),
        failed => format!("{} ({} failed)", count(row.started), count(failed)),
    }
}

/// Status of a worker whose command could not be executed.
const NOT_EXECUTED: i32 = 72;

/// `12 ok, 1 status 1, 3 not executed, 2 SIGKILL (1 out of time), 1 unknown`; `-` while none ended.
fn exits(row: &ServiceRow) -> String {
    let exits = &row.exits;
    // A command may well end with the same status itself.
    let own = |status: i32, times: u64| match status {
        NOT_EXECUTED => times.saturating_sub(row.not_executed),
        _ => times,
    };
    let statuses = exits.by_status.iter();
    let statuses = statuses.map(|(&status, &times)| (status, own(status, times)));
    let statuses = statuses.filter(|(_, times)| *times > 0);
    let statuses = statuses.map(|(status, times)| match status {
        0 => format!("{} ok", count(times)),
        status => format!("{} status {status}", count(times)),
    });
    let executed = row.not_executed;
    let not_executed = (executed > 0).then(|| format!("{} not executed", count(executed)));
    let signals = exits.by_signal.iter().map(|(signal, times)| {
        let overdue = match (*signal, row.out_of_time) {
            (9, 1..) => format!(" ({} out of time)", count(row.out_of_time)),
            _ => String::new(),
        };
        format!("{} {}{overdue}", count(*times), signal_name(*signal))
    });
    let unknown = (exits.unknown > 0).then(|| format!("{} unknown", count(exits.unknown)));
    let parts: Vec<String> = statuses
        .chain(not_executed)
        .chain(signals)
        .chain(unknown)
        .collect();
    match parts.is_empty() {
        true => "-".to_owned(),
        false => parts.join(", "),
    }
}

/// The signals a worker ends with; the numbers are the same on every architecture Linux runs tcpd on.
fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}
