//! A page of named values in groups.

/// Where the values begin.
const NAME_WIDTH: usize = 20;

/// A page of named values in groups, written from top to bottom.
#[derive(Debug, Default)]
pub struct Sheet(String);

impl Sheet {
    /// An empty page.
    pub fn new() -> Sheet {
        Sheet::default()
    }

    /// Begins a group.
    pub fn group(&mut self, title: &str) -> &mut Sheet {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0.push_str(title);
        self.0.push('\n');
        self
    }

    /// A named value.
    pub fn line(&mut self, name: &str, value: impl AsRef<str>) -> &mut Sheet {
        let text = format!("  {name:<NAME_WIDTH$}{}", value.as_ref());
        self.0.push_str(text.trim_end());
        self.0.push('\n');
        self
    }

    /// A named value, if there is one.
    pub fn maybe(&mut self, name: &str, value: Option<String>) -> &mut Sheet {
        match value {
            Some(value) => self.line(name, value),
            None => self,
        }
    }

    /// Text as it is, with its ends of lines.
    pub fn text(&mut self, text: &str) -> &mut Sheet {
        self.0.push_str(text);
        self
    }

    /// The page.
    pub fn finish(self) -> String {
        self.0
    }
}
