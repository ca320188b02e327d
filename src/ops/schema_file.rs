//! A schema given in a call: itself, or the file that it names as `{"$ref": "schema.json"}`.

use std::io::Read;

use serde_json::{Map, Value};

use super::nearest;
use crate::error::{Error, ErrorKind, Result};
use crate::job::text::{clip, one_line};
use crate::paths::Roots;

/// A file larger than this is something else.
const MOST_BYTES: u64 = 4 * 1024 * 1024;
const MOST_NAME_BYTES: usize = 300;

/// The schema itself, or what is in the file that it refers to.
pub(super) fn schema_file(roots: &Roots, given: &Map<String, Value>) -> Result<Map<String, Value>> {
    let file = given.get("$ref").and_then(Value::as_str).filter(|file| given.len() == 1 && !file.starts_with('#'));
    let Some(file) = file else { return Ok(given.clone()) };
    let wrong = |kind, cause: String| {
        Error::new(kind, format!("reading the schema {}", one_line(&clip(file, MOST_NAME_BYTES))), cause)
            .hint("name a file with a JSON Schema in an allowed folder, or give the schema itself")
    };
    let path = roots.existing(file).map_err(|e| nearest::named(roots, file, e))?;
    let mut text = Vec::new();
    path.open()?.take(MOST_BYTES + 1).read_to_end(&mut text).map_err(|e| wrong(ErrorKind::Io, e.to_string()))?;
    if text.len() as u64 > MOST_BYTES {
        return Err(wrong(ErrorKind::InvalidInput, "it is larger than 4 MiB: no schema is".to_owned()));
    }
    match serde_json::from_slice(&text) {
        Ok(Value::Object(schema)) => Ok(schema),
        Ok(_) => Err(wrong(ErrorKind::InvalidInput, "it is not a JSON object".to_owned())),
        Err(e) => Err(wrong(ErrorKind::InvalidInput, format!("it is not JSON: {e}"))),
    }
}
