use super::super::words::Failure;
use super::*;
use proptest::prelude::*;

fn reply() -> ResultsReply {
    ResultsReply { job: "a-1".to_owned(), ..ResultsReply::default() }
}

fn sample(bytes: usize) -> Sample {
    Sample { key: "k".to_owned(), outcome: Outcome::Answered, text: "x".repeat(bytes), bytes, whole: true }
}

fn failed(count: i64, reason_bytes: usize) -> Failure {
    let (reason, remedy) = ("r".repeat(reason_bytes), String::new());
    Failure { outcome: Outcome::Failed, reason, count, keys: Vec::new(), remedy }
}

#[test]
fn of_many_retries_and_warnings_the_others_are_counted() {
    let mut many = reply();
    many.retries = (0..12).map(|n| format!("r-{n}")).collect();
    many.warnings = (0..9).map(|n| format!("warning {n} {}", "w".repeat(400))).collect();
    fit(&mut many, &[]);
    assert_eq!((many.retries.len(), many.retries[0].as_str()), (10, "r-2"), "the newest are shown");
    assert_eq!(many.warnings[0], "the answers of 2 earlier retries are in it as well");
    assert_eq!((many.warnings.len(), many.warnings[8].as_str()), (9, "2 more warnings"));
    assert!(many.warnings.iter().all(|warning| warning.len() <= 310), "{:?}", many.warnings);

    let mut few = reply();
    few.retries = (0..10).map(|n| format!("r-{n}")).collect();
    few.warnings = (0..8).map(|n| n.to_string()).collect();
    fit(&mut few, &[]);
    assert_eq!((few.retries.len(), few.warnings.len()), (10, 8));
}

#[test]
fn what_the_listed_reasons_do_not_explain_is_counted() {
    let told = |failures: Vec<Failure>, outcomes: &[Outcome]| {
        let mut reply = reply();
        reply.outcomes.add(Outcome::Failed, 5);
        reply.outcomes.add(Outcome::Answered, 1);
        reply.failures = failures;
        fit(&mut reply, outcomes);
        reply.warnings.join("; ")
    };
    assert_eq!(told(vec![failed(5, 10)], &[]), "");
    assert_eq!(
        told(vec![failed(3, 10)], &[]),
        "2 requests without an answer for other reasons than those listed in failures"
    );
    assert!(told(vec![failed(5, 5_000)], &[]).starts_with("5 requests without a usable answer: get_results"));
    assert_eq!(told(Vec::new(), &[Outcome::Blocked]), "", "nobody asked for those that failed");
}

#[test]
fn what_short_answers_do_not_need_goes_to_the_long_ones() {
    let samples = [sample(10), sample(1_000), sample(2_000)];
    let frames = 3 * (json_bytes(&"k") + FRAME);
    // As JSON a text has two bytes more.
    assert_eq!(share(&samples, frames + 12 + 1_002 + 2_002), usize::MAX, "all fit");
    assert_eq!(share(&samples, frames + 12 + 1_002 + 2_001), 2_001);
    assert_eq!(share(&samples, frames + 12 + 1_000), 500);
    assert_eq!(share(&samples, frames + 30), 10);
}

#[test]
fn an_answer_is_cut_to_its_share_and_says_what_is_missing() {
    let cut = |bytes: usize, most: usize| {
        let mut sample = sample(bytes);
        sample.cut(most, "in the file");
        sample.text
    };
    assert_eq!(cut(10, 12), "x".repeat(10), "with its quotation marks");
    assert_eq!(cut(10, 11), format!("{}… (10 bytes; in the file)", "x".repeat(9)));
    let mut many = reply();
    many.samples = (0..200).map(|_| sample(3_000)).collect();
    fit(&mut many, &[]);
    assert!(json_bytes(&many) <= BUDGET + 500, "{}", json_bytes(&many));
    assert!(many.samples.len() > 20 && many.samples.iter().all(|sample| sample.text.contains("… (3,000 bytes")));
}

proptest! {
    #[test]
    fn samples_fit_into_the_room_there_is(
        texts in prop::collection::vec(("[a-z\"é]{0,100}", "[a-z\"é\\\\😀]{0,600}"), 0..30),
        room in 0usize..6_000,
    ) {
        let mut samples: Vec<_> = texts.iter().map(|(key, text)| Sample { key: key.clone(), text: text.clone(), ..sample(text.len()) }).collect();
        while least(&samples) > room && !samples.is_empty() {
            samples.pop();
        }
        let share = share(&samples, room);
        samples.iter_mut().for_each(|sample| sample.cut(share, "whole with output"));
        prop_assert!(samples.is_empty() || json_bytes(&samples) <= room + 2, "{} > {room}", json_bytes(&samples));
        for (sample, (_, text)) in samples.iter().zip(&texts) {
            let whole = sample.text == *text;
            prop_assert!(whole || sample.text.contains(" bytes; whole with output)"));
        }
    }
}
