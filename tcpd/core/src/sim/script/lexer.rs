//! Script text to tokens, each with its place.

use super::{Place, ScriptError};

/// A word of the language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Letters, digits and `_`, not beginning with a digit: `socket`, `S`, `IPPROTO_TCP`.
    Word(String),
    /// A whole number, decimal or `0x…`.
    Integer(u64),
    /// A number with a point, in nanoseconds: seconds are the only such numbers here.
    Decimal(u64),
    /// A `"…"`.
    Text(String),
    /// The inside of `%{ … }%`.
    Code(String),
    /// The rest of a line that begins with `--`.
    Setting(String),
    /// `...`
    Ellipsis,
    /// One of `+~*<>:()[]{},=|.-?/&`.
    Mark(char),
    /// The end of the text.
    End,
}

impl Kind {
    /// The word for messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Kind::Word(word) => format!("`{word}`"),
            Kind::Integer(number) => format!("`{number}`"),
            Kind::Decimal(nanos) => {
                format!("`{}.{:09}`", nanos / 1_000_000_000, nanos % 1_000_000_000)
            }
            Kind::Text(text) => format!("\"{text}\""),
            Kind::Code(_) => "a `%{ … }%` block".into(),
            Kind::Setting(_) => "a `--` line".into(),
            Kind::Ellipsis => "`...`".into(),
            Kind::Mark(mark) => format!("`{mark}`"),
            Kind::End => "the end of the script".into(),
        }
    }
}

/// A token, where it stands, and whether white space stands before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) place: Place,
    pub(super) spaced: bool,
}

/// Cuts `text` into tokens, the last of which is [`Kind::End`].
///
/// # Errors
/// A character that no token begins with, a number too large, an unclosed comment, text or block.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, ScriptError> {
    let mut lexer = Lexer {
        rest: text,
        place: Place { line: 1, column: 1 },
    };
    let mut out = Vec::new();
    loop {
        let before = lexer.place;
        lexer.skip_blank()?;
        let place = lexer.place;
        let spaced = before != place || out.is_empty();
        let kind = lexer.next(spaced)?;
        let last = kind == Kind::End;
        out.push(Token {
            kind,
            place,
            spaced,
        });
        if last {
            return Ok(out);
        }
    }
}

/// The first `//` comment when the text begins with one: the rule a script shows.
pub(super) fn title(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    first
        .strip_prefix("//")
        .map(str::trim)
        .unwrap_or_default()
        .to_owned()
}

struct Lexer<'a> {
    rest: &'a str,
    place: Place,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.rest.chars().nth(ahead)
    }

    fn advance(&mut self, characters: usize) {
        for _ in 0..characters {
            let Some(c) = self.rest.chars().next() else {
                return;
            };
            self.rest = &self.rest[c.len_utf8()..];
            if c == '\n' {
                self.place.line += 1;
                self.place.column = 1;
            } else {
                self.place.column += 1;
            }
        }
    }

    /// Takes characters as long as `f` likes them.
    fn take_while(&mut self, f: impl Fn(char) -> bool) -> String {
        let taken: String = self.rest.chars().take_while(|&c| f(c)).collect();
        self.advance(taken.chars().count());
        taken
    }

    /// Takes everything before `end`, and `end` itself.
    fn take_until(&mut self, end: &str, what: &str) -> Result<String, ScriptError> {
        let Some(at) = self.rest.find(end) else {
            return Err(ScriptError::new(
                self.place,
                format!("{what} is not closed: expected `{end}` before the end of the script"),
            ));
        };
        let inside = self.rest[..at].to_owned();
        self.advance(inside.chars().count() + end.chars().count());
        Ok(inside)
    }

    fn skip_blank(&mut self) -> Result<(), ScriptError> {
        loop {
            self.take_while(char::is_whitespace);
            if self.rest.starts_with("//") || self.rest.starts_with('#') {
                self.take_while(|c| c != '\n');
            } else if self.rest.starts_with("/*") {
                self.take_until("*/", "the comment")?;
            } else {
                return Ok(());
            }
        }
    }

    fn next(&mut self, spaced: bool) -> Result<Kind, ScriptError> {
        let Some(c) = self.peek(0) else {
            return Ok(Kind::End);
        };
        if self.rest.starts_with("...") {
            self.advance(3);
            return Ok(Kind::Ellipsis);
        }
        if self.rest.starts_with("%{") {
            self.advance(2);
            return Ok(Kind::Code(self.take_until("}%", "the block")?));
        }
        if self.rest.starts_with("--") && spaced {
            self.advance(2);
            let line = self.take_while(|c| c != '\n');
            let line = line.split("//").next().unwrap_or_default();
            return Ok(Kind::Setting(line.trim().to_owned()));
        }
        if c == '"' {
            self.advance(1);
            return Ok(Kind::Text(self.take_until("\"", "the text")?));
        }
        // A point before a digit begins a number, except where it ends a packet's flags.
        if c.is_ascii_digit() || (c == '.' && self.peek(1).is_some_and(|d| d.is_ascii_digit())) {
            return self.number();
        }
        if c.is_ascii_alphabetic() || c == '_' {
            return Ok(Kind::Word(
                self.take_while(|c| c.is_ascii_alphanumeric() || c == '_'),
            ));
        }
        if "+~*<>:()[]{},=|.-?/&!;".contains(c) {
            self.advance(1);
            return Ok(Kind::Mark(c));
        }
        Err(ScriptError::new(
            self.place,
            format!("expected a word, a number or a sign of the language, found `{c}`"),
        ))
    }

    fn number(&mut self) -> Result<Kind, ScriptError> {
        let place = self.place;
        let too_large = || ScriptError::new(place, "the number is too large".into());
        if self.rest.starts_with("0x") {
            self.advance(2);
            let digits = self.take_while(|c| c.is_ascii_hexdigit());
            return u64::from_str_radix(&digits, 16)
                .map(Kind::Integer)
                .map_err(|_| ScriptError::new(place, "expected hexadecimal digits".into()));
        }
        let whole = self.take_while(|c| c.is_ascii_digit());
        let fraction =
            self.peek(0) == Some('.') && self.peek(1).is_some_and(|c| c.is_ascii_digit());
        let whole: u64 = if whole.is_empty() {
            0
        } else {
            whole.parse().map_err(|_| too_large())?
        };
        if !fraction {
            return Ok(Kind::Integer(whole));
        }
        self.advance(1);
        let digits = self.take_while(|c| c.is_ascii_digit());
        if digits.len() > 9 {
            return Err(ScriptError::new(
                place,
                "expected at most nine digits after the point (nanoseconds)".into(),
            ));
        }
        let nanos: u64 = format!("{digits:0<9}").parse().map_err(|_| too_large())?;
        whole
            .checked_mul(1_000_000_000)
            .and_then(|whole| whole.checked_add(nanos))
            .map(Kind::Decimal)
            .ok_or_else(too_large)
    }
}
