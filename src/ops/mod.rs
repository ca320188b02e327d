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
mod ready;
mod request;
pub mod results;
pub mod retry;
mod rows;
pub mod status;
mod submit;
mod vault;
mod watch;

pub use app::App;

/// Refuses an argument that is agreed on and not served yet.
fn unbuilt(arguments: &[(&str, bool)]) -> crate::error::Result<()> {
    match arguments.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((name, _)) => Err(crate::error::Error::new(
            crate::error::ErrorKind::InvalidArgument,
            "reading the arguments",
            format!("{name} is not served yet"),
        )),
    }
}
