//! Tokens to values: settings, events and their times. Packets and calls have files of their own.

mod call;
mod icmp;
mod packet;

use std::time::Duration;

use super::lexer::{self, Kind, Token};
use super::syntax::{Action, Assertion, Comparison, Event, Script, Setting, Wanted, When};
use super::{Place, ScriptError};

/// Reads a whole script.
pub(super) fn parse(name: &str, text: &str) -> Result<Script, ScriptError> {
    let mut parser = Parser {
        tokens: lexer::tokens(text)?,
        next: 0,
        ipv6: false,
    };
    let settings = parser.settings()?;
    parser.ipv6 = settings
        .iter()
        .any(|setting| setting.key == "ip_version" && setting.value == "ipv6");
    let mut events = Vec::new();
    while *parser.peek() != Kind::End {
        events.push(parser.event()?);
    }
    if events.is_empty() {
        return Err(parser.expected("an event, as `0 socket(…) = 3`"));
    }
    Ok(Script {
        name: name.to_owned(),
        title: lexer::title(text),
        settings,
        events,
    })
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    /// What the names of ICMP codes stand for depends on it.
    ipv6: bool,
}

type Parse<T> = Result<T, ScriptError>;

/// Reading tokens.
impl Parser {
    fn token(&self) -> &Token {
        &self.tokens[self.next]
    }

    fn peek(&self) -> &Kind {
        &self.token().kind
    }

    fn place(&self) -> Place {
        self.token().place
    }

    fn advance(&mut self) -> Kind {
        let kind = self.peek().clone();
        if kind != Kind::End {
            self.next += 1;
        }
        kind
    }

    /// "expected `what`, found …" at the next token.
    fn expected(&self, what: &str) -> ScriptError {
        ScriptError::new(
            self.place(),
            format!("expected {what}, found {}", self.peek().describe()),
        )
    }

    fn at_mark(&self, mark: char) -> bool {
        *self.peek() == Kind::Mark(mark)
    }

    fn accept(&mut self, mark: char) -> bool {
        let found = self.at_mark(mark);
        if found {
            self.advance();
        }
        found
    }

    fn mark(&mut self, mark: char, what: &str) -> Parse<()> {
        if self.accept(mark) {
            return Ok(());
        }
        Err(self.expected(&format!("`{mark}` {what}")))
    }

    fn accept_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Kind::Word(found) if found == word);
        if found {
            self.advance();
        }
        found
    }

    fn word(&mut self, what: &str) -> Parse<String> {
        match self.peek() {
            Kind::Word(word) => {
                let word = word.clone();
                self.advance();
                Ok(word)
            }
            _ => Err(self.expected(what)),
        }
    }

    /// A whole number that fits `T`.
    fn number<T: TryFrom<u64>>(&mut self, what: &str) -> Parse<T> {
        let Kind::Integer(number) = *self.peek() else {
            return Err(self.expected(what));
        };
        let number = T::try_from(number)
            .map_err(|_| self.expected(&format!("{what} that is not so large")))?;
        self.advance();
        Ok(number)
    }

    /// Nothing else may follow on the line where an event ended.
    fn end_of_event(&self) -> Parse<()> {
        let before = self.tokens[self.next.saturating_sub(1)].place.line;
        if *self.peek() != Kind::End && self.place().line == before {
            return Err(self.expected("the end of the line after this event"));
        }
        Ok(())
    }
}

/// Settings and events.
impl Parser {
    fn settings(&mut self) -> Parse<Vec<Setting>> {
        let mut settings = Vec::new();
        while let Kind::Setting(line) = self.peek() {
            let place = self.place();
            let pairs = line.strip_prefix("set ").unwrap_or(line);
            for pair in pairs.split_whitespace() {
                let Some((key, value)) = pair.split_once('=') else {
                    return Err(ScriptError::new(
                        place,
                        format!("expected `--set key=value` or `--key=value`, found `{pair}`"),
                    ));
                };
                settings.push(Setting {
                    place,
                    key: key.to_owned(),
                    value: value.to_owned(),
                });
            }
            self.advance();
        }
        Ok(settings)
    }

