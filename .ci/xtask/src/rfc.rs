//! `cargo xtask rfc`: every requirement of RFC 9293 with the code that does it and the tests that hold it.

use std::io::{ErrorKind, IsTerminal as _, Write as _};

use anyhow::{Context, bail};
use citations::Book;
use citations::report::{self, Look};
use citations::requirement::Id;

/// Every requirement of RFC 9293 with its code and its tests, and what has none.
#[derive(Debug, clap::Args)]
pub(crate) struct Rfc {
    /// Requirements (MUST-12), which are shown with the lines that cite them; with --sections, an RFC's number
    only: Vec<String>,
    /// Lists by RFC and section which files cite it, for every RFC
    #[arg(long, conflicts_with = "check")]
    sections: bool,
    /// Prints only what is wrong, and fails if anything is: a MUST or SHOULD without code or test that exceptions.toml does not excuse
    #[arg(long, conflicts_with = "only")]
    check: bool,
}

/// Shows or checks.
pub(crate) fn run(arguments: &Rfc) -> anyhow::Result<()> {
    let book = Book::read(&crate::root())?;
    let look = Look {
        colour: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        lines: !arguments.only.is_empty(),
    };
    if arguments.check {
        return check(&book);
    }
    let mut text = String::new();
    match (arguments.sections, arguments.only.as_slice()) {
        (true, []) => text = report::sections(&book, None, look),
        (true, only) => {
            for rfc in only {
                let number = rfc
                    .parse()
                    .with_context(|| format!("{rfc}: expected an RFC's number, such as 5961"))?;
                text += &report::sections(&book, Some(number), look);
                if text.is_empty() {
                    bail!("nothing cites RFC {number}");
                }
            }
        }
        (false, []) => text = report::all(&book, look),
        (false, only) => {
            for id in only {
                let id: Id = id.parse()?;
                let requirement = book
                    .requirement(id)
                    .with_context(|| format!("{id} is no number of RFC 9293"))?;
                text += &report::one(&book, requirement, look);
            }
        }
    }
    // Somebody who has seen enough (`| head`) is no failure.
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn check(book: &Book) -> anyhow::Result<()> {
    let problems = book.problems();
    if !problems.is_empty() {
        bail!("{}\n{} problems", problems.join("\n"), problems.len());
    }
    Ok(())
}
