//! The verbs, one file each: plain async functions of what a caller asks, blind to who is calling.

mod account;
mod answer_file;
mod app;
pub mod build;
pub mod cancel;
mod checked;
mod collect;
mod compose;
pub mod create;
mod dataset;
pub mod delete;
pub mod estimate;
mod find;
pub mod list;
mod model;
mod observe;
mod off_thread;
pub mod results;
pub mod retry;
pub mod status;
mod submit;
mod vault;

pub use app::App;
