//! What systemd wants to hear (Type=notify) and what it may hand over (the control socket). Without systemd every call
//! does nothing.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

use sd_notify::NotifyState;

/// Beyond the grace: to end workers and sessions.
const ROOM_TO_STOP: Duration = Duration::from_secs(5);

/// READY=1: sessions and connections are served from now on.
pub fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// RELOADING=1; [`ready`] ends it.
pub fn reloading() {
    if let Ok(since) = NotifyState::monotonic_usec_now() {
        send(&[NotifyState::Reloading, since]);
    }
}

/// STOPPING=1, with room for the grace.
pub fn stopping(grace: Duration) {
    let room = grace.saturating_add(ROOM_TO_STOP).as_micros();
    // The crate's own variant ends at 71 minutes.
    let extend = format!("EXTEND_TIMEOUT_USEC={room}");
    send(&[NotifyState::Stopping, NotifyState::Custom(&extend)]);
}

/// STATUS=…, shown by `systemctl status`.
pub fn status(text: &str) {
    send(&[NotifyState::Status(text)]);
}

/// WATCHDOG=1: both threads still turn.
pub fn alive() {
    send(&[NotifyState::Watchdog]);
}

/// How often [`alive`] is to be said: half of what the unit allows; `None` without a watchdog.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled()
        .map(|limit| limit / 2)
        .filter(|interval| !interval.is_zero())
}

/// The control socket, when systemd opened it for us. Takes it at most once: the descriptor is the caller's.
pub fn activated_socket() -> io::Result<Option<OwnedFd>> {
    let mut descriptors = sd_notify::listen_fds()?;
    match (descriptors.next(), descriptors.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "there is more than one; tcpd.socket must have one ListenSequentialPacket=",
        )),
        (Some(descriptor), None) => {
            use std::sync::atomic::{AtomicBool, Ordering};
            static TAKEN: AtomicBool = AtomicBool::new(false);
            if TAKEN.swap(true, Ordering::Relaxed) {
                return Ok(None);
            }
            // SAFETY: systemd's protocol gives this process the descriptor to own (LISTEN_PID is ours), and the flag
            // above lets it be taken once only.
            Ok(Some(unsafe { OwnedFd::from_raw_fd(descriptor) }))
        }
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the notification socket cannot be reached");
    }
}
