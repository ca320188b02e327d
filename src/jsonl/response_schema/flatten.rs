//! References and `allOf`, which the API's dialect does not have, written out.

use serde_json::{Map, Value};

use crate::jsonl::finding::quoted;
use crate::jsonl::notes::{Fault, Notes};

/// The schema that a local reference names.
pub(super) fn resolve<'r>(root: &'r Value, reference: &str, place: &str) -> Result<&'r Value, Fault> {
    let Some(pointer) = reference.strip_prefix('#') else {
        let cause = format!("the reference {} leads outside the schema", quoted(reference));
        return Err(Fault::new(place, cause, "put what it names under $defs and refer to it as #/$defs/NAME"));
    };
    root.pointer(&unescaped(pointer)).ok_or_else(|| {
        let cause = format!("the reference {} leads nowhere", quoted(reference));
        Fault::new(place, cause, "refer to something that stands in the schema, such as #/$defs/NAME")
    })
}

/// The pointer without percent signs; its own escapes are read by serde_json.
fn unescaped(pointer: &str) -> String {
    let hex = |text: &str| text.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let mut pieces = pointer.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        match (hex(piece), piece.get(2..)) {
            (Some(byte), Some(rest)) => {
                bytes.push(byte);
                bytes.extend_from_slice(rest.as_bytes());
            }
            _ => {
                bytes.push(b'%');
                bytes.extend_from_slice(piece.as_bytes());
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Adds the keywords of a schema to another that must hold at the same time. What both say differently keeps
/// the first.
pub(super) fn merge(into: &mut Map<String, Value>, more: &Map<String, Value>, place: &str, notes: &mut Notes) {
    for (name, value) in more {
        match (into.get_mut(name), value) {
            (None, _) => _ = into.insert(name.clone(), value.clone()),
            (Some(there), _) if there == value => {}
            (Some(Value::Object(there)), Value::Object(more)) if name == "properties" => {
                for (property, schema) in more {
                    there.entry(property.clone()).or_insert_with(|| schema.clone());
                }
            }
            (Some(Value::Array(there)), Value::Array(more)) if name == "required" => {
                let missing: Vec<_> = more.iter().filter(|name| !there.contains(name)).cloned().collect();
                there.extend(missing);
            }
            (Some(Value::Array(there)), Value::Array(more)) if name == "allOf" => there.extend(more.iter().cloned()),
            (Some(_), _) if matches!(name.as_str(), "title" | "description" | "$schema" | "$id" | "$comment") => {}
            (Some(_), _) => notes.lose(format!("{} said twice", quoted(name)), place, "the first one is sent"),
        }
    }
}
