//! Many answers to prompts that the model has to write itself.

use super::{Argument, FROM_CREATE_ON, Given, Workflow, spending};
use crate::mcp::completion::Place;

pub(super) const WORKFLOW: Workflow = Workflow {
    name: "generate_many",
    title: "Generate many",
    description: "Generate many texts, pictures or vectors at half price, from a list or from a description of what is wanted",
    arguments: &[
        Argument::needed("task", Place::Free, "What to generate, and how many of it"),
        Argument::optional("source", Place::File, "File with one item a row, if there is one"),
        Argument::optional("model", Place::Model, "Model; default: the usual one"),
        Argument::optional("output", Place::File, "File for the answers"),
        Argument::optional("max_cost_usd", Place::Dollars, "What it may cost at most, without asking"),
    ],
    write,
};

fn write(given: &Given) -> String {
    let task = given.get("task").unwrap_or_default();
    let rows = match given.get("source") {
        Some(source) => format!("`source: \"{source}\"`, a `template` over its columns, and a unique, stable column as `key`"),
        None => "`prompts` or `rows` that you write for the task (write a file first if there are more than 50), and one `template` if they share a pattern"
            .to_owned(),
    };
    format!(
        "Use the gemini-batch tools to generate this as one batch job:\n\n{task}\n\n{model}{output}\
         - build_jsonl with {rows}. Set `generation_config: {{\"maxOutputTokens\": …}}` for text, it bounds the price; \
         `response_schema` if the answers have parts; `kind` for pictures, speech or vectors. First with `limit: 5` and an \
         `output` of its own: read `first_requests`, `warnings` and `problems`, and mend the template until they are right.\n\
         - The same without `limit`.\n{spending}{FROM_CREATE_ON}",
        model = given.line("model", "Model"),
        output = given.line("output", "Answers go to"),
        spending = spending(given),
    )
}
