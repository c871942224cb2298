//! Two stacks, what flies between them, and their users: carries out steps, and has the model look at all of it.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tcpd_core::random::{Generator, Secret};
use tcpd_core::sim::ladder::Ladder;
use tcpd_core::sim::pair::{End, Pair};
use tcpd_core::stack::initial_sequence::InitialSequence;
use tcpd_core::stack::{
    Cause, ConnectOptions, ConnectionOptions, EndpointId, IpCidr, KeepAlive, ListenOptions,
    ListenerId, Observer, ReceiveMeta, Stack, StackConfig, State, Status,
};
use tcpd_core::tcp::buffer::HeapRing;
use tcpd_core::time::Instant;
use tcpd_core::wire::ladder::{Direction, brief, one_line};
use tcpd_core::wire::{FlowTuple, IpAddresses, IpHeader, SequenceNumber, TcpSegment, protocol};

use crate::air::{Flying, PORTS, Seen, forge, socket};
use crate::machine::{CONNECTED, Forgery, Patience, Reuse, Setup, Step};
use crate::model::{Arrow, Call, Model, Why};

mod heal;
mod users;

/// One of the two hosts, and who uses it.
pub(crate) struct Host {
    pub(crate) stack: Stack<HeapRing>,
    arrows: Rc<RefCell<Vec<Arrow>>>,
    pub(crate) listener: Option<ListenerId>,
    /// Connections that the user holds, the latest last.
    pub(crate) holds: Vec<EndpointId>,
    /// Packets are not fetched.
    held: bool,
    epoch: u32,
}

/// Everything.
pub(crate) struct World {
    setup: Setup,
    pub(crate) now: Instant,
    pub(crate) hosts: [Host; 2],
    air: Vec<Flying>,
    pub(crate) model: Model,
    ladder: Vec<Row>,
    packets: u64,
}

/// Drawn only when something went wrong.
enum Row {
    Packet(Instant, End, Vec<u8>, [State; 2]),
    Note(Instant, Step),
}

/// Writes down every arrow.
struct Scribe(Rc<RefCell<Vec<Arrow>>>);

impl Observer for Scribe {
    fn transition(&mut self, _: Instant, id: EndpointId, from: State, to: State, _: Cause) {
        self.0.borrow_mut().push(Arrow { id, from, to });
    }
}

impl World {
    pub(crate) fn new(setup: &Setup) -> Self {
        let now = start(setup);
        let mut world = Self {
            setup: setup.clone(),
            now,
            hosts: End::BOTH.map(|end| host(setup, end, 0, now)),
            air: Vec::new(),
            model: Model::new(setup),
            ladder: Vec::new(),
            packets: 0,
        };
        if setup.connected {
            for step in CONNECTED {
                world.step(step);
            }
        }
        world
    }

    /// One step, and everything checked after it.
    pub(crate) fn step(&mut self, step: Step) {
        self.ladder.push(Row::Note(self.now, step));
        let outcome = self
            .carry_out(step)
            .and_then(|()| self.settle())
            .and_then(|()| self.pass(self.now + time_of(step)))
            .and_then(|()| self.settle());
        if let Err(wrong) = outcome {
            self.tell(&wrong);
        }
    }

    fn tell(&self, wrong: &str) -> ! {
        let mut ladder = Ladder::default();
        let zero = Instant::ZERO + self.now.duration_since(Instant::ZERO);
        let begin = self.ladder.first().map_or(zero, |row| match row {
            Row::Packet(at, ..) | Row::Note(at, _) => *at,
        });
        for row in &self.ladder {
            match row {
                Row::Packet(at, from, packet, [left, right]) => ladder.packet(
                    Instant::ZERO + at.duration_since(begin),
                    left.name(),
                    match from {
                        End::Left => Direction::Right,
                        End::Right => Direction::Left,
                    },
                    text_of(packet),
                    true,
                    right.name(),
                ),
                Row::Note(at, step) => ladder.remark(
                    Instant::ZERO + at.duration_since(begin),
                    "",
                    format!("{step:?}"),
                ),
            }
        }
        panic!("{wrong}\n{}", ladder.render_last(150));
    }

