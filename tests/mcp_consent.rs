//! What the user is asked before money is spent or something is removed, and that a no is a no, in both eras.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::process::Stdio;
use std::time::{Duration, Instant};

use gemini_batch_mcp::simulator::{Call, ErrorBody, Fault};
use serde_json::{Value, json};
use support::program::{PATIENCE, Server, initialize, modern, request};
use support::world::World;

/// A model without a price in the table of the server.
const UNPRICED: &str = "gemini-2.5-flash-lite";

/// A world with a request file built for a model, and one that names none.
fn world() -> World {
    let world = World::new();
    let mut table: Value = serde_json::from_str(include_str!("../src/job/models.json")).unwrap();
    let mut models = table["models"].as_array_mut().unwrap().iter_mut();
    models.find(|model| model["name"] == UNPRICED).unwrap()["prices"] = json!([]);
    world.write("models.json", &table.to_string());
    world.write("planets.csv", "id,name\n1,Mars\n2,Venus\n");
    world.reply(&["build", "planets.csv", "--template", "{{name}}?", "--key", "id", "--model", "gemini-3.8-flash"]);
    let line = json!({"key": "a", "request": {"contents": [{"parts": [{"text": "Why?"}]}]}});
    world.write("open.jsonl", &format!("{line}\n"));
    world
}

