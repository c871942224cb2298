//! Logs: `tracing` to standard error or rolling files through tracing-appender, or to the journal.
//!
//! Nothing here blocks, and all of it may lose lines: neither a full disk nor a journal that hangs must stop the daemon. Lines lost
//! are counted ([`lost_lines`]).

mod journal;

use std::io;
use std::sync::OnceLock;

use rustix::fs::fstat;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation as Period};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use self::journal::Journal;
use super::config::{Log, LogTarget, Rotation};
use crate::exit_code::{Exit, Failure};

/// Lines waiting for a writer; more are lost, and counted.
const BUFFERED_LINES: usize = 8192;

static LOST: OnceLock<ErrorCounter> = OnceLock::new();

/// Lines that did not reach the log since the start.
pub fn lost_lines() -> u64 {
    let by_writer = LOST.get().map_or(0, |counter| counter.dropped_lines());
    by_writer as u64 + journal::lost_lines()
}

/// Starts logging for the process. The guard writes what is left when it is dropped: it must live in `main`, which must
/// end by returning.
pub fn start(log: &Log) -> Result<Option<WorkerGuard>, Failure> {
    let filter = EnvFilter::builder().parse(&log.level).map_err(|error| {
        Failure::new(
            Exit::Configuration,
            format!("log.level = {:?}: {error}", log.level),
        )
    })?;
    let journal = match log.to {
        // Without its native socket the journal still hears what is written to standard error.
        LogTarget::Auto if stderr_is_the_journal() => Journal::open().ok(),
        LogTarget::Journal => Some(
            Journal::open()
                .map_err(|error| Failure::system("log.to: cannot reach the journal", &error))?,
        ),
        LogTarget::Auto | LogTarget::Stderr | LogTarget::Files => None,
    };
    let registry = tracing_subscriber::registry().with(filter);
    let already = |error| {
        Failure::new(
            Exit::Internal,
            format!("logging was started before: {error}"),
        )
    };
    if let Some(journal) = journal {
        registry.with(journal).try_init().map_err(already)?;
        return Ok(None);
    }
    let (writer, guard) = if log.to == LogTarget::Files {
        let cannot = |error: &dyn std::error::Error| {
            let directory = log.directory.display();
            let message = format!("log.directory: cannot write in {directory}: {error}");
            Failure::new(Exit::CannotCreate, message)
        };
        // Looked at first: the appender would print its own line.
        std::fs::create_dir_all(&log.directory).map_err(|error| cannot(&error))?;
        let files = rolling_files(log).map_err(|error| cannot(&error))?;
        non_blocking(files)
    } else {
        non_blocking(io::stderr())
    };
    LOST.get_or_init(|| writer.error_counter());
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(false);
    registry.with(layer).try_init().map_err(already)?;
    Ok(Some(guard))
}

fn non_blocking(writer: impl io::Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(BUFFERED_LINES)
        .thread_name("log")
        .finish(writer)
}

/// tracing-appender never opens a file again, so outside rotation would go on writing the old one: its own is used.
fn rolling_files(log: &Log) -> Result<RollingFileAppender, tracing_appender::rolling::InitError> {
    let period = match log.rotation {
        Rotation::Minutely => Period::MINUTELY,
        Rotation::Hourly => Period::HOURLY,
        Rotation::Daily => Period::DAILY,
        Rotation::Never => Period::NEVER,
    };
    RollingFileAppender::builder()
        .rotation(period)
        .filename_prefix("tcpd")
        .filename_suffix("log")
        .max_log_files(log.keep as usize)
        .build(&log.directory)
}

/// JOURNAL_STREAM names the device and inode of the stream that systemd connected to the journal; a redirected standard
/// error is another one.
fn stderr_is_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    fstat(io::stderr()).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::daemon::config::Config;

    #[test]
    fn files_are_written_by_the_time_the_guard_is_dropped() {
        let directory = std::env::temp_dir().join(format!("tcpd-logging-{}", std::process::id()));
        let log = Log {
            directory: directory.clone(),
            rotation: Rotation::Never,
            ..Config::default().log
        };
        let (mut writer, guard) =
            non_blocking(rolling_files(&log).expect("the directory can be made"));
        writer.write_all(b"one line\n").expect("never blocks");
        drop(guard);
        let written = std::fs::read_to_string(directory.join("tcpd.log"));
        std::fs::remove_dir_all(&directory).expect("it is there");
        assert_eq!(written.expect("the file is there"), "one line\n");
    }
}
