//! Whether a model may be used, told before anything is spent.

use super::App;
use crate::error::{Error, ErrorKind, Result};
use crate::job::models::Availability;

/// Refuses a model that is shut down, or will be before the job could end; warns of one that soon will be.
pub(super) fn availability(app: &App, model: &str) -> Result<Option<String>> {
    let Some(known) = app.models().get(model) else {
        return Ok(Some(format!(
            "{model} is not in the price table of {}: its price is unknown, and whether it takes batches",
            app.models().as_of
        )));
    };
    match known.availability(app.today()) {
        Availability::Open => Ok(None),
        Availability::EndsSoon(text) => Ok(Some(text)),
        Availability::Closed(text) => {
            let hint = match &known.successor {
                Some(successor) => format!("pass model: \"{successor}\"; nothing was sent"),
                None => "choose another model; nothing was sent".to_owned(),
            };
            Err(Error::new(ErrorKind::InvalidArgument, format!("choosing the model {model}"), text).hint(hint))
        }
    }
}
