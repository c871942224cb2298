//! Numbers as people read them, and foreign text made harmless.

#[cfg(test)]
mod tests;

const MILLISECOND: u64 = 1_000;
const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// `1234567` as `1,234,567`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number with the word for what it counts: `1 segment`, `2 segments`.
pub fn counted(value: u64, one: &str) -> String {
    let plural = if value == 1 { "" } else { "s" };
    format!("{} {one}{plural}", count(value))
}

/// Bytes, all digits of them: `65,535 B`.
pub fn exact_bytes(value: u64) -> String {
    format!("{} B", count(value))
}

/// Bytes, exact below 10 KiB and rounded to a power of 1024 above: `512 B`, `64 KiB`, `1.5 MiB`.
pub fn bytes(value: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if value < 10 * 1024 && !(value >= 1024 && value.is_multiple_of(1024)) {
        return exact_bytes(value);
    }
    let mut scaled = value as f64 / 1024.0;
    let mut unit = 0;
    while scaled >= 1023.95 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    let text = format!("{scaled:.1}");
    format!(
        "{} {}",
        text.strip_suffix(".0").unwrap_or(&text),
        UNITS[unit]
    )
}

/// A time span in microseconds, with two units at most: `812 µs`, `45.2 ms`, `3.2 s`, `2 min 5 s`, `3 h 12 min`, `4 d 3 h`.
pub fn duration(micros: u64) -> String {
    match micros {
        0 => "0 s".to_owned(),
        _ if micros < MILLISECOND => format!("{micros} µs"),
        _ if micros < SECOND - MILLISECOND / 20 => decimal(micros, MILLISECOND, "ms"),
        _ if micros < MINUTE - SECOND / 20 => decimal(micros, SECOND, "s"),
        _ => two_units(micros),
    }
}

/// The same for a narrow column: `812us`, `45ms`, `3.2s`, `2m05s`, `3h12m`, `4d03h`.
pub fn short_duration(micros: u64) -> String {
    match micros {
        0 => "0s".to_owned(),
        _ if micros < MILLISECOND => format!("{micros}us"),
        _ if micros < SECOND => format!("{}ms", micros / MILLISECOND),
        _ if micros < 10 * SECOND => {
            format!("{}.{}s", micros / SECOND, micros % SECOND / (SECOND / 10))
        }
        _ if micros < MINUTE => format!("{}s", micros / SECOND),
        _ if micros < HOUR => format!("{}m{:02}s", micros / MINUTE, micros % MINUTE / SECOND),
        _ if micros < DAY => format!("{}h{:02}m", micros / HOUR, micros % HOUR / MINUTE),
        _ => format!("{}d{:02}h", micros / DAY, micros % DAY / HOUR),
    }
}

fn decimal(micros: u64, unit: u64, name: &str) -> String {
    let text = format!("{:.1}", micros as f64 / unit as f64);
    format!("{} {name}", text.strip_suffix(".0").unwrap_or(&text))
}

fn two_units(micros: u64) -> String {
    let rounded = |unit: u64| (micros + unit / 2) / unit * unit;
    let (large, large_name, small, small_name) = if rounded(SECOND) < HOUR {
        (MINUTE, "min", SECOND, "s")
    } else if rounded(MINUTE) < DAY {
        (HOUR, "h", MINUTE, "min")
    } else {
        (DAY, "d", HOUR, "h")
    };
    let micros = rounded(small);
    match micros % large / small {
        0 => format!("{} {large_name}", micros / large),
        rest => format!("{} {large_name} {rest} {small_name}", micros / large),
    }
}

/// `part` of `whole` in per cent, one digit behind the point.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    format!("{:.1} %", part as f64 * 100.0 / whole as f64)
}

/// A name that a client or a peer chose, fit for a terminal: nothing in it moves the cursor, changes colours or the direction
/// of writing.
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let invisible = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if c.is_control() || invisible {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}
