//! From what the core and the sessions say to the rows that clients see.

use std::net::IpAddr;
use std::time::Duration;

use libtcpclient::protocol::Filter;
use libtcpclient::protocol::status::{
    CongestionStatus, ConnectionCounters, ConnectionRow, ConnectionStatus, CounterRow, EcnStatus,
    ListenerRow, OptionsStatus, Owner, ReceiveSequence, RingsStatus, RttStatus, SendSequence,
    SessionRow, TcpState, TimerRow,
};
use tcpd_core::stack::{EndReason, ListenerId, ListenerStatus, State, Status, Summary};
use tcpd_core::time::Instant;

use super::bridge::end_reason;
use crate::ipc::session::Session;

/// The state's name on the wire.
pub(super) fn state(state: State) -> TcpState {
    match state {
        State::Closed => TcpState::Closed,
        State::Listen => TcpState::Listen,
        State::SynSent => TcpState::SynSent,
        State::SynReceived => TcpState::SynReceived,
        State::Established => TcpState::Established,
        State::FinWait1 => TcpState::FinWait1,
        State::FinWait2 => TcpState::FinWait2,
        State::CloseWait => TcpState::CloseWait,
        State::Closing => TcpState::Closing,
        State::LastAck => TcpState::LastAck,
        State::TimeWait => TcpState::TimeWait,
    }
}

/// A line of the list of connections.
pub(super) fn connection(summary: &Summary, owner: Owner, now: Instant) -> ConnectionRow {
    ConnectionRow {
        id: summary.id.to_string(),
        state: state(summary.state),
        recv_q_bytes: summary.recv_q.into(),
        send_q_bytes: summary.send_q.into(),
        local: summary.local,
        peer: summary.remote,
        owner,
        timer: summary
            .timer
            .map(|(timer, at)| timer_row(timer.name(), at, now)),
    }
}

/// Everything about a connection. `maximum`: how far its rings may grow (receive, transmit), bytes.
pub(super) fn status(
    status: &Status,
    owner: Owner,
    maximum: (u32, u32),
    now: Instant,
) -> ConnectionStatus {
    let since = |at: Instant| (at != Instant::ZERO).then(|| milliseconds(now.duration_since(at)));
    let mut timers = status.timers.clone();
    timers.sort_by_key(|(_, at)| *at);
    let timers: Vec<TimerRow> = timers
        .iter()
        .map(|(timer, at)| timer_row(timer.name(), *at, now))
        .collect();
    ConnectionStatus {
        row: ConnectionRow {
            id: status.id.to_string(),
            state: state(status.state),
            recv_q_bytes: status.recv_q.into(),
            send_q_bytes: status.send_q.into(),
            local: status.local,
            peer: status.remote,
            owner,
            timer: timers.first().cloned(),
        },
        passive: status.passive,
        age_ms: since(status.created),
        last_received_ms: since(status.last_heard),
        last_sent_ms: since(status.last_sent),
        snd: SendSequence {
            una: status.snd_una.0,
            nxt: status.snd_nxt.0,
            wnd_bytes: status.snd_wnd.into(),
            max_wnd_bytes: status.max_snd_wnd.into(),
            // Urgent data is never sent.
            up: status.snd_una.0,
            wl1: status.snd_wl1.0,
            wl2: status.snd_wl2.0,
            iss: status.iss.0,
        },
        rcv: has_heard_a_syn(status.state).then(|| ReceiveSequence {
            nxt: status.rcv_nxt.0,
            wnd_bytes: status.rcv_wnd.into(),
            adv: status.rcv_adv.0,
            up: status.rcv_up.unwrap_or(status.rcv_nxt).0,
            irs: status.irs.0,
        }),
        congestion: CongestionStatus {
            algorithm: status.congestion.to_owned(),
            phase: congestion_phase(status).to_owned(),
            cwnd_bytes: status.cwnd.into(),
            ssthresh_bytes: status.ssthresh.map(u64::from),
            in_flight_bytes: status.in_flight.into(),
            duplicate_acks: status.duplicate_acks,
            delivery_rate_bytes_per_s: status.delivery_rate,
            pacing_rate_bytes_per_s: status.pacing_rate,
            reordering_seen: status.reordering_seen,
            reordering_window_us: status.reordering_window.map(microseconds),
        },
        rtt: RttStatus {
            srtt_us: status.srtt.map(microseconds),
            rttvar_us: status.rttvar.map(microseconds),
            min_us: status.min_rtt.map(microseconds),
            latest_us: status.latest_rtt.map(microseconds),
            receiver_us: status.receive_rtt.map(microseconds),
            rto_us: microseconds(status.rto),
            backoff: status.backoff.into(),
        },
        ecn: EcnStatus {
            state: ecn_state(status).to_owned(),
            ce_in: status.ce_in,
            ece_in: status.ece_in,
            reductions: status.ecn_reductions,
        },
        options: options(status),
        rings: rings(status, maximum),
        counters: status.counted.then(|| counters(status)),
        timers,
        not_sending: status.send_limit.map(|limit| limit.name().to_owned()),
        peer_closed: status.fin_received,
        send_closed: status.fin_queued,
        soft_error: status.soft_error.map(reason_name),
        end: status.end.map(reason_name),
    }
}

