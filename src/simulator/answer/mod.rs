//! Answers: made up, believable, and always the same for the same request.

mod embedding;
mod generate;
mod instance;
mod media;
mod prompt;
mod words;

use serde_json::{Value, json};

use super::marker::Marker;
use super::results::seed;
use super::route::Kind;

pub(super) use prompt::{prompt_text, tokens_of_request};

/// The lines of the result file that answer one request line: mostly one.
pub(super) fn answer_lines(kind: Kind, model: &str, line: &Value) -> Vec<String> {
    let request = line.get("request").unwrap_or(&Value::Null);
    let marker = Marker::find(&prompt_text(request));
    let answer = labelled(outcome(kind, model, request, marker), line);
    match marker {
        Some(Marker::Missing) => Vec::new(),
        Some(Marker::Duplicate) => vec![answer.clone(), answer],
        Some(Marker::Garbage) => vec![answer.chars().take(answer.chars().count() / 2).collect()],
        Some(Marker::Stranger) => {
            let stranger = labelled(outcome(kind, model, request, None), &json!({"key": "nobody-sent-this"}));
            vec![answer, stranger]
        }
        _ => vec![answer],
    }
}

fn outcome(kind: Kind, model: &str, request: &Value, marker: Option<Marker>) -> (&'static str, Value) {
    let seed = seed(&request.to_string());
    match (marker, kind) {
        (Some(Marker::Failed), _) => {
            ("error", json!({"code": 13, "message": "An internal error has occurred. Please retry."}))
        }
        (_, Kind::Embed) => ("response", embedding::response(request, seed)),
        (_, Kind::Generate) => ("response", generate::response(model, request, marker, seed)),
    }
}

/// An outcome with what tells whose it is. The order of the two is arbitrary, as it is in the service.
fn labelled((name, outcome): (&str, Value), line: &Value) -> String {
    let label = ["key", "metadata"].into_iter().find_map(|label| Some((label, line.get(label)?)));
    let Some((label, identity)) = label.filter(|(_, identity)| !identity.is_null()) else {
        return json!({name: outcome}).to_string();
    };
    match identity.to_string().len() % 2 {
        0 => json!({label: identity, name: outcome}).to_string(),
        _ => json!({name: outcome, label: identity}).to_string(),
    }
}

#[cfg(test)]
mod tests;
