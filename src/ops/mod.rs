//! The verbs, one file each: plain async functions of what a caller asks, blind to who is calling.

mod app;
mod background;
pub mod build;
pub mod cancel;
mod checked;
mod collect;
pub mod create;
mod dataset;
pub mod delete;
pub mod estimate;
mod find;
mod lease;
pub mod list;
mod lookup;
mod model;
mod nearest;
mod observe;
mod off_thread;
mod part_counts;
mod parts;
pub mod queue;
mod relay;
mod requests;
pub mod results;
pub mod retry;
mod room;
mod sample;
mod schema_file;
mod send;
pub mod status;
mod submit;
mod trouble;
mod unfinished;
mod vault;

pub use app::App;
