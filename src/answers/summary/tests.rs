use std::borrow::Cow;

use proptest::prelude::*;

use super::*;
use crate::job::ModelTable;

fn answer(outcome: Outcome, reason: &str) -> Answer<'_> {
    Answer { reason: Some(Cow::Borrowed(reason)), ..Answer::bare(outcome) }
}

fn answered(text: &str) -> Answer<'_> {
    let usage = Usage { input_tokens: 1_000_000, output_tokens: 1_000_000, ..Usage::default() };
    Answer { text: Some(Cow::Borrowed(text)), usage: Some(usage), ..Answer::bare(Outcome::Answered) }
}

#[test]
fn failures_come_most_frequent_first_with_examples_and_a_remedy() {
    let mut summary = Summary::new(100);
    for n in 0..7 {
        let (outcome, reason) = if n < 2 { (Outcome::Blocked, "SAFETY") } else { (Outcome::Failed, "INTERNAL") };
        summary.add(&format!("k{n}"), &answer(outcome, reason), None);
    }
    let failures = summary.failures();
    assert_eq!(failures.len(), 2);
    assert_eq!((failures[0].reason.as_str(), failures[0].count), ("INTERNAL", 5));
    assert_eq!(failures[0].example_keys, ["k2", "k3", "k4"]);
    assert_eq!(failures[1].remedy, remedy(Outcome::Blocked, "SAFETY"));
}

#[test]
fn each_request_is_paid_at_its_own_price() {
    let table = ModelTable::embedded().unwrap();
    let price = table.get("gemini-3-flash-preview").unwrap().price_on(table.as_of).unwrap();
    let mut summary = Summary::new(100);
    summary.add("a", &answered("x"), Some(price));
    summary.add("b", &answered("y"), Some(price));
    summary.add("c", &answer(Outcome::Failed, "INTERNAL"), Some(price));
    assert_eq!(summary.cost, Cost::Usd(2.0 * (price.input + price.output)));
    assert_eq!(summary.usage.input_tokens, 2_000_000);
}

#[test]
fn an_unknown_price_or_usage_makes_the_cost_unknown() {
    let table = ModelTable::embedded().unwrap();
    let price = table.get("gemini-3-flash-preview").unwrap().price_on(table.as_of);
    let mut without_price = Summary::new(100);
    without_price.add("a", &answered("x"), None);
    assert_eq!(without_price.cost, Cost::Unknown);
    let mut without_usage = Summary::new(100);
    without_usage.add("a", &Answer { usage: None, ..answered("x") }, price);
    assert_eq!(without_usage.cost, Cost::Unknown);
}

#[test]
fn samples_are_the_first_answers_shortened() {
    let mut summary = Summary::new(10);
    summary.add("bad", &answer(Outcome::Failed, "INTERNAL"), None);
    for key in ["a", "b", "c", "d"] {
        summary.add(key, &answered("äöüäöüäöü"), None);
    }
    let keys: Vec<_> = summary.samples.iter().map(|sample| sample.key.as_str()).collect();
    assert_eq!(keys, ["a", "b", "c"]);
    assert_eq!(summary.samples[0].text, "äöü…");
}

proptest! {
    #[test]
    fn the_numbers_add_up_however_many_reasons_there_are(
        rows in proptest::collection::vec((0usize..8, 0u32..80), 0..300),
    ) {
        let mut summary = Summary::new(10);
        for (n, (outcome, reason)) in rows.iter().enumerate() {
            summary.add(&n.to_string(), &answer(Outcome::ALL[*outcome], &format!("R{reason}")), None);
        }
        prop_assert_eq!(summary.outcomes.total(), rows.len() as i64);
        let failures = summary.failures();
        prop_assert!(failures.len() <= MOST_GROUPS + Outcome::ALL.len());
        for outcome in Outcome::ALL {
            let grouped: i64 = failures.iter().filter(|group| group.outcome == outcome).map(|group| group.count).sum();
            let quiet = matches!(outcome, Outcome::Answered | Outcome::Pending);
            prop_assert_eq!(grouped, if quiet { 0 } else { summary.outcomes.get(outcome) });
        }
    }
}
