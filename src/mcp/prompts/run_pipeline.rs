//! Several stages, each asking about the answers of the one before.

use super::{Argument, FROM_CREATE_ON, Given, Workflow, spending};
use crate::mcp::completion::Place;

pub(super) const WORKFLOW: Workflow = Workflow {
    name: "run_pipeline",
    title: "Run a pipeline",
    description: "Several stages over a data set: the answers of one job are the rows of the next",
    arguments: &[
        Argument::needed(
            "dataset",
            Place::File,
            "The data set of the first stage, or job:HANDLE of a job that has ended",
        ),
        Argument::needed("stages", Place::Free, "What each stage does: extract facts; then translate; then score"),
        Argument::optional("model", Place::Model, "Model; default: the usual one"),
        Argument::optional("output", Place::File, "File for the answers of the last stage"),
        Argument::optional("max_cost_usd", Place::Dollars, "What each stage may cost at most, without asking"),
    ],
    write,
};

fn write(given: &Given) -> String {
    let dataset = given.get("dataset").unwrap_or_default();
    let stages = given.get("stages").unwrap_or_default();
    format!(
        "Use the gemini-batch tools to run these stages, one batch job each:\n\n{stages}\n\n{model}{output}\
         First tell me the plan: what each stage asks, of which columns, and what comes out. A stage that one good prompt could do \
         together with the next is no stage. Then, for each stage:\n\n\
         - build_jsonl: the first with `source: \"{dataset}\"` and a unique, stable `key`; each later one with \
         `source: \"job:HANDLE\"` of the job before. There the columns are `answer`, `parsed` (fields of JSON: \
         `{{{{parsed.name}}}}`), `key`, and those of the first data set; keys stay the same. Ask for JSON (`response_schema`) wherever \
         a later stage needs parts of an answer. First with `limit: 5` and an `output` of its own, until `first_requests` are right.\n\
         {spending}{FROM_CREATE_ON}\n\n\
         Do not begin a stage before the one before has ended and its answers were looked at: rows without a usable answer drop \
         out, and I decide whether to retry them first. After the last stage, get_results with `join: true`; tell me what all \
         stages cost together.",
        model = given.line("model", "Model"),
        output = given.line("output", "The last answers go to"),
        spending = spending(given),
    )
}
