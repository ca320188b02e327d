//! New columns for a data set.

use super::{Argument, FROM_CREATE_ON, Given, Workflow, spending};
use crate::mcp::completion::Place;

pub(super) const WORKFLOW: Workflow = Workflow {
    name: "enrich_dataset",
    title: "Enrich a data set",
    description: "Add columns to a data set: one question a row, answers joined to the rows they were made for",
    arguments: &[
        Argument::needed("dataset", Place::File, "The data set: CSV, TSV, JSON, JSONL, Parquet, or a folder of files"),
        Argument::needed("task", Place::Free, "What to find out for each row"),
        Argument::optional(
            "columns",
            Place::Free,
            "Names of the new columns, if the answers have parts: category, price",
        ),
        Argument::optional("model", Place::Model, "Model; default: the usual one"),
        Argument::optional("output", Place::File, "File for the rows with their answers"),
        Argument::optional("max_cost_usd", Place::Dollars, "What it may cost at most, without asking"),
    ],
    write,
};

fn write(given: &Given) -> String {
    let dataset = given.get("dataset").unwrap_or_default();
    let task = given.get("task").unwrap_or_default();
    let shape = match given.get("columns") {
        Some(columns) => format!(
            "`response_schema`: an object with the required fields {columns}; each becomes a column, and answers are held against it"
        ),
        None => "`response_schema` if an answer has parts or is one of a few words (then with `enum`)".to_owned(),
    };
    let output = given.get("output").map_or(String::new(), |output| format!(", `output: \"{output}\"`"));
    format!(
        "Use the gemini-batch tools to enrich the data set {dataset}. For each row: {task}\n\n{model}\
         - build_jsonl with `source: \"{dataset}\"`, `limit: 5` and an `output` of its own; a `template` that puts only the \
         columns it needs into one clear question; a unique, stable column as `key`; {shape}; and \
         `generation_config: {{\"maxOutputTokens\": …}}`. Read `first_requests`, `warnings` and `problems`, and mend it until they \
         are right.\n\
         - The same without `limit`. Rows that make no request are listed in `problems`: tell me, do not leave them out on your own.\n\
         - For more than 1,000 rows, propose create_batch with `sample: 50` first: its results tell in `whole` what all would cost.\n\
         {spending}{FROM_CREATE_ON}\n\n\
         get_results is called with `join: true`{output}: every request comes back with its row, in the order of the data set. \
         `format: \"source\"` gives the file back instead: its own format, and all its rows.",
        model = given.line("model", "Model"),
        spending = spending(given),
    )
}
