//! The daily budget holds over jobs, retries and processes, and what a job did not use is free again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::process::Stdio;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use gemini_batch_mcp::simulator::{Call, ErrorBody, Fault};
use serde_json::{Value, json};
use support::ledger;
use support::remembered::change;
use support::world::World;

/// A world with request files of one prompt each, all of the same length.
fn world(prompts: &[&str]) -> World {
    let world = World::new();
    for (prompt, file) in prompts.iter().zip('a'..) {
        world.reply(&["build", "--prompt", prompt, "--output", &format!("{file}.jsonl")]);
    }
    world
}

/// The high estimate of a file.
fn high(world: &World, file: &str) -> f64 {
    world.reply(&["create", file, "--dry-run"])["estimate"]["high_usd"].as_f64().unwrap()
}

/// Runs a command under a daily budget, each time in a process of its own.
fn under(world: &World, budget: f64, arguments: &[&str]) -> Value {
    let mut command = world.command();
    command.env("GEMINI_BATCH_DAILY_BUDGET_USD", budget.to_string()).args(arguments).arg("--json");
    serde_json::from_slice(&command.output().unwrap().stdout).unwrap()
}

/// Runs a command that has to be refused for the budget; the cause.
fn over(world: &World, budget: f64, arguments: &[&str]) -> String {
    let reply = under(world, budget, arguments);
    assert_eq!(reply["error"]["kind"], "budget", "{reply}");
    reply["error"]["cause"].as_str().unwrap().to_owned()
}

fn created(world: &World, budget: f64, file: &str) -> String {
    let reply = under(world, budget, &["create", file]);
    assert_eq!(reply["submission"], "created", "{reply}");
    reply["job"].as_str().unwrap().to_owned()
}

#[test]
fn what_was_set_aside_and_not_used_is_free_again() {
    let world = world(&["one", "two", "six"]);
    let budget = high(&world, "a.jsonl") * 1.5;
    let first = created(&world, budget, "a.jsonl");
    let cause = over(&world, budget, &["create", "b.jsonl"]);
    for part in ["$0.0030 is sent", "$0.00 waits", "this adds up to $0.0030", "the daily budget is $0.0045"] {
        assert!(cause.contains(part), "{part} is not in: {cause}");
    }
    assert_eq!(world.jobs_at_the_api(), 1);
    assert_eq!(over(&world, budget, &["create", "b.jsonl", "--dry-run"]), cause, "what is tried out is told the same");
    for again in [&["create", "a.jsonl"][..], &["create", "a.jsonl", "--dry-run"]] {
        assert!(under(&world, budget, again)["error"].is_null(), "what is paid is not refused: {again:?}");
    }
    assert_eq!(under(&world, budget, &["create", "a.jsonl"])["submission"], "found");

    let results = world.results(&[&first, "--limit", "1"]);
    assert!(results["cost_usd"].as_f64().unwrap() < budget / 3.0, "{results}");
    created(&world, budget, "b.jsonl");
    over(&world, budget, &["create", "c.jsonl"]);
    assert_eq!(world.jobs_at_the_api(), 2);
}

#[test]
fn a_job_that_failed_whole_frees_what_was_set_aside() {
    let world = world(&["[[simulate:job-failed]] a", "[[simulate:job-failed]] b"]);
    let budget = high(&world, "a.jsonl") * 1.5;
    let first = created(&world, budget, "a.jsonl");
    world.run(&["status", &first, "--wait"]);
    over(&world, budget, &["create", "b.jsonl"]);
    assert_eq!(world.results(&[&first, "--limit", "1"])["outcomes"]["missing"], 1);
    created(&world, budget, "b.jsonl");
}

#[test]
fn what_was_given_up_has_to_fit_as_if_it_were_new() {
    let world = world(&["one", "two"]);
    let budget = high(&world, "a.jsonl") * 1.5;
    world.simulator.faults().next(Call::CreateBatch, Fault::Status { code: 400, body: ErrorBody::Empty });
    assert_eq!(under(&world, budget, &["create", "a.jsonl"])["error"]["kind"], "refused");
    created(&world, budget, "b.jsonl");
    over(&world, budget, &["create", "a.jsonl"]);
    created(&world, budget * 2.0, "a.jsonl");
}

