//! What was changed in a request so that the API takes it, and what could not be helped.

/// Places that one note names.
const MOST_PLACES: usize = 3;

/// What was done to a request, grouped: each thing once, with the places where it was done.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    fixes: Vec<Note>,
    losses: Vec<Note>,
}

/// One thing that was done.
#[derive(Debug, Clone)]
struct Note {
    what: String,
    done: String,
    places: Vec<String>,
    count: usize,
}

impl Notes {
    /// Something was put right: `what` it was, and what was `done`. The place may be empty.
    pub fn fix(&mut self, what: impl Into<String>, place: &str, done: impl Into<String>) {
        push(&mut self.fixes, what.into(), place, done.into());
    }

    /// Something was lost, or is to be known.
    pub fn lose(&mut self, what: impl Into<String>, place: &str, done: impl Into<String>) {
        push(&mut self.losses, what.into(), place, done.into());
    }

    /// What was put right, a line each: "oneOf at properties.a: written as anyOf".
    pub fn fixes(&self) -> Vec<String> {
        self.fixes.iter().map(Note::text).collect()
    }

    /// What was lost, a line each.
    pub fn losses(&self) -> Vec<String> {
        self.losses.iter().map(Note::text).collect()
    }
}

fn push(notes: &mut Vec<Note>, what: String, place: &str, done: String) {
    let place = crate::jsonl::finding::clipped(place);
    match notes.iter_mut().find(|note| note.what == what && note.done == done) {
        Some(note) => {
            note.count += 1;
            if note.places.len() < MOST_PLACES {
                note.places.push(place);
            }
        }
        None => notes.push(Note { what, done, places: vec![place], count: 1 }),
    }
}

impl Note {
    fn text(&self) -> String {
        let Self { what, done, places, count } = self;
        let named: Vec<&str> = places.iter().map(String::as_str).filter(|place| !place.is_empty()).collect();
        let more = match count - places.len() {
            0 => String::new(),
            more => format!(" and {more} more places"),
        };
        match named.is_empty() {
            true => format!("{what}: {done}"),
            false => format!("{what} at {}{more}: {done}", named.join(", ")),
        }
    }
}

/// What cannot be sent, where it stands, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it stands, such as `generationConfig.thinkingConfig`; may be empty.
    pub place: String,
    /// What is wrong.
    pub cause: String,
    /// What to do about it.
    pub hint: String,
}

impl Fault {
    pub(super) fn new(place: impl Into<String>, cause: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { place: place.into(), cause: cause.into(), hint: hint.into() }
    }

    /// Place and cause in one line.
    pub fn told(&self) -> String {
        match self.place.is_empty() {
            true => self.cause.clone(),
            false => format!("{}: {}", self.place, self.cause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_thing_is_said_once_with_its_first_places() {
        let mut notes = Notes::default();
        for place in ["a", "b", "c", "d", "e"] {
            notes.fix("oneOf", place, "written as anyOf");
        }
        notes.fix("systemInstruction was a string", "", "made an object");
        let expected =
            ["oneOf at a, b, c and 2 more places: written as anyOf", "systemInstruction was a string: made an object"];
        assert_eq!(notes.fixes(), expected);
        assert!(notes.losses().is_empty());
    }
}
