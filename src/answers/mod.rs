//! Answers out: what became of each request, written to a file.
//!
//! [`ResultIndex`] finds the result line of a key; [`Answer::read`] says what it is worth;
//! [`AnswerWriter`] puts it beside its source row, one [`Format`] a file; [`Summary`] adds it all up.

pub mod answer;
pub mod classify;
mod csv_format;
pub mod index;
mod json_array;
mod jsonl_format;
pub mod merged;
mod raw;
pub mod reasons;
pub mod record;
pub mod schema;
pub mod select;
mod slots;
pub mod summary;
pub mod tally;
pub mod validate;
mod window;
pub mod write;

pub use answer::{Answer, Call, Media};
pub use index::ResultIndex;
pub use merged::{Generation, Merged};
pub use reasons::remedy;
pub use record::Record;
pub use select::Filter;
pub use summary::{FailureGroup, Sample, Summary, clip};
pub use tally::Tally;
pub use validate::Checker;
pub use window::Window;
pub use write::{AnswerWriter, Format, Written};