/// Nothing where no handshake has said anything yet, or its connection is over.
fn ecn_state(status: &Status) -> &'static str {
    if status.counted {
        status.ecn.name()
    } else {
        ""
    }
}

/// The protocol's word: it says which of its timers has ended a connection.
fn reason_name(end: EndReason) -> String {
    end_reason(end).name().to_owned()
}

fn options(status: &Status) -> OptionsStatus {
    let keepalive = status.options.keepalive;
    let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    OptionsStatus {
        mss_send_bytes: u16::try_from(status.mss_send).unwrap_or(u16::MAX),
        mss_receive_bytes: status.mss_own,
        path_mtu_bytes: (status.path_mtu > 0).then_some(status.path_mtu),
        window_scale_send: status.window_scale_peer,
        window_scale_receive: status.window_scale_own,
        timestamps: status.timestamps,
        sack: status.sack,
        nodelay: status.options.nodelay,
        keepalive_idle_s: keepalive.map(|keepalive| seconds(keepalive.idle)),
        keepalive_interval_s: keepalive.map(|keepalive| seconds(keepalive.interval)),
        keepalive_count: keepalive.map(|keepalive| keepalive.count.into()),
        user_timeout_ms: status.options.user_timeout.map(milliseconds),
        peer_user_timeout_ms: status.user_timeout_peer.map(milliseconds),
        idle_timeout_ms: status
            .options
            .idle_timeout
            .filter(|timeout| !timeout.is_zero())
            .map(milliseconds),
        dscp: status.options.dscp,
    }
}

fn rings(status: &Status, (receive_maximum, transmit_maximum): (u32, u32)) -> RingsStatus {
    RingsStatus {
        transmit_capacity_bytes: status.send_capacity,
        transmit_maximum_bytes: transmit_maximum.max(status.send_capacity),
        transmit_wanted_bytes: status.send_wanted,
        transmit_used_bytes: status.send_q.into(),
        transmit_unsent_bytes: status.send_q.saturating_sub(status.in_flight).into(),
        receive_capacity_bytes: status.receive_capacity,
        receive_maximum_bytes: receive_maximum.max(status.receive_capacity),
        receive_wanted_bytes: status.receive_wanted,
        receive_unread_bytes: status.recv_q.into(),
        out_of_order_bytes: status
            .out_of_order
            .iter()
            .map(|range| range.end - range.start)
            .sum(),
        out_of_order_ranges: u32::try_from(status.out_of_order.len()).unwrap_or(u32::MAX),
    }
}

fn counters(status: &Status) -> ConnectionCounters {
    // The core counts every byte it sends, also again; the row counts those that are acknowledged.
    let sent_once = status.bytes_out.saturating_sub(status.bytes_retransmitted);
    ConnectionCounters {
        bytes_in: status.bytes_in,
        bytes_out: sent_once.saturating_sub(status.in_flight.into()),
        segments_in: status.segments_in,
        segments_out: status.segments_out,
        retransmitted_segments: status.retransmissions,
        retransmitted_bytes: status.bytes_retransmitted,
        timeouts: status.timeouts,
        fast_retransmits: status.fast_retransmits,
        lost_segments: status.lost,
        spurious_segments: status.spurious,
        undone_reductions: status.undone,
        duplicate_sacks_in: status.duplicate_sacks_in,
        tail_loss_probes: status.tail_loss_probes,
        duplicate_acks_in: status.duplicate_acks_in,
        out_of_order_in: status.out_of_order_in,
        zero_window_probes: status.zero_window_probes,
        keepalive_probes: status.keep_alive_probes,
        challenge_acks: status.challenge_acks,
        dropped: status
            .dropped
            .iter()
            .map(|(reason, count)| (reason.name().to_owned(), *count))
            .collect(),
    }
}

