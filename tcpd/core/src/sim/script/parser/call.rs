//! `name(arguments) = result ERRNO`: arguments as C writes them, then the calls that there are.

mod argument;

use std::net::IpAddr;
use std::time::Duration;

use argument::Argument;

use super::{Parse, Parser};
use crate::sim::script::lexer::Kind;
use crate::sim::script::syntax::{Call, Errno, How, Invocation, SocketOption, Wanted};
use crate::sim::script::{Place, ScriptError};

/// The arguments of one call, and where they stand.
struct Arguments {
    name: String,
    place: Place,
    list: Vec<(Place, Argument)>,
}

impl Parser {
    pub(super) fn invocation(&mut self, returns_at: Option<Duration>) -> Parse<Invocation> {
        let place = self.place();
        let name = self.word("the name of a call")?;
        self.mark('(', "and the arguments")?;
        let list = self.arguments()?;
        self.mark('=', "and the result")?;
        let (wanted, errno) = self.outcome()?;
        let call = Arguments { name, place, list }.call()?;
        Ok(Invocation {
            call,
            returns_at,
            wanted,
            errno,
        })
    }

    fn signed(&mut self, what: &str) -> Parse<i64> {
        let negative = self.accept('-');
        let number: i64 = self.number(what)?;
        Ok(if negative { -number } else { number })
    }

    /// What must come back: a number (with an errno when it is -1), a state, or `?`.
    fn outcome(&mut self) -> Parse<(Wanted, Option<Errno>)> {
        if self.accept('?') {
            return Ok((Wanted::Any, None));
        }
        if let Kind::Word(first) = self.peek().clone() {
            self.advance();
            let mut name = first;
            while self.accept('-') {
                name.push('-');
                match self.peek().clone() {
                    Kind::Word(part) => name.push_str(&part),
                    Kind::Integer(part) => name.push_str(&part.to_string()),
                    _ => return Err(self.expected("the rest of a state's name")),
                }
                self.advance();
            }
            return Ok((Wanted::State(name), None));
        }
        let value = self.signed("a result: a number, a state or `?`")?;
        let errno = match self.peek() {
            Kind::Word(name) => {
                let errno = Errno::named(name)
                    .ok_or_else(|| self.expected("a known errno, as ECONNRESET"))?;
                self.advance();
                self.skip_strerror()?;
                Some(errno)
            }
            _ => None,
        };
        if (value == -1) != errno.is_some() {
            return Err(self.expected("an errno after -1, and only there, so not"));
        }
        Ok((Wanted::Integer(value), errno))
    }

    /// packetdrill writes the text of an error after its name: `(Connection refused)`.
    fn skip_strerror(&mut self) -> Parse<()> {
        if self.accept('(') {
            while !self.accept(')') {
                self.word("the text of the error")?;
            }
        }
        Ok(())
    }
}

impl Arguments {
    fn call(self) -> Parse<Call> {
        let call = match self.name.as_str() {
            "socket" => {
                self.arity(3)?;
                self.symbol(1, &["SOCK_STREAM"])?;
                Call::Socket
            }
            "bind" => {
                self.arity(3)?;
                let (port, address) = self.socket_address(1)?;
                let fd = self.fd()?;
                Call::Bind { fd, port, address }
            }
            "listen" => {
                self.arity(2)?;
                Call::Listen {
                    fd: self.fd()?,
                    backlog: self.integer(1)?,
                }
            }
            "accept" => {
                self.arity(3)?;
                Call::Accept { fd: self.fd()? }
            }
            "connect" => {
                self.arity(3)?;
                Call::Connect {
                    fd: self.fd()?,
                    peer: self.peer(1)?,
                }
            }
            "read" | "write" => {
                self.arity(3)?;
                self.transfer()?
            }
            "recv" | "send" => {
                self.arity(4)?;
                let urgent = match &self.list[3].1 {
                    Argument::Integer(0) => false,
                    Argument::Symbols(symbols) if symbols == &["MSG_OOB"] => true,
                    _ => return Err(self.wrong(3, "0 or MSG_OOB for the flags")),
                };
                match self.transfer()? {
                    Call::Write { fd, size, .. } => Call::Write { fd, size, urgent },
                    _ if urgent => return Err(self.wrong(3, "0: urgent bytes are read in line")),
                    call => call,
                }
            }
            "shutdown" => {
                self.arity(2)?;
                let how = match self.symbol(1, &["SHUT_RD", "SHUT_WR", "SHUT_RDWR"])? {
                    "SHUT_RD" => How::Read,
                    "SHUT_WR" => How::Write,
                    _ => How::Both,
                };
                Call::Shutdown {
                    fd: self.fd()?,
                    how,
                }
            }
            "close" => {
                self.arity(1)?;
                Call::Close { fd: self.fd()? }
            }
            "setsockopt" => {
                self.arity(5)?;
                Call::SetOption {
                    fd: self.fd()?,
                    option: self.option()?,
                }
            }
            "getsockopt" => {
                self.arity(5)?;
                Call::GetOption {
                    fd: self.fd()?,
                    option: self.option()?,
                }
            }
            "fcntl" => self.fcntl()?,
            "state" => match self.list.first() {
                None => Call::StateOfPeer { peer: 1 },
                Some((_, Argument::Apply(..))) => Call::StateOfPeer {
                    peer: self.peer(0)?,
                },
                Some(_) => Call::State { fd: self.fd()? },
            },
            other => {
                return Err(ScriptError::new(
                    self.place,
                    format!(
                        "expected socket, bind, listen, accept, connect, read, write, recv, send, shutdown, close, \
                         setsockopt, getsockopt, fcntl or state, found `{other}`"
                    ),
                ));
            }
        };
        Ok(call)
    }

