//! One value: is it what the schema expects there?

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Place, Walk, advice, media, object};
use crate::job::media::Resolution;
use crate::job::tokens;
use crate::jsonl::finding::quoted;
use crate::jsonl::schema::{FREE, Mark, OPAQUE, Schema, Shape};

/// Reads one value of the expected shape and tells whether it is set: `null` is how the API spells "not set".
/// Never fails on a wrong value: it reports it and reads over it.
pub(super) struct Value<'v, 'w, 'a> {
    pub(super) walk: &'v mut Walk<'w, 'a>,
    pub(super) shape: &'static Shape,
    pub(super) fact: Option<Mark>,
    pub(super) place: &'v Place<'v>,
}

impl<'a> DeserializeSeed<'a> for Value<'_, '_, 'a> {
    type Value = bool;

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<bool, D::Error> {
        // Never `deserialize_ignored_any`: skipped strings may hold lone surrogates.
        json.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Value<'_, '_, 'a> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shape.called())
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E>(mut self, _: bool) -> Result<bool, E> {
        if !self.shape.is_free() && !matches!(self.shape, Shape::Bool) {
            self.mismatch("true or false");
        }
        Ok(true)
    }

    fn visit_u64<E>(mut self, number: u64) -> Result<bool, E> {
        self.number(Some(number), number as f64, true);
        Ok(true)
    }

    fn visit_i64<E>(mut self, number: i64) -> Result<bool, E> {
        self.number(None, number as f64, true);
        Ok(true)
    }

    fn visit_f64<E>(mut self, number: f64) -> Result<bool, E> {
        let whole = number.fract() == 0.0;
        self.number((whole && number >= 0.0).then_some(number as u64), number, whole);
        Ok(true)
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<bool, E> {
        self.string(Cow::Borrowed(text));
        Ok(true)
    }

    fn visit_str<E>(self, text: &str) -> Result<bool, E> {
        if self.fact == Some(Mark::Key) {
            self.string(Cow::Owned(text.to_owned()));
        } else {
            self.unkept_string(text);
        }
        Ok(true)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> Result<bool, A::Error> {
        let Self { walk, shape, fact, place } = self;
        let item_shape = match shape {
            Shape::List(item) => item,
            Shape::Any => &FREE,
            Shape::Opaque => &OPAQUE,
            _ => {
                mismatch(walk, place, shape, "an array");
                &OPAQUE
            }
        };
        let mut count = 0;
        loop {
            let place = place.item(count);
            let item = Value { walk: &mut *walk, shape: item_shape, fact, place: &place };
            match items.next_element_seed(item)? {
                None => break,
                Some(false) if !item_shape.is_free() => mismatch(walk, &place, item_shape, "null"),
                Some(_) => {}
            }
            count += 1;
        }
        if count == 0 && advice::must_not_be_empty(shape) {
            walk.error(place, format!("{} is empty", place.name()), advice::on_shape(shape));
        }
        Ok(true)
    }

    fn visit_map<A: MapAccess<'a>>(self, fields: A) -> Result<bool, A::Error> {
        let Self { walk, shape, place, .. } = self;
        match shape {
            Shape::Message(index) => match Schema::get().message(*index) {
                Some(message) => object::read(walk, message, place, fields),
                None => object::read_map(walk, &OPAQUE, place, fields),
            },
            Shape::Map(value) => object::read_map(walk, value, place, fields),
            Shape::Any | Shape::Struct => object::read_map(walk, &FREE, place, fields),
            Shape::Opaque => object::read_map(walk, &OPAQUE, place, fields),
            _ => {
                mismatch(walk, place, shape, "an object");
                object::read_map(walk, &OPAQUE, place, fields)
            }
        }
        .map(|()| true)
    }
}

impl<'a> Value<'_, '_, 'a> {
    /// A number: `count` if it is one that counts something, `whole` if it has no fraction.
    fn number(&mut self, count: Option<u64>, number: f64, whole: bool) {
        if let Some(hint) = self.fact.and_then(|fact| advice::on_number(fact, number)) {
            let message = format!("{} is {number}", self.place.name());
            self.walk.warn(self.place, self.place.column, message, Some(hint.into()));
        }
        match self.shape {
            Shape::Int if !whole => self.mismatch("a number with a fraction"),
            Shape::Int => self.note_count(count),
            Shape::Num | Shape::Any | Shape::Opaque => {}
            _ => self.mismatch("a number"),
        }
    }

    fn note_count(&mut self, count: Option<u64>) {
        match self.fact {
            Some(Mark::MaxOutput) => self.walk.facts.max_output_tokens = count,
            Some(Mark::Candidates) => self.walk.facts.candidate_count = count,
            _ => {}
        }
    }

    /// A string that lives as long as the line, or a key.
    fn string(self, text: Cow<'a, str>) {
        if self.fact != Some(Mark::Key) {
            return self.unkept_string(&text);
        }
        if text.is_empty() {
            return self.walk.error(self.place, "`key` is empty", advice::on_key());
        }
        self.walk.facts.key = Some(text);
    }

    fn unkept_string(mut self, text: &str) {
        match self.shape {
            Shape::Text | Shape::Any => self.walk.facts.input_tokens += tokens::estimate(text),
            Shape::Media => self.media(text),
            Shape::Str => self.walk.facts.has_file_data |= self.fact == Some(Mark::File) && !text.is_empty(),
            Shape::Word(known) => self.word(text, known),
            Shape::Int if text.parse::<i64>().is_ok() => {
                self.number(text.parse().ok(), text.parse().unwrap_or_default(), true);
            }
            Shape::Num if text.parse::<f64>().is_ok() => {}
            Shape::Opaque => {}
            _ => self.mismatch("a string"),
        }
    }

    fn media(self, base64: &str) {
        match media::measure(base64) {
            Some(medium) => self.walk.media.push(medium),
            None => self.walk.facts.unmeasured += u64::from(!base64.is_empty()),
        }
    }

    /// One of a set of words. The API takes some of them in lower case too, so the check takes all.
    fn word(&mut self, text: &str, known: &'static [&'static str]) {
        if self.fact == Some(Mark::Modality) {
            self.walk.facts.names_modalities = true;
            self.walk.facts.wants_images |= text.eq_ignore_ascii_case("IMAGE");
            self.walk.facts.wants_audio |= text.eq_ignore_ascii_case("AUDIO");
        }
        if self.fact == Some(Mark::Resolution) {
            self.walk.resolution = resolution(text);
        }
        if !known.iter().any(|word| word.eq_ignore_ascii_case(text)) {
            let column = self.walk.column_of(text).unwrap_or(self.place.column);
            let message = format!("{} has the unknown value {}", self.place.name(), quoted(text));
            self.walk.warn(self.place, column, message, Some(advice::on_word(text, known)));
        }
    }

    fn mismatch(&mut self, found: &str) {
        mismatch(self.walk, self.place, self.shape, found);
    }
}

fn resolution(word: &str) -> Resolution {
    let word = word.to_ascii_uppercase();
    match word.strip_prefix("MEDIA_RESOLUTION_") {
        Some("LOW") => Resolution::Low,
        Some("MEDIUM") => Resolution::Medium,
        Some("HIGH") => Resolution::High,
        _ => Resolution::Usual,
    }
}

/// Reports a value of another type than the schema has there.
fn mismatch(walk: &mut Walk<'_, '_>, place: &Place<'_>, shape: &Shape, found: &str) {
    let message = format!("{} must be {}, not {found}", place.name(), shape.called());
    walk.error(place, message, advice::on_shape(shape));
}
