//! JSON Schema into the API's dialect: what it knows is written its way, what it does not know is dropped and noted.

use serde_json::{Map, Value, json};

use super::dialect::COUNTS;
use super::{DEEPEST, LARGEST, choices, flatten, too_deep};
use crate::jsonl::finding::quoted;
use crate::jsonl::notes::{Fault, Notes};
use crate::jsonl::schema::Schema;

/// Said of a keyword that the API does not know, and that answers can be held against.
const HELD: &str = "not known to the API, dropped; answers are still held against it here";
/// Such keywords.
const HELD_HERE: [&str; 16] = [
    "additionalProperties",
    "patternProperties",
    "propertyNames",
    "unevaluatedProperties",
    "unevaluatedItems",
    "contains",
    "minContains",
    "maxContains",
    "uniqueItems",
    "multipleOf",
    "dependentRequired",
    "dependentSchemas",
    "not",
    "if",
    "then",
    "else",
];
/// Said of any other word.
const NOT_HELD: &str = "not known to the API, dropped; answers are not held against it either";
/// Keywords that say nothing about what is valid, and that nobody misses.
const SILENT: [&str; 11] = [
    "$defs",
    "definitions",
    "$anchor",
    "$dynamicAnchor",
    "$vocabulary",
    "readOnly",
    "writeOnly",
    "deprecated",
    "$ref",
    "allOf",
    "nullable",
];
/// Keywords that are written by a rule of their own.
const RULED: [&str; 10] =
    ["type", "enum", "const", "anyOf", "oneOf", "items", "prefixItems", "properties", "required", "propertyOrdering"];
const BOUNDS: [&str; 4] = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];

/// The schema as it is sent.
pub(super) fn translate(given: &Value, notes: &mut Notes) -> Result<Map<String, Value>, Fault> {
    Translation { root: given, notes, open: Vec::new(), schemas: 0 }.schema(given, "", 0)
}

/// Whether the word says anything in a schema of either language.
pub(super) fn is_keyword(name: &str) -> bool {
    let known: [&[&str]; 5] = [&RULED, &SILENT, &BOUNDS, &HELD_HERE, &COUNTS];
    known.iter().any(|words| words.contains(&name))
        || Schema::get().named("Schema").is_some_and(|schema| schema.find(name).is_some())
}

struct Translation<'t> {
    root: &'t Value,
    notes: &'t mut Notes,
    /// The references being written out, to tell one that leads back to itself.
    open: Vec<String>,
    schemas: usize,
}