    fn event(&mut self) -> Parse<Event> {
        let place = self.place();
        let when = self.when()?;
        let returns_at = self.returns_at(when)?;
        let action = match self.peek() {
            Kind::Mark('<') => {
                self.advance();
                Action::Inject(self.packet(packet::Direction::Injected)?)
            }
            Kind::Mark('>') => {
                self.advance();
                let optional = self.accept('?');
                let packet = self.packet(packet::Direction::Expected)?;
                Action::Expect { packet, optional }
            }
            Kind::Word(_) => Action::Call(self.invocation(returns_at)?),
            Kind::Code(code) => {
                let assertions = assertions(self.place(), code)?;
                self.advance();
                Action::Assert(assertions)
            }
            _ => return Err(self.expected("`<`, `>`, a call or a `%{ … }%` block")),
        };
        let exact = matches!(when, When::At(_) | When::After(_));
        if !exact && !matches!(action, Action::Expect { .. }) {
            return Err(ScriptError::new(
                place,
                "expected one time: only packets of the stack may come within a range".into(),
            ));
        }
        if returns_at.is_some() && !matches!(action, Action::Call(_)) {
            return Err(ScriptError::new(
                place,
                "expected a call after `…`: only calls take time".into(),
            ));
        }
        self.end_of_event()?;
        Ok(Event {
            place,
            when,
            action,
        })
    }

    fn when(&mut self) -> Parse<When> {
        if self.accept('*') {
            return Ok(When::Any);
        }
        let relative = self.accept('+');
        let start = self.time("a time, as `0.100`, `+.1`, `+.1~+.2` or `*`")?;
        if !self.accept('~') {
            return Ok(if relative {
                When::After(start)
            } else {
                When::At(start)
            });
        }
        if self.accept('+') != relative {
            return Err(self.expected("both ends of the range relative or both absolute"));
        }
        let place = self.place();
        let end = self.time("the end of the range")?;
        if end < start {
            return Err(ScriptError::new(
                place,
                "expected a range that ends after it begins".into(),
            ));
        }
        Ok(if relative {
            When::AfterBetween(start, end)
        } else {
            When::Between(start, end)
        })
    }

    /// The `...0.2` of a call that blocks.
    fn returns_at(&mut self, when: When) -> Parse<Option<Duration>> {
        if *self.peek() != Kind::Ellipsis {
            return Ok(None);
        }
        self.advance();
        self.accept('+');
        let place = self.place();
        let end = self.time("the time at which the call returns")?;
        let start = match when {
            When::At(start) | When::After(start) => start,
            _ => {
                return Err(ScriptError::new(
                    place,
                    "expected a call that blocks to begin at one time, not in a range".into(),
                ));
            }
        };
        if end < start {
            return Err(ScriptError::new(
                place,
                "expected the call to return after it begins".into(),
            ));
        }
        Ok(Some(end))
    }

    fn time(&mut self, what: &str) -> Parse<Duration> {
        let time = match *self.peek() {
            Kind::Integer(seconds) => Duration::from_secs(seconds),
            Kind::Decimal(nanos) => Duration::from_nanos(nanos),
            _ => return Err(self.expected(what)),
        };
        self.advance();
        Ok(time)
    }
}

/// `assert a == 1, b < 2`, one or more on a line or several lines; nothing at all is a pause.
fn assertions(place: Place, code: &str) -> Parse<Vec<Assertion>> {
    let mut out = Vec::new();
    for (below, line) in code.lines().enumerate() {
        let place = Place {
            line: place.line + u32::try_from(below).unwrap_or(u32::MAX),
            column: if below == 0 { place.column } else { 1 },
        };
        let line = line.trim();
        let Some(list) = line.strip_prefix("assert ") else {
            if line.is_empty() || line.starts_with("//") {
                continue;
            }
            return Err(ScriptError::new(
                place,
                format!("expected `assert name == value`, found `{line}`"),
            ));
        };
        for part in list.split(',') {
            out.push(assertion(place, part.trim())?);
        }
    }
    Ok(out)
}

fn assertion(place: Place, text: &str) -> Parse<Assertion> {
    const COMPARISONS: [(&str, Comparison); 6] = [
        ("==", Comparison::Equal),
        ("!=", Comparison::NotEqual),
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];
    let wrong = || {
        ScriptError::new(
            place,
            format!("expected `name == value` (or != < <= > >=), found `{text}`"),
        )
    };
    let (sign, comparison) = COMPARISONS
        .into_iter()
        .find(|(sign, _)| text.contains(sign))
        .ok_or_else(wrong)?;
    let (name, value) = text.split_once(sign).ok_or_else(wrong)?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || value.is_empty() {
        return Err(wrong());
    }
    Ok(Assertion {
        place,
        name: name.to_owned(),
        comparison,
        value: match value.parse() {
            Ok(number) => Wanted::Integer(number),
            Err(_) => Wanted::State(value.to_owned()),
        },
    })
}