/// A server that asks before jobs that may cost more than this.
fn server(world: &World, confirm_above: &str) -> Server {
    Server::start_with(|command| {
        *command = world.command();
        command
            .env("GEMINI_BATCH_CONFIRM_ABOVE_USD", confirm_above)
            .env("GEMINI_BATCH_MODELS", world.path("models.json"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    })
}

fn call(tool: &str, arguments: &Value) -> Value {
    json!({"name": tool, "arguments": arguments})
}

/// A client up to 2025-11-25 whose user can be asked.
struct Session(Server);

impl Session {
    fn start(world: &World, confirm_above: &str) -> Self {
        let mut server = server(world, confirm_above);
        let mut hello = initialize("2025-11-25");
        hello["params"]["capabilities"] = json!({"elicitation": {}});
        server.ask(&hello);
        server.send_line(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string());
        Self(server)
    }

    /// The result of a call, and the questions on the way to it, each answered in turn.
    fn call(&mut self, tool: &str, arguments: &Value, answers: &[Value]) -> (Value, Vec<String>) {
        let mut answers = answers.iter();
        let done = self.asked(tool, arguments, |question| match answers.next() {
            Some(answer) => answer.clone(),
            None => panic!("{tool} asked: {question}"),
        });
        assert!(answers.next().is_none(), "{tool} asked less than expected: {done:?}");
        done
    }

    /// The same, with somebody who does something else before each answer.
    fn asked(&mut self, tool: &str, arguments: &Value, mut user: impl FnMut(&str) -> Value) -> (Value, Vec<String>) {
        self.0.send_line(&request("tools/call", &call(tool, arguments)).to_string());
        let mut asked = Vec::new();
        loop {
            let message: Value = serde_json::from_str(&self.0.next_line()).unwrap();
            if message["method"] != "elicitation/create" {
                return (message["result"].clone(), asked);
            }
            let question = message["params"]["message"].as_str().unwrap();
            asked.push(question.to_owned());
            let answer = user(question);
            self.0.send_line(&json!({"jsonrpc": "2.0", "id": message["id"], "result": answer}).to_string());
        }
    }
}

fn yes(name: &str) -> Value {
    json!({"action": "accept", "content": {name: true}})
}

#[track_caller]
fn is_declined(result: &Value) {
    let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}"));
    assert_eq!(result["isError"], true, "{result}");
    assert!(text.contains("kind: declined") && text.contains("nothing was"), "{text}");
}

/// Above what each job is not sent, the oldest first.
fn caps(world: &World) -> Vec<Value> {
    let exported: Value = serde_json::from_str(&world.run(&["export"]).stdout).unwrap();
    let mut jobs: Vec<&Value> = exported["jobs"].as_array().unwrap().iter().collect();
    jobs.sort_by_key(|job| job["created_at"].as_str().unwrap());
    jobs.into_iter().map(|job| job["cap_usd"].clone()).collect()
}

#[test]
fn a_dear_job_is_asked_about_and_only_a_yes_pays_for_it() {
    let world = world();
    let mut session = Session::start(&world, "0");
    let arguments = json!({"input": "planets.requests.jsonl"});
    for no in [
        json!({"action": "decline"}),
        json!({"action": "cancel"}),
        json!({"action": "accept", "content": {"pay": false}}),
        json!({"action": "accept", "content": {}}),
        // Whatever some language takes for a yes.
        json!({"action": "accept", "content": {"pay": null}}),
        json!({"action": "accept", "content": {"pay": "no"}}),
        json!({"action": "accept", "content": {"pay": "false"}}),
        json!({"action": "accept", "content": {"pay": 0}}),
    ] {
        let (result, asked) = session.call("create_batch", &arguments, std::slice::from_ref(&no));
        is_declined(&result);
        assert!(asked[0].contains("2 requests to gemini-3.8-flash") && asked[0].contains('$'), "{asked:?}");
    }
    assert_eq!(world.jobs_at_the_api(), 0);
    let (result, _) = session.call("create_batch", &arguments, &[yes("pay")]);
    assert_eq!(result["structuredContent"]["submission"], "created", "{result}");
    assert_eq!(caps(&world), [result["structuredContent"]["estimate"]["high_usd"].clone()], "a yes is to a price");
    // What is there costs nothing more, and is not asked about.
    let (result, _) = session.call("create_batch", &arguments, &[]);
    assert_eq!(result["structuredContent"]["submission"], "found", "{result}");
    let again = json!({"input": "planets.requests.jsonl", "new_run": true});
    let (result, asked) = session.call("create_batch", &again, &[json!({"action": "decline"})]);
    is_declined(&result);
    assert!(asked[0].contains("They were submitted and paid before."), "{asked:?}");
    assert_eq!(world.jobs_at_the_api(), 1);
    let job = world.reply(&["list", "--local"])["jobs"][0]["job"].as_str().unwrap().to_owned();
    world.run(&["status", &job, "--wait"]);
    let answered = json!({"job": job, "outcomes": ["answered"], "generation_config": {"seed": 1}});
    let (_, asked) = session.call("retry_batch", &answered, &[json!({"action": "decline"})]);
    assert!(asked[0].contains("2 of them have an answer already."), "{asked:?}");
}

#[test]
fn a_low_price_is_not_asked_about_and_a_limit_in_the_call_is_no_answer() {
    let world = world();
    let mut session = Session::start(&world, "10");
    let (result, _) = session.call("create_batch", &json!({"input": "planets.requests.jsonl", "dry_run": true}), &[]);
    assert_eq!(result["isError"], false, "{result}");
    let (result, _) = session.call("create_batch", &json!({"input": "planets.requests.jsonl"}), &[]);
    assert_eq!(result["structuredContent"]["submission"], "created", "{result}");
    let mut session = Session::start(&world, "0");
    let limited = json!({"input": "planets.requests.jsonl", "max_cost_usd": 1, "new_run": true});
    is_declined(&session.call("create_batch", &limited, &[json!({"action": "decline"})]).0);
    let (result, _) = session.call("create_batch", &limited, &[yes("pay")]);
    assert_eq!(result["structuredContent"]["submission"], "created", "{result}");
    assert_eq!(
        caps(&world),
        [json!(null), result["structuredContent"]["estimate"]["high_usd"].clone()],
        "the lower one"
    );
    // What is refused anyway is not asked about.
    let too_low = json!({"input": "planets.requests.jsonl", "max_cost_usd": 0.000_001, "new_run": true});
    let (result, _) = session.call("create_batch", &too_low, &[]);
    assert!(result["content"][0]["text"].as_str().unwrap().contains("kind: budget"), "{result}");
    // An unknown price is not a low one.
    let mut session = Session::start(&world, "1000000");
    let unknown = json!({"input": "planets.requests.jsonl", "model": UNPRICED});
    let (result, asked) = session.call("create_batch", &unknown, &[json!({"action": "decline"})]);
    is_declined(&result);
    assert!(asked[0].contains("unknown price"), "{asked:?}");
    // Nobody is asked what to pay for a model that there is not.
    let mistyped = json!({"input": "planets.requests.jsonl", "model": "gemini-3.8-flsh"});
    let (result, _) = session.call("create_batch", &mistyped, &[]);
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("the API has no such model") && text.contains("did you mean gemini-3.8-flash"), "{text}");
}

