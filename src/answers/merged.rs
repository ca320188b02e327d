//! The results of a job and of its retries as one set: the newest usable answer of each key.

use serde_json::Value;

use crate::error::Result;
use crate::job::Outcome;
use crate::job::models::Price;

use super::index::Strangers;
use super::{Answer, Checker, ResultIndex, Window};

/// The result lines of one job, each file of them at its price.
#[derive(Debug)]
pub struct Generation {
    number: u32,
    index: ResultIndex,
    prices: Vec<Option<Price>>,
    window: Window,
    /// Lines of keys that this job never asked for are passed over.
    strict: bool,
}

impl Generation {
    /// The job itself, and the price of each of its files, where it is known.
    pub fn original(index: ResultIndex, prices: Vec<Option<Price>>) -> Self {
        Self { number: 0, index, prices, window: Window::new(), strict: false }
    }

    /// The retry of this number, from 1. With `strict` only lines of keys that the index
    /// [expects](ResultIndex::expect) count.
    pub fn retry(number: u32, index: ResultIndex, prices: Vec<Option<Price>>, strict: bool) -> Self {
        Self { number, strict, ..Self::original(index, prices) }
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

    /// Whether there are pictures or sounds in the lines.
    pub fn has_media(&self) -> bool {
        self.generations.iter().any(|generation| generation.index.has_media())
    }

    /// What became of a request: its newest usable answer, else the newest that is cut off or not as asked, else
    /// the newest line there is. `paid` is told of every line that came back for it.
    pub fn get(&mut self, key: &str, mut paid: impl FnMut(&Answer<'_>, Option<&Price>)) -> Result<Found<'_>> {
        let mut best: Option<Found<'_>> = None;
        for generation in &mut self.generations {
            if generation.strict && !generation.index.has_expected(key)? {
                continue;
            }
            let Some((line, file)) = generation.index.find_line(key, &mut generation.window)? else { continue };
            let (mut answer, json) = self.checker.check(Answer::read(line, false));
            answer.generation = generation.number;
            paid(&answer, generation.prices.get(file).and_then(Option::as_ref));
            let better = best.as_ref().is_none_or(|best| worth(&answer) > worth(&best.answer));
            if better {
                best = Some(Found { answer, line: Some(line), json });
            }
        }
        Ok(best.unwrap_or_else(|| Found { answer: Answer::missing(), line: None, json: None }))
    }

    /// The generations of which nobody knows what they cost: with lines that cannot be read; or, where results are missing,
    /// with others in their place.
    pub fn unclear(&self, is_missing: bool) -> impl Iterator<Item = u32> {
        let is_unclear = move |index: &ResultIndex| {
            let problems = &index.problems;
            let is_misplaced = problems.repeated + problems.contradicting > 0 || index.has_strangers();
            problems.unreadable > 0 || (is_missing && is_misplaced)
        };
        self.generations.iter().filter(move |one| is_unclear(&one.index)).map(|one| one.number)
    }

    /// Whether a line came back for this key.
    pub fn has(&self, key: &str) -> Result<bool> {
        any(&self.generations, |one| if one.strict { one.index.has_expected(key) } else { one.index.has(key) })
    }

    /// Whether a line came back for this key of a request that was noted.
    pub fn has_expected(&self, key: &str) -> Result<bool> {
        any(&self.generations, |generation| generation.index.has_expected(key))
    }

    /// Whether this key was looked up before.
    pub fn was_asked(&self, key: &str) -> Result<bool> {
        any(&self.generations, |generation| generation.index.was_asked(key))
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

/// Whether any generation has it.
fn any(generations: &[Generation], has: impl Fn(&Generation) -> Result<bool>) -> Result<bool> {
    for generation in generations {
        if has(generation)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// An answer that was paid for is not given up for a failure that came later.
fn worth(answer: &Answer<'_>) -> u8 {
    match answer.outcome {
        Outcome::Answered => 2,
        Outcome::Truncated | Outcome::Invalid => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write;

    use super::*;
    use crate::progress::Silent;
    use proptest::prelude::*;

    const STOPS: [&str; 3] = ["STOP", "SAFETY", "MAX_TOKENS"];

    /// An index over one line a key, stopped for this reason; the text names the generation.
    fn index(generation: usize, lines: &BTreeMap<u8, usize>) -> ResultIndex {
        let mut file = tempfile::tempfile().unwrap();
        for (key, stop) in lines {
            let (text, stop) = (format!("{key} of {generation}"), STOPS[*stop]);
            writeln!(
                file,
                r#"{{"key":"{key}","response":{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}]}},"finishReason":"{stop}"}}]}}}}"#
            )
            .unwrap();
        }
        let mut index = ResultIndex::build(vec![file], 10, &Silent::default()).unwrap();
        // Keys from 8 on were never asked for.
        lines.keys().filter(|key| **key < 8).for_each(|key| index.expect(&key.to_string()).unwrap());
        index
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_newest_of_the_best_answers_counts_and_every_line_is_paid(
            lines in prop::collection::vec(prop::collection::btree_map(0u8..10, 0usize..3, 0..10), 1..4),
        ) {
            let one = |(number, lines): (usize, &BTreeMap<u8, usize>)| match number {
                0 => Generation::original(index(0, lines), Vec::new()),
                _ => Generation::retry(number as u32, index(number, lines), Vec::new(), true),
            };
            let mut merged = Merged::new(lines.iter().enumerate().map(one).collect(), Checker::default());
            for key in 0u8..10 {
                let came = lines.iter().enumerate().filter(|(number, _)| *number == 0 || key < 8);
                let came: Vec<_> = came.filter_map(|(number, lines)| Some((number, *lines.get(&key)?))).collect();
                let newest = |wanted: &str| came.iter().rev().find(|(_, stop)| STOPS[*stop] == wanted);
                let best = newest("STOP").or(newest("MAX_TOKENS")).or(newest("SAFETY"));
                let expected = best.map(|(number, _)| format!("{key} of {number}"));
                let mut paid = 0;
                let found = merged.get(&key.to_string(), |_, _| paid += 1).unwrap();
                prop_assert_eq!(found.answer.text.as_deref(), expected.as_deref());
                prop_assert_eq!(paid, came.len());
            }
            // What was never asked for is a stranger in a retry.
            let strangers = lines.iter().skip(1).flat_map(BTreeMap::keys).filter(|key| **key >= 8).count();
            prop_assert_eq!(merged.strangers().unwrap().count, strangers as u64);
        }
    }
}
