//! What to tell the author of a line: the likely cause, and how to write it instead.

use crate::job::spelling::distance;
use crate::jsonl::finding::quoted;
use crate::jsonl::schema::{Mark, Message, Schema, Shape, camel_case, snake_case};

const WRAPPED: &str = r#"write {"key":"…","request":{"contents":[{"parts":[{"text":"…"}]}]}}"#;
const CONTENT: &str = r#"write {"parts":[{"text":"…"}]}"#;
const CONTENTS: &str = r#"write [{"parts":[{"text":"…"}]}]"#;

/// Fields of other interfaces that the Gemini API refuses, and why.
const REFUSED: [(&str, &str); 12] = [
    (
        "config",
        "that is how the SDKs spell it: put sampling, schema and thinking fields under `generationConfig`, and \
      systemInstruction, tools, toolConfig, safetySettings and cachedContent beside `contents`",
    ),
    ("parameters", "that is Vertex AI's older spelling: use `generationConfig`"),
    ("routingConfig", VERTEX),
    ("modelSelectionConfig", VERTEX),
    ("audioTimestamp", VERTEX),
    ("modelArmorConfig", VERTEX),
    ("enterpriseWebSearch", VERTEX),
    ("parallelAiSearch", VERTEX),
    ("retrieval", VERTEX),
    ("autoTruncate", VERTEX),
    ("documentOcr", VERTEX),
    ("audioTrackExtraction", VERTEX),
];
const VERTEX: &str = "only Vertex AI has this field; leave it out";