#[test]
fn a_job_that_was_cancelled_before_it_was_sent_is_asked_about_again() {
    let world = world();
    world
        .simulator
        .faults()
        .next(Call::CreateBatch, Fault::Status { code: 429, body: ErrorBody::Google { retry_after: None } });
    let job = world.reply(&["create", "planets.requests.jsonl"])["job"].as_str().unwrap().to_owned();
    world.reply(&["cancel", &job]);
    let mut session = Session::start(&world, "0");
    let arguments = json!({"input": "planets.requests.jsonl"});
    is_declined(&session.call("create_batch", &arguments, &[json!({"action": "decline"})]).0);
    assert_eq!(world.jobs_at_the_api(), 0);
}

#[test]
fn the_rest_of_a_job_that_was_given_up_is_asked_about_and_what_waits_is_not() {
    let world = world();
    let full = Fault::Status { code: 429, body: ErrorBody::Google { retry_after: None } };
    world.simulator.faults().nth(Call::CreateBatch, 2, full);
    let created = world.reply(&["create", "planets.requests.jsonl", "--max-part-requests", "1"]);
    let mut session = Session::start(&world, "0");
    let arguments = json!({"input": "planets.requests.jsonl", "max_part_requests": 1});
    let (result, _) = session.call("create_batch", &arguments, &[]);
    assert_eq!(result["structuredContent"]["job"], created["job"], "it goes out by itself: {result}");
    world.reply(&["cancel", created["job"].as_str().unwrap()]);
    is_declined(&session.call("create_batch", &arguments, &[json!({"action": "decline"})]).0);
    assert_eq!(world.jobs_at_the_api(), 1);
}

#[test]
fn a_client_that_does_not_ask_is_taken_at_its_word() {
    let world = world();
    let mut old = server(&world, "0");
    old.initialize("2025-11-25");
    let created = old.call("create_batch", &json!({"input": "open.jsonl"}));
    let job = &created["result"]["structuredContent"]["job"];
    assert!(job.is_string(), "{created}");
    world.reply(&["status", job.as_str().unwrap(), "--wait"]);
    let mut new = server(&world, "0");
    let removed = new.ask(&modern("tools/call", call("delete_batch", &json!({"job": job}))));
    assert_eq!(removed["result"]["structuredContent"]["removed"].as_array().unwrap().len(), 1, "{removed}");
}

#[test]
fn a_job_is_removed_only_with_a_yes() {
    let world = world();
    let job = world.reply(&["create", "planets.requests.jsonl"])["job"].clone();
    world.reply(&["status", job.as_str().unwrap(), "--wait"]);
    let mut session = Session::start(&world, "10");
    let arguments = json!({"job": job});
    let (result, asked) = session.call("delete_batch", &arguments, &[json!({"action": "decline"})]);
    is_declined(&result);
    assert!(asked[0].contains(job.as_str().unwrap()), "{asked:?}");
    assert_eq!(world.jobs_at_the_api(), 1);
    let (result, _) = session.call("delete_batch", &arguments, &[yes("remove")]);
    assert_eq!((&result["isError"], world.jobs_at_the_api()), (&json!(false), 0), "{result}");
    // Nothing is left to ask about; and who says that the user agreed is believed.
    session.call("delete_batch", &arguments, &[]);
    let job = world.reply(&["create", "open.jsonl"])["job"].clone();
    world.reply(&["status", job.as_str().unwrap(), "--wait"]);
    let (result, _) = session.call("delete_batch", &json!({"job": job, "confirm": true}), &[]);
    assert_eq!((&result["isError"], world.jobs_at_the_api()), (&json!(false), 0), "{result}");
}