#[test]
fn what_waits_is_found_although_the_budget_was_lowered_meanwhile() {
    let world = world(&["one"]);
    let budget = high(&world, "a.jsonl") * 1.5;
    world.simulator.faults().next(Call::CreateBatch, Fault::Status { code: 429, body: ErrorBody::HelpOnly });
    assert_eq!(under(&world, budget, &["create", "a.jsonl"])["submission"], "queued");
    assert_eq!(under(&world, budget / 3.0, &["create", "a.jsonl"])["submission"], "queued");
}

#[test]
fn each_part_counts_with_its_share_and_none_twice() {
    let world = World::new();
    for file in ["a.jsonl", "b.jsonl"] {
        world.reply(&[
            "build",
            "--prompt",
            &format!("one of {file}"),
            "--prompt",
            &format!("two of {file}"),
            "--output",
            file,
        ]);
    }
    let (budget, cut) = (high(&world, "a.jsonl") * 1.2, ["create", "a.jsonl", "--max-part-requests", "1"]);
    world.simulator.faults().nth(Call::CreateBatch, 2, Fault::Status { code: 400, body: ErrorBody::Empty });
    assert_eq!(under(&world, budget, &cut)["error"]["kind"], "refused");
    // Half of it is spent, and the other half is given up.
    over(&world, budget, &["create", "b.jsonl"]);
    assert_eq!(under(&world, budget, &cut)["submission"], "created");
    assert_eq!(world.jobs_at_the_api(), 2);
}

#[test]
fn a_job_that_is_cut_anew_counts_once() {
    let world = World::new();
    world.reply(&["build", "--prompt", "number one", "--prompt", "number two", "--output", "a.jsonl"]);
    let budget = high(&world, "a.jsonl") * 1.2;
    world.simulator.limits().set_enqueued_tokens(Some(3));
    assert_eq!(under(&world, budget, &["create", "a.jsonl"])["submission"], "queued");
    ledger::time_passes(&world, Duration::from_secs(3600));
    let cut = under(&world, budget, &["create", "a.jsonl", "--max-part-requests", "1"]);
    assert_eq!(cut["parts"]["total"], 2, "{cut}");
}

#[test]
fn results_that_did_not_all_come_free_nothing() {
    let world = world(&["one", "two"]);
    let budget = high(&world, "a.jsonl") * 1.5;
    let first = created(&world, budget, "a.jsonl");
    world.simulator.faults().next(Call::Download, Fault::EndBodyAfter(0));
    assert!(world.results(&[&first, "--limit", "1"])["cost_usd"].is_null());
    over(&world, budget, &["create", "b.jsonl"]);
    world.results(&[&first, "--limit", "1"]);
    created(&world, budget, "b.jsonl");
}

#[test]
fn an_answer_that_cannot_be_read_frees_nothing() {
    let world = world(&["[[simulate:garbage]] a", "another one b"]);
    let budget = high(&world, "a.jsonl") * 1.5;
    let first = created(&world, budget, "a.jsonl");
    world.run(&["status", &first, "--wait"]);
    world.results(&[&first, "--limit", "1"]);
    over(&world, budget, &["create", "b.jsonl"]);
}

#[test]
fn a_retry_counts_and_each_settles_by_itself() {
    let world = world(&["[[simulate:failed]] a", "[[simulate:failed]] b"]);
    let one = high(&world, "a.jsonl");
    let first = created(&world, one, "a.jsonl");
    world.run(&["status", &first, "--wait"]);
    // What failed is not billed: retry_batch itself brings the results home and settles the job.
    let retry = under(&world, one * 1.5, &["retry", &first]);
    assert_eq!(retry["submission"], "created", "{retry}");
    over(&world, one * 1.5, &["create", "b.jsonl"]);
    assert_eq!(world.jobs_at_the_api(), 2);
    world.results(&[&first, "--limit", "1"]);
    created(&world, one * 1.5, "b.jsonl");
}

#[test]
fn a_retry_over_the_budget_or_its_own_limit_is_not_sent() {
    let world = world(&["[[simulate:truncated]] a"]);
    let one = high(&world, "a.jsonl");
    let first = created(&world, one, "a.jsonl");
    world.run(&["status", &first, "--wait"]);
    over(&world, one * 0.9, &["retry", &first, "--dry-run"]);
    over(&world, one * 0.9, &["retry", &first]);
    let above = world.refusal(&["retry", &first, "--max-cost-usd", &(one * 0.5).to_string()]);
    assert_eq!(above["kind"], "budget", "{above}");
    assert_eq!(world.jobs_at_the_api(), 1);
}

