//! What `tcpctl set` may change on a live connection: read as a whole before any of it counts.

use libtcpclient::protocol::CongestionControl;

use super::super::orders::ConnectionChange;

#[cfg(test)]
mod tests;

/// The names that have a meaning, for messages.
const ALLOWED: &str = "congestion=cubic, congestion=newreno";

/// `NAME=VALUE`, several with spaces between them.
///
/// # Errors
/// One line that names what is wrong and what is allowed.
pub(super) fn parse(settings: &str) -> Result<ConnectionChange, String> {
    let mut congestion = None;
    for setting in settings.split_ascii_whitespace() {
        let Some((name, value)) = setting.split_once('=') else {
            return Err(format!("{setting:?} is not NAME=VALUE; allowed: {ALLOWED}"));
        };
        if name != "congestion" {
            return Err(format!("{name:?} cannot be set; allowed: {ALLOWED}"));
        }
        let value = value
            .parse::<CongestionControl>()
            .map_err(|error| error.to_string())?;
        if congestion.replace(value).is_some() {
            return Err("congestion is set twice; allowed: once".to_owned());
        }
    }
    match congestion {
        Some(congestion) => Ok(ConnectionChange { congestion }),
        None => Err(format!("nothing to set; allowed: {ALLOWED}")),
    }
}
