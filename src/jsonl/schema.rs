//! What may stand in a request line, as data: the messages of the API, their fields and types.
//!
//! The data is `schema.txt`, read once, when the first line is checked.

use std::collections::{HashMap, VecDeque};
use std::sync::LazyLock;

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::parse(include_str!("schema.txt")));

/// A free-form value whose strings count as prompt text.
pub(super) static FREE: Shape = Shape::Any;
/// A free-form value that is only checked for being JSON.
pub(super) static OPAQUE: Shape = Shape::Opaque;

/// All messages.
pub(super) struct Schema {
    messages: Vec<Message>,
}

/// One message: an object with known fields.
#[derive(Debug)]
pub(super) struct Message {
    /// The API's name for it.
    pub(super) name: &'static str,
    /// The fields, at most 64.
    pub(super) fields: Vec<Field>,
    marked: [u64; Mark::ALL.len()],
}

/// One field of a message.
#[derive(Debug)]
pub(super) struct Field {
    /// The name in camelCase.
    pub(super) name: &'static str,
    /// The name in snake_case.
    pub(super) snake: String,
    /// What the value is.
    pub(super) shape: Shape,
    /// The mark whose value is taken note of, if any.
    pub(super) fact: Option<Mark>,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Shape {
    Bool,
    Int,
    Num,
    /// A string without meaning for the check.
    Str,
    /// A string that counts as prompt text.
    Text,
    /// Base64 data.
    Media,
    /// One of these words, or one that is newer than this program.
    Word(Vec<&'static str>),
    Any,
    /// A free-form object.
    Struct,
    Opaque,
    Message(usize),
    List(Box<Shape>),
    Map(Box<Shape>),
}

/// What a field means beyond its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Key,
    Required,
    /// Belongs to requests of one kind.
    Generate,
    Embed,
    /// The content that makes it a request of that kind.
    Body,
    Cached,
    /// May not stand beside a cached content.
    Uncached,
    /// One of these in a part.
    Data,
    MaxOutput,
    Temperature,
    Candidates,
    Modality,
    File,
    Resolution,
    /// A tool that is billed apart from tokens.
    Grounding,
}

impl Mark {
    const ALL: [Self; 15] = [
        Self::Key,
        Self::Required,
        Self::Generate,
        Self::Embed,
        Self::Body,
        Self::Cached,
        Self::Uncached,
        Self::Data,
        Self::MaxOutput,
        Self::Temperature,
        Self::Candidates,
        Self::Modality,
        Self::File,
        Self::Resolution,
        Self::Grounding,
    ];

    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "key" => Self::Key,
            "required" => Self::Required,
            "generate" => Self::Generate,
            "embed" => Self::Embed,
            "body" => Self::Body,
            "cached" => Self::Cached,
            "uncached" => Self::Uncached,
            "data" => Self::Data,
            "max-output" => Self::MaxOutput,
            "temperature" => Self::Temperature,
            "candidates" => Self::Candidates,
            "modality" => Self::Modality,
            "file" => Self::File,
            "resolution" => Self::Resolution,
            "grounding" => Self::Grounding,
            _ => return None,
        })
    }

    /// Whether the check takes note of the value.
    fn is_fact(self) -> bool {
        let facts = [
            Self::Key,
            Self::MaxOutput,
            Self::Temperature,
            Self::Candidates,
            Self::Modality,
            Self::File,
            Self::Resolution,
        ];
        facts.contains(&self)
    }
}

