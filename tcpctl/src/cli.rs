//! The command line: every option with its help, from which `--help` comes.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use libtcpclient::protocol::request::MAX_ID;

use crate::filter::{AddressFilter, StateFilter};

const EXAMPLES: &str = "\
Examples:
  tcpctl list                      every connection, and which timer it waits for
  tcpctl list --state time-wait    only those in TIME-WAIT
  tcpctl show 12.1                 all that tcpd knows about connection 12.1
  tcpctl stats                     every counter that is not zero
  tcpctl list --json | jq .        one JSON object a line, for programs

Who sees what:
  A user sees and acts on the connections of their own programs; root and the members of the group `tcpd` on all.

Exit status:
   0  done
  64  the command line is wrong
  68  no connection has that ID (it may have ended meanwhile)
  69  the daemon is not there, does not answer, or went away before it answered
  70  the daemon could not do it
  71  the operating system refused something
  74  the output could not be written
  75  not now: a quota is used up; try again
  76  what answers on the socket does not speak tcpd's protocol, or another version of it
  77  not permitted: by the socket's mode, or by the daemon's policy
  78  the daemon's configuration is wrong, or changes what only a restart can

Environment:
  TCPD_SOCKET  the daemon's control socket, where --socket does not say it
  COLUMNS      the width of tables, instead of the terminal's";

/// Shows every TCP connection of tcpd, and why it is where it is.
#[derive(Debug, Parser)]
#[command(name = "tcpctl", version, after_long_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
#[command(disable_help_subcommand = true)]
pub struct Cli {
    /// The daemon's control socket [default: $TCPD_SOCKET, else /run/tcpd/tcpd.sock]
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        help_heading = "Global options"
    )]
    pub socket: Option<PathBuf>,

    /// Wait up to so many seconds for a daemon that is not there yet [default: $TCPD_WAIT, else 0]
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        value_parser = seconds,
        help_heading = "Global options"
    )]
    pub wait: Option<Duration>,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List connections: state, queues, addresses, owner, and the timer each one waits for
    ///
    /// Columns:
    ///   ID      names the connection in the other commands; never used again
    ///   State   the state, as RFC 9293 names it
    ///   Recv-Q  bytes received that the program has not read
    ///           (LISTEN: connections that nobody has accepted)
    ///   Send-Q  bytes the program wrote that the peer has not acknowledged
    ///           (LISTEN: how many connections may wait)
    ///   Local   tcpd's side
    ///   Peer    the other side
    ///   Owner   pid/program/user of a client; service/pid of a worker;
    ///           `handed-off` on its way to another program; `orphan` when the
    ///           program has closed it; `-` when it never had one
    ///   Timer   the time left until the next timer fires, and which one that is
    ///
    /// Every state but LISTEN is shown; --listening shows the listeners, --all both.
    /// The order is by local port, then local address, then peer. A narrow terminal
    /// leaves out Owner, then Timer; a pipe (or COLUMNS=200) has every column.
    #[command(visible_alias = "ls", verbatim_doc_comment)]
    List(List),

    /// Show everything tcpd knows about one connection, in the words of RFC 9293
    ///
    /// Where it is and why, both sequence spaces drawn as in RFC 9293 figures 3 and 4, congestion control, round-trip
    /// time, timers with the time left, options, buffers and counts. The ID is the first column of `tcpctl list`.
    Show(Show),

    /// Show the daemon's counters: segments, transitions, timeouts, and every reason for which a segment was dropped
    ///
    /// Only counters that are not zero, unless --all is given. The segments received are always the sum of those
    /// accepted and those dropped, each drop under exactly one reason.
    Stats(Stats),

    /// Show the configured services, their workers, and the connections that wait for one
    ///
    /// A connection waits in the backlog while a service has as many workers as `max_workers` allows.
    Services(Services),

    /// Show every user: what it has against what it may have, and what was refused to it by which rule
    ///
    /// Ring memory is what the rings of its connections really occupy. A user near its limit is held: nothing that it has is lost, but
    /// its windows do not open further than it reads, and new connections are refused. Root and the group `tcpd` see every user, the
    /// services and the whole; others see themselves.
    Users(Users),

    /// Close a connection in order: what is queued is sent, then FIN
    ///
    /// The program that holds the connection sees its end, as if it had closed it itself. To end a connection at once,
    /// use `reset`.
    Close(Targets),

    /// Reset a connection: RST to the peer, everything queued is thrown away
    Reset(Targets),

    /// Change settings of a live connection: so far congestion=cubic and congestion=newreno
    ///
    /// All of them count, or none. What is in flight and the congestion window stay as they are when congestion control is exchanged; `tcpctl
    /// show` tells which one is at work. Of one's own connections, or of all for root and the group `tcpd`.
    Set(Set),

    /// Have the daemon read its configuration again: all of it counts then, or nothing
    ///
    /// Services are added, changed and removed, and the limits and policies that need no restart change; connections are
    /// not touched. A port passes from one service to another in two reloads. A configuration that is wrong, or that changes what needs a restart, is refused as a whole, and the
    /// refusal says why. For root and the group `tcpd`. SIGHUP does the same, and the log has the answer.
    Reload(Reload),

    /// Have the daemon take nothing new, and end when nothing is left
    ///
    /// Connections and workers go on until they end by themselves, at most for the grace; what is left then is reset.
    /// tcpctl says how many connections are left and waits until the daemon has ended, unless --no-wait is given. For root and
    /// the group `tcpd`.
    Drain(Drain),

    /// Play a bad network to packets, show what it did, or end it
    ///
    /// Loss, delay, a slow link and more happen to packets between the network and tcpd, each direction on a path of its own: for testing
    /// programs. Without a subcommand, as `show`. For root and the group `tcpd`.
    ///
    /// A packet goes through one path: that of its connection, else that of the longest prefix its peer lies in, else that for
    /// everything. What two programs of one tcpd say to each other crosses no network, and is not impaired.
    Impair(Impair),

    /// Ask the daemon whether it is alive: its version, pid, uptime, and how long the answer took
    Ping(Ping),
}