/// RFC 5681 §3: which of its algorithms rules at the moment.
fn congestion_phase(status: &Status) -> &'static str {
    match status.ssthresh {
        _ if status.retries > 0 => "loss",
        _ if status.in_recovery => "fast-recovery",
        Some(ssthresh) if status.cwnd >= ssthresh => "congestion-avoidance",
        _ => "slow-start",
    }
}

fn has_heard_a_syn(state: State) -> bool {
    !matches!(state, State::Closed | State::Listen | State::SynSent)
}

/// A line of the list of listeners.
pub(super) fn listener(id: ListenerId, status: &ListenerStatus, owner: Owner) -> ListenerRow {
    ListenerRow {
        id: id.to_string(),
        local: status.local,
        queued: status.queued,
        backlog: status.backlog,
        half_open: status.half_open,
        accepted: status.accepted,
        refused: status.refused,
        owner,
    }
}

/// A line of the statistics.
pub(super) fn counter((name, help, value): &(&'static str, &'static str, u64)) -> CounterRow {
    CounterRow {
        name: name.replace('_', "-"),
        value: *value,
        help: (*help).to_owned(),
    }
}

/// A line of the list of sessions.
pub(super) fn session(
    session: &Session,
    connections: u32,
    listeners: u32,
    allocated_bytes: u64,
    now: Instant,
) -> SessionRow {
    SessionRow {
        id: session.id,
        kind: session.kind.map_or("new", |kind| kind.name()).to_owned(),
        pid: session.identity.pid,
        uid: session.identity.uid,
        program: session.program.clone(),
        connections,
        listeners,
        allocated_bytes,
        requests: session.requests,
        // The first one ends the session.
        violations: std::collections::BTreeMap::new(),
        age_ms: milliseconds(now.duration_since(session.opened)),
    }
}

/// A row as one line of text, for the log.
pub(super) fn line(row: &ConnectionRow) -> String {
    let owner = &row.owner;
    let who = owner
        .service
        .as_deref()
        .or(owner.program.as_deref())
        .unwrap_or("-");
    let pid = owner.pid.map_or_else(String::new, |pid| format!("/{pid}"));
    let timer = row.timer.as_ref().map_or_else(String::new, |timer| {
        format!(" {} {} ms", timer.name, timer.left_ms)
    });
    format!(
        "{} {} {} {} {} {} {who}{pid}{timer}",
        row.id, row.state, row.recv_q_bytes, row.send_q_bytes, row.local, row.peer
    )
}

/// Whether a connection is one of those asked for, as far as its owner does not matter.
pub(super) fn matches(filter: &Filter, summary: &Summary) -> bool {
    let (local, remote) = (summary.local, summary.remote);
    (filter.states == 0 || filter.states & state(summary.state).bit() != 0)
        && (filter.port == 0 || [local.port(), remote.port()].contains(&filter.port))
        && [local.ip(), remote.ip()]
            .iter()
            .any(|address| matches_address(filter, *address))
}

/// The same for a listener.
pub(super) fn matches_listener(filter: &Filter, row: &ListenerRow) -> bool {
    (filter.states == 0 || filter.states & TcpState::Listen.bit() != 0)
        && (filter.port == 0 || row.local.port() == filter.port)
        && (matches_address(filter, row.local.ip()) || row.local.ip().is_unspecified())
        && matches_owner(filter, &row.owner)
}

/// Whether an owner is the one asked for.
pub(super) fn matches_owner(filter: &Filter, owner: &Owner) -> bool {
    (filter.pid == 0 || owner.pid == Some(filter.pid))
        && (filter.service.is_empty() || owner.service.as_ref() == Some(&filter.service))
}

fn matches_address(filter: &Filter, address: IpAddr) -> bool {
    let prefix = u32::from(filter.prefix);
    match (filter.address, address) {
        (None, _) => true,
        (Some(IpAddr::V4(wanted)), IpAddr::V4(address)) => {
            (u32::from(wanted) ^ u32::from(address))
                .checked_shr(32_u32.saturating_sub(prefix))
                .unwrap_or(0)
                == 0
        }
        (Some(IpAddr::V6(wanted)), IpAddr::V6(address)) => {
            (u128::from(wanted) ^ u128::from(address))
                .checked_shr(128_u32.saturating_sub(prefix))
                .unwrap_or(0)
                == 0
        }
        _ => false,
    }
}

fn timer_row(name: &str, at: Instant, now: Instant) -> TimerRow {
    TimerRow {
        name: name.to_owned(),
        left_ms: milliseconds(at.duration_since(now)),
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
