//! Calls that outlast their answer (`io.modelcontextprotocol/tasks`), over standard input and output.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use chrono::Utc;
use gemini_batch_mcp::simulator::{Call, Fault};
use serde_json::{Value, json};
use support::ledger::{open, time_passes};
use support::program::{PATIENCE, Server, initialize, modern, request};
use support::tasks::{WaitingWorld, about, call, ended, id_of, knowing};
use support::world::World;

/// Longer than any lease lasts.
const LEASE: Duration = Duration::from_secs(31);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn server(world: &World) -> Server {
    Server::start_with(|command| {
        *command = world.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    })
}

/// A call that waits for whatever has not ended.
fn wait() -> Value {
    call("check_status", &json!({"wait": true}))
}

fn error_code(answer: &Value) -> &Value {
    &answer["error"]["code"]
}

/// Kills a server as a crash would; its leases run out.
fn killed(world: &World, mut server: Server) {
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    time_passes(world, LEASE);
}

#[test]
fn only_who_declares_tasks_with_the_request_meets_any() {
    let waiting = WaitingWorld::new();
    let mut modern_server = server(&waiting.world);
    let plain = modern_server.ask(&modern("tools/list", json!({})));
    assert_eq!(modern_server.ask(&knowing("tools/list", json!({}))), plain);
    let extension = "io.modelcontextprotocol/tasks";
    let told = modern_server.ask(&modern("server/discover", json!({})));
    assert_eq!(told["result"]["capabilities"]["extensions"].get(extension), None, "{told}");
    let told = modern_server.ask(&knowing("server/discover", json!({})));
    assert_eq!(told["result"]["capabilities"]["extensions"][extension], json!({}), "{told}");

    // It was declared with requests before, but not with this one.
    let short = json!({"wait": true, "timeout_seconds": 4});
    let answer = modern_server.ask(&modern("tools/call", json!({"name": "check_status", "arguments": short})));
    assert_eq!(answer["result"]["structuredContent"]["all_ended"], false, "{answer}");
    for method in ["tasks/get", "tasks/cancel"] {
        let answer = modern_server.ask(&modern(method, json!({"taskId": "x"})));
        assert_eq!(error_code(&answer), -32021, "{answer}");
    }

    // Clients up to 2025-11-25 may declare it as well, and could not read a task.
    let mut legacy = server(&waiting.world);
    let mut hello = initialize("2025-11-25");
    hello["params"]["capabilities"] = json!({"extensions": {extension: {}}});
    let hello = legacy.ask(&hello);
    assert_eq!(hello["result"]["capabilities"]["extensions"].get(extension), None, "{hello}");
    let answer = legacy.call("check_status", &short);
    assert_eq!(answer["result"]["structuredContent"]["all_ended"], false, "{answer}");
    assert_eq!(error_code(&legacy.ask(&request("tasks/get", &json!({"taskId": "x"})))), -32601);
}

#[test]
fn small_work_is_answered_at_once_and_a_wait_becomes_a_task_that_tells_its_end() {
    let waiting = WaitingWorld::new();
    let mut server = server(&waiting.world);
    let answer = server.ask(&call("check_status", &json!({})));
    assert_eq!(answer["result"]["resultType"], "complete", "{answer}");

    let begun = server.ask(&wait());
    let id = id_of(&begun);
    let task = &begun["result"];
    assert_eq!(task["status"], "working");
    assert_eq!(task["ttlMs"], 72 * 3600 * 1000);
    assert_eq!(task["pollIntervalMs"], 1000, "by the age of the task");
    assert!(task["statusMessage"].as_str().unwrap().contains(&waiting.job), "{task}");
    for time in ["createdAt", "lastUpdatedAt"] {
        assert!(chrono::DateTime::parse_from_rfc3339(task[time].as_str().unwrap()).is_ok(), "{task}");
    }
    let looked = server.ask(&about("tasks/get", &id));
    assert_eq!(looked["result"]["createdAt"], task["createdAt"]);
    assert_eq!((&looked["result"]["resultType"], &looked["result"]["status"]), (&json!("complete"), &json!("working")));

    waiting.job_ends();
    let task = ended(|| server.ask(&about("tasks/get", &id)));
    assert_eq!(task["status"], "completed", "{task}");
    let result = &task["result"];
    assert_eq!(result["structuredContent"]["all_ended"], true, "{task}");
    assert_eq!(result["structuredContent"]["jobs"][0]["state"], "JOB_STATE_SUCCEEDED", "{task}");
    assert_eq!(result["isError"], false);
    assert!(result["content"][0]["text"].as_str().unwrap().contains("next: get_results"), "{task}");
}

