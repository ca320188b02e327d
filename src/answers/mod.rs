//! Answers out: what became of each request, written to a file.
//!
//! [`ResultIndex`] finds the result line of a key; [`Answer::read`] says what it is worth;
//! [`AnswerWriter`] puts it beside its source row, one [`Format`] a file, in the [`Shape`] that the answers of the job
//! have; [`MediaFolder`] takes their pictures and sounds; [`Summary`] adds it all up.

pub mod answer;
mod asked;
mod cells;
pub mod classify;
mod csv_format;
mod entry;
pub mod fields;
mod flat_json;
pub mod index;
mod json_array;
mod jsonl_format;
mod layout;
mod markdown;
pub mod media;
mod media_name;
pub mod merged;
mod npy;
mod parquet_format;
mod raw;
pub mod reasons;
pub mod record;
pub mod schema;
pub mod select;
mod slots;
mod sound;
mod source_format;
pub mod summary;
pub mod table;
pub mod tally;
pub mod validate;
mod window;
pub mod write;

pub use answer::{Answer, Call, Media};
pub use fields::{Column, Fields, Kind};
pub use index::{ResultIndex, Spill};
pub use media::MediaFolder;
pub use merged::{Generation, Merged};
pub use reasons::remedy;
pub use record::Record;
pub use select::Filter;
pub use source_format::answered_in;
pub use summary::{FailureGroup, Sample, Summary};
pub use table::Shape;
pub use tally::Tally;
pub use validate::Checker;
pub use window::Window;
pub use write::{AnswerWriter, Format, Written, refuse_misnamed};
