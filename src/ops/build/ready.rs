//! Rows that are request lines already, of whatever make: mended, and written as ours.

use serde_json::{Map, Value};

use super::request::expects_json;
use super::rows::Rows;
use crate::error::Result;
use crate::job::Kind;
use crate::job::outcome::counted;
use crate::jsonl::mend::{Form, mend};
use crate::jsonl::notes::{Fault, Notes};
use crate::paths::AllowedPath;
use crate::source::{self, Format, Reading, Row, RowProblem};

/// Different notes that are told apart.
const MOST_NOTES: usize = 40;

/// What is known of such rows by the first one, and what is to be set in each.
#[derive(Debug, Clone)]
pub(super) struct Ready {
    key: Option<String>,
    kind: Kind,
    /// Settings of the call, which win over those of the line.
    settings: Map<String, Value>,
    /// The schema among them, as JSON Schema.
    schema: Option<Value>,
}

impl Ready {
    /// Looks at the first row; none if it is a row of data.
    pub(super) fn of(rows: &Rows) -> Result<Option<Self>> {
        let Some(first) = rows.first()? else { return Ok(None) };
        if Form::of(&first).is_none() {
            return Ok(None);
        }
        let mut notes = Notes::default();
        let mended = Form::request(&first, &mut notes).and_then(|mut request| {
            mend(&mut request, &mut notes)?;
            Ok(request)
        });
        let embeds = mended.is_ok_and(|request| request.contains_key("content"));
        let kind = if embeds { Kind::Embed } else { Kind::Generate };
        Ok(Some(Self { key: Form::key(&first), kind, settings: Map::new(), schema: None }))
    }

    /// The same, with settings for each request.
    pub(super) fn with(self, settings: &Map<String, Value>, schema: Option<&Value>) -> Self {
        Self { settings: settings.clone(), schema: schema.cloned(), ..self }
    }

    /// What names the requests, if they have names.
    pub(super) fn key(&self) -> Option<String> {
        self.key.clone()
    }

    /// What the requests ask for.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Starts with the rows.
    pub(super) fn mender(self) -> Mender {
        let Self { settings, schema, kind, .. } = self;
        Mender {
            kind,
            settings,
            schema,
            latest: None,
            fixes: Tally::default(),
            losses: Tally::default(),
            answers: None,
        }
    }
}

/// What the answers of all requests are to be.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Expected {
    pub(super) json: bool,
    pub(super) schema: Option<Value>,
}

/// Makes our lines of such rows, and counts what had to be done.
pub(super) struct Mender {
    kind: Kind,
    settings: Map<String, Value>,
    schema: Option<Value>,
    /// What was done to the last line, and what its answer is to be.
    latest: Option<(Notes, Expected)>,
    fixes: Tally,
    losses: Tally,
    answers: Option<Expected>,
}

impl Mender {
    /// Writes the line of a row. Returns its length.
    pub(super) fn line(&mut self, key: &str, row: &Row<'_>, out: &mut Vec<u8>) -> Result<usize, RowProblem> {
        let mut notes = Notes::default();
        let told = |fault: Fault| row.problem(None, format!("{} ({})", fault.told(), fault.hint));
        let mut request = Form::request(&row.to_map(), &mut notes).map_err(told)?;
        let mut schema = mend(&mut request, &mut notes).map_err(told)?;
        if !self.settings.is_empty() {
            self.set(&mut request);
            mend(&mut request, &mut Notes::default()).map_err(told)?;
            schema = self.schema.clone().or(schema);
        }
        if request.contains_key("content") != (self.kind == Kind::Embed) {
            let cause = "one file holds one kind of request, and this one is of the other kind than the first";
            return Err(row.problem(None, cause));
        }
        self.latest = Some((notes, Expected { json: expects_json(&request), schema }));
        let line = Value::Object(Map::from_iter([
            ("key".to_owned(), key.into()),
            ("request".to_owned(), Value::Object(request)),
        ]));
        serde_json::to_writer(&mut *out, &line).map_err(|e| row.problem(None, e.to_string()))?;
        Ok(out.len())
    }

    /// The last line is one of the file: what was done to it counts.
    pub(super) fn take(&mut self) {
        let Some((notes, expected)) = self.latest.take() else { return };
        self.expect(expected);
        notes.fixes().into_iter().for_each(|fix| self.fixes.add(fix));
        notes.losses().into_iter().for_each(|loss| self.losses.add(loss));
    }

    /// Puts the settings of the call into a request.
    fn set(&self, request: &mut Map<String, Value>) {
        for (name, value) in &self.settings {
            match (request.get_mut(name), value) {
                (Some(Value::Object(there)), Value::Object(more)) if name == "generationConfig" => {
                    there.extend(more.clone());
                }
                _ => _ = request.insert(name.clone(), value.clone()),
            }
        }
    }

    /// Answers are held against what all requests have in common, no more.
    fn expect(&mut self, this: Expected) {
        match &mut self.answers {
            None => self.answers = Some(this),
            Some(all) => {
                all.json &= this.json;
                if all.schema != this.schema {
                    all.schema = None;
                }
            }
        }
    }

    /// What all answers are to be.
    pub(super) fn expected(&self) -> Expected {
        self.answers.clone().unwrap_or_default()
    }

    /// "12 requests: `systemInstruction` was a string: made an object".
    pub(super) fn fixes(&self) -> Vec<String> {
        self.fixes.listed()
    }

    /// The same of what was lost.
    pub(super) fn losses(&self) -> Vec<String> {
        self.losses.listed()
    }
}

/// How many requests a note was made of.
#[derive(Default)]
struct Tally(Vec<(String, i64)>);

impl Tally {
    fn add(&mut self, note: String) {
        let is_full = self.0.len() >= MOST_NOTES;
        match self.0.iter_mut().find(|(known, _)| *known == note) {
            Some((_, count)) => *count += 1,
            None if !is_full => self.0.push((note, 1)),
            // Strangers' field names could make any number of different notes.
            None => {}
        }
    }

    fn listed(&self) -> Vec<String> {
        self.0.iter().map(|(note, count)| format!("{}: {note}", counted(*count, "request"))).collect()
    }
}

/// What a file of lines is that cannot be sent as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) enum Lines {
    /// Requests, of whatever make: a build mends them.
    Requests,
    /// Rows of data, to make requests of.
    Rows,
    /// Nothing that the first line would tell.
    Unclear,
}

impl Lines {
    /// Goes by the first line, or the first of an array.
    pub(in crate::ops) fn of(input: &AllowedPath) -> Self {
        match first(input) {
            None => Self::Unclear,
            Some(first) if Form::of(&first).is_some() => Self::Requests,
            // Half a request line, or one of results.
            Some(first) if ["request", "response"].iter().any(|name| first.contains_key(*name)) => Self::Unclear,
            Some(first) if first.keys().all(|name| name == "key") => Self::Unclear,
            Some(_) => Self::Rows,
        }
    }
}

fn first(input: &AllowedPath) -> Option<Map<String, Value>> {
    let is_array = input.as_path().extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let format = if is_array { Format::Json } else { Format::Jsonl };
    let reading = Reading { format: Some(format), ..Reading::default() };
    let mut source = source::open(input, &reading).ok()?;
    Some(source.next_row().ok()??.ok()?.to_map())
}