#[test]
fn a_model_that_nobody_named_is_chosen_by_the_user_once() {
    let world = world();
    let mut session = Session::start(&world, "10");
    let arguments = json!({"input": "open.jsonl"});
    let (unanswered, _) = session.call("create_batch", &arguments, &[json!({"action": "cancel"})]);
    is_declined(&unanswered);
    // A client without a user at hand says at once that there is no answer: its model is told how to go on.
    let text = unanswered["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("the same call with \"model\": \"gemini-3"), "{text}");
    for other in [json!("gemini-3-pro-preview"), json!(true), json!(["gemini-3.8-flash"])] {
        let choice = json!({"action": "accept", "content": {"model": other}});
        let (result, _) = session.call("create_batch", &arguments, &[choice]);
        is_declined(&result);
        assert!(result["content"][0]["text"].as_str().unwrap().contains("not offered"), "{result}");
    }
    let choice = json!({"action": "accept", "content": {"model": "gemini-3.5-flash-lite"}});
    let (result, asked) = session.call("create_batch", &arguments, &[choice]);
    assert_eq!(result["structuredContent"]["estimate"]["model"], "gemini-3.5-flash-lite", "{result}");
    // All that make text and can be used are offered, with their prices.
    assert!(asked[0].contains("gemini-3.5-flash-lite 0.15 and 1.25"), "{asked:?}");
    assert!(!asked[0].contains("tts") && !asked[0].contains("gemini-3-pro-preview"), "{asked:?}");
    // The same call again, as after a lost reply, is the same job and no question.
    let (again, _) = session.call("create_batch", &arguments, &[]);
    assert_eq!(again["structuredContent"]["job"], result["structuredContent"]["job"]);
    assert_eq!((&again["structuredContent"]["submission"], world.jobs_at_the_api()), (&json!("found"), 1));
}

/// A world with a job that has ended, and one of whose requests failed; its handle.
fn half_answered() -> (World, Value) {
    let world = world();
    world.write("planets.csv", "id,name\n1,Mars\n2,Venus [[simulate:failed]]\n");
    let build = ["build", "planets.csv", "--template", "{{name}}", "--key", "id", "--model", "gemini-3.8-flash"];
    world.reply(&[&build[..], &["--overwrite"]].concat());
    let job = world.reply(&["create", "planets.requests.jsonl"])["job"].clone();
    world.run(&["status", job.as_str().unwrap(), "--wait"]);
    (world, job)
}

#[test]
fn a_retry_is_asked_about_like_any_other_job() {
    let (world, job) = half_answered();
    let mut session = Session::start(&world, "0");
    is_declined(&session.call("retry_batch", &json!({"job": job}), &[json!({"action": "decline"})]).0);
    assert_eq!(world.jobs_at_the_api(), 1);
    let (result, asked) = session.call("retry_batch", &json!({"job": job}), &[yes("pay")]);
    assert_eq!((&result["isError"], world.jobs_at_the_api()), (&json!(false), 2), "{result}");
    assert!(asked[0].contains("1 request to"), "{asked:?}");
}

