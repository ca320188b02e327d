//! The results of a job and of its retries are one set: the newest usable answer of each key.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use gemini_batch_mcp::simulator::{Call, ErrorBody, Fault};
use serde_json::{Value, json};
use support::program::Server;
use support::world::World;

const ROWS: &str = "id,text\na,fine\nb,[[simulate:tight]] needs room\nc,[[simulate:blocked]] bad\nd,[[simulate:tight]] needs room too\n";

fn submitted(world: &World, rows: &str) -> String {
    world.write("rows.csv", rows);
    world.reply(&["build", "rows.csv", "--template", "{{ text }}", "--key", "id"]);
    world.reply(&["create", "rows.requests.jsonl"])["job"].as_str().unwrap().to_owned()
}

/// The reply of a command, whether or not all rows answered.
fn ended(world: &World, arguments: &[&str]) -> Value {
    let ran = world.run(&[arguments, &["--json"]].concat());
    assert!([0, 4].contains(&ran.code), "{arguments:?}: {ran:?}");
    ran.json()
}

fn retried(world: &World, arguments: &[&str]) -> String {
    let reply = world.reply(&[&["retry"], arguments].concat());
    assert_eq!(reply["submission"], "created", "{reply}");
    reply["job"].as_str().unwrap().to_owned()
}

