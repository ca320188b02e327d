//! JSON that obeys a schema: OpenAPI style (`responseSchema`) and JSON Schema alike.

use fastrand::Rng;
use serde_json::{Map, Number, Value, json};

use super::words;
use crate::simulator::fields::{count, field, list};

/// Optional properties are left out below this depth, so that recursive schemas end.
const DEEP: usize = 6;

/// A value that obeys `schema`.
pub(super) fn of(schema: &Value, prompt: &str, rng: &mut Rng) -> Value {
    Writer { root: schema, prompt, rng }.value(schema, 0)
}

struct Writer<'a> {
    root: &'a Value,
    prompt: &'a str,
    rng: &'a mut Rng,
}

impl<'a> Writer<'a> {
    fn value(&mut self, schema: &'a Value, depth: usize) -> Value {
        let schema = self.resolved(schema);
        if let Some(fixed) = schema.get("const") {
            return fixed.clone();
        }
        if let Some(choice) = self.choice(list(schema, "enum")) {
            return choice.clone();
        }
        if let Some(option) = ["anyOf", "oneOf", "allOf"].into_iter().find_map(|name| list(schema, name).first()) {
            return self.value(option, depth + 1);
        }
        match type_name(schema).as_str() {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, depth),
            "integer" => self.integer(schema),
            "number" => self.number(schema),
            "boolean" => self.rng.bool().into(),
            "null" => Value::Null,
            _ => self.string(schema),
        }
    }

    fn choice(&mut self, options: &'a [Value]) -> Option<&'a Value> {
        if options.is_empty() {
            return None;
        }
        options.get(self.rng.usize(..options.len()))
    }

    /// Follows references into `$defs`; as many as a sane schema has.
    fn resolved(&self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        for _ in 0..DEEP {
            let pointer = schema.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix('#'));
            match pointer.and_then(|pointer| self.root.pointer(pointer)) {
                Some(target) => schema = target,
                None => break,
            }
        }
        schema
    }

    fn object(&mut self, schema: &'a Value, depth: usize) -> Value {
        let required = list(schema, "required");
        let mut object = Map::new();
        for (name, property) in field(schema, "properties").and_then(Value::as_object).into_iter().flatten() {
            if depth < DEEP || required.iter().any(|required| required == name) {
                object.insert(name.clone(), self.value(property, depth + 1));
            }
        }
        object.into()
    }

    fn array(&mut self, schema: &'a Value, depth: usize) -> Value {
        let fixed = list(schema, "prefixItems");
        let least = count(schema, "minItems").unwrap_or(0);
        let most = count(schema, "maxItems").unwrap_or(u64::MAX);
        let wanted = if depth < DEEP { self.rng.u64(1..=3) } else { 0 };
        let length = wanted.clamp(least.min(most), most).max(fixed.len() as u64);
        let string = json!({"type": "string"});
        let mut elements: Vec<Value> = fixed.iter().map(|schema| self.value(schema, depth + 1)).collect();
        while (elements.len() as u64) < length {
            let element = match field(schema, "items") {
                Some(items) => self.value(items, depth + 1),
                None => Writer { root: &string, prompt: self.prompt, rng: &mut *self.rng }.value(&string, depth + 1),
            };
            elements.push(element);
        }
        elements.into()
    }

    fn integer(&mut self, schema: &Value) -> Value {
        let (least, most) = bounds(schema, 100.0);
        let (least, most) = (least.ceil() as i64, most.floor() as i64);
        self.rng.i64(least..=most.max(least)).into()
    }

    fn number(&mut self, schema: &Value) -> Value {
        let (least, most) = bounds(schema, 1.0);
        let number = least + (most - least) * self.rng.f64();
        let rounded = ((number * 100.0).round() / 100.0).clamp(least, most.max(least));
        Number::from_f64(rounded).map_or(Value::from(0), Value::Number)
    }

    fn string(&mut self, schema: &Value) -> Value {
        let text = match field(schema, "format").and_then(Value::as_str) {
            Some("date") => "2026-11-22".into(),
            Some("date-time") => "2026-11-22T12:00:00Z".into(),
            Some("time") => "12:00:00Z".into(),
            Some("duration") => "PT1H".into(),
            Some("email") => "someone@example.com".into(),
            Some("uri" | "url") => "https://example.com/".into(),
            Some("uuid") => "00000000-0000-4000-8000-000000000000".into(),
            _ => self.sized(schema),
        };
        Value::String(text)
    }

    fn sized(&mut self, schema: &Value) -> String {
        let least = count(schema, "minLength").and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let most = count(schema, "maxLength").and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
        let text = words::about(self.prompt, self.rng);
        text.chars().cycle().take(text.chars().count().max(least).min(most)).collect()
    }
}

/// The type in lower case; the first one that is not null where there are several.
fn type_name(schema: &Value) -> String {
    let name = match field(schema, "type") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        Some(name) => name.as_str(),
        None if field(schema, "properties").is_some() => Some("object"),
        None if field(schema, "items").is_some() => Some("array"),
        None => None,
    };
    name.unwrap_or("string").to_ascii_lowercase()
}

/// The smallest and the largest number, within `span` where there is only one bound or none.
fn bounds(schema: &Value, span: f64) -> (f64, f64) {
    let bound = |name: &str| field(schema, name).and_then(Value::as_f64);
    let least = bound("minimum").or(bound("exclusiveMinimum").map(|least| least + span / 100.0));
    let most = bound("maximum").or(bound("exclusiveMaximum").map(|most| most - span / 100.0));
    match (least, most) {
        (Some(least), Some(most)) => (least, most),
        (Some(least), None) => (least, least + span),
        (None, Some(most)) => (most - span, most),
        (None, None) => (0.0, span),
    }
}