/// The result or error of a call from 2026-07-28 on, with what was brought from the round before.
fn round(server: &mut Server, tool: &str, arguments: &Value, brought: &Value) -> Value {
    let mut params = call(tool, arguments);
    params.as_object_mut().unwrap().extend(brought.as_object().unwrap().clone());
    let mut ask = modern("tools/call", params);
    ask["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({"elicitation": {"form": {}}});
    let answer = server.ask(&ask);
    answer.get("result").unwrap_or(&answer["error"]).clone()
}

/// What the client brings back: the seal, and its user's answer.
fn bring(question: &Value, name: &str, answer: Value) -> Value {
    assert_eq!(question["resultType"], "input_required", "{question}");
    assert_eq!(question["inputRequests"][name]["method"], "elicitation/create", "{question}");
    json!({"requestState": question["requestState"], "inputResponses": {name: answer}})
}

#[test]
fn a_question_ends_the_call_and_the_answer_comes_with_the_next() {
    let world = world();
    let mut server = server(&world, "0");
    let arguments = json!({"input": "planets.requests.jsonl"});
    let question = round(&mut server, "create_batch", &arguments, &json!({}));
    is_declined(&round(
        &mut server,
        "create_batch",
        &arguments,
        &bring(&question, "pay", json!({"action": "decline"})),
    ));
    for no in [json!(null), json!("true"), json!(1)] {
        let answer = json!({"action": "accept", "content": {"pay": no}});
        is_declined(&round(&mut server, "create_batch", &arguments, &bring(&question, "pay", answer)));
    }
    assert_eq!(world.jobs_at_the_api(), 0);
    let created = round(&mut server, "create_batch", &arguments, &bring(&question, "pay", yes("pay")));
    assert_eq!(created["structuredContent"]["submission"], "created", "{created}");
    assert_eq!(created["resultType"], "complete");
}

#[test]
fn a_yes_holds_for_nothing_but_what_was_asked() {
    let world = world();
    let mut server = server(&world, "0");
    let arguments = json!({"input": "planets.requests.jsonl"});
    let question = round(&mut server, "create_batch", &arguments, &json!({}));
    let agreed = bring(&question, "pay", yes("pay"));
    let mut forged = agreed.clone();
    forged["requestState"] = format!("{}A", question["requestState"].as_str().unwrap()).into();
    let other = json!({"input": "planets.requests.jsonl", "name": "other"});
    for (arguments, brought) in [(&arguments, &forged), (&other, &agreed)] {
        let refused = round(&mut server, "create_batch", arguments, brought);
        assert_eq!(refused["code"], -32602, "{refused}");
        assert!(refused["message"].as_str().unwrap().contains("again without it"), "{refused}");
    }
    let unsealed = json!({"inputResponses": agreed["inputResponses"]});
    let asked = round(&mut server, "create_batch", &arguments, &unsealed);
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    // The file is another one by now.
    let lines = world.read("planets.requests.jsonl");
    world.write("planets.requests.jsonl", &lines.replace("Mars", "Jupiter"));
    let named = json!({"input": "planets.requests.jsonl", "model": "gemini-3.8-flash"});
    let question = round(&mut server, "create_batch", &named, &json!({}));
    let agreed = bring(&question, "pay", yes("pay"));
    world.write("planets.requests.jsonl", &lines.replace("Mars", "Saturn"));
    let asked = round(&mut server, "create_batch", &named, &agreed);
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    assert_eq!(world.jobs_at_the_api(), 0);
}

#[test]
fn a_yes_to_a_file_that_changed_under_the_question_pays_for_nothing() {
    let world = world();
    let mut session = Session::start(&world, "0");
    let lines = world.read("planets.requests.jsonl");
    let mut changes = 0;
    let arguments = json!({"input": "planets.requests.jsonl", "model": "gemini-3.8-flash"});
    let (result, asked) = session.asked("create_batch", &arguments, |_| {
        changes += 1;
        match changes {
            1 => world.write("planets.requests.jsonl", &lines.replace("Mars", "Jupiter")),
            _ => return json!({"action": "decline"}),
        }
        yes("pay")
    });
    is_declined(&result);
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(world.jobs_at_the_api(), 0);
    // What stays as it was is asked about once.
    let (result, asked) = session.call("create_batch", &arguments, &[yes("pay")]);
    assert_eq!((&result["isError"], asked.len()), (&json!(false), 1), "{result}");
    assert_eq!(world.jobs_at_the_api(), 1);
}

/// Takes a model out of the table of the server, which asks the API about such.
fn forget_model(world: &World) {
    let mut table: Value = serde_json::from_str(include_str!("../src/job/models.json")).unwrap();
    table["models"].as_array_mut().unwrap().retain(|model| model["name"] != UNPRICED);
    world.write("models.json", &table.to_string());
}

/// Makes a call while the API is slow to say what it knows of a model, which it is asked last before the job is made, and
/// does something meanwhile.
fn while_it_is_looked_at(world: &World, call: impl FnOnce() -> Value + Send, act: impl FnOnce()) -> Value {
    let before = world.simulator.log().calls(Call::Models);
    world.simulator.faults().next(Call::Models, Fault::Delay(Duration::from_secs(2)));
    std::thread::scope(|threads| {
        let called = threads.spawn(call);
        let start = Instant::now();
        while world.simulator.log().calls(Call::Models) == before {
            assert!(start.elapsed() < PATIENCE && !called.is_finished(), "nobody asks for the model");
            std::thread::sleep(Duration::from_millis(2));
        }
        act();
        called.join().unwrap()
    })
}

#[test]
fn a_file_that_changes_behind_a_yes_is_not_submitted() {
    let world = world();
    forget_model(&world);
    let mut server = server(&world, "0");
    let arguments = json!({"input": "planets.requests.jsonl", "model": UNPRICED});
    let question = round(&mut server, "create_batch", &arguments, &json!({}));
    let agreed = bring(&question, "pay", yes("pay"));
    let lines = world.read("planets.requests.jsonl");
    let changed = || world.write("planets.requests.jsonl", &lines.replace("Mars", "Jupiter"));
    let result = while_it_is_looked_at(&world, || round(&mut server, "create_batch", &arguments, &agreed), changed);
    is_declined(&result);
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("what was agreed to is the job") && text.contains("make the call again"), "{text}");
    assert_eq!(world.jobs_at_the_api(), 0);
    // With what it was it goes on, whatever the file is called by now.
    world.write("planets.requests.jsonl", &lines);
    let created = round(&mut server, "create_batch", &arguments, &agreed);
    assert_eq!(created["structuredContent"]["submission"], "created", "{created}");
}

