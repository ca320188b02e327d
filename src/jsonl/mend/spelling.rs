//! One spelling for each field: the API takes `thinking_config` and `thinkingConfig`, but not both at once.

use serde_json::{Map, Value};

use crate::jsonl::notes::Fault;
use crate::jsonl::schema::{Message, Schema, Shape};

/// Writes the known fields in camelCase, merges those given twice, and drops those that are not set.
pub(super) fn settle(
    object: &mut Map<String, Value>,
    message: Option<&'static Message>,
    place: &str,
) -> Result<(), Fault> {
    let Some(message) = message else { return Ok(()) };
    for (name, mut value) in std::mem::take(object) {
        let Some((_, field)) = message.find(&name) else {
            object.insert(name, value);
            continue;
        };
        if value.is_null() {
            continue;
        }
        let here = if place.is_empty() { field.name.to_owned() } else { format!("{place}.{}", field.name) };
        inside(&mut value, &field.shape, &here)?;
        match object.get(field.name) {
            Some(there) if *there != value => {
                let cause = format!("`{}` and `{}` are the same field, and differ", field.name, field.snake);
                return Err(Fault::new(place, cause, "keep one of the two spellings"));
            }
            _ => _ = object.insert(field.name.to_owned(), value),
        }
    }
    Ok(())
}

fn inside(value: &mut Value, shape: &'static Shape, place: &str) -> Result<(), Fault> {
    match (shape, value) {
        (Shape::Message(index), Value::Object(object)) => settle(object, Schema::get().message(*index), place),
        (Shape::List(shape), Value::Array(items)) => items.iter_mut().try_for_each(|item| inside(item, shape, place)),
        (Shape::Map(shape), Value::Object(object)) => {
            object.values_mut().try_for_each(|value| inside(value, shape, place))
        }
        _ => Ok(()),
    }
}
