//! One object: are its fields known, and do they go together?

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

use super::{Place, Value, Walk, advice};
use crate::job::Kind;
use crate::jsonl::finding::quoted;
use crate::jsonl::schema::{Field, Mark, Message, OPAQUE, Shape};

/// Reads the fields of a known message.
pub(super) fn read<'a, A: MapAccess<'a>>(
    walk: &mut Walk<'_, 'a>,
    message: &'static Message,
    place: &Place<'_>,
    mut fields: A,
) -> Result<(), A::Error> {
    let mut seen = Seen::default();
    while let Some(name) = fields.next_key_seed(Name)? {
        let column = walk.column_of(&name);
        let here = place.field(&name, column);
        let Some((index, field)) = message.find(&name) else {
            seen.unknown(walk, message, &here, &name);
            fields.next_value_seed(Value { walk: &mut *walk, shape: &OPAQUE, fact: None, place: &here })?;
            continue;
        };
        let value = Value { walk: &mut *walk, shape: &field.shape, fact: field.fact, place: &here };
        if fields.next_value_seed(value)? {
            seen.note(walk, &here, index, field, &name);
        }
    }
    seen.judge(walk, message, place);
    Ok(())
}

/// Reads an object whose field names are the caller's own.
pub(super) fn read_map<'a, A: MapAccess<'a>>(
    walk: &mut Walk<'_, 'a>,
    shape: &'static Shape,
    place: &Place<'_>,
    mut fields: A,
) -> Result<(), A::Error> {
    while let Some(name) = fields.next_key_seed(Name)? {
        let here = place.field(&name, walk.column_of(&name));
        fields.next_value_seed(Value { walk: &mut *walk, shape, fact: None, place: &here })?;
    }
    Ok(())
}

/// The fields of one object that were there, as bits by position.
#[derive(Default)]
struct Seen {
    camel: u64,
    snake: u64,
    /// Some field was not known.
    unknown: bool,
    /// The line has another shape altogether, and that was said already.
    foreign: bool,
}

impl Seen {
    fn all(&self) -> u64 {
        self.camel | self.snake
    }

    fn note(&mut self, walk: &mut Walk<'_, '_>, here: &Place<'_>, index: usize, field: &Field, name: &str) {
        let bit = 1 << index;
        let (same, other) =
            if field.name == name { (&mut self.camel, self.snake) } else { (&mut self.snake, self.camel) };
        if *same & bit != 0 {
            walk.error(here, format!("{} is given twice", quoted(name)), Some("keep one of them".into()));
        } else if other & bit != 0 {
            let message = format!("`{}` and `{}` are the same field", field.name, field.snake);
            walk.error(here, message, Some("keep one of the two spellings".into()));
        }
        *same |= bit;
    }

    fn unknown(&mut self, walk: &mut Walk<'_, '_>, message: &'static Message, here: &Place<'_>, name: &str) {
        if message.name == "Line"
            && let Some((message, hint)) = advice::on_foreign_line(name)
        {
            if !std::mem::replace(&mut self.foreign, true) {
                walk.error(here, message, Some(hint.into()));
            }
            return;
        }
        self.unknown = true;
        let advice = advice::on_unknown(message, name);
        if advice.fatal {
            walk.error(here, advice.message, advice.hint);
        } else {
            walk.warn(here, here.column, advice.message, advice.hint);
        }
    }

    /// Checks what can only be said of the object as a whole.
    fn judge(&self, walk: &mut Walk<'_, '_>, message: &'static Message, place: &Place<'_>) {
        if !self.foreign {
            self.miss(walk, message, place);
        }
        match message.name {
            "Request" => self.judge_request(walk, message, place),
            "Part" => self.judge_part(walk, message, place),
            "Tool" => walk.facts.grounded |= message.marked(Mark::Grounding) & self.all() != 0,
            _ => {}
        }
    }

    fn miss(&self, walk: &mut Walk<'_, '_>, message: &'static Message, place: &Place<'_>) {
        for name in names(message, message.marked(Mark::Required) & !self.all()) {
            walk.error(place, format!("`{name}` is missing"), advice::on_missing(name));
        }
    }

    fn judge_request(&self, walk: &mut Walk<'_, '_>, message: &'static Message, place: &Place<'_>) {
        let seen = self.all();
        let [generate, embed] = [Mark::Generate, Mark::Embed].map(|mark| message.marked(mark) & seen);
        let body = message.marked(Mark::Body) & seen;
        walk.facts.kind = match (body & generate != 0, body & embed != 0) {
            (true, _) => Some(Kind::Generate),
            (false, true) => Some(Kind::Embed),
            (false, false) if generate != 0 => Some(Kind::Generate),
            (false, false) => (embed != 0).then_some(Kind::Embed),
        };
        if body == 0 {
            let hint = advice::on_missing(if walk.facts.kind == Some(Kind::Embed) { "content" } else { "contents" });
            walk.error(place, "the request has neither `contents` nor `content`", hint);
        }
        let (others, kinds) = match walk.facts.kind {
            Some(Kind::Embed) => (generate, "generate requests, and this one embeds"),
            _ => (embed, "embedding requests, and this one generates"),
        };
        for name in names(message, others) {
            let hint = "one file holds one kind of request: `contents` to generate, `content` to embed";
            walk.error(place, format!("`{name}` belongs to {kinds}"), Some(hint.into()));
        }
        if message.marked(Mark::Cached) & seen != 0 {
            walk.facts.unmeasured += 1;
            for name in names(message, message.marked(Mark::Uncached) & seen) {
                let hint = format!("put `{name}` into the cached content itself, and leave it out here");
                walk.error(place, format!("`cachedContent` cannot stand beside `{name}`"), Some(hint));
            }
        }
    }

    fn judge_part(&self, walk: &mut Walk<'_, '_>, message: &'static Message, place: &Place<'_>) {
        let data = message.marked(Mark::Data) & self.all();
        if data.count_ones() > 1 {
            let data: Vec<_> = names(message, data).collect();
            let hint = "make each a part of its own: [{…}, {…}]";
            walk.error(place, format!("one part holds `{}`", data.join("` and `")), Some(hint.into()));
        } else if self.all() == 0 && !self.unknown {
            walk.error(place, "a part is empty", Some(r#"write {"text":"…"}, or leave the part out"#.into()));
        }
    }
}

/// The names of the fields whose bits are set.
fn names(message: &'static Message, bits: u64) -> impl Iterator<Item = &'static str> {
    message.fields.iter().enumerate().filter(move |(index, _)| bits & (1 << index) != 0).map(|(_, field)| field.name)
}

/// A field name, borrowed from the line where it has no escapes.
struct Name;

impl<'a> DeserializeSeed<'a> for Name {
    type Value = Cow<'a, str>;

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Name {
    type Value = Cow<'a, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_borrowed_str<E>(self, name: &'a str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}
