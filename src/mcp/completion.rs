//! Completion: what a client may offer while an address or an argument of a prompt is being typed.

use rmcp::model::{
    ArgumentInfo, CompleteRequestParams, CompleteResult, CompletionContext, CompletionInfo, ErrorData, Reference,
};

use super::prompts;
use super::resources::{PAGE, outcome_words, templates};
use crate::error::Result;
use crate::ops::{App, data_files, known, models};

/// What may stand in a place, for which there is something to offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A job's handle.
    Job,
    /// A model.
    Model,
    /// An outcome, or all of them.
    Outcome,
    /// The first answer of a page.
    Offset,
    /// A data file.
    File,
    /// A limit in USD.
    Dollars,
    /// What only the user knows.
    Free,
}

/// What may stand in the place that is being filled.
pub(super) fn complete(
    app: &App,
    request: &CompleteRequestParams,
    shows_files: bool,
) -> Result<CompleteResult, ErrorData> {
    let ArgumentInfo { name, value, .. } = &request.argument;
    let place = match &request.r#ref {
        Reference::Resource(of) => place_in_address(&of.uri, name)?,
        Reference::Prompt(of) => prompts::find(&of.name)?.place(name),
        _ => Place::Free,
    };
    let place = if place == Place::File && !shows_files { Place::Free } else { place };
    let offered = offered(app, place, value, request.context.as_ref())
        .map_err(|e| ErrorData::internal_error(e.to_string(), None))?;
    fitting(offered).map(CompleteResult::new)
}

/// Clients name the template, some the address itself.
fn place_in_address(uri: &str, variable: &str) -> Result<Place, ErrorData> {
    let is_ours = |uri: &str| super::resources::Address::parse(uri).is_some();
    if !templates().iter().any(|template| template.uri_template == uri) && !is_ours(uri) {
        return Err(ErrorData::invalid_params(format!("there is no resource template {uri}"), None));
    }
    Ok(match variable {
        "handle" => Place::Job,
        "outcome" => Place::Outcome,
        "offset" => Place::Offset,
        _ => Place::Free,
    })
}

/// Everything that fits, the likeliest first.
fn offered(app: &App, place: Place, typed: &str, context: Option<&CompletionContext>) -> Result<Vec<String>> {
    let fitting = |values: Vec<String>| values.into_iter().filter(|value| value.starts_with(typed)).collect();
    Ok(match place {
        Place::Job => known::handles(app, typed)?,
        Place::Model => fitting(models::usable(app)),
        Place::Outcome => fitting(outcome_words().map(str::to_owned).collect()),
        Place::Offset => fitting(offsets(app, context)?),
        // A folder that is not there, or not allowed, has nothing to offer.
        Place::File => data_files::data_files(app, typed).unwrap_or_default(),
        Place::Dollars => fitting(["1", "5", "10", "50"].map(str::to_owned).to_vec()),
        Place::Free => Vec::new(),
    })
}

/// Where the pages of a job begin, if the job is named already.
fn offsets(app: &App, context: Option<&CompletionContext>) -> Result<Vec<String>> {
    let job = context.and_then(|context| context.get_argument("handle"));
    let requests = job.map(|job| known::requests(app, job)).transpose()?.flatten();
    let page = usize::try_from(PAGE).unwrap_or(1);
    Ok((0..requests.unwrap_or(1).max(1)).step_by(page).map(|offset| offset.to_string()).collect())
}

/// As many as one answer may hold, and how many there are.
fn fitting(mut values: Vec<String>) -> Result<CompletionInfo, ErrorData> {
    let total = values.len();
    values.truncate(CompletionInfo::MAX_VALUES);
    CompletionInfo::with_pagination(values, u32::try_from(total).ok(), total > CompletionInfo::MAX_VALUES)
        .map_err(|e| ErrorData::internal_error(e, None))
}
