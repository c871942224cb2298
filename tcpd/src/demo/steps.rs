//! The steps of the tour. Each one checks what it shows.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use libtcpclient::Control;
use libtcpclient::protocol::status::TcpState;
use tcpd_core::wire::tcp::Flags;

use super::capture::{Capture, Seen, draw, sent};
use super::client::GREETING;
use super::show::Show;
use super::tools::{PATIENCE, accept, connect, port, say_and_hear};
use crate::daemon::config::Config;
use crate::sandbox::CONFIG_VARIABLE;

const ECHO: u16 = 7;
const DAYTIME: u16 = 13;
const NOBODY: u16 = 4711;

/// The tour under way.
pub(super) struct Tour {
    pub(super) show: Show,
    capture: Capture,
    pub(super) control: Control,
    kernel: [IpAddr; 2],
    tcpd: [IpAddr; 2],
    /// Twice the MSL.
    time_wait: Duration,
}

impl Tour {
    /// Connects to the daemon of the sandbox and starts the capture.
    pub(super) fn begin(show: Show) -> Result<Self, String> {
        let path = std::env::var_os(CONFIG_VARIABLE).map(PathBuf::from);
        let config = Config::load(path.as_deref(), std::env::vars(), &[super::MSL.to_owned()])
            .map_err(|error| error.to_string())?;
        let host: Vec<IpAddr> = config
            .device
            .host_addresses()
            .map(|(address, _)| address)
            .collect();
        let stack: Vec<IpAddr> = config
            .device
            .stack_addresses()
            .map(|(address, _)| address)
            .collect();
        let both = |addresses: &[IpAddr]| {
            <[IpAddr; 2]>::try_from(addresses)
                .map_err(|_| "the sandbox lacks IPv4 or IPv6".to_owned())
        };
        Ok(Self {
            show,
            capture: Capture::start(stack.clone())?,
            control: Control::connect().map_err(|error| error.to_string())?,
            kernel: both(&host)?,
            tcpd: both(&stack)?,
            time_wait: config.tcp.msl * 2,
        })
    }

    /// All steps in order.
    pub(super) fn walk(mut self) -> Result<(), String> {
        self.show.text(&format!(
            "tcpd demo: a network of its own, a daemon of its own; nothing on this machine changes.\n\n   \
             kernel {}  ◀──  interface tcpd0  ──▶  tcpd {}",
            self.kernel[0], self.tcpd[0]
        ))?;
        let mut echo = self.opens()?;
        self.established(&echo)?;
        self.worker(&echo)?;
        self.half_close(&mut echo)?;
        let pair = self.time_wait_begins()?;
        self.refused()?;
        self.reset()?;
        self.client_program()?;
        self.time_wait_ends(pair)?;
        self.show.text(NEXT)
    }

    fn opens(&mut self) -> Result<TcpStream, String> {
        self.show.step(
            "The kernel's TCP connects to tcpd's echo service, says hello and hears it back",
        )?;
        let mut stream = connect(self.tcpd[0], ECHO)?;
        say_and_hear(&mut stream, b"hello")?;
        let packets = self.capture.connection(
            port(&stream)?,
            ECHO,
            "the handshake and the echo",
            |seen| {
                sent(seen, true, Flags::SYN)
                    && sent(seen, false, Flags::SYN.with(Flags::ACK))
                    && sent(seen, true, Flags::PSH)
                    && sent(seen, false, Flags::PSH)
            },
        )?;
        self.show.quote(&draw(&packets))?;
        Ok(stream)
    }

    fn established(&mut self, echo: &TcpStream) -> Result<(), String> {
        self.show
            .step("tcpd knows the connection: its state, its queues, whose it is")?;
        let port = port(echo)?;
        self.wait_for_row("an ESTABLISHED connection", |row| {
            row.peer.port() == port && row.state == TcpState::Established
        })?;
        let table = self.tcpctl(&["list"])?;
        let line = table
            .lines()
            .find(|line| line.contains(&format!(":{port} ")));
        if !line.is_some_and(|line| line.contains("ESTAB")) {
            return Err(format!(
                "tcpctl list does not show port {port} as ESTABLISHED:\n{table}"
            ));
        }
        Ok(())
    }