/// `tcpctl list`.
#[derive(Debug, Default, Args)]
pub struct List {
    /// Only these states: RFC 9293's names or those of ss, several with commas or by repeating the option
    ///
    /// Also the groups of ss: all, connected (all but listen), synchronized (connected but syn-sent), bucket (syn-recv
    /// and time-wait), big (all but bucket).
    #[arg(short, long = "state", value_name = "STATE", value_delimiter = ',')]
    pub states: Vec<StateFilter>,

    /// Only this port, on either side; may be repeated
    #[arg(short, long = "port", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub ports: Vec<u16>,

    /// Only this address or network, on either side, as in 198.18.0.1 or fd00::/8; may be repeated
    #[arg(long = "address", value_name = "ADDRESS[/PREFIX]")]
    pub addresses: Vec<AddressFilter>,

    /// Only IPv4
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub ipv4: bool,

    /// Only IPv6
    #[arg(short = '6', long)]
    pub ipv6: bool,

    /// Only listeners
    #[arg(short, long, conflicts_with = "all")]
    pub listening: bool,

    /// Listeners too
    #[arg(short, long)]
    pub all: bool,

    /// Leave out the line with the names of the columns
    #[arg(short = 'H', long)]
    pub no_header: bool,

    /// One JSON object a line instead of a table
    #[arg(long)]
    pub json: bool,
}

/// `tcpctl show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The connection, as in the first column of `tcpctl list`
    #[arg(value_name = "ID", value_parser = id)]
    pub id: String,

    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// `tcpctl stats`.
#[derive(Debug, Args)]
pub struct Stats {
    /// Only counters whose name contains one of these words, as in `tcpctl stats reset`
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,

    /// Counters that are zero too
    #[arg(short, long)]
    pub all: bool,

    /// Leave out the line with the names of the columns
    #[arg(short = 'H', long)]
    pub no_header: bool,

    /// One JSON object a line instead of a table
    #[arg(long)]
    pub json: bool,
}

/// `tcpctl services`.
#[derive(Debug, Args)]
pub struct Services {
    /// The worker processes too, with the connection each one holds
    #[arg(short, long)]
    pub workers: bool,

    /// Leave out the line with the names of the columns
    #[arg(short = 'H', long)]
    pub no_header: bool,

    /// One JSON object a line instead of a table
    #[arg(long)]
    pub json: bool,
}

/// `tcpctl users`.
#[derive(Debug, Args)]
pub struct Users {
    /// Leave out the line with the names of the columns
    #[arg(short = 'H', long)]
    pub no_header: bool,

    /// One JSON object a line instead of a table
    #[arg(long)]
    pub json: bool,
}

/// `tcpctl close` and `tcpctl reset`.
#[derive(Debug, Args)]
pub struct Targets {
    /// The connections, as in the first column of `tcpctl list`
    #[arg(value_name = "ID", required = true, value_parser = id)]
    pub ids: Vec<String>,
}