impl Translation<'_> {
    fn schema(&mut self, given: &Value, place: &str, depth: usize) -> Result<Map<String, Value>, Fault> {
        if depth > DEEPEST {
            return Err(too_deep(place));
        }
        let Value::Object(given) = given else {
            // `true` and `false` are schemas too.
            self.notes.lose("a schema that says nothing", place, "the model may answer anything there");
            return Ok(Map::new());
        };
        let opened = self.open.len();
        let whole = self.whole(given.clone(), place)?;
        let made = self.keywords(&whole, place, depth)?;
        self.open.truncate(opened);
        Ok(made)
    }

    /// The schema with what it refers to, and with all that must hold at the same time.
    fn whole(&mut self, mut schema: Map<String, Value>, place: &str) -> Result<Map<String, Value>, Fault> {
        // Counted here, so that references that double below `allOf` come to an end, too.
        self.schemas += 1;
        if self.schemas > LARGEST {
            return Err(too_deep(place));
        }
        loop {
            let more = match (schema.shift_remove("$ref"), schema.shift_remove("allOf")) {
                (None, None) => return Ok(schema),
                (reference, all) => {
                    if let Some(all) = all {
                        let Value::Array(all) = all else { continue };
                        for part in all {
                            let Value::Object(part) = part else { continue };
                            let opened = self.open.len();
                            let part = self.whole(part, place)?;
                            self.open.truncate(opened);
                            flatten::merge(&mut schema, &part, place, self.notes);
                        }
                        self.notes.fix("allOf", place, "written as one schema");
                    }
                    reference
                }
            };
            if let Some(Value::String(reference)) = more {
                let named = self.named(reference, place)?;
                flatten::merge(&mut schema, &named, place, self.notes);
            }
        }
    }

    fn named(&mut self, reference: String, place: &str) -> Result<Map<String, Value>, Fault> {
        if reference == "#" || self.open.contains(&reference) {
            let cause = format!("{} refers to itself, and the API's dialect has no references", quoted(&reference));
            return Err(Fault::new(place, cause, "write the levels out, as many as you need, without $ref"));
        }
        let named = flatten::resolve(self.root, &reference, place)?.as_object().cloned().unwrap_or_default();
        self.notes.fix("$ref", place, "what it names is written in its place");
        self.open.push(reference);
        Ok(named)
    }

    fn keywords(&mut self, given: &Map<String, Value>, place: &str, depth: usize) -> Result<Map<String, Value>, Fault> {
        let mut made = Map::new();
        let mut nullable = given.get("nullable") == Some(&Value::Bool(true));
        let types = self.types(given, place, &mut nullable);
        if let [one] = types.as_slice() {
            made.insert("type".to_owned(), one.as_str().into());
        }
        for name in ["title", "description"] {
            if let Some(text) = given.get(name).filter(|text| text.is_string()) {
                made.insert(name.to_owned(), text.clone());
            }
        }
        if given.get("enum").and_then(Value::as_array).is_some_and(Vec::is_empty) {
            let hint = "name the values that are allowed, or leave enum out";
            return Err(Fault::new(place, "its enum is empty, and allows no answer at all", hint));
        }
        if let Some(values) = allowed(given) {
            if given.contains_key("const") {
                self.notes.fix("const", place, "written as enum");
            }
            nullable |= choices::write(&values, &mut made, place, self.notes);
        }
        for (name, value) in given {
            self.plain_keyword(name, value, &mut made, place);
        }
        self.inside(given, &mut made, place, depth)?;
        let mut choices = self.choices(given, &mut nullable, place, depth)?;
        if types.len() > 1 {
            self.notes.fix("several types", place, "written as anyOf");
            choices = types.iter().map(|word| self.of_type(given, word, place, depth)).collect::<Result<_, _>>()?;
            made.retain(|name, _| matches!(name.as_str(), "title" | "description"));
        }
        match choices.len() {
            0 => {}
            1 => choices.into_iter().flatten().for_each(|(name, value)| _ = made.entry(name).or_insert(value)),
            _ => _ = made.insert("anyOf".to_owned(), choices.into_iter().map(Value::Object).collect()),
        }
        if nullable && made.get("type").is_none_or(|word| word != "NULL") {
            made.insert("nullable".to_owned(), true.into());
        }
        self.complete(&mut made, place);
        Ok(made)
    }

    /// The types, in upper case, without null, which is noted apart. A type that is not said but plain is one, too.
    fn types(&mut self, given: &Map<String, Value>, place: &str, nullable: &mut bool) -> Vec<String> {
        let words: Vec<String> = match given.get("type") {
            Some(Value::String(word)) => vec![word.to_ascii_uppercase()],
            Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).map(str::to_ascii_uppercase).collect(),
            _ if given.contains_key("properties") => vec!["OBJECT".to_owned()],
            _ if given.contains_key("items") || given.contains_key("prefixItems") => vec!["ARRAY".to_owned()],
            _ => Vec::new(),
        };
        let (null, mut rest): (Vec<_>, Vec<_>) = words.into_iter().partition(|word| word == "NULL");
        rest.retain(|word| word != "TYPE_UNSPECIFIED");
        if rest.is_empty() {
            return null;
        }
        if !null.is_empty() {
            *nullable = true;
            self.notes.fix("the type null", place, "written as nullable");
        }
        rest
    }

    /// A keyword that stays as it is, is written otherwise, or is dropped.
    fn plain_keyword(&mut self, name: &str, value: &Value, made: &mut Map<String, Value>, place: &str) {
        match name {
            "title" | "description" => {}
            "default" if value.is_null() => {}
            _ if RULED.contains(&name) || SILENT.contains(&name) => {}
            "pattern" | "default" | "example" => _ = made.insert(name.to_owned(), value.clone()),
            _ if COUNTS.contains(&name) => match count(value) {
                Some(count) => _ = made.insert(name.to_owned(), count.into()),
                None => self.notes.lose(name, place, HELD),
            },
            "format" => self.format(value, made, place),
            _ if BOUNDS.contains(&name) => self.bound(name, value, made, place),
            "$schema" | "$id" | "id" | "$comment" | "examples" => {
                self.notes.fix(name, place, "left out, as it says nothing of answers")
            }
            "additionalProperties" if value == &Value::Bool(true) => {}
            // Nearly every schema says so, and it is nothing to be warned of.
            "additionalProperties" if value == &Value::Bool(false) => self.notes.fix(
                "additionalProperties: false",
                place,
                "left out, as the API does not know it; answers are held against it here",
            ),
            "uniqueItems" if value == &Value::Bool(false) => {}
            _ => {
                let done = if HELD_HERE.contains(&name) { HELD } else { NOT_HELD };
                self.notes.lose(crate::jsonl::finding::clipped(name), place, done);
            }
        }
    }

    /// The API refuses formats it does not know.
    fn format(&mut self, value: &Value, made: &mut Map<String, Value>, place: &str) {
        let kind = made.get("type").and_then(Value::as_str).unwrap_or_default();
        let known = match kind {
            "NUMBER" => ["float", "double"],
            "INTEGER" => ["int32", "int64"],
            "STRING" => ["enum", "date-time"],
            _ => ["", ""],
        };
        match value.as_str() {
            Some(word) if known.contains(&word) => _ = made.insert("format".to_owned(), word.into()),
            Some(word) => {
                self.notes.lose(format!("the format {}", quoted(word)), place, "not known to the API, dropped")
            }
            None => {}
        }
    }

    /// Bounds that are not part of what they allow become ones that are, where whole numbers are meant.
    fn bound(&mut self, name: &str, value: &Value, made: &mut Map<String, Value>, place: &str) {
        let inclusive = match name {
            "minimum" | "exclusiveMinimum" => "minimum",
            _ => "maximum",
        };
        if name == inclusive {
            if value.is_number() {
                made.entry(name).or_insert_with(|| value.clone());
            }
            return;
        }
        let step = if inclusive == "minimum" { 1 } else { -1 };
        let next = value.as_i64().and_then(|bound| bound.checked_add(step));
        match (next, made.get("type").and_then(Value::as_str)) {
            (Some(next), Some("INTEGER")) => {
                made.insert(inclusive.to_owned(), next.into());
                self.notes.fix(name, place, format!("written as {inclusive}"));
            }
            _ => self.notes.lose(name, place, HELD),
        }
    }

    /// Properties and items.
    fn inside(
        &mut self,
        given: &Map<String, Value>,
        made: &mut Map<String, Value>,
        place: &str,
        depth: usize,
    ) -> Result<(), Fault> {
        if let Some(Value::Object(properties)) = given.get("properties") {
            let mut written = Map::with_capacity(properties.len());
            for (name, schema) in properties {
                let here = below(place, &format!("properties.{name}"));
                if schema == &Value::Bool(false) {
                    self.notes.lose("a property that may not be there", &here, "not asked for");
                    continue;
                }
                written.insert(name.clone(), Value::Object(self.schema(schema, &here, depth + 1)?));
            }
            let names: Vec<&String> = written.keys().collect();
            self.names(given, &names, made, place);
            if !written.is_empty() {
                made.insert("properties".to_owned(), Value::Object(written));
            }
        } else if given.contains_key("required") {
            self.notes.lose("required without properties", place, HELD);
        }
        let here = below(place, "items");
        let tuple = given.get("prefixItems").or_else(|| given.get("items").filter(|items| items.is_array()));
        if let Some(Value::Array(items)) = tuple {
            let done = "sent as any of them in any place; answers are still held against it here";
            self.notes.lose("a schema for each place of an array", place, done);
            let mut distinct: Vec<&Value> = Vec::new();
            for item in items {
                if !distinct.contains(&item) {
                    distinct.push(item);
                }
            }
            let any = self.schema(&json!({"anyOf": distinct}), &here, depth + 1)?;
            made.insert("items".to_owned(), Value::Object(any));
        } else if let Some(items @ Value::Object(_)) = given.get("items") {
            made.insert("items".to_owned(), Value::Object(self.schema(items, &here, depth + 1)?));
        }
        Ok(())
    }

    /// The order of the properties, and which have to be there.
    fn names(&mut self, given: &Map<String, Value>, names: &[&String], made: &mut Map<String, Value>, place: &str) {
        let known = |value: &&Value| value.as_str().is_some_and(|name| names.iter().any(|known| *known == name));
        let listed = |list: &str| given.get(list).and_then(Value::as_array).cloned().unwrap_or_default();
        let required = listed("required");
        let (kept, unknown): (Vec<Value>, Vec<Value>) = required.into_iter().partition(|name| known(&name));
        if !unknown.is_empty() {
            self.notes.lose("required properties that are not described", place, HELD);
        }
        if !kept.is_empty() {
            made.insert("required".to_owned(), kept.into());
        }
        let mut order: Vec<Value> = listed("propertyOrdering").into_iter().filter(|name| known(&name)).collect();
        if order.is_empty() {
            order = names.iter().map(|name| name.as_str().into()).collect();
        }
        if order.len() > 1 {
            made.insert("propertyOrdering".to_owned(), order.into());
        }
    }

    /// The schemas of `anyOf` or `oneOf`, without one that stands for null alone.
    fn choices(
        &mut self,
        given: &Map<String, Value>,
        nullable: &mut bool,
        place: &str,
        depth: usize,
    ) -> Result<Vec<Map<String, Value>>, Fault> {
        let name = match (given.contains_key("anyOf"), given.contains_key("oneOf")) {
            (true, true) => {
                self.notes.lose("oneOf beside anyOf", place, HELD);
                "anyOf"
            }
            (true, false) => "anyOf",
            (false, true) => {
                self.notes.fix("oneOf", place, "written as anyOf");
                "oneOf"
            }
            (false, false) => return Ok(Vec::new()),
        };
        let given = given.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let mut choices = Vec::with_capacity(given.len());
        for (position, schema) in given.iter().enumerate() {
            let choice = self.schema(schema, &below(place, &format!("{name}.{position}")), depth + 1)?;
            match choice.get("type") == Some(&"NULL".into()) && given.len() > 1 {
                true => *nullable = true,
                false => choices.push(choice),
            }
        }
        Ok(choices)
    }

    /// The same schema for one of several types.
    fn of_type(
        &mut self,
        given: &Map<String, Value>,
        word: &str,
        place: &str,
        depth: usize,
    ) -> Result<Map<String, Value>, Fault> {
        let mut one = given.clone();
        for name in ["title", "description", "default", "example", "nullable"] {
            one.shift_remove(name);
        }
        one.insert("type".to_owned(), word.to_ascii_lowercase().into());
        let applies: &[&str] = match word {
            "OBJECT" => &["properties", "required", "propertyOrdering", "minProperties", "maxProperties"],
            "ARRAY" => &["items", "prefixItems", "minItems", "maxItems"],
            "STRING" => &["enum", "const", "pattern", "format", "minLength", "maxLength"],
            "INTEGER" | "NUMBER" => {
                &["enum", "const", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]
            }
            _ => &["enum", "const"],
        };
        one.retain(|name, _| name == "type" || applies.contains(&name.as_str()));
        if let Some(values) = one.get_mut("enum").and_then(Value::as_array_mut) {
            values.retain(|value| type_of(value) == word || (word == "NUMBER" && value.is_number()));
            if values.is_empty() {
                one.shift_remove("enum");
            }
        }
        let mut unsaid = Notes::default();
        // What is lost was noted for the schema as a whole.
        std::mem::swap(self.notes, &mut unsaid);
        let made = self.schema(&Value::Object(one), place, depth + 1);
        std::mem::swap(self.notes, &mut unsaid);
        made
    }

    /// What the API wants to be said.
    fn complete(&mut self, made: &mut Map<String, Value>, place: &str) {
        match made.get("type").and_then(Value::as_str) {
            Some("ARRAY") if !made.contains_key("items") => {
                made.insert("items".to_owned(), json!({"type": "STRING"}));
                self.notes.lose("an array without items", place, "strings are asked for, as the API wants to be told");
            }
            Some("OBJECT") if !made.contains_key("properties") => {
                let done = "the API may refuse it, or answer {}: name its properties";
                self.notes.lose("an object without properties", place, done);
            }
            None if !made.contains_key("anyOf") => {
                self.notes.lose("a schema without a type", place, "the model may answer anything there");
            }
            _ => {}
        }
    }
}

/// The values of `enum` or `const`.
fn allowed(given: &Map<String, Value>) -> Option<Vec<Value>> {
    match (given.get("const"), given.get("enum")) {
        (Some(only), _) => Some(vec![only.clone()]),
        (None, Some(Value::Array(values))) => Some(values.clone()),
        _ => None,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "NULL",
        Value::Bool(_) => "BOOLEAN",
        Value::Number(number) if number.is_f64() => "NUMBER",
        Value::Number(_) => "INTEGER",
        Value::String(_) => "STRING",
        Value::Array(_) => "ARRAY",
        Value::Object(_) => "OBJECT",
    }
}

/// A whole number as the API writes those of 64 bits: as a string.
fn count(value: &Value) -> Option<String> {
    match value {
        Value::String(digits) => digits.parse::<i64>().ok().map(|count| count.to_string()),
        Value::Number(number) => match number.as_i64() {
            Some(count) => Some(count.to_string()),
            None => number
                .as_f64()
                .filter(|count| count.fract() == 0.0 && count.abs() < 1e15)
                .map(|count| format!("{count:.0}")),
        },
        _ => None,
    }
}

fn below(place: &str, step: &str) -> String {
    if place.is_empty() { step.to_owned() } else { format!("{place}.{step}") }
}