#[test]
fn progress_is_told_as_long_as_the_call_is_one() {
    let waiting = WaitingWorld::new();
    let mut server = server(&waiting.world);
    let mut call = wait();
    call["params"]["_meta"]["progressToken"] = "p".into();
    server.send_line(&call.to_string());
    let mut heard = Vec::new();
    while heard.last().is_none_or(|last: &Value| last["result"].is_null()) {
        heard.push(serde_json::from_str(&server.next_line()).unwrap());
    }
    let id = id_of(&heard.pop().unwrap());
    assert!(heard.iter().any(|message| message["method"] == "notifications/progress"), "{heard:?}");
    // A call that goes on would have told more within this time.
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        let look = about("tasks/get", &id);
        server.send_line(&look.to_string());
        let message: Value = serde_json::from_str(&server.next_line()).unwrap();
        assert_eq!(message["result"]["taskId"], json!(id), "{message}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn the_wait_of_a_task_lasts_until_the_jobs_have_ended_unless_a_time_is_given() {
    let waiting = WaitingWorld::new();
    let mut server = server(&waiting.world);
    let start = Instant::now();
    let without = id_of(&server.ask(&wait()));
    let with = id_of(&server.ask(&call("check_status", &json!({"wait": true, "timeout_seconds": 8}))));
    let task = ended(|| server.ask(&about("tasks/get", &with)));
    assert_eq!(task["result"]["structuredContent"]["all_ended"], false, "{task}");
    // Longer than a call waits.
    while start.elapsed() < Duration::from_secs(47) {
        assert_eq!(server.ask(&about("tasks/get", &without))["result"]["status"], "working");
        std::thread::sleep(Duration::from_secs(1));
    }
    waiting.job_ends();
    let task = ended(|| server.ask(&about("tasks/get", &without)));
    assert_eq!(task["result"]["structuredContent"]["all_ended"], true, "{task}");
}

#[test]
fn a_failure_of_the_tool_is_a_completed_task() {
    let waiting = WaitingWorld::new();
    let slow = Fault::Delay(Duration::from_secs(8));
    waiting.world.simulator.faults().next(Call::GetBatch, slow);
    let mut server = server(&waiting.world);
    let id = id_of(&server.ask(&call("get_results", &json!({"job": "batches/unknown"}))));
    let task = ended(|| server.ask(&about("tasks/get", &id)));
    assert_eq!((&task["status"], &task["result"]["isError"]), (&json!("completed"), &json!(true)), "{task}");
}

#[test]
fn another_server_goes_on_with_a_wait_whose_server_was_killed_and_a_third_tells_the_result() {
    let waiting = WaitingWorld::new();
    let mut first = server(&waiting.world);
    let id = id_of(&first.ask(&wait()));
    let mut second = server(&waiting.world);
    // As long as the first one lives it is the one that waits.
    assert_eq!(second.ask(&about("tasks/get", &id))["result"]["status"], "working");
    killed(&waiting.world, first);
    assert_eq!(second.ask(&about("tasks/get", &id))["result"]["status"], "working");
    waiting.job_ends();
    let task = ended(|| second.ask(&about("tasks/get", &id)));
    assert_eq!(task["result"]["structuredContent"]["all_ended"], true, "{task}");
    drop(second);
    let mut third = server(&waiting.world);
    assert_eq!(third.ask(&about("tasks/get", &id))["result"], task);
    let arguments: Option<String> =
        open(&waiting.world).query_row("SELECT arguments FROM tasks", [], |row| row.get(0)).unwrap();
    assert_eq!(arguments, None, "what a call was made with is not kept beyond its end");
}

#[test]
fn a_submission_whose_server_was_killed_is_not_made_again_unasked() {
    let world = World::new();
    world.write("requests.jsonl", r#"{"key":"a","request":{"contents":[{"parts":[{"text":"Hello"}]}]}}"#);
    world.simulator.faults().next(Call::CreateBatch, Fault::Delay(Duration::from_secs(20)));
    let create = json!({"input": "requests.jsonl", "model": "gemini-3-flash-preview"});
    let mut first = server(&world);
    let id = id_of(&first.ask(&call("create_batch", &create)));
    killed(&world, first);
    let mut second = server(&world);
    let task = ended(|| second.ask(&about("tasks/get", &id)));
    assert_eq!((&task["status"], &task["error"]["code"]), (&json!("failed"), &json!(-32603)), "{task}");
    for words in [&task["statusMessage"], &task["error"]["message"]] {
        assert!(words.as_str().unwrap().contains("Call create_batch again with the same arguments"), "{task}");
    }
    // As the words say: it is there, and nothing is paid twice.
    let again = second.ask(&call("create_batch", &create));
    assert_eq!(again["result"]["isError"], false, "{again}");
    assert_eq!(world.jobs_at_the_api(), 1);
}

#[test]
fn a_download_whose_server_was_killed_is_made_again() {
    let waiting = WaitingWorld::new();
    waiting.job_ends();
    waiting.world.simulator.faults().next(Call::Download, Fault::Delay(Duration::from_secs(20)));
    let mut first = server(&waiting.world);
    let collect = json!({"job": waiting.job, "output": "answers.jsonl"});
    let id = id_of(&first.ask(&call("get_results", &collect)));
    killed(&waiting.world, first);
    assert!(!waiting.world.path("answers.jsonl").exists());
    let mut second = server(&waiting.world);
    let task = ended(|| second.ask(&about("tasks/get", &id)));
    assert_eq!(task["result"]["structuredContent"]["outcomes"]["answered"], 1, "{task}");
    assert_eq!(waiting.world.lines("answers.jsonl").len(), 1);
}

#[test]
fn what_a_build_is_made_of_is_not_kept_and_so_it_is_not_made_again() {
    let world = World::new();
    world.simulator.faults().next(Call::CountTokens, Fault::Delay(Duration::from_secs(20)));
    let mut first = server(&world);
    let build = json!({"prompts": ["a secret of the caller"], "output": "r.jsonl", "count_tokens": true});
    let id = id_of(&first.ask(&call("build_jsonl", &build)));
    let arguments: Option<String> =
        open(&world).query_row("SELECT arguments FROM tasks", [], |row| row.get(0)).unwrap();
    assert_eq!(arguments, None);
    killed(&world, first);
    let mut second = server(&world);
    let task = ended(|| second.ask(&about("tasks/get", &id)));
    assert_eq!(task["status"], "failed", "{task}");
    assert!(task["statusMessage"].as_str().unwrap().contains("Call build_jsonl again"), "{task}");
}

#[test]
fn a_question_that_comes_up_before_ends_the_call() {
    let world = World::new();
    world.write("requests.jsonl", r#"{"key":"a","request":{"contents":[{"parts":[{"text":"Hello"}]}]}}"#);
    world.simulator.faults().next(Call::CreateBatch, Fault::Delay(Duration::from_secs(8)));
    let mut server = asking_server(&world);
    let create = json!({"input": "requests.jsonl", "model": "gemini-3-flash-preview"});
    let asking = |more: Value| {
        let mut call = asked_about("create_batch", &create);
        call["params"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        call
    };
    let question = server.ask(&asking(json!({})));
    assert_eq!(question["result"]["resultType"], "input_required", "{question}");
    let yes = json!({"action": "accept", "content": {"pay": true}});
    let state = &question["result"]["requestState"];
    let begun = server.ask(&asking(json!({"requestState": state, "inputResponses": {"pay": yes}})));
    let id = id_of(&begun);
    // There is nothing to answer, and what nobody asked does no harm.
    let update = knowing("tasks/update", json!({"taskId": id, "inputResponses": {"pay": yes}}));
    assert_eq!(server.ask(&update)["result"], json!({"resultType": "complete"}));
    let task = ended(|| server.ask(&about("tasks/get", &id)));
    assert_eq!(task["result"]["structuredContent"]["submission"], "created", "{task}");
}

/// A server that asks before every job.
fn asking_server(world: &World) -> Server {
    Server::start_with(|command| {
        *command = world.command();
        command.env("GEMINI_BATCH_CONFIRM_ABOVE_USD", "0");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    })
}

/// A call of a client that knows tasks and can ask its user.
fn asked_about(tool: &str, arguments: &Value) -> Value {
    let mut call = call(tool, arguments);
    call["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"]["elicitation"] = json!({});
    call
}

#[test]
fn a_question_that_comes_up_later_is_asked_by_the_task() {
    let world = World::new();
    let mut server = asking_server(&world);
    // What there is to ask again is in results that come slowly.
    let begin = |server: &mut Server, prompt: &str| {
        let prompt = format!("[[simulate:failed]] {prompt}");
        world.write(
            "r.jsonl",
            &json!({"key": "a", "request": {"contents": [{"parts": [{"text": prompt}]}]}}).to_string(),
        );
        let job = world.reply(&["create", "r.jsonl", "--model", "gemini-3-flash-preview"])["job"].clone();
        world.run(&["status", job.as_str().unwrap(), "--wait"]);
        world.simulator.faults().next(Call::Download, Fault::Delay(Duration::from_secs(4)));
        let id = id_of(&server.ask(&asked_about("retry_batch", &json!({"job": job}))));
        let task = ended(|| server.ask(&about("tasks/get", &id)));
        assert_eq!(task["status"], "input_required", "{task}");
        assert!(task["statusMessage"].as_str().unwrap().contains("answer of its user"), "{task}");
        let (key, question) = task["inputRequests"].as_object().unwrap().iter().next().unwrap();
        assert_eq!(question["method"], "elicitation/create", "{task}");
        assert!(question["params"]["message"].as_str().unwrap().contains("Submit 1 request"), "{task}");
        (id, key.clone())
    };
    let answer = |server: &mut Server, id: &str, key: &str, answer: Value| {
        let update = knowing("tasks/update", json!({"taskId": id, "inputResponses": {key: answer}}));
        assert_eq!(server.ask(&update)["result"], json!({"resultType": "complete"}));
        server.ask(&about("tasks/get", id))["result"].clone()
    };
    let yes = json!({"action": "accept", "content": {"pay": true}});

    let (id, key) = begin(&mut server, "first");
    let still = answer(&mut server, &id, "something else", yes.clone());
    assert_eq!(still["status"], "input_required", "{still}");
    answer(&mut server, &id, &key, json!({"action": "decline"}));
    let task = ended(|| server.ask(&about("tasks/get", &id)));
    assert_eq!((&task["status"], &task["result"]["isError"]), (&json!("completed"), &json!(true)), "{task}");
    assert!(task["result"]["content"][0]["text"].as_str().unwrap().contains("kind: declined"), "{task}");

    // Whoever gives the task up is not asked any more, and nothing is sent.
    let (id, key) = begin(&mut server, "second");
    server.ask(&about("tasks/cancel", &id));
    answer(&mut server, &id, &key, yes.clone());
    assert_eq!(server.ask(&about("tasks/get", &id))["result"]["status"], "cancelled");

    let (id, key) = begin(&mut server, "third");
    answer(&mut server, &id, &key, yes);
    let task = ended(|| server.ask(&about("tasks/get", &id)));
    assert_eq!(task["result"]["structuredContent"]["submission"], "created", "{task}");
    assert_eq!(world.jobs_at_the_api(), 3 + 1);
}

#[test]
fn to_cancel_a_task_ends_the_wait_and_leaves_the_job_alone() {
    let waiting = WaitingWorld::new();
    let mut server = server(&waiting.world);
    let id = id_of(&server.ask(&wait()));
    assert_eq!(server.ask(&about("tasks/cancel", &id))["result"], json!({"resultType": "complete"}));
    let task = ended(|| server.ask(&about("tasks/get", &id)));
    assert_eq!(task["status"], "cancelled", "{task}");
    assert!(task["statusMessage"].as_str().unwrap().contains("cancel_batch"), "{task}");
    assert_eq!(waiting.state(), "JOB_STATE_PENDING");
    // The wait is over as soon as nobody has the right to it any more.
    let start = Instant::now();
    let held = "SELECT count(*) FROM leases WHERE name LIKE 'task %'";
    while open(&waiting.world).query_row(held, [], |row| row.get::<_, i64>(0)).unwrap() > 0 {
        assert!(start.elapsed() < PATIENCE, "the wait goes on");
        std::thread::sleep(Duration::from_millis(50));
    }
    // An end is an end.
    assert_eq!(server.ask(&about("tasks/cancel", &id))["result"], json!({"resultType": "complete"}));
    assert_eq!(server.ask(&about("tasks/get", &id))["result"], task);
}

#[test]
fn a_task_is_forgotten_when_its_time_is_up() {
    let waiting = WaitingWorld::new();
    let mut server = server(&waiting.world);
    let id = id_of(&server.ask(&wait()));
    server.ask(&about("tasks/cancel", &id));
    time_passes(&waiting.world, 3 * DAY - LEASE);
    let looked = server.ask(&about("tasks/get", &id));
    assert_eq!(looked["result"]["status"], "cancelled", "{looked}");
    time_passes(&waiting.world, LEASE);
    let looked = server.ask(&about("tasks/get", &id));
    assert_eq!(error_code(&looked), -32602, "{looked}");
    let left: i64 = open(&waiting.world).query_row("SELECT count(*) FROM tasks", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0, "the row is gone");
}

#[test]
fn ids_cannot_be_guessed_and_one_that_is_not_there_is_not_found() {
    let waiting = WaitingWorld::new();
    let mut server = server(&waiting.world);
    let ids: BTreeSet<String> = (0..2).map(|_| id_of(&server.ask(&wait()))).collect();
    assert_eq!(ids.len(), 2);
    for id in &ids {
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
    let known = ids.first().unwrap();
    for id in ["", "x", &known[1..], &format!("{known}0"), &known.to_uppercase(), "' OR 1=1 --", "%"] {
        for method in ["tasks/get", "tasks/cancel"] {
            let answer = server.ask(&about(method, id));
            assert_eq!(error_code(&answer), -32602, "{method} {id}: {answer}");
        }
        let update = knowing("tasks/update", json!({"taskId": id, "inputResponses": {}}));
        assert_eq!(error_code(&server.ask(&update)), -32602, "{id}");
    }
}

/// So many tasks of an owner, of which somebody works on each, or nobody.
fn fill(world: &World, owner: &str, tasks: u32, worked_on: bool) {
    let until = (Utc::now() + chrono::TimeDelta::seconds(25)).to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let connection = open(world);
    for n in 0..tasks {
        let id = format!("{owner} {n}");
        connection
            .execute(
                "INSERT OR REPLACE INTO tasks (id, owner, tool, state, created_at, updated_at, expires_at) \
                 VALUES (?1, ?2, 'check_status', 'working', '2026', '2026', '9999')",
                (&id, owner),
            )
            .unwrap();
        let lease = "INSERT OR REPLACE INTO leases (name, owner, until) VALUES ('task ' || ?1, 'somebody', ?2)";
        connection.execute(lease, (&id, if worked_on { until.as_str() } else { "2026" })).unwrap();
    }
}

#[test]
fn when_there_are_too_many_tasks_a_call_is_a_call_and_nobody_is_kept_out_by_another() {
    let waiting = WaitingWorld::new();
    let mut server = server(&waiting.world);
    let short = call("check_status", &json!({"wait": true, "timeout_seconds": 3}));
    id_of(&server.ask(&wait()));
    let owner: String = open(&waiting.world).query_row("SELECT owner FROM tasks", [], |row| row.get(0)).unwrap();

    fill(&waiting.world, "somebody else", 150, true);
    id_of(&server.ask(&short));
    fill(&waiting.world, &owner, 50, true);
    let answer = server.ask(&short);
    assert_eq!(answer["result"]["structuredContent"]["all_ended"], false, "{answer}");
    // Those whose process died hold no place, neither among those worked on nor among all.
    fill(&waiting.world, &owner, 500, false);
    let id = id_of(&server.ask(&short));
    assert_ne!(server.ask(&about("tasks/get", &id))["result"]["status"], Value::Null);
    fill(&waiting.world, "a third", 50, true);
    let answer = server.ask(&short);
    assert_eq!(answer["result"]["structuredContent"]["all_ended"], false, "there are too many in all: {answer}");
}
