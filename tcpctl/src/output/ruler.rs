//! A sequence space as RFC 9293 draws it in figures 3 and 4: the marks on a ruler, and what lies between them.

#[cfg(test)]
mod tests;

/// The distance between two marks, in characters.
const STEP: usize = 18;

/// A mark on the ruler.
#[derive(Clone, Debug)]
pub struct Mark {
    /// Its name in the RFC, as in `SND.UNA`.
    pub name: &'static str,
    /// The second line of the name, as in `+SND.WND`; empty otherwise.
    pub plus: &'static str,
    /// The sequence number.
    pub value: u32,
}

impl Mark {
    /// A mark with a name of one line.
    pub fn new(name: &'static str, value: u32) -> Mark {
        Mark {
            name,
            plus: "",
            value,
        }
    }

    /// A mark with a second line under its name.
    pub fn plus(name: &'static str, plus: &'static str, value: u32) -> Mark {
        Mark { name, plus, value }
    }
}

/// What lies between two marks, from the left: how much, and what it means.
#[derive(Clone, Debug)]
pub struct Area {
    /// How many sequence numbers, as text; empty where the area is open.
    pub size: String,
    /// What they are.
    pub meaning: String,
}

impl Area {
    /// An area of that size.
    pub fn new(size: impl Into<String>, meaning: impl Into<String>) -> Area {
        Area {
            size: size.into(),
            meaning: meaning.into(),
        }
    }
}

/// Draws the ruler: one more area than marks. Each line ends with a line feed.
pub fn draw(marks: &[Mark], areas: &[Area]) -> String {
    debug_assert_eq!(
        areas.len(),
        marks.len() + 1,
        "the marks divide the ruler into areas"
    );
    let numbers = (0..areas.len()).map(|at| (at * STEP + STEP / 2, (at + 1).to_string()));
    let names = marks
        .iter()
        .enumerate()
        .map(|(at, mark)| ((at + 1) * STEP, mark.name.to_owned()));
    let plus = marks
        .iter()
        .enumerate()
        .map(|(at, mark)| ((at + 1) * STEP, mark.plus.to_owned()));
    let values = marks
        .iter()
        .enumerate()
        .map(|(at, mark)| ((at + 1) * STEP, mark.value.to_string()));
    let rule = vec!["-".repeat(STEP - 1); areas.len()].join("|");

    let mut out = String::new();
    push(&mut out, &centred(numbers));
    push(&mut out, &format!("-{rule}"));
    push(&mut out, &centred(names));
    if marks.iter().any(|mark| !mark.plus.is_empty()) {
        push(&mut out, &centred(plus));
    }
    push(&mut out, &centred(values));
    out.push('\n');
    let widest = areas
        .iter()
        .map(|area| area.size.chars().count())
        .max()
        .unwrap_or(0);
    for (at, area) in areas.iter().enumerate() {
        push(
            &mut out,
            &format!("{} - {:>widest$}  {}", at + 1, area.size, area.meaning),
        );
    }
    out
}

/// A line with each text centred at its place.
fn centred(texts: impl Iterator<Item = (usize, String)>) -> String {
    let mut line = String::new();
    let mut length = 0;
    for (place, text) in texts {
        let width = text.chars().count();
        let start = place.saturating_sub(width / 2).max(length);
        line.extend(std::iter::repeat_n(' ', start - length));
        line.push_str(&text);
        length = start + width;
    }
    line
}

fn push(out: &mut String, line: &str) {
    let line = line.trim_end();
    if !line.is_empty() {
        out.push_str("  ");
        out.push_str(line);
    }
    out.push('\n');
}
