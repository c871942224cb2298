//! The Range field (RFC 9110 §14.1, §14.2).

/// Which bytes of a file are asked for.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Selected {
    /// All: the field is malformed, of another unit or asks for several ranges, and is ignored.
    Whole,
    /// These, both ends included; `first <= last < length`.
    Part {
        /// Offset of the first byte.
        first: u64,
        /// Offset of the last byte.
        last: u64,
    },
    /// None of the file's bytes.
    Unsatisfiable,
}

/// Reads the field's value for a file of `length` bytes.
pub(super) fn select(value: &str, length: u64) -> Selected {
    parse(value, length).unwrap_or(Selected::Whole)
}

fn parse(value: &str, length: u64) -> Option<Selected> {
    let (unit, set) = value.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return None;
    }
    let (first, last) = set.trim().split_once('-')?;
    if first.is_empty() {
        let suffix = number(last)?;
        if suffix == 0 || length == 0 {
            return Some(Selected::Unsatisfiable);
        }
        return Some(Selected::Part {
            first: length.saturating_sub(suffix),
            last: length - 1,
        });
    }
    let first = number(first)?;
    let last = if last.is_empty() {
        u64::MAX
    } else {
        number(last)?
    };
    if last < first {
        return None;
    }
    if first >= length {
        return Some(Selected::Unsatisfiable);
    }
    Some(Selected::Part {
        first,
        last: last.min(length - 1),
    })
}

/// Digits only (`str::parse` takes a sign too); a number too large for 64 bits is as good as the largest.
fn number(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}
