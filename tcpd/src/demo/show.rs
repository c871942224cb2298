//! What the demo prints, and how fast.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// A person needs a moment for each step; a file does not.
const MOMENT: Duration = Duration::from_millis(900);

/// Standard output.
pub(super) struct Show {
    steps: u32,
    moment: Option<Duration>,
}

impl Show {
    pub(super) fn new() -> Self {
        Self {
            steps: 0,
            moment: io::stdout().is_terminal().then_some(MOMENT),
        }
    }

    /// The headline of the next step.
    pub(super) fn step(&mut self, title: &str) -> Result<(), String> {
        if let Some(moment) = self.moment.filter(|_| self.steps > 0) {
            std::thread::sleep(moment);
        }
        self.steps += 1;
        self.print(&format!("\n{}. {title}\n\n", self.steps))
    }

    /// A paragraph at the margin.
    pub(super) fn text(&self, text: &str) -> Result<(), String> {
        self.print(&format!("{text}\n"))
    }

    /// Something quoted: indented, with blank lines around kept as they are.
    pub(super) fn quote(&self, text: &str) -> Result<(), String> {
        let lines: String = text
            .lines()
            .map(|line| format!("   {line}").trim_end().to_owned() + "\n")
            .collect();
        self.print(&lines)
    }

    fn print(&self, text: &str) -> Result<(), String> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .map_err(|error| format!("standard output: {error}"))
    }
}