    fn transfer(&self) -> Parse<Call> {
        if self.list[1].1 != Argument::Ellipsis {
            return Err(self.wrong(1, "`...` for the buffer"));
        }
        let (fd, size) = (self.fd()?, self.integer(2)?);
        Ok(match self.name.as_str() {
            "read" | "recv" => Call::Read { fd, size },
            _ => Call::Write {
                fd,
                size,
                urgent: false,
            },
        })
    }

    fn fcntl(&self) -> Parse<Call> {
        let fd = self.fd()?;
        match self.symbol(1, &["F_GETFL", "F_SETFL"])? {
            "F_GETFL" => Ok(Call::GetFlags { fd }),
            _ => {
                self.arity(3)?;
                let nonblocking = match &self.list[2].1 {
                    Argument::Symbols(symbols) => symbols.iter().any(|s| s == "O_NONBLOCK"),
                    Argument::Integer(_) => false,
                    _ => return Err(self.wrong(2, "flags, as O_RDWR|O_NONBLOCK")),
                };
                Ok(Call::SetFlags { fd, nonblocking })
            }
        }
    }

    /// `fd, SOL_…, NAME, value, length`
    fn option(&self) -> Parse<SocketOption> {
        let name = self.symbol(
            2,
            &[
                "TCP_NODELAY",
                "TCP_KEEPIDLE",
                "TCP_KEEPINTVL",
                "TCP_KEEPCNT",
                "TCP_MAXSEG",
                "TCP_USER_TIMEOUT",
                "TCP_IDLE_TIMEOUT",
                "TCP_WINDOW_CLAMP",
                "SO_KEEPALIVE",
                "SO_LINGER",
                "SO_RCVBUF",
                "SO_SNDBUF",
                "SO_REUSEADDR",
                "SO_ERROR",
                "IP_TOS",
                "IPV6_TCLASS",
            ],
        )?;
        let level = match name {
            "IP_TOS" => ["SOL_IP", "IPPROTO_IP"].as_slice(),
            "IPV6_TCLASS" => &["SOL_IPV6", "IPPROTO_IPV6"],
            _ if name.starts_with("TCP_") => &["SOL_TCP", "IPPROTO_TCP"],
            _ => &["SOL_SOCKET"],
        };
        self.symbol(1, level)?;
        let number = || self.option_value();
        let on = || Ok::<bool, ScriptError>(self.option_value()? != 0);
        Ok(match name {
            "TCP_NODELAY" => SocketOption::NoDelay(on()?),
            "TCP_KEEPIDLE" => SocketOption::KeepIdle(number()?),
            "TCP_KEEPINTVL" => SocketOption::KeepInterval(number()?),
            "TCP_KEEPCNT" => SocketOption::KeepCount(number()?),
            "TCP_MAXSEG" => SocketOption::MaximumSegment(
                u16::try_from(number()?).map_err(|_| self.wrong(3, "a segment size"))?,
            ),
            "TCP_USER_TIMEOUT" => SocketOption::UserTimeout(number()?),
            "TCP_IDLE_TIMEOUT" => SocketOption::IdleTimeout(number()?),
            "TCP_WINDOW_CLAMP" => SocketOption::WindowClamp(number()?),
            "SO_KEEPALIVE" => SocketOption::KeepAlive(on()?),
            "SO_RCVBUF" => SocketOption::ReceiveBuffer(number()?),
            "SO_SNDBUF" => SocketOption::SendBuffer(number()?),
            "SO_REUSEADDR" => SocketOption::ReuseAddress(on()?),
            "SO_LINGER" => self.linger()?,
            "IP_TOS" | "IPV6_TCLASS" => SocketOption::TrafficClass(
                u8::try_from(number()?).map_err(|_| self.wrong(3, "a byte"))?,
            ),
            _ => SocketOption::Error(self.error_value()?),
        })
    }

    fn option_value(&self) -> Parse<u32> {
        if let Argument::Brackets(inner) = &self.list[3].1
            && let [Argument::Integer(value)] = inner.as_slice()
            && let Ok(value) = u32::try_from(*value)
        {
            return Ok(value);
        }
        Err(self.wrong(3, "a value between brackets, as [1]"))
    }