    fn carry_out(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Deliver(which) => self.with_packet(which, |world, index| {
                let packet = world.air.remove(index);
                world.deliver(packet)
            }),
            Step::DeliverOldest(count) => {
                for _ in 0..count {
                    if self.air.is_empty() {
                        break;
                    }
                    let packet = self.air.remove(0);
                    self.deliver(packet)?;
                    self.settle()?;
                }
                Ok(())
            }
            Step::Drop(which) => self.with_packet(which, |world, index| {
                world.air.remove(index);
                Ok(())
            }),
            Step::Duplicate(which) => self.with_packet(which, |world, index| {
                let copy = world.air[index].clone();
                world.air.push(copy);
                Ok(())
            }),
            Step::Corrupt(which, bit) => self.with_packet(which, |world, index| {
                let packet = &mut world.air[index];
                let bit = usize::from(bit) % (packet.bytes.len() * 8);
                packet.bytes[bit / 8] ^= 1 << (bit % 8);
                packet.damaged = true;
                Ok(())
            }),
            Step::Timer => match self.next_deadline() {
                Some(at) => self.pass(at.max(self.now)),
                None => Ok(()),
            },
            Step::Wait(millis) => self.pass(self.now + Duration::from_millis(millis.into())),
            Step::Sleep(millis) => {
                self.now += Duration::from_millis(millis.into());
                self.serve_deadlines()
            }
            Step::Hold(end) => {
                let host = &mut self.hosts[end as usize];
                host.held = !host.held;
                Ok(())
            }
            Step::Forge(end, forgery) => self.forge(end, forgery),
            Step::Crash(end) => {
                self.crash(end);
                Ok(())
            }
            Step::Listen(end) => self.listen(end),
            Step::CloseListener(end) => self.close_listener(end),
            Step::Connect(end, reuse) => self.connect(end, reuse),
            Step::Accept(end) => self.accept(end),
            Step::Send(end, bytes) => self.send(end, bytes),
            Step::Receive(end, bytes) => self.receive(end, bytes),
            Step::ShutdownWrite(end) => self.shutdown_write(end),
            Step::ShutdownRead(end) => self.shutdown_read(end),
            Step::Close(end) => self.close(end),
            Step::Abort(end) => self.abort(end),
            Step::Options(end, patience) => self.options(end, patience),
        }
    }

    fn with_packet(
        &mut self,
        which: u8,
        act: impl FnOnce(&mut Self, usize) -> Result<(), String>,
    ) -> Result<(), String> {
        // RFC 9293 §3.4.3: nothing lives longer than MSL.
        let (now, msl) = (self.now, Duration::from_millis(self.setup.msl));
        self.air
            .retain(|packet| now.duration_since(packet.sent_at) <= msl);
        if self.air.is_empty() {
            return Ok(());
        }
        let index = usize::from(which) % self.air.len();
        act(self, index)
    }

    /// A packet arrives.
    fn deliver(&mut self, packet: Flying) -> Result<(), String> {
        if self.now.duration_since(packet.sent_at) > Duration::from_millis(self.setup.msl) {
            return Ok(());
        }
        let seen = Seen::of(&packet.bytes);
        let why = match seen {
            Some(seen) if !packet.damaged => Why::Arrival(seen),
            // A damaged packet is noticed, or the damage was where it means nothing.
            Some(seen) => Why::Arrival(seen),
            None => Why::Noise,
        };
        self.event(packet.to, why, |host, now| {
            host.stack
                .receive(now, &packet.bytes, ReceiveMeta::default());
        })
    }

    fn forge(&mut self, end: End, forgery: Forgery) -> Result<(), String> {
        let Some(before) = self.status(end) else {
            return Ok(());
        };
        let ipv6 = self.setup.ipv6;
        let Some(packet) = forge(end, ipv6, forgery, &before, self.setup.ignores_reset) else {
            return Ok(());
        };
        self.record(end.other(), &packet);
        let seen = Seen::of(&packet).ok_or("a forgery that is no segment")?;
        self.event(end, Why::Forgery(seen), |host, now| {
            host.stack.receive(now, &packet, ReceiveMeta::default());
        })?;
        let after = self.status(end).ok_or("a forged segment ended it")?;
        let told = |status: &Status| {
            (
                status.state,
                status.rcv_nxt,
                status.snd_una,
                status.snd_nxt,
                status.mss_send,
                status.recv_q,
            )
        };
        if told(&before) != told(&after) {
            return Err(format!(
                "{forgery:?} changed (state, RCV.NXT, SND.UNA, SND.NXT, MSS, unread) from {:?} to {:?}",
                told(&before),
                told(&after)
            ));
        }
        Ok(())
    }

    /// Lets `act` happen to a host, and has the model judge the arrows that this led to.
    fn event<T>(
        &mut self,
        end: End,
        why: Why,
        act: impl FnOnce(&mut Host, Instant) -> T,
    ) -> Result<T, String> {
        let before = self.status(end);
        let host = &mut self.hosts[end as usize];
        let result = act(host, self.now);
        let arrows: Vec<Arrow> = host.arrows.borrow_mut().drain(..).collect();
        let stack = &self.hosts[end as usize].stack;
        self.model
            .judge(end, self.now, &why, before.as_ref(), &arrows, stack)
            .map_err(|wrong| format!("{end:?}: {wrong}"))?;
        Ok(result)
    }

    /// What the one living endpoint of a host says of itself.
    fn status(&self, end: End) -> Option<Status> {
        let id = self.model.living(end)?;
        self.hosts[end as usize].stack.status(id)
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.hosts
            .iter()
            .filter_map(|host| host.stack.next_deadline())
            .min()
    }

    /// Time passes until `until`; every deadline on the way is served in time.
    fn pass(&mut self, until: Instant) -> Result<(), String> {
        let mut served = 0;
        while let Some(at) = self.next_deadline().filter(|&at| at <= until) {
            served += 1;
            if served > 20_000 {
                return Err("deadlines without end".into());
            }
            self.now = self.now.max(at);
            self.serve_deadlines()?;
            self.settle()?;
        }
        self.now = self.now.max(until);
        Ok(())
    }

    fn serve_deadlines(&mut self) -> Result<(), String> {
        for end in End::BOTH {
            let deadline = self.hosts[end as usize].stack.next_deadline();
            if deadline.is_some_and(|at| at <= self.now) {
                self.event(end, Why::Time, |host, now| host.stack.on_deadline(now))?;
            }
        }
        Ok(())
    }

    /// What the stacks want to send gets on its way; then everything is looked at.
    fn settle(&mut self) -> Result<(), String> {
        for end in End::BOTH {
            if !self.hosts[end as usize].held {
                self.fetch(end)?;
            }
            while self.hosts[end as usize].stack.poll_event().is_some() {}
        }
        for end in End::BOTH {
            self.hosts[end as usize].stack.assert_invariants();
            let status = self.status(end);
            self.model
                .compare(end, self.now, status.as_ref())
                .map_err(|wrong| format!("{end:?}: {wrong}"))?;
        }
        self.model.compare_ends()
    }

    fn fetch(&mut self, end: End) -> Result<(), String> {
        let mut packets = Vec::new();
        let (host, now) = (&mut self.hosts[end as usize], self.now);
        while let Some(transmit) = host.stack.poll_transmit(now) {
            transmit.write_packets(|packet| packets.push(packet.to_vec()));
            if packets.len() > 1_000 {
                return Err(format!("{end:?} sends a thousand packets at once"));
            }
        }
        let status = self.status(end);
        for packet in packets {
            self.packets += 1;
            self.record(end, &packet);
            // ICMP, about a damaged packet, is none.
            if let Some(seen) = Seen::of(&packet) {
                self.model
                    .sent(end, &seen, status.as_ref())
                    .map_err(|wrong| format!("{end:?} sent {seen}: {wrong}"))?;
            } else if is_tcp(&packet) {
                return Err(format!("{end:?} sent no good segment"));
            }
            self.air.push(Flying {
                to: end.other(),
                bytes: packet,
                sent_at: self.now,
                damaged: false,
            });
        }
        self.model.fetched(end);
        Ok(())
    }

    fn record(&mut self, from: End, packet: &[u8]) {
        let states = End::BOTH.map(|end| self.model.state(end));
        self.ladder
            .push(Row::Packet(self.now, from, packet.to_vec(), states));
    }

    fn crash(&mut self, end: End) {
        let epoch = self.hosts[end as usize].epoch + 1;
        self.hosts[end as usize] = host(&self.setup, end, epoch, self.now);
        self.model.crashed(end);
    }
}

