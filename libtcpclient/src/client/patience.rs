//! Waiting for a daemon: one that was not started yet, or is being started again.
//!
//! `$TCPD_WAIT` says for how many seconds (`30`, `0.5`) everything that opens a session waits for a daemon that is not
//! there: [`Session::open`](super::session::Session::open), the default session, a listener that registers itself again,
//! `tcpctl`. Without it nothing waits. What a program says itself
//! ([`Builder::wait_for_daemon`](super::builder::Builder::wait_for_daemon), `tcpctl --wait`) comes before it.

use std::io;
use std::thread;
use std::time::Duration;

use super::clock;
use super::error::SessionError;
use crate::protocol::ErrorCode;

/// The environment variable.
pub const WAIT_VARIABLE: &str = "TCPD_WAIT";

/// Between two looks at first, and at most: a program started with its daemon loses little, one that waits long costs little.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// How long `$TCPD_WAIT` says; zero when it is not set or empty.
///
/// # Errors
/// `InvalidInput` when it is not a number of seconds.
pub fn patience() -> Result<Duration, SessionError> {
    let Some(text) = std::env::var_os(WAIT_VARIABLE).filter(|text| !text.is_empty()) else {
        return Ok(Duration::ZERO);
    };
    let seconds = text.to_str().and_then(|text| text.trim().parse().ok());
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| {
        let message =
            format!("{WAIT_VARIABLE} is {text:?}, and not a number of seconds as in 30 or 0.5");
        SessionError::Os(io::Error::new(io::ErrorKind::InvalidInput, message))
    })
}

/// Tries until it works, fails for good, or `wait` is over. The last error.
pub(crate) fn patiently<T>(
    wait: Duration,
    mut attempt: impl FnMut() -> Result<T, SessionError>,
) -> Result<T, SessionError> {
    // One too far to be told is none.
    let deadline = clock::deadline(Some(wait));
    let (mut pause, longest) = PAUSES;
    let mut forbidden = 0;
    loop {
        match attempt() {
            Err(error) if may_pass(&error, &mut forbidden) => {
                let left = match deadline.map(clock::left) {
                    None => longest,
                    Some(Some(left)) => left,
                    Some(None) => return Err(error),
                };
                thread::sleep(pause.min(left));
                pause = (pause * 2).min(longest);
            }
            other => return other,
        }
    }
}

/// Whether another daemon, or the same a moment later, would not say so.
fn may_pass(error: &SessionError, forbidden: &mut u32) -> bool {
    match error {
        // A socket that was just made is its owner's alone for a moment.
        SessionError::NotPermitted { .. } => {
            *forbidden += 1;
            *forbidden < 8
        }
        SessionError::DaemonNotThere { .. } | SessionError::DaemonGone { .. } => true,
        SessionError::Refused(failure) => failure.code == ErrorCode::Draining,
        _ => false,
    }
}
