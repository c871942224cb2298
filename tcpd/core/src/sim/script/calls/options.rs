//! `setsockopt` and `getsockopt`.

use std::time::Duration;

use super::{Kind, Outcome, error, put, told};
use crate::sim::script::runner::{Check, Runner, Wrong};
use crate::sim::script::syntax::{Descriptor, SocketOption};

pub(super) fn set_option(
    runner: &mut Runner<'_>,
    fd: Descriptor,
    option: &SocketOption,
) -> Check<Outcome> {
    let Some(socket) = runner.sockets.open.get_mut(&fd) else {
        return Ok(error("EBADF"));
    };
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    match *option {
        SocketOption::NoDelay(on) => socket.options.nodelay = on,
        SocketOption::KeepAlive(on) => socket.keep_alive = on,
        SocketOption::KeepIdle(time) => socket.probes.idle = seconds(time),
        SocketOption::KeepInterval(time) => socket.probes.interval = seconds(time),
        SocketOption::KeepCount(count) => {
            socket.probes.count = u8::try_from(count).unwrap_or(u8::MAX);
        }
        SocketOption::Linger(on, time) => socket.linger = on.then_some(time),
        SocketOption::ReceiveBuffer(size) => {
            socket.options.receive_ring = size.next_power_of_two();
            socket.options.receive_ring_max = size.next_power_of_two();
        }
        SocketOption::SendBuffer(size) => socket.options.send_ring = size.next_power_of_two(),
        SocketOption::MaximumSegment(size) => socket.options.mss_max = size,
        SocketOption::UserTimeout(millis) => {
            let time = (millis > 0).then(|| Duration::from_millis(millis.into()));
            socket.options.user_timeout = time;
            socket.options.open_timeout = time;
        }
        SocketOption::IdleTimeout(millis) => {
            socket.options.idle_timeout =
                (millis > 0).then(|| Duration::from_millis(millis.into()));
        }
        SocketOption::WindowClamp(most) => {
            let Kind::Stream(stream) = socket.kind else {
                return Ok(error("ENOTCONN"));
            };
            let most = (most > 0).then_some(most);
            runner.stack.hold_window(runner.now, stream.id, most);
            return Ok(Outcome::Value(0));
        }
        SocketOption::ReuseAddress(on) => socket.reuse = on,
        SocketOption::TrafficClass(class) => socket.options.dscp = class >> 2,
        SocketOption::Error(_) => return Ok(error("ENOPROTOOPT")),
    }
    socket.options.keepalive = socket.keep_alive.then_some(socket.probes);
    let options = socket.options;
    if let Kind::Stream(stream) = socket.kind
        && runner
            .stack
            .set_options(runner.now, stream.id, options)
            .is_err()
    {
        return Ok(error("EINVAL"));
    }
    Ok(Outcome::Value(0))
}

pub(super) fn get_option(
    runner: &mut Runner<'_>,
    fd: Descriptor,
    option: &SocketOption,
) -> Check<Outcome> {
    let Some(socket) = runner.sockets.open.get_mut(&fd) else {
        return Ok(error("EBADF"));
    };
    let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    let found = match option {
        SocketOption::NoDelay(_) => SocketOption::NoDelay(socket.options.nodelay),
        SocketOption::KeepAlive(_) => SocketOption::KeepAlive(socket.keep_alive),
        SocketOption::KeepIdle(_) => SocketOption::KeepIdle(seconds(socket.probes.idle)),
        SocketOption::KeepInterval(_) => {
            SocketOption::KeepInterval(seconds(socket.probes.interval))
        }
        SocketOption::KeepCount(_) => SocketOption::KeepCount(socket.probes.count.into()),
        SocketOption::Linger(..) => {
            SocketOption::Linger(socket.linger.is_some(), socket.linger.unwrap_or(0))
        }
        SocketOption::ReceiveBuffer(_) => {
            SocketOption::ReceiveBuffer(socket.options.receive_ring_max)
        }
        SocketOption::SendBuffer(_) => SocketOption::SendBuffer(socket.options.send_ring),
        SocketOption::MaximumSegment(_) => SocketOption::MaximumSegment(socket.options.mss_max),
        SocketOption::UserTimeout(_) => {
            let time = socket.options.user_timeout.unwrap_or(Duration::ZERO);
            SocketOption::UserTimeout(u32::try_from(time.as_millis()).unwrap_or(u32::MAX))
        }
        SocketOption::IdleTimeout(_) => {
            let time = socket.options.idle_timeout.unwrap_or(Duration::ZERO);
            SocketOption::IdleTimeout(u32::try_from(time.as_millis()).unwrap_or(u32::MAX))
        }
        SocketOption::WindowClamp(_) => return Ok(error("ENOPROTOOPT")),
        SocketOption::ReuseAddress(_) => SocketOption::ReuseAddress(socket.reuse),
        SocketOption::TrafficClass(_) => SocketOption::TrafficClass(socket.options.dscp << 2),
        SocketOption::Error(_) => {
            let Kind::Stream(mut stream) = socket.kind else {
                return Ok(error("ENOTCONN"));
            };
            let end = runner.stack.view(stream.id).and_then(|view| view.end);
            let found = end.and_then(|reason| match told(&mut stream, reason) {
                Some(Outcome::Error(errno)) => Some(errno),
                _ => None,
            });
            put(runner, fd, stream);
            SocketOption::Error(found)
        }
    };
    if found == *option {
        return Ok(Outcome::Value(0));
    }
    Err(Wrong::new(format!(
        "expected getsockopt to find {option:?}, it found {found:?}"
    )))
}