/// The call that submits the first file to a model whose price nobody knows.
fn of_unknown_price(world: &World) -> [&'static str; 6] {
    let table = r#"{"as_of": "2026-11-22", "default_model": "gemini-3.8-flash", "default_embedding_model": "none",
        "models": [{"name": "gemini-3.8-flash", "prices": []}]}"#;
    world.write("models.json", table);
    ["create", "a.jsonl", "--model", "gemini-3.8-flash", "--models", "models.json"]
}

#[test]
fn an_unknown_price_keeps_no_budget() {
    let world = world(&["one", "two"]);
    let unknown = of_unknown_price(&world);
    let cause = over(&world, 99.0, &unknown);
    assert!(cause.contains("the price of gemini-3.8-flash is unknown"), "{cause}");
    assert_eq!(world.jobs_at_the_api(), 0);
    // Sent while there was no budget, it leaves none to be kept.
    world.reply(&unknown);
    let cause = over(&world, 99.0, &["create", "b.jsonl"]);
    assert!(cause.contains("the price of 1 batch of today's is unknown"), "{cause}");
}

#[test]
fn what_cannot_be_counted_beforehand_keeps_no_budget() {
    let world = world(&[]);
    let video = serde_json::json!({"fileData": {"mimeType": "video/mp4", "fileUri": "https://example.com/long.mp4"}});
    let line = serde_json::json!({"key": "a", "request": {"contents": [{"parts": [video, {"text": "What is it?"}]}]}});
    world.write("a.jsonl", &format!("{line}\n"));
    let cause = over(&world, 5.0, &["create", "a.jsonl"]);
    assert!(cause.contains("not all can be counted beforehand"), "{cause}");
    assert_eq!(world.jobs_at_the_api(), 0);
    world.reply(&["create", "a.jsonl"]);
}

#[test]
fn a_create_of_unknown_price_that_was_lost_and_found_again_keeps_no_budget() {
    let world = world(&["one", "two"]);
    world.simulator.faults().next(Call::CreateBatch, Fault::ResetAfterActing);
    world.reply(&of_unknown_price(&world));
    let cause = over(&world, 99.0, &["create", "b.jsonl"]);
    assert!(cause.contains("the price of 1 batch of today's is unknown"), "{cause}");
}

#[test]
fn a_create_that_was_lost_and_found_again_counts() {
    let world = world(&["one", "two"]);
    let budget = high(&world, "a.jsonl") * 1.5;
    world.simulator.faults().next(Call::CreateBatch, Fault::ResetAfterActing);
    created(&world, budget, "a.jsonl");
    over(&world, budget, &["create", "b.jsonl"]);
}

