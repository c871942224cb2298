//! A worker that runs one of tcpd's own handlers.

use std::mem::ManuallyDrop;
use std::time::{Duration, SystemTime};

use tcpd_core::time::Instant;

use super::super::builtin::{Clock, Handler};
use super::{Adopt, Failure, Station, WorkerExit, confine};
use crate::system::clock;

pub(super) fn serve(
    mut station: Station<'_>,
    handler: &Handler,
    adopt: Adopt,
) -> Result<(), Failure> {
    let failed = |what| move |error| Failure::new(WorkerExit::NotPrepared, what, error);
    confine::limit_resources().map_err(failed("limiting resources"))?;
    let handler = handler.prepare().map_err(failed("preparing the handler"))?;
    confine::restrict_files(&handler).map_err(failed("confining the process"))?;

    let Some(ticket) = station.ticket()? else {
        return Ok(());
    };
    station.line = None;
    let adopted = adopt(station.assignment, &ticket);
    let connection = adopted
        .map_err(|error| Failure::new(WorkerExit::NotAdopted, "adopting the connection", error))?;
    // Dropping it would end the stream as if all had been said. A worker that fails or panics leaves it as it is, and
    // its end is a reset.
    let mut connection = ManuallyDrop::new(connection);
    confine::restrict_calls(&handler).map_err(failed("confining the process"))?;

    handler
        .serve(&mut **connection, &SystemClock)
        .and_then(|()| ManuallyDrop::into_inner(connection).close())
        .map_err(|error| Failure::new(WorkerExit::Failed, "serving the connection", error))
}

/// The clocks of this machine.
struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> SystemTime {
        clock::time_of_day()
    }

    fn monotonic(&self) -> Duration {
        clock::now().duration_since(Instant::ZERO)
    }
}
