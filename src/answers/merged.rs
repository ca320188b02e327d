//! The results of a job and of its retries as one set: the newest usable answer of each key.

use serde_json::Value;

use crate::error::Result;
use crate::job::Outcome;
use crate::job::models::Price;

use super::index::Strangers;
use super::{Answer, Checker, ResultIndex, Window};

/// The result lines of one job, at its price.
#[derive(Debug)]
pub struct Generation {
    number: u32,
    index: ResultIndex,
    price: Option<Price>,
    window: Window,
    /// Lines of keys that this job never asked for are passed over.
    strict: bool,
}

impl Generation {
    /// The job itself.
    pub fn original(index: ResultIndex, price: Option<Price>) -> Self {
        Self { number: 0, index, price, window: Window::new(), strict: false }
    }

    /// The retry of this number, from 1, of which only lines of keys that the index
    /// [expects](ResultIndex::expect) count.
    pub fn retry(number: u32, index: ResultIndex, price: Option<Price>) -> Self {
        Self { number, strict: true, ..Self::original(index, price) }
    }
}

/// A job and its retries.
#[derive(Debug)]
pub struct Merged {
    /// The newest first; the job itself is the last.
    generations: Vec<Generation>,
    checker: Checker,
}

/// What became of one request.
#[derive(Debug)]
pub struct Found<'a> {
    /// The answer that counts.
    pub answer: Answer<'a>,
    /// Its line as it came, if one came.
    pub line: Option<&'a [u8]>,
    /// Its JSON, if that was [wanted](Checker::parsing).
    pub json: Option<Value>,
}

impl Merged {
    /// The job and its retries, in any order. Answers are held against the `checker`.
    pub fn new(mut generations: Vec<Generation>, checker: Checker) -> Self {
        generations.sort_by_key(|generation| std::cmp::Reverse(generation.number));
        Self { generations, checker }
    }

    /// The results of the job itself.
    pub fn original(&mut self) -> Option<&mut ResultIndex> {
        self.generations.last_mut().map(|generation| &mut generation.index)
    }

    /// What became of a request: its newest usable answer, or else the newest line there is. `paid` is told
    /// of every line that came back for it.
    pub fn get(&mut self, key: &str, mut paid: impl FnMut(&Answer<'_>, Option<&Price>)) -> Result<Found<'_>> {
        let mut best: Option<Found<'_>> = None;
        for generation in &mut self.generations {
            if generation.strict && !generation.index.has_expected(key) {
                continue;
            }
            let Some(line) = generation.index.get(key, &mut generation.window)? else { continue };
            let (mut answer, json) = self.checker.check(Answer::read(line, false));
            paid(&answer, generation.price.as_ref());
            answer.generation = generation.number;
            let better = best.as_ref().is_none_or(|best| is_usable(&answer) && !is_usable(&best.answer));
            if better {
                best = Some(Found { answer, line: Some(line), json });
            }
        }
        Ok(best.unwrap_or_else(|| Found { answer: Answer::missing(), line: None, json: None }))
    }

    /// Whether a line came back for this key.
    pub fn has(&self, key: &str) -> bool {
        self.generations.iter().any(|one| if one.strict { one.index.has_expected(key) } else { one.index.has(key) })
    }

    /// Whether a line came back for this key of a request that was noted.
    pub fn has_expected(&self, key: &str) -> bool {
        self.generations.iter().any(|generation| generation.index.has_expected(key))
    }

    /// Whether this key was looked up before.
    pub fn was_asked(&self, key: &str) -> bool {
        self.generations.iter().any(|generation| generation.index.was_asked(key))
    }

    /// Lines that nobody has asked for.
    pub fn strangers(&self) -> Result<Strangers> {
        let mut all = Strangers::default();
        for generation in self.generations.iter().rev() {
            let strangers = generation.index.strangers()?;
            all.count += strangers.count;
            all.keys.extend(strangers.keys);
        }
        Ok(all)
    }
}

fn is_usable(answer: &Answer<'_>) -> bool {
    answer.outcome == Outcome::Answered
}