impl Schema {
    /// The schema of a request line.
    pub(super) fn get() -> &'static Self {
        &SCHEMA
    }

    /// The message at `index`.
    pub(super) fn message(&'static self, index: usize) -> Option<&'static Message> {
        self.messages.get(index)
    }

    /// The message of that name.
    pub(super) fn named(&'static self, name: &str) -> Option<&'static Message> {
        self.messages.iter().find(|message| message.name == name)
    }

    /// The line itself: `key` and `request`.
    pub(super) fn line() -> Shape {
        Shape::Message(0)
    }

    /// Where else a field of this name may stand: the message and the path to it, shortest first.
    pub(super) fn homes(&'static self, name: &str) -> Vec<(&'static Message, String)> {
        let mut queue = VecDeque::from([(0, String::new())]);
        let mut seen = vec![false; self.messages.len()];
        let mut homes = Vec::new();
        while let Some((index, path)) = queue.pop_front() {
            let (Some(message), Some(seen)) = (self.messages.get(index), seen.get_mut(index)) else { continue };
            if std::mem::replace(seen, true) {
                continue;
            }
            if message.find(name).is_some() {
                homes.push((message, path.clone()));
            }
            for field in &message.fields {
                if let Some((next, suffix)) = field.shape.target() {
                    let dot = if path.is_empty() { "" } else { "." };
                    queue.push_back((next, format!("{path}{dot}{}{suffix}", field.name)));
                }
            }
        }
        homes
    }

    fn parse(text: &'static str) -> Self {
        let lines = || text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let names: HashMap<_, _> = lines().filter(|line| !line.starts_with(' ')).zip(0..).collect();
        let mut messages: Vec<Message> = Vec::with_capacity(names.len());
        for line in lines() {
            match line.strip_prefix("  ") {
                Some(field) => messages.last_mut().into_iter().for_each(|message| message.add(field, &names)),
                None => messages.push(Message { name: line, fields: Vec::new(), marked: Default::default() }),
            }
        }
        Self { messages }
    }
}

impl Message {
    /// The field of that name, in either spelling, and its position.
    pub(super) fn find(&self, name: &str) -> Option<(usize, &Field)> {
        self.fields.iter().enumerate().find(|(_, field)| field.name == name || field.snake == name)
    }

    /// The positions of the fields with this mark, as bits.
    pub(super) fn marked(&self, mark: Mark) -> u64 {
        self.marked.get(mark as usize).copied().unwrap_or_default()
    }

    fn add(&mut self, line: &'static str, names: &HashMap<&str, usize>) {
        let mut words = line.split(' ');
        let (Some(name), Some(shape)) = (words.next(), words.next()) else { return };
        let mut fact = None;
        for mark in words.filter_map(Mark::parse) {
            if let Some(bits) = self.marked.get_mut(mark as usize) {
                *bits |= 1 << self.fields.len();
            }
            fact = fact.or(mark.is_fact().then_some(mark));
        }
        self.fields.push(Field { name, snake: snake_case(name), shape: Shape::parse(shape, names), fact });
    }
}

impl Shape {
    fn parse(text: &'static str, names: &HashMap<&str, usize>) -> Self {
        let inside = |open, close| text.strip_prefix(open).and_then(|rest: &str| rest.strip_suffix(close));
        if let Some(item) = inside('[', ']') {
            return Self::List(Box::new(Self::parse(item, names)));
        }
        if let Some(value) = inside('{', '}') {
            return Self::Map(Box::new(Self::parse(value, names)));
        }
        match text {
            "bool" => Self::Bool,
            "int" => Self::Int,
            "num" => Self::Num,
            "str" => Self::Str,
            "text" => Self::Text,
            "media" => Self::Media,
            "struct" => Self::Struct,
            "opaque" => Self::Opaque,
            _ if text.contains('|') => Self::Word(text.split('|').collect()),
            _ => names.get(text).map_or(Self::Any, |index| Self::Message(*index)),
        }
    }

    /// What a JSON value of this shape is called.
    pub(super) fn called(&self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Int => "a whole number",
            Self::Num => "a number",
            Self::Str | Self::Text | Self::Word(_) => "a string",
            Self::Media => "a base64 string",
            Self::Any | Self::Opaque => "any value",
            Self::Struct | Self::Message(_) | Self::Map(_) => "an object",
            Self::List(_) => "an array",
        }
    }

    /// Whether anything may stand there, `null` too.
    pub(super) fn is_free(&self) -> bool {
        matches!(self, Self::Any | Self::Opaque)
    }

    /// The message inside, and how a path to it goes on.
    fn target(&self) -> Option<(usize, &'static str)> {
        match self {
            Self::Message(index) => Some((*index, "")),
            Self::List(item) => item.target().map(|(index, _)| (index, "[]")),
            Self::Map(value) => value.target().map(|(index, _)| (index, ".*")),
            _ => None,
        }
    }
}

/// `thinkingConfig` as `thinking_config`.
pub(super) fn snake_case(camel: &str) -> String {
    let mut snake = String::with_capacity(camel.len() + 4);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// `thinking_config` as `thinkingConfig`; a leading underscore stays.
pub(super) fn camel_case(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut raise = false;
    for letter in name.chars() {
        if letter == '_' && !camel.is_empty() {
            raise = true;
        } else {
            camel.push(if std::mem::take(&mut raise) { letter.to_ascii_uppercase() } else { letter });
        }
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_data_is_understood() {
        let text = include_str!("schema.txt");
        for message in &Schema::get().messages {
            assert!(message.fields.len() <= 64, "{}", message.name);
            for field in &message.fields {
                let line = format!("\n  {} ", field.name);
                assert!(text.contains(&line), "{line}");
            }
        }
        for line in text.lines().filter(|line| line.starts_with("  ")) {
            let mut words = line.split_whitespace().skip(1);
            let shape = words.next().unwrap().trim_matches(['[', ']', '{', '}']);
            let names: HashMap<_, _> = Schema::get().messages.iter().map(|m| m.name).zip(0..).collect();
            assert!(shape == "any" || !matches!(Shape::parse(shape, &names), Shape::Any), "{line}");
            assert!(words.all(|mark| Mark::parse(mark).is_some()), "{line}");
        }
    }

    #[test]
    fn both_spellings_find_a_field() {
        let schema = Schema::get();
        let (config, path) = schema.homes("thinkingConfig").remove(0);
        assert_eq!((config.name, path.as_str()), ("GenerationConfig", "request.generationConfig"));
        assert_eq!(config.find("thinking_config").map(|found| found.0), config.find("thinkingConfig").map(|f| f.0));
        assert!(config.find("_response_json_schema").is_some());
        assert!(config.find("thinkingconfig").is_none());
    }
}
