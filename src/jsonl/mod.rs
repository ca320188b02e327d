//! The lines of a batch: request lines in, result lines out, read and written as a stream.
//!
//! Memory is bounded by the longest line, whatever the size of the file.

pub mod check;
pub mod cut;
pub mod finding;
pub mod keys;
pub mod lines;
pub mod mend;
pub mod notes;
pub mod response;
pub mod response_schema;
pub mod result;
mod schema;
pub mod secrets;
pub mod validate;
pub mod writer;
