//! Moments as the ledger writes them.

use chrono::{DateTime, Utc};
use rusqlite::Row;

/// A moment as the ledger writes it: sorts as text.
pub(super) fn text(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

/// The moment that was written so.
pub(super) fn time(text: String) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(&text).ok().map(|moment| moment.with_timezone(&Utc))
}

/// The moment in a column, if there is one.
pub(super) fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<DateTime<Utc>>> {
    Ok(row.get::<_, Option<String>>(column)?.and_then(time))
}