#[test]
fn four_processes_at_once_keep_to_one_budget() {
    let world = world(&["one", "two", "six", "ten"]);
    let budget = (high(&world, "a.jsonl") * 2.5).to_string();
    let running = ['a', 'b', 'c', 'd'].map(|file| {
        let mut command = world.command();
        command.env("GEMINI_BATCH_DAILY_BUDGET_USD", &budget).args(["create", &format!("{file}.jsonl")]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    });
    let ended = running.map(|mut child| child.wait().unwrap().success());
    assert_eq!(ended.iter().filter(|created| **created).count(), 2, "{ended:?}");
    assert_eq!(world.jobs_at_the_api(), 2);
}

#[test]
fn what_waits_goes_out_on_the_next_day_if_the_budget_was_lowered_meanwhile() {
    let world = world(&["one", "two"]);
    let usd = high(&world, "a.jsonl");
    created(&world, 2.5 * usd, "b.jsonl");
    let full = Fault::Status { code: 429, body: ErrorBody::Google { retry_after: Some(Duration::from_secs(1)) } };
    world.simulator.faults().next(Call::CreateBatch, full);
    assert_eq!(under(&world, 2.5 * usd, &["create", "a.jsonl"])["submission"], "queued");
    let tomorrow = || (Utc::now() + TimeDelta::days(1)).format("%Y-%m-%dT00:00").to_string();
    let before = tomorrow();
    under(&world, usd * 1.5, &["status", "--wait", "--timeout", "10"]);
    assert_eq!(world.simulator.log().calls(Call::CreateBatch), 2);
    let waits = "SELECT not_before FROM parts WHERE not_before IS NOT NULL";
    let until: String = ledger::open(&world).query_row(waits, [], |row| row.get(0)).unwrap();
    assert!(until.starts_with(&before) || until.starts_with(&tomorrow()), "{until}");
    ledger::time_passes(&world, Duration::from_secs(24 * 60 * 60));
    let sent = under(&world, 1.5 * usd, &["status", "--wait", "--timeout", "30"]);
    assert_eq!(sent["jobs"][0]["state"], "JOB_STATE_SUCCEEDED", "{sent}");
    assert_eq!(world.jobs_at_the_api(), 2);
}

#[test]
fn what_is_dearer_than_the_budget_of_any_day_does_not_wait_for_one() {
    let world = world(&["one", "two"]);
    let usd = high(&world, "a.jsonl");
    let full = Fault::Status { code: 429, body: ErrorBody::Google { retry_after: Some(Duration::from_secs(1)) } };
    world.simulator.faults().next(Call::CreateBatch, full);
    assert_eq!(under(&world, 2.0 * usd, &["create", "a.jsonl"])["submission"], "queued");
    under(&world, usd / 2.0, &["run"]);
    std::thread::sleep(Duration::from_millis(1100));
    under(&world, usd / 2.0, &["run"]);
    let held = world.run(&["status", "a", "--json"]).json()["jobs"][0].clone();
    assert_eq!(held["verdict"], "refused", "{held}");
    assert!(held["error"].as_str().unwrap().contains("and the daily budget is"), "{held}");
    // It keeps no other from being sent, and goes out when it is asked for under a budget that it fits into.
    created(&world, 2.0 * usd, "b.jsonl");
    assert_eq!(under(&world, 2.5 * usd, &["create", "a.jsonl"])["submission"], "created");
}

#[test]
fn a_cap_that_is_no_sum_is_refused() {
    let world = world(&["one"]);
    for cap in ["-1", "NaN", "-inf"] {
        let error = world.refused(&["create", "a.jsonl", &format!("--max-cost-usd={cap}")]);
        assert_eq!(error["kind"], "invalid_argument", "{cap}: {error}");
        let ran = world.run(&["create", "a.jsonl", &format!("--daily-budget-usd={cap}")]);
        assert_eq!(ran.code, 2, "{cap}: {ran:?}");
        assert!(ran.stderr.contains("an amount in US dollars"), "{cap}: {ran:?}");
    }
    let free = world.refused(&["create", "a.jsonl", "--max-cost-usd=0"]);
    assert_eq!(free["kind"], "budget", "nothing at all is a sum: {free}");
    assert_eq!(world.jobs_at_the_api(), 0);
    world.reply(&["create", "a.jsonl"]);
    let found = world.reply(&["create", "a.jsonl", "--max-cost-usd=0"]);
    assert_eq!(
        (&found["submission"], world.jobs_at_the_api()),
        (&"found".into(), 1),
        "what is paid costs nothing more"
    );
}

/// A table of models that all cost twice as much from today on.
fn dearer(world: &World) {
    let mut table: Value = serde_json::from_str(include_str!("../src/job/models.json")).unwrap();
    let priced = table["models"].as_array_mut().unwrap().iter_mut().filter(|model| model["prices"][0].is_object());
    for model in priced {
        let mut dearer = model["prices"][0].clone();
        for (_, usd) in dearer.as_object_mut().unwrap().iter_mut().filter(|(_, usd)| usd.is_number()) {
            *usd = (usd.as_f64().unwrap() * 2.0).into();
        }
        dearer["from"] = chrono::Utc::now().date_naive().to_string().into();
        model["prices"] = json!([model["prices"][0], dearer]);
    }
    world.write("models.json", &table.to_string());
}

/// A job that waits since yesterday in this world, for which at most so many times its high estimate of then was allowed:
/// that estimate.
fn waits_since_yesterday(world: &World, cap: Option<f64>, more: &[&str]) -> f64 {
    let high = high(world, "a.jsonl");
    world.simulator.faults().next(Call::CreateBatch, Fault::Status { code: 429, body: ErrorBody::HelpOnly });
    let cap = cap.map(|times| format!("--max-cost-usd={}", high * times));
    let cap: Vec<_> = cap.iter().map(String::as_str).collect();
    let created = under(world, high * 2.5, &[&["create", "a.jsonl"], more, &cap].concat());
    assert_eq!(created["submission"], "queued", "{created}");
    ledger::time_passes(world, Duration::from_secs(25 * 3600));
    dearer(world);
    high
}

#[test]
fn a_cap_holds_for_what_waited_until_it_became_dearer() {
    let error = |world: &World| {
        let held = world.run(&["status", "a", "--json"]).json()["jobs"][0].clone();
        assert_eq!(held["verdict"], "refused", "{held}");
        held["error"].as_str().unwrap().to_owned()
    };
    let create = ["--models", "models.json", "create", "a.jsonl"];
    let world = world(&["one"]);
    let high = waits_since_yesterday(&world, Some(1.5), &[]);
    world.run(&["--models", "models.json", "run"]);
    assert_eq!(world.jobs_at_the_api(), 0, "it costs twice as much by now");
    assert!(error(&world).contains("prices rose while it waited"), "{}", error(&world));
    let capped = |times: f64| format!("--max-cost-usd={}", high * times);
    assert_eq!(world.refusal(&[&create[..], &[&capped(1.5)]].concat())["kind"], "budget");
    let allowed = world.reply(&[&create[..], &[&capped(2.1)]].concat());
    assert_eq!((&allowed["submission"], world.jobs_at_the_api()), (&"created".into(), 1), "{allowed}");
    // All parts are looked at, not one after the other; without a cap they all go out.
    let world = World::new();
    let prompts = ["--prompt", "one", "--prompt", "two", "--prompt", "six"];
    world.reply(&[&["build", "--output", "a.jsonl"][..], &prompts].concat());
    let cut = ["--max-part-requests", "1"];
    waits_since_yesterday(&world, Some(1.5), &cut);
    world.run(&["--models", "models.json", "run"]);
    assert_eq!(world.jobs_at_the_api(), 0);
    assert!(error(&world).contains("all of it is up to"), "{}", error(&world));
    world.reply(&[&create[..], &cut].concat());
    assert_eq!(world.jobs_at_the_api(), 3);
    // Below the cap it goes out, however dear it became.
    let world = self::world(&["one"]);
    waits_since_yesterday(&world, Some(3.0), &[]);
    world.run(&["--models", "models.json", "run"]);
    assert_eq!(world.jobs_at_the_api(), 1);
}

#[test]
fn what_waited_until_it_became_dearer_counts_at_the_new_price() {
    let world = world(&["one", "two"]);
    let high = waits_since_yesterday(&world, None, &[]);
    created(&world, 10.0 * high, "b.jsonl");
    assert_eq!(world.jobs_at_the_api(), 1);
    let run = |budget: f64| under(&world, budget, &["--models", "models.json", "run"]);
    run(high * 2.5);
    assert_eq!(world.jobs_at_the_api(), 1, "it costs twice as much by now");
    let sent_usd = || world.reply(&["list", "--local"])["today"]["sent_usd"].as_f64().unwrap();
    assert!((sent_usd() - high).abs() < 1e-6);
    ledger::time_passes(&world, Duration::from_secs(25 * 3600));
    run(high * 2.5);
    assert_eq!(world.jobs_at_the_api(), 2);
    assert!((sent_usd() - high * 2.0).abs() < 1e-6, "{} for {high}", sent_usd());
}

#[test]
fn each_part_costs_what_it_cost_on_the_day_on_which_it_was_sent() {
    let world = World::new();
    world.reply(&["build", "--prompt", "one", "--prompt", "one more", "--output", "a.jsonl"]);
    let job = world.reply(&["create", "a.jsonl", "--max-part-requests", "1"])["job"].as_str().unwrap().to_owned();
    world.reply(&["status", &job, "--wait"]);
    let cost = |more: &[&str]| {
        let results = world.reply(&[more, &["results", &job, "--limit", "2"]].concat());
        results["cost_usd"].as_f64().unwrap()
    };
    let first = cost(&[]);
    dearer(&world);
    let all_dearer = cost(&["--models", "models.json"]);
    assert!((all_dearer / first - 2.0).abs() < 1e-6, "{first} {all_dearer}");
    change(
        &world,
        "UPDATE parts SET submitted_at = ?1 WHERE part = 1",
        [(Utc::now() - TimeDelta::days(1)).to_rfc3339()],
    );
    let one_dearer = cost(&["--models", "models.json"]);
    assert!(first * 1.1 < one_dearer && one_dearer < all_dearer * 0.95, "{first} {one_dearer} {all_dearer}");
}
