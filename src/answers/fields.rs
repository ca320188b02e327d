//! The fields that a schema asks for, as columns; and answers in JSON, read into them.

use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::jsonl::response::Text;

/// What all values of a column are; nothing counts as any of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// Text, or JSON printed as text.
    #[default]
    Text,
    /// Whole numbers of 64 bits.
    Integer,
    /// Numbers.
    Number,
    /// True or false.
    Boolean,
    /// A list of numbers.
    Vector,
}

impl Kind {
    /// What one JSON value is. None for null, which may stand in any column.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Null => None,
            Value::Bool(_) => Some(Self::Boolean),
            Value::Number(number) if number.is_i64() => Some(Self::Integer),
            // Whole numbers beyond 64 bits would be rounded.
            Value::Number(number) if number.is_u64() => Some(Self::Text),
            Value::Number(_) => Some(Self::Number),
            _ => Some(Self::Text),
        }
    }

    /// What a column is whose values are of this kind and of the other.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if one == other => one,
            (Self::Integer, Self::Number) | (Self::Number, Self::Integer) => Self::Number,
            _ => Self::Text,
        }
    }

    /// Whether a value of a schema that promises this kind keeps the promise.
    fn holds(self, value: &RawValue) -> bool {
        let text = value.get();
        match self {
            _ if text == "null" => true,
            Self::Text | Self::Vector => true,
            Self::Integer => text.parse::<i64>().is_ok(),
            Self::Number => text.starts_with(|first: char| first == '-' || first.is_ascii_digit()),
            Self::Boolean => matches!(text, "true" | "false"),
        }
    }
}

/// A column: its name, and what stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The name.
    pub name: String,
    /// What its values are.
    pub kind: Kind,
}

impl Column {
    /// A column of text.
    pub fn text(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: Kind::Text }
    }
}

/// The top level of a schema: a column each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<Column>);

impl Fields {
    /// The properties of a schema, in JSON Schema or in the API's own dialect. None, if it is not of an object.
    pub fn of_schema(schema: &Value) -> Self {
        let properties = schema.get("properties").and_then(Value::as_object);
        let column = |(name, schema): (&String, &Value)| Column { name: name.clone(), kind: promised(schema) };
        Self(properties.into_iter().flatten().map(column).collect())
    }

    /// The columns.
    pub fn columns(&self) -> &[Column] {
        &self.0
    }

    /// Reads an answer. What is no object leaves all fields empty.
    pub(super) fn read<'a>(&self, text: Option<&'a str>) -> Parsed<'a> {
        let nothing = || Parsed { values: vec![None; self.0.len()], whole: false };
        let Some(text) = text.filter(|_| !self.0.is_empty()) else { return nothing() };
        let mut json = serde_json::Deserializer::from_str(text);
        let parsed = json.deserialize_map(Reading { fields: self, parsed: nothing() });
        parsed.and_then(|parsed| json.end().map(|()| parsed)).unwrap_or_else(|_| nothing())
    }
}

/// The kind that a schema promises; text where it may be several or is nested.
fn promised(schema: &Value) -> Kind {
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
        other => other.and_then(Value::as_str).into_iter().collect(),
    };
    let mut kinds = types.into_iter().filter(|name| !name.eq_ignore_ascii_case("null"));
    match (kinds.next().map(str::to_ascii_lowercase).as_deref(), kinds.next()) {
        (Some("integer"), None) => Kind::Integer,
        (Some("number"), None) => Kind::Number,
        (Some("boolean"), None) => Kind::Boolean,
        _ => Kind::Text,
    }
}

/// An answer in JSON, by field.
#[derive(Debug)]
pub(super) struct Parsed<'a> {
    values: Vec<Option<&'a RawValue>>,
    /// The fields hold all of the answer: it has no others, and each is what the schema promises.
    pub(super) whole: bool,
}

impl<'a> Parsed<'a> {
    /// The value of the field of this number.
    pub(super) fn field(&self, number: usize) -> Option<&'a RawValue> {
        self.values.get(number).copied().flatten()
    }
}

struct Reading<'f, 'a> {
    fields: &'f Fields,
    parsed: Parsed<'a>,
}

impl<'de> Visitor<'de> for Reading<'_, 'de> {
    type Value = Parsed<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        self.parsed.whole = true;
        while let Some(Text(name)) = map.next_key()? {
            let number = self.fields.0.iter().position(|column| column.name == name);
            let place =
                number.and_then(|number| Some((self.fields.0.get(number)?, self.parsed.values.get_mut(number)?)));
            match place {
                Some((column, place)) => {
                    let value: &RawValue = map.next_value()?;
                    self.parsed.whole &= column.kind.holds(value) && place.is_none();
                    *place = Some(value);
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                    self.parsed.whole = false;
                }
            }
        }
        Ok(self.parsed)
    }
}

/// The text as JSON on one line; none if it is not JSON.
pub(super) fn json_line(text: &str) -> Option<Box<RawValue>> {
    let value: &RawValue = serde_json::from_str(text).ok()?;
    one_line(value).ok()
}

/// The same JSON on one line: between its values a line break is a space like any other.
pub(super) fn one_line(value: &RawValue) -> Result<Box<RawValue>, serde_json::Error> {
    if value.get().contains(['\n', '\r']) {
        return RawValue::from_string(value.get().replace(['\n', '\r'], " "));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests;
