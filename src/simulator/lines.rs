//! The lines of an input file: read one at a time, checked as the service checks them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde_json::Value;

use super::answer::{prompt_text, tokens_of_request};
use super::batch::{Census, Fate};
use super::fields::text;
use super::marker::Marker;
use super::refusal::Refusal;
use super::route::Kind;
use super::schema::{self, Complaint};

/// The name under which a batch keeps its input.
pub(super) const INPUT: &str = "input.jsonl";

/// So many bad lines are named.
const NAMED: usize = 10;

/// Reads lines one at a time; blank ones are passed over.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    number: u64,
}

impl<R: Read> Lines<R> {
    /// The lines of `source`.
    pub(super) fn of(source: R) -> Self {
        Self { reader: BufReader::with_capacity(256 * 1024, source), line: Vec::new(), number: 0 }
    }

    /// The next line with its number, counted from 1.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        loop {
            self.line.clear();
            if self.reader.read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if !self.line.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some((self.number, self.line.trim_ascii_end())));
            }
        }
    }
}

/// What the lines of an input must be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) kind: Kind,
    pub(super) model: &'a str,
    /// Whether the requests came inside the call: they have `metadata` where lines have `key`, or neither.
    pub(super) inline: bool,
}

/// Checks all lines and counts them. One bad line refuses the whole input.
pub(super) fn census(path: &Path, rules: Rules<'_>) -> Result<Census, Refusal> {
    let mut lines = Lines::of(File::open(path)?);
    let mut census = Census::default();
    let mut errors = Vec::new();
    while let Some((number, line)) = lines.next()? {
        match rules.checked(line) {
            Ok(request) => note(&mut census, &request),
            Err((column, what)) => {
                errors.push(format!("Error on line {number}: invalid JSON, near column {column}: {what}"));
            }
        }
        if errors.len() == NAMED {
            break;
        }
    }
    if !errors.is_empty() {
        return Err(Refusal::invalid(errors.join("\n")));
    }
    if census.requests == 0 {
        return Err(Refusal::invalid("The batch has no requests."));
    }
    Ok(census)
}

fn note(census: &mut Census, request: &Value) {
    census.requests += 1;
    census.tokens += tokens_of_request(request);
    match Marker::find(&prompt_text(request)) {
        Some(Marker::Failed) => census.failing += 1,
        Some(Marker::JobFailed) => census.fate = Fate::Fails,
        Some(Marker::JobExpired) => census.fate = Fate::NeverEnds,
        Some(Marker::JobPending) => census.fate = Fate::NeverStarts,
        Some(Marker::JobStuck) => census.fate = Fate::Stalls,
        Some(Marker::Partial) => census.partial = true,
        _ => {}
    }
}

impl Rules<'_> {
    /// The request of a good line; column and description of what is wrong with a bad one.
    fn checked(&self, line: &[u8]) -> Result<Value, (usize, String)> {
        let mut value: Value = serde_json::from_slice(line).map_err(|e| (e.column(), syntax(&e)))?;
        self.check(&value).map_err(|c| (column(line, c.name()), c.wording()))?;
        Ok(value.get_mut("request").map(Value::take).unwrap_or_default())
    }

    fn check(&self, value: &Value) -> Result<(), Complaint> {
        let fields = value.as_object().ok_or_else(|| complaint("", "expected an object"))?;
        let label = if self.inline { "metadata" } else { "key" };
        if let Some(name) = fields.keys().find(|name| *name != label && *name != "request") {
            return Err(Complaint::UnknownField(name.clone()));
        }
        match fields.get(label) {
            None if !self.inline => return Err(complaint("", "missing field: 'key'")),
            Some(key) if !self.inline && !key.is_string() => {
                return Err(complaint("key", "expected a string for field 'key'"));
            }
            _ => {}
        }
        let request = fields.get("request").ok_or_else(|| complaint("", "missing field: 'request'"))?;
        schema::check_request(request, self.kind)?;
        match text(request, "model") {
            Some(own) if own.trim_start_matches("models/") != self.model => {
                Err(complaint("model", "the model of the request is not the model of the batch"))
            }
            _ => Ok(()),
        }
    }
}

fn complaint(field: &str, message: &str) -> Complaint {
    Complaint::Other(field.into(), message.into())
}

/// What is wrong with the JSON, without the place, which is told already.
fn syntax(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().into()
}

/// Where a field stands in a line, as far as its name tells.
fn column(line: &[u8], name: &str) -> usize {
    let quoted = format!("\"{name}\"");
    let found = line.windows(quoted.len()).position(|window| window == quoted.as_bytes());
    found.map_or(1, |at| at + quoted.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn census_of(text: &str) -> Result<Census, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        census(file.path(), Rules { kind: Kind::Generate, model: "m", inline: false })
            .map_err(|refusal| format!("{refusal:?}"))
    }

    #[test]
    fn bad_lines_are_named_with_number_and_column() {
        let good = r#"{"key":"a","request":{"contents":[{"parts":[{"text":"hi"}]}]}}"#;
        let unknown = r#"{"key":"b","request":{"contents":[{"parts":[]}],"thinking_config":{}}}"#;
        let refusal = census_of(&format!("{good}\n\n{unknown}\n{{\"key\"\n")).unwrap_err();
        assert!(
            refusal.contains("Error on line 3: invalid JSON, near column 65: no such field: 'thinking_config'"),
            "{refusal}"
        );
        assert!(refusal.contains("Error on line 4: invalid JSON, near column 6"), "{refusal}");
        assert!(!refusal.contains("on line 1") && !refusal.contains("at line"), "{refusal}");
    }

    #[test]
    fn requests_that_will_fail_are_counted() {
        let line =
            |text: &str| format!(r#"{{"key":"a","request":{{"contents":[{{"parts":[{{"text":"{text}"}}]}}]}}}}"#);
        let text = [line("a"), line("[[simulate:failed]]"), line("c")].join("\r\n");
        assert_eq!(census_of(&text).unwrap(), Census { requests: 3, tokens: 7, failing: 1, ..Census::default() });
    }

    #[test]
    fn a_line_needs_key_and_request_and_nothing_else() {
        let request = r#""request":{"contents":[{"parts":[]}]}"#;
        let refused = |line: String| census_of(&line).unwrap_err();
        assert!(refused(format!("{{{request}}}")).contains("missing field: 'key'"));
        assert!(refused(r#"{"key":"a"}"#.into()).contains("missing field: 'request'"));
        assert!(refused(format!(r#"{{"custom_id":"a",{request}}}"#)).contains("no such field: 'custom_id'"));
        assert!(refused(format!(r#"{{"key":7,{request}}}"#)).contains("expected a string"));
        assert!(refused(r#"["key"]"#.into()).contains("expected an object"));
    }

    #[test]
    fn an_empty_file_is_refused() {
        assert!(census_of("\n").is_err());
    }
}
