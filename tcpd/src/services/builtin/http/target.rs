//! Request targets (RFC 9112 §3.2) to paths below the site.

/// The path a target names, percent-decoded, without query, relative to the site: `/a%20b/?q` is `a b/`.
///
/// `None` for a target that is not of origin-form or absolute-form, or is badly encoded. Nothing is said about `..`:
/// the kernel refuses to leave the site when the file is opened.
pub(super) fn path(target: &str) -> Option<Vec<u8>> {
    let (path, _query) = split(target)?;
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hexadecimal(bytes.next()?)? << 4 | hexadecimal(bytes.next()?)?,
            byte => byte,
        });
    }
    if decoded.contains(&0) {
        return None;
    }
    let start = decoded.iter().take_while(|&&byte| byte == b'/').count();
    decoded.drain(..start);
    Some(decoded)
}

/// The same target with a slash at the end of its path, as the place to redirect to.
pub(super) fn with_slash(target: &str) -> String {
    let (path, query) = split(target).unwrap_or(("", ""));
    // One slash at the start, or the rest would read as a host.
    format!("/{}/{query}", path.trim_matches('/'))
}

/// Path and query (with its `?`) of a target.
fn split(target: &str) -> Option<(&str, &str)> {
    let from_path = match target.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            &rest[end..]
        }
        _ if target.starts_with('/') => target,
        _ => return None,
    };
    let without_fragment = from_path.split('#').next().unwrap_or_default();
    let query = without_fragment.find('?').unwrap_or(without_fragment.len());
    Some(without_fragment.split_at(query))
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}