#[test]
fn a_retry_that_is_another_one_behind_a_yes_is_not_submitted() {
    let world = world();
    forget_model(&world);
    let line = |key: &str, prompt: &str| {
        let config = json!({"maxOutputTokens": 2048});
        json!({"key": key, "request": {"contents": [{"parts": [{"text": prompt}]}], "generationConfig": config}})
            .to_string()
    };
    world.write("two.jsonl", &[line("a", "[[simulate:tight]] x"), line("b", "[[simulate:blocked]] y")].join("\n"));
    let job = world.reply(&["create", "two.jsonl", "--model", "gemini-3.8-flash"])["job"].clone();
    let job = job.as_str().unwrap();
    world.run(&["status", job, "--wait"]);
    let mut server = server(&world, "0");
    let arguments = json!({"job": job, "model": UNPRICED});
    let question = round(&mut server, "retry_batch", &arguments, &json!({}));
    let agreed = bring(&question, "pay", yes("pay"));
    let answered = || {
        let retry = world.reply(&["retry", job, "--outcome", "truncated"])["job"].clone();
        world.reply(&["status", retry.as_str().unwrap(), "--wait"]);
    };
    let result = while_it_is_looked_at(&world, || round(&mut server, "retry_batch", &arguments, &agreed), answered);
    is_declined(&result);
    assert!(result["content"][0]["text"].as_str().unwrap().contains("what was agreed to is the job"), "{result}");
    assert_eq!(world.jobs_at_the_api(), 2);
}

#[test]
fn two_questions_take_two_rounds_and_the_first_answer_is_kept() {
    let world = world();
    let mut server = server(&world, "0");
    let arguments = json!({"input": "open.jsonl"});
    let model = round(&mut server, "create_batch", &arguments, &json!({}));
    let choice = json!({"action": "accept", "content": {"model": "gemini-3.8-flash"}});
    let price = round(&mut server, "create_batch", &arguments, &bring(&model, "model", choice));
    let message = price["inputRequests"]["pay"]["params"]["message"].as_str().unwrap_or_else(|| panic!("{price}"));
    assert!(message.contains("gemini-3.8-flash"), "{message}");
    let created = round(&mut server, "create_batch", &arguments, &bring(&price, "pay", yes("pay")));
    assert_eq!(created["structuredContent"]["estimate"]["model"], "gemini-3.8-flash", "{created}");
}

#[test]
fn before_a_retry_and_a_removal_the_call_ends_with_a_question_too() {
    let (world, job) = half_answered();
    let mut server = server(&world, "0");
    let arguments = json!({"job": job});
    for (tool, question, jobs) in [("retry_batch", "pay", 2), ("delete_batch", "remove", 1)] {
        let asked = round(&mut server, tool, &arguments, &json!({}));
        let no = bring(&asked, question, json!({"action": "decline"}));
        let before = world.jobs_at_the_api();
        is_declined(&round(&mut server, tool, &arguments, &no));
        assert_eq!(world.jobs_at_the_api(), before, "{tool}");
        let done = round(&mut server, tool, &arguments, &bring(&asked, question, yes(question)));
        assert_eq!((&done["isError"], world.jobs_at_the_api()), (&json!(false), jobs), "{done}");
    }
}