/// How long a step takes: the clock of initial sequence numbers ticks every 4 µs, faster than numbers are used up, or the next
/// incarnation would begin among the numbers of the last (RFC 9293 §3.4.1).
fn time_of(step: Step) -> Duration {
    let numbers = match step {
        Step::Send(_, bytes) => u32::from(bytes) + 5,
        _ => 5,
    };
    Duration::from_micros(4) * numbers
}

fn is_tcp(packet: &[u8]) -> bool {
    !IpHeader::parse(packet)
        .is_ok_and(|header| matches!(header.protocol, protocol::ICMPV4 | protocol::ICMPV6))
}

fn text_of(packet: &[u8]) -> String {
    let header = IpHeader::parse(packet).ok().filter(|_| is_tcp(packet));
    let segment = header.and_then(|header| {
        TcpSegment::parse(&packet[header.payload.clone()])
            .ok()
            .map(|segment| brief(&segment, SequenceNumber(0), SequenceNumber(0)))
    });
    segment.unwrap_or_else(|| one_line(packet))
}

fn secret(setup: &Setup, end: End, epoch: u32) -> Secret {
    let mut key = [0; 16];
    let mut generator = Generator::from_seed(setup.seed ^ (end as u64) << 32 ^ u64::from(epoch));
    generator.fill(&mut key);
    Secret::new(key)
}