const ROOMY: [&str; 2] = ["--generation-config", r#"{"maxOutputTokens": 8192}"#];

#[test]
fn answers_of_retries_stand_in_for_what_failed_and_all_is_paid_for_once() {
    let world = World::new();
    let first = submitted(&world, ROWS);
    let alone = ended(&world, &["results", &first, "--output", "first.jsonl"]);
    assert_eq!(alone["outcomes"], json!({"answered": 1, "blocked": 1, "truncated": 2}));
    assert_eq!(
        alone["next"].as_str().unwrap().split(" submits").next().unwrap(),
        format!(r#"retry_batch {{"job": "{first}", "outcomes": ["truncated"]}}"#),
        "what is blocked is not asked again without thought: {alone}"
    );
    let second = retried(&world, &[&[first.as_str(), "--outcome", "truncated"], ROOMY.as_slice()].concat());
    let status = world.reply(&["status", &second]);
    assert_eq!(
        status["next"],
        format!(r#"get_results {{"job": "{first}"}}"#),
        "its answers are merged there: {status}"
    );
    let of_retry = ended(&world, &["results", &second, "--output", "second.jsonl"]);
    assert_eq!(of_retry["outcomes"], json!({"answered": 2}));

    let merged = ended(&world, &["results", &first, "--join", "--output", "merged.jsonl"]);
    assert_eq!(merged["outcomes"], json!({"answered": 3, "blocked": 1}), "{merged}");
    assert_eq!((&merged["requests"], &merged["retries"]), (&json!(4), &json!([second])));
    assert!(
        merged["next"].as_str().unwrap().starts_with("done, as far as can be"),
        "only one is left, blocked: {merged}"
    );
    let sum = |field: &str| alone["usage"][field].as_i64().unwrap() + of_retry["usage"][field].as_i64().unwrap();
    assert_eq!(merged["usage"]["output_tokens"], sum("output_tokens"), "the truncated ones were paid for as well");
    let cost = alone["cost_usd"].as_f64().unwrap() + of_retry["cost_usd"].as_f64().unwrap();
    assert!((merged["cost_usd"].as_f64().unwrap() - cost).abs() < 2e-6, "{merged}");
    let failures = merged["failures"].as_array().unwrap();
    assert_eq!((failures.len(), &failures[0]["outcome"]), (1, &json!("blocked")), "failures are those left");

    let lines = world.lines("merged.jsonl");
    let seen: Vec<_> = lines.iter().map(|line| (line["key"].as_str().unwrap(), line["generation"].as_i64())).collect();
    assert_eq!(seen, [("a", None), ("b", Some(1)), ("c", None), ("d", Some(1))]);
    assert_eq!(lines[3]["source"]["id"], "d", "joined to its row");

    let unmerged = ended(&world, &["results", &first, "--without-retries", "--output", "again.jsonl"]);
    assert_eq!(unmerged["outcomes"], alone["outcomes"]);
    assert_eq!(world.read("again.jsonl"), world.read("first.jsonl"));
    assert!(unmerged["retries"].is_null());
}

#[test]
fn a_retry_of_a_retry_counts_for_the_first_job_and_a_usable_answer_is_never_lost() {
    let world = World::new();
    let first = submitted(&world, ROWS);
    ended(&world, &["results", &first, "--limit", "0"]);
    let second = retried(&world, &[&first]);
    let third = retried(&world, &[&[second.as_str(), "--outcome", "truncated"], ROOMY.as_slice()].concat());
    // A later retry that fails again, over a usable answer: the answer stays.
    let config = ["--generation-config", r#"{"maxOutputTokens": 4}"#];
    let fourth = retried(&world, &[&[third.as_str(), "--outcome", "answered"], config.as_slice()].concat());
    let reply = ended(&world, &["results", &first, "--output", "merged.jsonl"]);
    assert_eq!(reply["retries"], json!([second, third, fourth]));
    assert_eq!(reply["outcomes"], json!({"answered": 3, "blocked": 1}), "{reply}");
    let generations: Vec<_> = world.lines("merged.jsonl").iter().map(|line| line["generation"].as_i64()).collect();
    assert_eq!(generations, [None, Some(2), Some(1), Some(2)], "the newest usable one, else the newest");
    let of_second = ended(&world, &["results", &second, "--output", "of-second.jsonl"]);
    assert_eq!(of_second["outcomes"], json!({"answered": 2, "blocked": 1}), "its own requests only: {of_second}");
}

#[test]
fn what_a_retry_left_unanswered_is_asked_again_by_a_retry_of_that_retry() {
    let world = World::new();
    let first = submitted(&world, "id,text\na,fine\nb,[[simulate:failed]] x\n");
    let step = |reply: Value| reply["next"].as_str().unwrap().split(" submits").next().unwrap().to_owned();
    let alone = ended(&world, &["results", &first, "--output", "out.jsonl"]);
    assert_eq!(step(alone), format!(r#"retry_batch {{"job": "{first}"}}"#));
    let second = retried(&world, &[&first]);
    let merged = ended(&world, &["results", &first, "--output", "out.jsonl", "--overwrite"]);
    assert_eq!(step(merged), format!(r#"retry_batch {{"job": "{second}"}}"#));
    retried(&world, &[&second]);
}

#[test]
fn what_may_still_come_leads_no_retry_back_to_the_one_before() {
    let world = World::new();
    let first = submitted(&world, "id,text\na,fine\nb,[[simulate:failed]] x\nc,[[simulate:missing]] y\n");
    let second = retried(&world, &[&first]);
    let merged = ended(&world, &["results", &first, "--output", "out.jsonl"]);
    let next = merged["next"].as_str().unwrap();
    let call =
        format!(r#"retry_batch {{"job": "{second}"}} submits the requests without an answer again (those missing"#);
    assert!(next.starts_with(&call), "{next}");
    let third = ended(&world, &["retry", &second]);
    assert_eq!((&third["submission"], &third["repeated"]["failed"]), (&json!("created"), &json!(1)), "{third}");
    let text = world.run(&["results", &first, "--limit", "1"]).stdout;
    assert!(text.contains(&format!("with those of its retries: {second}")), "{text}");
}

#[test]
fn the_next_stage_reads_the_merged_answers() {
    let world = World::new();
    let first = submitted(&world, ROWS);
    ended(&world, &["results", &first, "--limit", "0"]);
    retried(&world, &[&[first.as_str()], ROOMY.as_slice()].concat());
    let source = format!("job:{first}");
    world.reply(&["build", &source, "--template", "Shorten: {{ answer }}", "--output", "next.jsonl"]);
    let keys: Vec<_> = world.lines("next.jsonl").iter().map(|line| line["key"].clone()).collect();
    assert_eq!(keys, ["a", "b", "d"]);
}

#[test]
fn the_next_stage_is_told_of_answers_that_may_still_come() {
    let (world, clock) = World::timed();
    let first = submitted(&world, ROWS);
    clock.advance(Duration::from_secs(3600));
    ended(&world, &["results", &first, "--limit", "0"]);
    let second = retried(&world, &[&[first.as_str(), "--outcome", "truncated"], ROOMY.as_slice()].concat());
    let source = format!("job:{first}");
    let build = ["build", &source, "--template", "Shorten: {{ answer }}", "--output", "next.jsonl", "--overwrite"];
    let reply = world.reply(&build);
    let warnings = reply["warnings"].to_string();
    assert!(warnings.contains(&format!("the retry {second} is JOB_STATE_PENDING")), "{reply}");
    let next = reply["next"].as_str().unwrap();
    assert!(next.starts_with(&format!("check_status {{\"jobs\": [\"{second}\"], \"wait\": true}}")), "{next}");
    assert_eq!(reply["requests"], 1);
    clock.advance(Duration::from_secs(3600));
    let reply = world.reply(&build);
    assert!(!reply["warnings"].to_string().contains(&second), "{reply}");
    assert!(reply["next"].as_str().unwrap().starts_with("create_batch"), "{reply}");
    assert_eq!(reply["requests"], 3);
}

#[test]
fn a_retry_takes_what_earlier_retries_answered_off_the_list() {
    let world = World::new();
    let first = submitted(&world, ROWS);
    ended(&world, &["results", &first, "--limit", "0"]);
    let roomy = [&[first.as_str(), "--outcome", "truncated"], ROOMY.as_slice()].concat();
    let second = retried(&world, &roomy);
    // All that is left now is the blocked one.
    let rest = world.reply(&["retry", &first]);
    assert_eq!((&rest["submission"], &rest["requests"]), (&json!("created"), &json!(1)), "{rest}");
    assert_eq!(rest["repeated"], json!({"answered": 0, "blocked": 1}));
    // The very same call again is the same retry, although it has answered.
    let again = world.reply(&[&["retry"], roomy.as_slice()].concat());
    assert_eq!((&again["submission"], &again["job"]), (&json!("found"), &json!(second)));
    assert_eq!(world.jobs_at_the_api(), 3);
    // The same requests without any change are found, and the way to repeat them is named.
    let stuck = world.reply(&["retry", &first]);
    assert_eq!((&stuck["submission"], &stuck["job"]), (&json!("found"), &rest["job"]));
    let hint = format!("retry_batch {{\"job\": \"{}\"}}", rest["job"].as_str().unwrap());
    assert!(stuck["warnings"].to_string().replace("\\\"", "\"").contains(&hint), "{stuck}");
    let forced = world.reply(&["retry", rest["job"].as_str().unwrap()]);
    assert_eq!(forced["submission"], "created");
    let reply = ended(&world, &["results", &first, "--limit", "4"]);
    assert_eq!(reply["outcomes"], json!({"answered": 3, "blocked": 1}));
    assert_eq!(reply["retries"].as_array().unwrap().len(), 3);
}

#[test]
fn an_unfinished_retry_is_named_and_no_second_one_asks_for_the_same_keys() {
    let (world, clock) = World::timed();
    let first = submitted(&world, ROWS);
    clock.advance(Duration::from_secs(3600));
    ended(&world, &["results", &first, "--limit", "0"]);
    let roomy = [&[first.as_str(), "--outcome", "truncated"], ROOMY.as_slice()].concat();
    let second = retried(&world, &roomy);

    let reply = ended(&world, &["results", &first, "--limit", "4"]);
    assert_eq!(reply["outcomes"], json!({"answered": 1, "blocked": 1, "truncated": 2}));
    let warnings = reply["warnings"].to_string();
    assert!(warnings.contains(&second) && warnings.contains("JOB_STATE_PENDING"), "{warnings}");
    assert!(reply["next"].as_str().unwrap().starts_with("check_status"), "{reply}");
    let again = world.reply(&[&["retry"], roomy.as_slice()].concat());
    assert_eq!((&again["submission"], &again["job"]), (&json!("found"), &json!(second)), "asked twice, paid once");
    let error = world.refusal(&["retry", &first]);
    assert_eq!(error["kind"], "wrong_state");
    assert!(error["cause"].as_str().unwrap().contains(&second), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("check_status"), "{error}");
    assert_eq!(world.jobs_at_the_api(), 2);
    let other = world.reply(&["retry", &first, "--outcome", "blocked"]);
    assert_eq!(other["requests"], 1, "other keys may be asked for meanwhile");

    clock.advance(Duration::from_secs(3600));
    let reply = ended(&world, &["results", &first, "--limit", "4"]);
    assert_eq!(reply["outcomes"], json!({"answered": 3, "blocked": 1}), "{reply}");
}

#[test]
fn a_retry_of_a_retry_asks_for_nothing_that_another_retry_is_asking_for() {
    let (world, clock) = World::timed();
    let first = submitted(&world, "id,text\na,fine\nb,[[simulate:failed]] x\n");
    clock.advance(Duration::from_secs(3600));
    ended(&world, &["results", &first, "--limit", "0"]);
    let second = retried(&world, &[&first]);
    clock.advance(Duration::from_secs(3600));
    ended(&world, &["results", &second, "--limit", "0"]);
    let third = retried(&world, &[&first, "--generation-config", r#"{"seed": 7}"#]);
    let error = world.refusal(&["retry", &second]);
    assert!(error["cause"].as_str().unwrap().contains(&third), "{error}");
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.ends_with(&format!(r#"then retry_batch {{"job": "{first}"}}"#)), "there its answers are seen: {hint}");
    assert_eq!(world.jobs_at_the_api(), 3);
}

#[test]
fn a_retry_of_a_retry_asks_for_nothing_that_another_retry_has_answered_since() {
    let world = World::new();
    let first = submitted(&world, "id,text\na,fine\nb,[[simulate:failed]] x\nc,[[simulate:tight]] y\n");
    ended(&world, &["results", &first, "--limit", "0"]);
    let second = retried(&world, &[&first]);
    ended(&world, &["results", &second, "--limit", "0"]);
    let third = retried(&world, &[&[first.as_str(), "--outcome", "truncated"], ROOMY.as_slice()].concat());
    world.reply(&["status", &third, "--wait"]);
    // Its answers are not here yet, and nothing is asked before they are.
    let body = ErrorBody::Google { retry_after: None };
    world.simulator.faults().always(Call::Download, Fault::Status { code: 403, body });
    let refused = world.refusal(&["retry", &second]);
    let cause = refused["cause"].as_str().unwrap();
    assert!(cause.contains(&third) && cause.contains("cannot be had now"), "{refused}");
    world.simulator.faults().clear();
    let reply = world.reply(&["retry", &second]);
    assert_eq!((&reply["requests"], &reply["repeated"]["failed"]), (&json!(1), &json!(1)), "{reply}");
    let warnings = reply["warnings"].to_string();
    assert!(
        warnings.contains(&format!("1 request left out: answered since by {first} or other retries of it")),
        "{warnings}"
    );
    let refused = world.refusal(&["retry", &second, "--outcome", "truncated"]);
    assert!(refused["cause"].as_str().unwrap().contains("answered since"), "{refused}");
    assert!(refused["hint"].as_str().unwrap().contains(&first), "{refused}");
    assert_eq!(world.jobs_at_the_api(), 4);
}

#[test]
fn what_a_retry_of_a_retry_is_asking_for_is_not_asked_for_by_another_of_the_first_job() {
    let (world, clock) = World::timed();
    let first = submitted(&world, "id,text\na,fine\nb,[[simulate:failed]] x\nc,[[simulate:tight]] y\n");
    clock.advance(Duration::from_secs(3600));
    ended(&world, &["results", &first, "--limit", "0"]);
    let second = retried(&world, &[&[first.as_str()], ROOMY.as_slice()].concat());
    clock.advance(Duration::from_secs(3600));
    ended(&world, &["results", &second, "--limit", "0"]);
    // Only b is left, and its line is the same, whichever of the two is retried.
    let third = retried(&world, &[&second]);
    let error = world.refusal(&[&["retry", &first, "--outcome", "failed"], ROOMY.as_slice()].concat());
    assert!(error["cause"].as_str().unwrap().contains(&third), "{error}");
    assert_eq!(world.reply(&["retry", &second])["job"], third.as_str(), "the very same call finds its own");
    assert_eq!(world.jobs_at_the_api(), 3);
}

#[test]
fn a_retry_belongs_to_its_own_job_although_that_of_another_asks_the_same() {
    let world = World::new();
    let first = submitted(&world, "id,text\na,fine\nb,[[simulate:tight]] needs room\n");
    ended(&world, &["results", &first, "--limit", "0"]);
    let roomy = |job: &str| retried(&world, &[&[job, "--outcome", "truncated"], ROOMY.as_slice()].concat());
    let second = roomy(&first);
    let other = world.reply(&["create", "rows.requests.jsonl", "--new-run"])["job"].as_str().unwrap().to_owned();
    ended(&world, &["results", &other, "--limit", "0"]);
    assert_ne!(roomy(&other), second);
    for job in [&first, &other] {
        assert_eq!(ended(&world, &["results", job, "--limit", "0"])["outcomes"], json!({"answered": 2}), "{job}");
    }
}

#[test]
fn a_retry_asks_what_was_submitted_although_another_file_stands_in_its_place() {
    let world = World::new();
    let first = submitted(&world, ROWS);
    ended(&world, &["results", &first, "--limit", "0"]);
    let name = "rows.requests.jsonl";
    world.reply(&["build", "--prompt", "something else", "--output", name, "--overwrite"]);
    let second = world.reply(&[&["retry", &first, "--outcome", "truncated"], ROOMY.as_slice()].concat());
    assert_eq!(second["requests"], 2, "{second}");
    std::fs::remove_file(world.path(name)).unwrap();
    assert_eq!(world.reply(&["retry", &first, "--outcome", "blocked"])["requests"], 1);

    // Nor is it lost to somebody who writes into it.
    let other = submitted(&world, "id,text\nx,[[simulate:failed]] y\n");
    ended(&world, &["results", &other, "--limit", "0"]);
    std::fs::OpenOptions::new().append(true).open(world.path(name)).unwrap().write_all(b"more\n").unwrap();
    assert_eq!(world.reply(&["retry", &other])["requests"], 1);
}

#[test]
fn results_of_a_retry_that_cannot_be_had_are_missed_aloud() {
    let world = World::new();
    let first = submitted(&world, ROWS);
    ended(&world, &["results", &first, "--limit", "0"]);
    let second = retried(&world, &[&[first.as_str()], ROOMY.as_slice()].concat());
    let body = ErrorBody::Google { retry_after: None };
    world.simulator.faults().always(Call::Download, Fault::Status { code: 403, body });
    let reply = ended(&world, &["results", &first, "--limit", "4"]);
    assert_eq!(reply["outcomes"]["answered"], 1);
    assert!(reply["warnings"].to_string().contains(&second), "{reply}");
    assert!(reply["cost_usd"].is_null(), "what the retry cost is not known: {reply}");
    assert!(reply["warnings"].to_string().contains("what it cost is unknown, but at least $0.0"), "{reply}");
    world.simulator.faults().clear();
    let reply = ended(&world, &["results", &first, "--limit", "4"]);
    assert_eq!(reply["outcomes"]["answered"], 3);
    assert!(reply["cost_usd"].is_number());
}

#[test]
fn nothing_is_asked_again_while_the_answers_of_a_retry_cannot_be_had() {
    let world = World::new();
    let first = submitted(&world, ROWS);
    ended(&world, &["results", &first, "--limit", "0"]);
    let second = retried(&world, &[&[first.as_str()], ROOMY.as_slice()].concat());
    let body = ErrorBody::Google { retry_after: None };
    world.simulator.faults().always(Call::Download, Fault::Status { code: 403, body });
    let other_model = ["retry", &first, "--model", "gemini-3.8-flash"];
    for call in [&["retry", &first][..], &other_model] {
        let error = world.refusal(call);
        assert!(error["cause"].as_str().unwrap().contains(&second), "{error}");
    }
    // Not found once is not gone: it may be the key of another project, or too early.
    world.simulator.faults().clear();
    world.simulator.faults().always(Call::GetBatch, Fault::Status { code: 404, body });
    let error = world.refusal(&other_model);
    assert!(error["cause"].as_str().unwrap().contains(&second), "{error}");
    assert_eq!(world.jobs_at_the_api(), 2);
    world.simulator.faults().clear();
    let third = world.reply(&["retry", &first]);
    assert_eq!((&third["submission"], &third["requests"]), (&json!("created"), &json!(1)), "{third}");
}

#[test]
fn a_retry_that_was_never_sent_is_in_nobodys_way() {
    let world = World::new();
    let first = submitted(&world, ROWS);
    ended(&world, &["results", &first, "--limit", "0"]);
    let body = ErrorBody::Google { retry_after: None };
    world.simulator.faults().next(Call::CreateBatch, Fault::Status { code: 400, body });
    world.refusal(&["retry", &first]);
    assert_eq!(world.jobs_at_the_api(), 1);
    let reply = ended(&world, &["results", &first, "--limit", "0"]);
    assert!(reply["warnings"].is_null() && reply["next"].as_str().unwrap().starts_with("retry_batch"), "{reply}");
    retried(&world, &[&[first.as_str()], ROOMY.as_slice()].concat());
}

#[test]
fn two_retries_at_the_same_moment_never_ask_for_the_same_keys() {
    let (world, clock) = World::timed();
    let first = submitted(&world, ROWS);
    clock.advance(Duration::from_secs(3600));
    ended(&world, &["results", &first, "--limit", "0"]);
    let configs = [8192, 4096, 2048].map(|tokens| format!(r#"{{"maxOutputTokens": {tokens}}}"#));
    let running = configs.map(|config| {
        let mut command = world.command();
        command.args(["retry", &first, "--generation-config", &config, "--json"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    });
    let codes: Vec<_> = running.map(|mut child| child.wait().unwrap().code()).into_iter().collect();
    assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 1, "{codes:?}");
    assert_eq!(world.jobs_at_the_api(), 2);
}

#[test]
fn a_retry_that_takes_long_to_choose_keeps_its_turn() {
    let world = World::new();
    let first = submitted(&world, "id,text\na,fine\nb,[[simulate:tight]] needs room\n");
    world.reply(&["status", &first, "--wait"]);
    // Longer than a turn lasts that nobody renews.
    world.simulator.faults().next(Call::Download, Fault::Delay(Duration::from_secs(36)));
    let retry = |room: u32| {
        let config = format!("{{\"maxOutputTokens\": {room}}}");
        let mut command = world.command();
        command.args(["retry", &first, "--generation-config", &config]).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let mut slow = retry(8_192);
    std::thread::sleep(Duration::from_secs(1));
    retry(8_193).wait().unwrap();
    assert!(slow.wait().unwrap().success());
    assert_eq!(world.jobs_at_the_api(), 2, "nothing is asked twice");
}

#[test]
fn answers_that_may_still_come_are_not_asked_for_again() {
    let world = World::new();
    let first = submitted(&world, ROWS);
    world.simulator.faults().always(Call::Download, Fault::EndBodyAfter(0));
    let reply = ended(&world, &["results", &first, "--limit", "0"]);
    assert_eq!(reply["outcomes"]["missing"], 4, "{reply}");
    let way_out = format!(r#"retry_batch {{"job": "{first}", "outcomes": ["missing"]}}"#);
    assert!(reply["next"].as_str().unwrap().contains(&way_out), "{reply}");
    let remedy = reply["failures"][0]["remedy"].as_str().unwrap();
    assert!(remedy.starts_with("may be billed and may still come"), "{reply}");
    let refused = world.refusal(&["retry", &first]);
    assert!(refused["hint"].as_str().unwrap().contains(&way_out), "{refused}");
    assert_eq!(world.jobs_at_the_api(), 1);
    let forced = world.reply(&["retry", &first, "--outcome", "missing"]);
    assert_eq!(forced["requests"], 4);
}

#[test]
fn requests_that_failed_make_up_for_no_answer() {
    let world = World::new();
    let rows = "id,text\na,fine\nb,[[simulate:failed]]\nc,[[simulate:missing]]\nd,[[simulate:blocked]]\n";
    let first = submitted(&world, rows);
    let reply = ended(&world, &["results", &first, "--limit", "0"]);
    assert_eq!(reply["outcomes"], json!({"answered": 1, "blocked": 1, "failed": 1, "missing": 1}), "{reply}");
    assert!(reply["warnings"].to_string().contains("may still come"), "{reply}");
    let next = reply["next"].as_str().unwrap();
    assert!(next.starts_with("retry_batch") && !next.contains("missing"), "what may still come is not named: {next}");
    // Three lines came, and three requests succeeded: but one of the lines is an error.
    assert_eq!(world.refusal(&["delete", &first])["kind"], "wrong_state");
    assert_eq!(world.jobs_at_the_api(), 1);
    let retried = world.reply(&["retry", &first]);
    assert_eq!(retried["requests"], 2, "what may still come is not paid for again: {retried}");
}

#[test]
fn who_looks_again_and_again_does_not_download_again_and_again() {
    let world = World::new();
    let first = submitted(&world, "id,text\na,fine\nb,[[simulate:missing]]\n");
    let mut server = Server::start_with(|command| {
        *command = world.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    });
    server.initialize("2025-11-25");
    for look in 1..=4 {
        let answer = server.call("get_results", &json!({"job": first, "limit": 1}));
        assert_eq!(answer["result"]["structuredContent"]["outcomes"]["missing"], 1, "{answer}");
        assert_eq!(
            world.simulator.log().calls(Call::Download),
            look.min(2),
            "once more it may be luck, then it is not"
        );
    }
}
