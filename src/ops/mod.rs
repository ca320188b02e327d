//! The verbs, one file each: plain async functions of what a caller asks, blind to who is calling.

mod app;
pub mod build;
pub mod cancel;
mod checked;
mod collect;
pub mod create;
mod dataset;
pub mod delete;
pub mod estimate;
mod find;
pub mod list;
mod model;
mod nearest;
mod observe;
mod off_thread;
pub mod results;
pub mod retry;
mod sample;
mod schema_file;
pub mod status;
mod submit;
mod vault;

pub use app::App;