    fn error_value(&self) -> Parse<Option<Errno>> {
        if let Argument::Brackets(inner) = &self.list[3].1
            && let [value] = inner.as_slice()
        {
            match value {
                Argument::Integer(0) => return Ok(None),
                Argument::Integer(number) => {
                    if let Some(errno) = Errno::numbered(*number) {
                        return Ok(Some(errno));
                    }
                }
                Argument::Symbols(symbols) => {
                    if let Some(errno) = Errno::named(&symbols[0]) {
                        return Ok(Some(errno));
                    }
                }
                _ => {}
            }
        }
        Err(self.wrong(3, "an errno between brackets, as [ECONNRESET] or [0]"))
    }

    fn linger(&self) -> Parse<SocketOption> {
        let Argument::Braces(fields) = &self.list[3].1 else {
            return Err(self.wrong(3, "{onoff=1, linger=5}"));
        };
        let field = |names: [&str; 2]| {
            fields.iter().find_map(|(name, value)| match value {
                Argument::Integer(value) if names.contains(&name.as_str()) => Some(*value),
                _ => None,
            })
        };
        let on = field(["onoff", "l_onoff"]);
        let seconds = field(["linger", "l_linger"]).and_then(|s| u32::try_from(s).ok());
        match (on, seconds) {
            (Some(on), Some(seconds)) => Ok(SocketOption::Linger(on != 0, seconds)),
            _ => Err(self.wrong(3, "{onoff=1, linger=5}")),
        }
    }

    /// `...`, or `{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("198.18.0.2")}`.
    fn socket_address(&self, index: usize) -> Parse<(Option<u16>, Option<IpAddr>)> {
        const WHAT: &str = "`...` or {sin_port=htons(80), sin_addr=inet_addr(\"198.18.0.2\")}";
        let fields = match &self.list[index].1 {
            Argument::Ellipsis => return Ok((None, None)),
            Argument::Braces(fields) => fields,
            _ => return Err(self.wrong(index, WHAT)),
        };
        let (mut port, mut address) = (None, None);
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("sa_family" | "sin_family" | "sin6_family", Argument::Symbols(_)) => {}
                ("sin_port" | "sin6_port", Argument::Apply(f, inner)) if f == "htons" => {
                    if let [Argument::Integer(number)] = inner.as_slice() {
                        port = u16::try_from(*number).ok();
                    }
                }
                ("sin_addr" | "sin6_addr", Argument::Apply(_, inner)) => {
                    if let [Argument::Text(text)] = inner.as_slice() {
                        address = text.parse().ok();
                    }
                }
                _ => return Err(self.wrong(index, WHAT)),
            }
        }
        Ok((port, address))
    }

    fn peer(&self, index: usize) -> Parse<u16> {
        match &self.list[index].1 {
            Argument::Ellipsis => Ok(1),
            Argument::Apply(name, inner) if name == "peer" => match inner.as_slice() {
                [Argument::Integer(peer)] => {
                    u16::try_from(*peer).map_err(|_| self.wrong(index, "the number of a far end"))
                }
                _ => Err(self.wrong(index, "the number of a far end")),
            },
            _ => Err(self.wrong(index, "`...` or `peer 2` for the address")),
        }
    }

    fn fd(&self) -> Parse<i64> {
        match self.list.first() {
            Some((_, Argument::Integer(fd))) => Ok(*fd),
            _ => Err(ScriptError::new(
                self.place,
                format!("{}: expected a descriptor as the first argument", self.name),
            )),
        }
    }

    fn integer(&self, index: usize) -> Parse<u32> {
        match self.list[index].1 {
            Argument::Integer(value) => {
                u32::try_from(value).map_err(|_| self.wrong(index, "a number from 0"))
            }
            _ => Err(self.wrong(index, "a number")),
        }
    }

    /// A name out of `known`.
    fn symbol<'a>(&'a self, index: usize, known: &[&str]) -> Parse<&'a str> {
        if let Some((_, Argument::Symbols(symbols))) = self.list.get(index)
            && let [symbol] = symbols.as_slice()
            && known.contains(&symbol.as_str())
        {
            return Ok(symbol);
        }
        Err(self.wrong(index, &known.join(" or ")))
    }

    fn arity(&self, wanted: usize) -> Parse<()> {
        if self.list.len() == wanted {
            return Ok(());
        }
        Err(ScriptError::new(
            self.place,
            format!(
                "{}: expected {wanted} arguments, found {}",
                self.name,
                self.list.len()
            ),
        ))
    }

    fn wrong(&self, index: usize, what: &str) -> ScriptError {
        let place = self.list.get(index).map_or(self.place, |(place, _)| *place);
        ScriptError::new(
            place,
            format!("{}: expected {what} as argument {}", self.name, index + 1),
        )
    }
}