/// When the walk begins: so that the first initial sequence number of one end stands just before the wrap.
fn start(setup: &Setup) -> Instant {
    let base = Instant::from_secs(1_000);
    let Some(end) = setup.wraps else { return base };
    let (local, remote): (SocketAddr, SocketAddr) =
        (socket(end, setup.ipv6), socket(end.other(), setup.ipv6));
    let flow = FlowTuple {
        addresses: IpAddresses {
            source: local.ip(),
            destination: remote.ip(),
        },
        source_port: local.port(),
        destination_port: remote.port(),
    };
    let isn = InitialSequence::new(&secret(setup, end, 0)).isn(base, &flow);
    let before_wrap = SequenceNumber(u32::MAX - 300).offset_from(isn);
    base + Duration::from_micros(4) * before_wrap
}

fn host(setup: &Setup, end: End, epoch: u32, now: Instant) -> Host {
    let ring = 1 << setup.ring_bits;
    let mut config = StackConfig {
        addresses: vec![IpCidr::new(
            Pair::address(end, setup.ipv6),
            if setup.ipv6 { 64 } else { 24 },
        )],
        mtu: if setup.small_mtu { 1_280 } else { 1_500 },
        gso_max: 0,
        ..StackConfig::default()
    };
    config.tcp.msl = Duration::from_millis(setup.msl);
    config.tcp.timestamps = setup.timestamps;
    config.tcp.window_scale = setup.window_scale;
    config.tcp.time_wait_ignores_reset = setup.ignores_reset;
    (config.tcp.receive_ring, config.tcp.send_ring) = (ring, ring);
    config.tcp.receive_ring_max = ring << 3;
    let mut stack = Stack::new(config, secret(setup, end, epoch), setup.seed, now);
    stack.check_every_event();
    let arrows = Rc::new(RefCell::new(Vec::new()));
    stack.set_observer(Box::new(Scribe(Rc::clone(&arrows))));
    Host {
        stack,
        arrows,
        listener: None,
        holds: Vec::new(),
        held: false,
        epoch,
    }
}

pub(crate) fn options_of(patience: Patience) -> ConnectionOptions {
    let mut options = ConnectionOptions::default();
    match patience {
        Patience::Endless => {}
        Patience::KeepAlive => {
            options.keepalive = Some(KeepAlive {
                idle: Duration::from_secs(10),
                interval: Duration::from_secs(2),
                count: 3,
            });
        }
        Patience::UserTimeout => options.user_timeout = Some(Duration::from_secs(30)),
        Patience::NoDelay => options.nodelay = true,
    }
    options
}

fn listen_options(end: End) -> ListenOptions {
    ListenOptions {
        port: PORTS[end as usize],
        backlog: 4,
        reuse: true,
        ..ListenOptions::default()
    }
}

fn connect_options(end: End, ipv6: bool, reuse: Reuse) -> ConnectOptions {
    ConnectOptions {
        local_port: PORTS[end as usize],
        reuse: reuse == Reuse::Yes,
        ..ConnectOptions::to(socket(end.other(), ipv6))
    }
}

impl Call {
    /// For [`World::event`].
    pub(crate) fn why(self) -> Why {
        Why::Call(self)
    }
}