/// What to say of an unknown field.
pub(super) struct Advice {
    /// Whether the API is known to refuse it.
    pub(super) fatal: bool,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// A field that the message does not have: refused, misplaced, misspelt or new.
pub(super) fn on_unknown(message: &'static Message, name: &str) -> Advice {
    let camel = camel_case(name);
    let field = quoted(name);
    if let Some((_, hint)) = REFUSED.iter().find(|(refused, _)| *refused == camel && refused_in(message, refused)) {
        return Advice {
            fatal: true,
            message: format!("the API has no field {field} here"),
            hint: Some((*hint).into()),
        };
    }
    let homes = Schema::get().homes(&camel);
    if let Some(path) = only_home(&homes) {
        let message = format!("{field} is in the wrong place");
        return Advice { fatal: true, message, hint: Some(format!("it belongs in `{path}`")) };
    }
    let fatal = message.name == "Line";
    let hint = nearest(name, message.fields.iter().map(|field| field.name))
        .map(|near| if name.contains('_') { snake_case(near) } else { near.to_owned() })
        .map(|near| format!("did you mean `{near}`?"))
        .or_else(|| fatal.then(|| "a line holds `key` and `request`, and nothing else".into()))
        .or_else(|| Some("leave it out, unless the API has it since this program was made".into()));
    Advice { fatal, message: format!("{field} is not a known field"), hint }
}

/// `parameters` is a field in some messages, and `retrieval` could become one: only the request is sure.
fn refused_in(message: &Message, name: &str) -> bool {
    match name {
        "config" | "parameters" => message.name == "Request",
        _ => true,
    }
}

/// The place of a field that has one place: the only one, or one among the settings of the request.
fn only_home<'h>(homes: &'h [(&'static Message, String)]) -> Option<&'h str> {
    let (_, path) = match homes {
        [only] => only,
        _ => homes.iter().find(|(message, _)| matches!(message.name, "Request" | "GenerationConfig"))?,
    };
    Some(path)
}

/// A first-level field that shows the line to be of another format altogether.
pub(super) fn on_foreign_line(name: &str) -> Option<(&'static str, &'static str)> {
    match name {
        "custom_id" | "method" | "url" | "body" | "params" | "messages" => Some((
            "the line is a batch request of OpenAI or Anthropic",
            "rename `custom_id` to `key` and turn the messages into `request.contents`: \
             {\"key\":\"…\",\"request\":{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"…\"}]}]}}",
        )),
        "response" | "error" => {
            Some(("the line is an answer, not a request", "give the file that was sent, not the one that came back"))
        }
        "instances" => Some(("the line is a Vertex AI prediction request", WRAPPED)),
        _ => {
            let (message, _) = Schema::get().homes(&camel_case(name)).into_iter().next()?;
            (message.name == "Request").then_some(("the request is not wrapped", WRAPPED))
        }
    }
}

/// JSON that cannot be read on, in plain words.
pub(super) fn on_broken_json(cause: &str, at_end: bool) -> (String, &'static str) {
    match cause {
        "recursion limit exceeded" => {
            ("the JSON is nested more than 127 levels deep".into(), "the API would refuse it: flatten it")
        }
        "trailing characters" => ("there is more after the end of the object".into(), "write one object a line"),
        "lone leading surrogate in hex escape" | "unexpected end of hex escape" => {
            ("half of a surrogate pair stands alone".into(), "it is no character: write the character itself in UTF-8")
        }
        _ if at_end => (
            format!("the line ends inside the JSON ({cause})"),
            "the object must be on one line; was the file cut off, or is it pretty-printed?",
        ),
        _ => (format!("the line is not valid JSON: {cause}"), "write the line with a JSON library, not by hand"),
    }
}

/// How to write a value of this shape, where people get it wrong.
pub(super) fn on_shape(shape: &Shape) -> Option<String> {
    let written = match shape {
        Shape::Message(index) => match Schema::get().message(*index)?.name {
            "Line" => WRAPPED,
            "Content" => CONTENT,
            "Part" => r#"write {"text":"…"}"#,
            _ => return None,
        },
        Shape::List(item) => match &**item {
            Shape::Message(index) => match Schema::get().message(*index)?.name {
                "Content" => CONTENTS,
                "Part" => r#"write [{"text":"…"}]"#,
                _ => return None,
            },
            _ => return None,
        },
        _ => return None,
    };
    Some(written.into())
}

/// Whether an empty array is refused here.
pub(super) fn must_not_be_empty(shape: &Shape) -> bool {
    on_shape(shape).is_some() && matches!(shape, Shape::List(_))
}

/// What a key should be.
pub(super) fn on_key() -> Option<String> {
    Some("give each line a short key of its own, such as \"row-1\": answers are matched by it".into())
}

/// How to write a field that has to be there.
pub(super) fn on_missing(name: &str) -> Option<String> {
    match name {
        "key" => on_key(),
        "request" => Some(WRAPPED.into()),
        "contents" => Some(r#"write "contents":[{"parts":[{"text":"…"}]}]"#.into()),
        "content" => Some(r#"write "content":{"parts":[{"text":"…"}]}"#.into()),
        "parts" => Some(r#"write "parts":[{"text":"…"}]"#.into()),
        _ => None,
    }
}

/// What is wrong with a number of the right type.
pub(super) fn on_number(fact: Mark, number: f64) -> Option<&'static str> {
    match fact {
        Mark::MaxOutput if number < 1.0 => Some("no answer has room in that: leave it out, or give some hundreds"),
        Mark::Candidates if number > 1.0 => {
            Some("all of them are paid for, and results show the first: the format raw has all")
        }
        Mark::Temperature if !(0.0..=2.0).contains(&number) => Some("the API takes 0 to 2"),
        _ => None,
    }
}

/// The words that are known, the nearest first if there is one.
pub(super) fn on_word(text: &str, known: &[&'static str]) -> String {
    match nearest(text, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known values: {}", known.join(", ")),
    }
}

/// The candidate that a slip or two away from `name`, if there is one.
fn nearest<'n>(name: &str, candidates: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    if name.len() > 60 {
        return None;
    }
    let plain = |text: &str| text.replace('_', "").to_ascii_lowercase();
    let name = plain(name);
    let slips = (name.chars().count() / 3).clamp(1, 4);
    candidates
        .map(|candidate| (distance(&name, &plain(candidate)), candidate))
        .filter(|(distance, _)| *distance <= slips)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
