//! Arguments as C writes them.

use super::{Parse, Parser};
use crate::sim::script::Place;
use crate::sim::script::lexer::Kind;

/// An argument before anyone knows what it is for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Argument {
    Integer(i64),
    /// `A` or `A|B`
    Symbols(Vec<String>),
    Text(String),
    /// `...`
    Ellipsis,
    /// `[1]`
    Brackets(Vec<Argument>),
    /// `{onoff=1, linger=0}`
    Braces(Vec<(String, Argument)>),
    /// `htons(80)`, `peer 2` (as `peer(2)`)
    Apply(String, Vec<Argument>),
}

impl Parser {
    pub(super) fn arguments(&mut self) -> Parse<Vec<(Place, Argument)>> {
        let mut list = Vec::new();
        if self.accept(')') {
            return Ok(list);
        }
        loop {
            let place = self.place();
            list.push((place, self.argument()?));
            if !self.accept(',') {
                self.mark(')', "after the arguments")?;
                return Ok(list);
            }
        }
    }

    fn argument(&mut self) -> Parse<Argument> {
        if *self.peek() == Kind::Ellipsis {
            self.advance();
            return Ok(Argument::Ellipsis);
        }
        if self.accept('[') {
            let mut list = Vec::new();
            while !self.accept(']') {
                list.push(self.argument()?);
                if !self.accept(',') && !self.at_mark(']') {
                    return Err(self.expected("`,` or `]`"));
                }
            }
            return Ok(Argument::Brackets(list));
        }
        if self.accept('{') {
            let mut fields = Vec::new();
            while !self.accept('}') {
                let name = self.word("the name of a field")?;
                self.mark('=', "after the name of a field")?;
                fields.push((name, self.argument()?));
                if !self.accept(',') && !self.at_mark('}') {
                    return Err(self.expected("`,` or `}`"));
                }
            }
            return Ok(Argument::Braces(fields));
        }
        match self.peek().clone() {
            Kind::Integer(_) | Kind::Mark('-') => Ok(Argument::Integer(self.signed("a number")?)),
            Kind::Text(text) => {
                self.advance();
                Ok(Argument::Text(text))
            }
            Kind::Word(word) => {
                self.advance();
                self.after_word(word)
            }
            _ => Err(self.expected("an argument")),
        }
    }

    fn after_word(&mut self, word: String) -> Parse<Argument> {
        if word == "peer" {
            let peer = self.peer()?;
            return Ok(Argument::Apply(word, vec![Argument::Integer(peer.into())]));
        }
        if self.accept('(') {
            let inner = self.arguments()?.into_iter().map(|(_, inner)| inner);
            return Ok(Argument::Apply(word, inner.collect()));
        }
        let mut symbols = vec![word];
        while self.accept('|') {
            symbols.push(self.word("a name after `|`")?);
        }
        Ok(Argument::Symbols(symbols))
    }
}
