//! Conditional requests (RFC 9110 §13) for files that have a date and no entity tag.

use std::time::SystemTime;

use super::response::Status;

/// The fields of a request that make its answer conditional, as sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    pub if_match: Option<String>,
    pub if_none_match: Option<String>,
    pub if_modified_since: Option<String>,
    pub if_unmodified_since: Option<String>,
    pub if_range: Option<String>,
}

/// 304 or 412 when a condition for sending the file does not hold; in the order of RFC 9110 §13.2.2.
pub(super) fn evaluate(conditions: &Conditions, modified: SystemTime) -> Option<Status> {
    if let Some(tags) = &conditions.if_match {
        // A file without a tag matches none but the wildcard.
        if tags != "*" {
            return Some(Status::PRECONDITION_FAILED);
        }
    } else if let Some(date) = conditions.if_unmodified_since.as_deref().and_then(date)
        && modified > date
    {
        return Some(Status::PRECONDITION_FAILED);
    }
    if let Some(tags) = &conditions.if_none_match {
        (tags == "*").then_some(Status::NOT_MODIFIED)
    } else {
        let since = conditions.if_modified_since.as_deref().and_then(date)?;
        (modified <= since).then_some(Status::NOT_MODIFIED)
    }
}

/// Whether Range is to be honoured: If-Range is absent or names exactly the file's date (RFC 9110 §13.1.5).
pub(super) fn range_applies(conditions: &Conditions, modified: SystemTime) -> bool {
    conditions
        .if_range
        .as_deref()
        .is_none_or(|value| date(value) == Some(modified))
}

/// A date in one of HTTP's three forms; anything else makes its field void.
fn date(value: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(value).ok()
}