/// `tcpctl set`.
#[derive(Debug, Args)]
pub struct Set {
    /// The connection, as in the first column of `tcpctl list`
    #[arg(value_name = "ID", value_parser = id)]
    pub id: String,

    /// What shall be otherwise, as in congestion=newreno
    #[arg(value_name = "NAME=VALUE", required = true)]
    pub settings: Vec<String>,
}

/// `tcpctl reload`.
#[derive(Debug, Args)]
pub struct Reload {
    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// `tcpctl drain`.
#[derive(Debug, Args)]
pub struct Drain {
    /// How many seconds connections have to end; without it the configured `shutdown_grace`
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(..=MAX_GRACE))]
    pub grace: Option<u32>,

    /// Do not wait for the daemon's end
    #[arg(long)]
    pub no_wait: bool,
}

/// The longest grace, in seconds: what its milliseconds hold in the protocol.
const MAX_GRACE: i64 = u32::MAX as i64 / 1_000;

/// `tcpctl impair`.
#[derive(Debug, Args)]
pub struct Impair {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<ImpairCommand>,
}

/// What `tcpctl impair` does.
#[derive(Debug, Subcommand)]
pub enum ImpairCommand {
    /// Show each path: which packets, what happens to them, and what did so far
    Show(ImpairShow),

    /// From now on so: all of what is said, in place of what was said before for the same packets
    ///
    /// loss=1%           lost, each by itself
    /// burst=0.5%:30%    losses in bursts: a good path turns bad with the first
    ///                   probability, a bad one good with the second, at each
    ///                   packet; a bad path loses all, or what a third one says
    /// delay=20ms        0s to 60s
    /// jitter=2ms        so much more delay at most, never out of order
    /// rate=100mbit      1kbit to 100gbit
    /// queue=256KiB      what may wait for the rate; the rest is dropped
    /// ce=64KiB          with more than that waiting, ECN-capable packets are marked
    /// reorder=2%:10ms   held back for so long, so that others overtake
    /// duplicate=0.1%    twice
    /// corrupt=0.01%     with a flipped bit
    ///
    /// A single `loss=0%` exempts packets from what is said for everything.
    #[command(verbatim_doc_comment)]
    Set(ImpairSet),

    /// No more of it; without an option, of nothing any more
    ///
    /// What is on its way arrives at once.
    Clear(ImpairTarget),
}

/// `tcpctl impair show`.
#[derive(Debug, Default, Args)]
pub struct ImpairShow {
    /// Leave out the line with the names of the columns
    #[arg(short = 'H', long)]
    pub no_header: bool,

    /// One JSON object a line instead of a table
    #[arg(long)]
    pub json: bool,
}

/// `tcpctl impair set`.
#[derive(Debug, Args)]
pub struct ImpairSet {
    /// For which packets.
    #[command(flatten)]
    pub target: ImpairTarget,

    /// What decides every chance: the same number, the same losses [default: the configuration's impair.seed]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,

    /// What happens, as in `loss=1% delay=20ms rate=100mbit`
    #[arg(value_name = "KEY=VALUE", required = true)]
    pub words: Vec<String>,
}

/// For which packets.
#[derive(Debug, Args)]
pub struct ImpairTarget {
    /// Those from and to this address or network, as in 203.0.113.0/24
    #[arg(long, value_name = "ADDRESS[/PREFIX]", conflicts_with = "connection")]
    pub peer: Option<AddressFilter>,

    /// Those of this connection, as in the first column of `tcpctl list`
    #[arg(long, value_name = "ID", value_parser = id)]
    pub connection: Option<String>,

    /// Only those from the network
    #[arg(long = "in", conflicts_with = "outbound")]
    pub inbound: bool,

    /// Only those to the network
    #[arg(long = "out")]
    pub outbound: bool,
}

/// `tcpctl ping`.
#[derive(Debug, Args)]
pub struct Ping {
    /// One JSON object instead of a line of text
    #[arg(long)]
    pub json: bool,
}

/// A time in seconds, as in 30 or 0.5.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok();
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| "a number of seconds, as in 30 or 0.5".to_owned())
}

/// What can be the ID of a connection: it does not mean that there is one.
fn id(text: &str) -> Result<String, String> {
    let fits = (1..=MAX_ID).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-'));
    match fits {
        true => Ok(text.to_owned()),
        false => Err("an ID looks like 12.1, as in the first column of `tcpctl list`".to_owned()),
    }
}