    fn worker(&mut self, echo: &TcpStream) -> Result<(), String> {
        self.show
            .step("A worker process of its own serves it, forked for this connection")?;
        let port = port(echo)?;
        let row = self.wait_for_row("the worker", |row| {
            row.peer.port() == port && row.owner.pid.is_some()
        })?;
        let pid = row.owner.pid.unwrap_or_default();
        let service = row.owner.service.unwrap_or_default();
        let file = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))
        };
        let title = file("cmdline")?.replace('\0', " ");
        let status = file("status")?;
        let of = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.map(|value| value.trim().to_owned())
                .ok_or(format!("/proc/{pid}/status has no {key}"))
        };
        if service != "echo" || of("Seccomp:")? != "2" {
            return Err(format!(
                "process {pid} ({title}) is no confined worker of echo"
            ));
        }
        self.show.quote(&format!(
            "  PID   PPID  RSS        COMMAND\n{pid:>5}  {:>5}  {:<9}  {}\nIt holds no privilege, no file, and a seccomp filter.",
            of("PPid:")?,
            of("VmRSS:")?,
            title.trim(),
        ))
    }

    fn half_close(&mut self, echo: &mut TcpStream) -> Result<(), String> {
        self.show.step(
            "Half-close: the kernel closes its half, and tcpd's half still carries the answer",
        )?;
        let port = port(echo)?;
        // Corked, so that the FIN rides on the last data: what comes back is sent after it.
        let corked = rustix::net::sockopt::set_tcp_cork(&*echo, true).map_err(std::io::Error::from);
        let words = b"last words";
        let said = corked
            .and_then(|()| echo.write_all(words))
            .and_then(|()| echo.shutdown(Shutdown::Write));
        said.map_err(|error| format!("write and shut down: {error}"))?;
        let mut rest = Vec::new();
        echo.read_to_end(&mut rest)
            .map_err(|error| format!("read after half-close: {error}"))?;
        if rest != words {
            return Err(format!(
                "after the half-close {} bytes came back, not the last words",
                rest.len()
            ));
        }
        let fin = |seen: &[Seen], from_kernel: bool| {
            seen.iter()
                .position(|one| one.from_kernel == from_kernel && one.flags.contains(Flags::FIN))
        };
        let packets = self
            .capture
            .connection(port, ECHO, "the FINs of both sides", |seen| {
                fin(seen, true).is_some() && fin(seen, false).is_some()
            })?;
        let first = fin(&packets, true).unwrap_or_default();
        if !sent(&packets[first..], false, Flags::PSH) {
            return Err(format!(
                "no data of tcpd after the kernel's FIN:\n{}",
                draw(&packets)
            ));
        }
        self.show.quote(&tail(&draw(&packets), first))?;
        self.wait_until("the end of the connection", |rows| {
            rows.iter().all(|row| row.peer.port() != port)
        })
    }

    /// A service that closes first: the side that does so waits for 2 MSL. Gives the kernel's port.
    fn time_wait_begins(&mut self) -> Result<u16, String> {
        self.show.step(
            "TIME-WAIT: the daytime service closes first, so it is tcpd that waits for 2 MSL",
        )?;
        let mut stream = connect(self.tcpd[0], DAYTIME)?;
        let mut time = String::new();
        stream
            .read_to_string(&mut time)
            .map_err(|error| format!("daytime: {error}"))?;
        let port = port(&stream)?;
        drop(stream);
        let row = self.wait_for_row("TIME-WAIT", |row| {
            row.peer.port() == port && row.state == TcpState::TimeWait
        })?;
        let left = row
            .timer
            .filter(|timer| timer.left_ms > 0)
            .ok_or("TIME-WAIT without a timer")?;
        if u128::from(left.left_ms) > self.time_wait.as_millis() {
            return Err(format!(
                "TIME-WAIT lasts {} ms, more than 2 MSL",
                left.left_ms
            ));
        }
        self.show.quote(&format!("daytime says: {}", time.trim()))?;
        self.tcpctl(&["list", "--state", "time-wait"])?;
        Ok(port)
    }

    fn refused(&mut self) -> Result<(), String> {
        self.show.step("A port where nobody listens: refused")?;
        let remote = SocketAddr::new(self.tcpd[0], NOBODY);
        match TcpStream::connect_timeout(&remote, PATIENCE) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                let packets = self.seen_towards(NOBODY)?;
                self.show.quote(&packets)?;
                self.show.quote(&format!("connect to {remote}: {error}"))
            }
            Err(error) => Err(format!("{remote} did not refuse: {error}")),
            Ok(_) => Err(format!("{remote} accepted a connection")),
        }
    }

    /// The ladder of the only connection to a port of tcpd that ended in RST, whatever the kernel's port was.
    fn seen_towards(&self, tcpd_port: u16) -> Result<String, String> {
        let refused = self.capture.towards(tcpd_port, "SYN and RST", |seen| {
            sent(seen, true, Flags::SYN) && sent(seen, false, Flags::RST)
        })?;
        Ok(draw(&refused))
    }

    fn reset(&mut self) -> Result<(), String> {
        self.show.step(
            "Abort: tcpctl resets a connection, and the kernel's program learns it at once",
        )?;
        let mut stream = connect(self.tcpd[0], ECHO)?;
        say_and_hear(&mut stream, b"goodbye")?;
        let port = port(&stream)?;
        let row = self.wait_for_row("the connection", |row| {
            row.peer.port() == port && row.state == TcpState::Established
        })?;
        self.tcpctl(&["reset", &row.id])?;
        let error = match stream.read(&mut [0; 16]) {
            Err(error) if error.kind() == ErrorKind::ConnectionReset => error,
            other => return Err(format!("the kernel did not see the reset: {other:?}")),
        };
        let packets = self
            .capture
            .connection(port, ECHO, "RST", |seen| sent(seen, false, Flags::RST))?;
        let last = packets.len().saturating_sub(1);
        self.show.quote(&tail(&draw(&packets), last))?;
        self.show.quote(&format!("read: {error}"))
    }

    fn client_program(&mut self) -> Result<(), String> {
        self.show.step("The other way, over IPv6: a program uses libtcpclient to reach a server of the kernel's TCP")?;
        let listener = TcpListener::bind((self.kernel[1], 0))
            .map_err(|error| format!("kernel server: {error}"))?;
        let server = listener
            .local_addr()
            .map_err(|error| format!("kernel server: {error}"))?;
        let program = std::env::current_exe().map_err(|error| format!("find tcpd: {error}"))?;
        let client = Command::new(program)
            .args(["demo", "--client", &server.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("client program: {error}"))?;
        let (mut stream, from) = accept(listener)?;
        let mut heard = vec![0; GREETING.len()];
        stream
            .read_exact(&mut heard)
            .map_err(|error| format!("kernel server: {error}"))?;
        if heard != GREETING.as_bytes() || from.ip() != self.tcpd[1] {
            return Err(format!(
                "the kernel server heard something else, from {from}"
            ));
        }
        let row = self.wait_for_row("the client's connection", |row| {
            row.peer == server && row.state == TcpState::Established
        })?;
        if row.owner.pid != Some(client.id()) {
            return Err(format!(
                "the connection belongs to {:?}, not to the client program {}",
                row.owner,
                client.id()
            ));
        }
        self.tcpctl(&["list", "--port", &server.port().to_string()])?;
        write!(stream, "the kernel greets {from}")
            .map_err(|error| format!("kernel server: {error}"))?;
        drop(stream);
        let output = client
            .wait_with_output()
            .map_err(|error| format!("client program: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() || said != format!("the kernel greets {from}") {
            return Err(format!(
                "the client program ended with {} and said {said:?}",
                output.status
            ));
        }
        self.show.quote(&format!(
            "the server heard: {}the program heard: {said}",
            String::from_utf8_lossy(&heard)
        ))
    }

    fn time_wait_ends(&mut self, port: u16) -> Result<(), String> {
        let seconds = self.time_wait.as_secs();
        self.show.step(&format!(
            "2 MSL ({seconds} s here) later the pair that was in TIME-WAIT may be used again"
        ))?;
        self.wait_until("the end of TIME-WAIT", |rows| {
            rows.iter()
                .all(|row| row.peer.port() != port || row.local.port() != DAYTIME)
        })?;
        let stats = self.run_tcpctl(&["stats"])?;
        let interesting = |line: &&str| line.contains("segments");
        self.show.quote(&format!(
            "$ tcpctl stats\n{}\n…",
            stats
                .lines()
                .filter(interesting)
                .collect::<Vec<_>>()
                .join("\n")
        ))
    }
}

/// The lines of a ladder from `first` on, with a mark for what was left out.
fn tail(ladder: &str, first: usize) -> String {
    let rest: String = ladder
        .lines()
        .skip(first)
        .map(|line| line.to_owned() + "\n")
        .collect();
    if first > 0 {
        format!("…\n{rest}")
    } else {
        rest
    }
}

const NEXT: &str = "
What to try next:

   tcpd sandbox                       a shell in such a network; in it:
     nc 198.18.0.2 7                  talk to the echo service
     curl -v http://198.18.0.2/       a page through tcpd's TCP (also http://[fd00:7463:7064::2]/)
     tcpctl list --all                connections and listeners
     tcpctl show ID                   everything tcpd knows about one connection
     tcpctl stats                     what was counted, every dropped segment by its reason
   tcpd check etc/tcpd.toml           what can be configured, and whether it is right
";
