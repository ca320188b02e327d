//! Resources as clients of both eras see them: listed, read, completed, and watched.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use serde_json::{Value, json};
use support::program::{Server, modern, request};
use support::world::World;

/// A world with three rows, and a server in it.
fn world() -> (World, Server) {
    let world = World::new();
    world.write("planets.csv", "id,name\n1,Mars\n2,Venus\n3,Earth [[simulate:failed]]\n");
    let mut server = server(&world);
    server.initialize("2025-11-25");
    (world, server)
}

fn server(world: &World) -> Server {
    Server::start_with(|command| {
        *command = world.command();
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    })
}

/// A job of the three rows; its handle.
fn job(world: &World) -> String {
    let built = world.reply(&["build", "planets.csv", "--template", "Describe {{name}}", "--key", "id"]);
    let created = world.reply(&["create", built["path"].as_str().unwrap(), "--name", "planets"]);
    created["job"].as_str().unwrap().to_owned()
}

/// A resource's text.
fn read(server: &mut Server, uri: &str) -> String {
    let answer = server.ask(&request("resources/read", &json!({"uri": uri})));
    let content = &answer["result"]["contents"][0];
    assert_eq!(content["uri"], uri, "{answer}");
    content["text"].as_str().unwrap().to_owned()
}

/// A resource that is data.
fn data(server: &mut Server, uri: &str) -> Value {
    let text = read(server, uri);
    assert!(text.len() < 24_000, "{uri}: {} bytes", text.len());
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{uri}: {e}: {text}"))
}

fn uris(page: &Value) -> Vec<String> {
    let resources = page["result"]["resources"].as_array().unwrap_or_else(|| panic!("{page}"));
    resources.iter().map(|resource| resource["uri"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_job_can_be_found_and_read_to_its_last_answer() {
    let (world, mut server) = world();
    let job = job(&world);
    let ended = world.run(&["status", &job, "--wait"]);
    assert_eq!(ended.code, 4, "one request fails: {ended:?}");
    let listed = uris(&server.ask(&request("resources/list", &json!({}))));
    assert_eq!(
        listed[..4],
        ["batch://jobs", "batch://models", "batch://docs/request-line", "skill://gemini-batch/SKILL.md"]
    );
    assert_eq!(listed[4..], ["status", "results", "answers"].map(|what| format!("batch://jobs/{job}/{what}")));

    assert_eq!(data(&mut server, "batch://jobs")["jobs"][0]["job"], job.as_str());
    let status = data(&mut server, &listed[4]);
    assert_eq!((&status["jobs"][0]["state"], &status["all_ended"]), (&json!("JOB_STATE_SUCCEEDED"), &json!(true)));
    let results = data(&mut server, &listed[5]);
    assert_eq!((&results["outcomes"]["answered"], &results["outcomes"]["failed"]), (&json!(2), &json!(1)));
    assert_eq!(results["samples"].as_array().unwrap().len(), 3);
    assert!(results["path"].is_null() && results["next_page"].is_null(), "{results}");
    let failed = data(&mut server, &format!("batch://jobs/{job}/results/failed/0"));
    assert_eq!((&failed["selected"], &failed["samples"][0]["key"]), (&json!(1), &json!("3")));

    let manifest = data(&mut server, &format!("batch://jobs/{job}/manifest"));
    assert_eq!((&manifest["requests"], &manifest["outcomes"]["answered"]), (&json!(3), &json!(2)));
    assert!(manifest["source"]["path"].as_str().unwrap().ends_with("planets.csv"), "{manifest}");
    assert!(manifest["cost_usd"].as_f64().unwrap() > 0.0);
    // Reading wrote nothing beside the data, and paid for nothing.
    let mut files: Vec<_> = std::fs::read_dir(world.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["api", "home", "planets.csv", "planets.requests.jsonl"]);
    assert_eq!(world.jobs_at_the_api(), 1);

    assert_eq!(manifest["written"], Value::Null);
    world.results(&[&job, "--outcome", "failed", "--output", "failed.jsonl"]);
    world.results(&[&job, "--output", "all.csv"]);
    world.results(&[&job, "--key", "1", "--output", "one.csv"]);
    let manifest = data(&mut server, &format!("batch://jobs/{job}/manifest"));
    assert!(manifest["written"].as_str().unwrap().ends_with("all.csv"), "the file with all answers: {manifest}");
}

#[test]
fn pages_of_answers_follow_each_other_without_gap_or_repetition() {
    let (world, mut server) = world();
    let rows: String = (0..37).map(|n| format!("{n},{}\n", "long ".repeat(60))).collect();
    world.write("planets.csv", &format!("id,name\n{rows}"));
    let job = job(&world);
    world.reply(&["status", &job, "--wait"]);
    let (mut keys, mut next) = (Vec::new(), Some(format!("batch://jobs/{job}/results/answered/0")));
    while let Some(uri) = next {
        let page = data(&mut server, &uri);
        keys.extend(
            page["samples"].as_array().unwrap().iter().map(|sample| sample["key"].as_str().unwrap().to_owned()),
        );
        next = page["next_page"].as_str().map(str::to_owned);
    }
    assert_eq!(keys, (0..37).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn many_jobs_are_listed_page_by_page_the_newest_first() {
    let (world, mut server) = world();
    for n in 0..27 {
        let requests = json!([{"key": "a", "request": {"contents": [{"parts": [{"text": format!("n {n}")}]}]}}]);
        let answer = server.call("create_batch", &json!({"requests": requests, "name": format!("number-{n:02}")}));
        assert_eq!(answer["result"]["isError"], false, "{answer}");
    }
    let first = server.ask(&request("resources/list", &json!({})));
    let cursor = first["result"]["nextCursor"].as_str().unwrap();
    let second = server.ask(&request("resources/list", &json!({"cursor": cursor})));
    assert!(second["result"]["nextCursor"].is_null(), "{second}");
    let mut status: Vec<_> = [uris(&first), uris(&second)].concat();
    status.retain(|uri| uri.ends_with("/status"));
    assert_eq!(status.len(), 27);
    assert!(status.iter().zip((0..27).rev()).all(|(uri, n)| uri.contains(&format!("number-{n:02}-"))), "{status:?}");
    let wrong = server.ask(&request("resources/list", &json!({"cursor": "page 2"})));
    assert_eq!(wrong["error"]["code"], -32602, "{wrong}");
    drop(world);
}

#[test]
fn what_is_not_there_is_told_in_the_words_of_each_era() {
    let (world, mut server) = world();
    let ask = |uri: &str| request("resources/read", &json!({"uri": uri}));
    for uri in ["batch://jobs/nothing-0123456789ab/status", "batch://planets", "file:///etc/passwd", "jobs", ""] {
        let answer = server.ask(&ask(uri));
        assert_eq!(answer["error"]["code"], -32002, "{uri}: {answer}");
        assert_eq!(answer["error"]["data"]["uri"], *uri, "{answer}");
    }
    let linked = server.ask(&ask("file:///data/answers.csv"));
    assert!(linked["error"]["message"].as_str().unwrap().contains("open /data/answers.csv"), "{linked}");
    let mut server = crate::server(&world);
    let answer = server.ask(&modern("resources/read", json!({"uri": "batch://jobs/nothing-0123456789ab/status"})));
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
}

#[test]
fn models_have_prices_and_what_the_api_says_of_them() {
    let (_world, mut server) = world();
    let models = data(&mut server, "batch://models");
    let find =
        |name: &str| models["models"].as_array().unwrap().iter().find(|model| model["name"] == name).unwrap().clone();
    let flash = find("gemini-3-flash-preview");
    assert_eq!((&flash["default"], &flash["batch"]), (&json!(true), &json!(true)), "{flash}");
    assert_eq!((&flash["input_usd"], &flash["output_usd"]), (&json!(0.25), &json!(1.5)));
    assert_eq!(find("gemini-embedding-001")["makes"], "vectors");
    // A price that is not known is not there, rather than 0.
    let gone = find("gemini-3-pro-preview");
    assert!(gone["input_usd"].is_null() && gone["note"].as_str().unwrap().contains("gemini-3.1-pro-preview"), "{gone}");
}

#[test]
fn without_a_key_everything_is_listed_and_what_is_known_here_is_read() {
    let mut server = Server::start();
    server.initialize("2025-11-25");
    let listed = uris(&server.ask(&request("resources/list", &json!({}))));
    assert_eq!(listed.len(), 4);
    for uri in &listed {
        assert!(!read(&mut server, uri).is_empty());
    }
    let models = data(&mut server, "batch://models");
    assert!(models["warnings"][0].as_str().unwrap().contains("no API key"), "{models}");
    let templates = server.ask(&request("resources/templates/list", &json!({})));
    let templates = templates["result"]["resourceTemplates"].as_array().unwrap();
    assert_eq!(templates.len(), 5);
    // One plain variable in braces at a time: what every client can fill in.
    assert!(templates.iter().all(|template| !template["uriTemplate"].as_str().unwrap().contains(['?', '+', ',', '*'])));
}

#[test]
fn the_request_lines_of_the_manual_are_taken_by_the_api() {
    let (world, mut server) = world();
    let manual = read(&mut server, "batch://docs/request-line");
    let lines: Vec<&str> = manual.lines().filter(|line| line.starts_with("{\"key\"")).collect();
    assert_eq!(lines.len(), 5);
    let (vectors, others): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.contains("outputDimensionality"));
    for (name, lines) in [("vectors.jsonl", vectors), ("others.jsonl", others)] {
        world.write(name, &format!("{}\n", lines.join("\n")));
        let checked = world.reply(&["create", name, "--dry-run"]);
        assert_eq!(checked["requests"], lines.len());
    }
}

#[test]
fn the_skill_is_served_as_one() {
    let mut server = Server::start();
    let hello = server.initialize("2025-11-25");
    assert!(hello["capabilities"]["extensions"]["io.modelcontextprotocol/skills"].is_object(), "{hello}");
    let listed = server.ask(&request("skills/list", &json!({})));
    let skill = &listed["result"]["skills"][0];
    assert_eq!(skill["frontmatter"]["name"], "gemini-batch");
    let got = server.ask(&request("skills/get", &json!({"uri": skill["uri"]})));
    assert_eq!(&got["result"]["skill"], skill);
    let resources = server.ask(&request("resources/list", &json!({})));
    let file = resources["result"]["resources"].as_array().unwrap().iter().find(|file| file["uri"] == skill["uri"]);
    for field in ["name", "description"] {
        assert_eq!(file.unwrap()[field], skill["frontmatter"][field]);
    }
    let text = read(&mut server, skill["uri"].as_str().unwrap());
    assert_eq!(skill["resources"][0]["size"], text.len());
    let other = server.ask(&request("skills/get", &json!({"uri": "skill://other/SKILL.md"})));
    assert_eq!(other["error"]["code"], -32602, "{other}");
}

/// What is offered for an argument.
fn offered(server: &mut Server, of: &Value, name: &str, value: &str, given: &Value) -> Value {
    let params = json!({"ref": of, "argument": {"name": name, "value": value}, "context": {"arguments": given}});
    server.ask(&request("completion/complete", &params))["result"]["completion"].clone()
}

#[test]
fn handles_outcomes_and_pages_are_completed() {
    let (world, mut server) = world();
    let job = job(&world);
    let page = json!({"type": "ref/resource", "uri": "batch://jobs/{handle}/results/{outcome}/{offset}"});
    let handles = offered(&mut server, &page, "handle", "pla", &json!({}));
    assert_eq!(handles, json!({"values": [job], "total": 1, "hasMore": false}));
    assert_eq!(offered(&mut server, &page, "handle", "moons", &json!({}))["total"], 0);
    assert_eq!(
        offered(&mut server, &page, "outcome", "", &json!({}))["values"].as_array().unwrap()[..3],
        [json!("all"), json!("answered"), json!("failed")]
    );
    let rows: String = (0..1_500).map(|n| format!("{n},x\n")).collect();
    world.write("planets.csv", &format!("id,name\n{rows}"));
    world.reply(&["build", "planets.csv", "--template", "{{name}} {{id}}", "--key", "id", "--overwrite"]);
    let large = world.reply(&["create", "planets.requests.jsonl", "--name", "large"])["job"].clone();
    let offsets = offered(&mut server, &page, "offset", "", &json!({"handle": large}));
    assert_eq!((&offsets["total"], &offsets["hasMore"]), (&json!(150), &json!(true)), "{offsets}");
    assert_eq!(offsets["values"].as_array().unwrap().len(), 100);
    let other =
        json!({"ref": {"type": "ref/resource", "uri": "batch://x/{y}"}, "argument": {"name": "y", "value": ""}});
    assert_eq!(server.ask(&request("completion/complete", &other))["error"]["code"], -32602);
}

#[test]
fn who_cannot_open_the_file_reads_every_answer_whole() {
    let (world, mut server) = world();
    let rows: String = (0..900).map(|n| format!("{n},{}\n", format!("planet {n} ").repeat(40))).collect();
    world.write("planets.csv", &format!("id,name\n{rows}"));
    let job = job(&world);
    world.run(&["status", &job, "--wait"]);
    let mut uri = format!("batch://jobs/{job}/answers");
    let (mut lines, mut pages) = (Vec::new(), 0);
    loop {
        let answer = server.ask(&request("resources/read", &json!({"uri": uri})));
        let contents = answer["result"]["contents"].as_array().unwrap_or_else(|| panic!("{answer}"));
        let text = contents[0]["text"].as_str().unwrap();
        assert_eq!((&contents[0]["uri"], &contents[0]["mimeType"]), (&json!(uri), &json!("application/jsonl")));
        assert!(text.len() < 300_000, "{}", text.len());
        lines.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        pages += 1;
        let Some(next) = contents.get(1) else { break };
        // It is the place in these answers, and not in others.
        let (_, of) = next["uri"].as_str().unwrap().rsplit_once('-').unwrap();
        let stale = format!("{}1", next["uri"].as_str().unwrap());
        let refused = server.ask(&request("resources/read", &json!({"uri": stale})));
        let told = format!("they were {of}1 bytes when you began");
        let message = refused["error"]["message"].as_str().unwrap_or_else(|| panic!("{refused}"));
        assert!(message.contains(&told) && message.contains("begin again"), "{message}");
        assert!(next["text"].as_str().unwrap().contains(next["uri"].as_str().unwrap()), "{next}");
        next["uri"].as_str().unwrap().clone_into(&mut uri);
    }
    assert!(pages > 1, "it fits into one message");
    world.results(&[&job, "--output", "whole.jsonl"]);
    let whole = world.lines("whole.jsonl");
    let answers = |lines: &[Value]| -> Vec<Value> {
        lines.iter().map(|line| json!([line["key"], line["outcome"], line["response"]["text"]])).collect()
    };
    assert_eq!(answers(&lines), answers(&whole));

    for (offset, told) in [("1", "no line begins at byte 1"), ("99999999", "no line begins")] {
        let answer =
            server.ask(&request("resources/read", &json!({"uri": format!("batch://jobs/{job}/answers/{offset}")})));
        assert!(answer["error"]["message"].as_str().unwrap().contains(told), "{answer}");
    }
}

#[test]
fn answers_that_are_read_from_the_start_are_those_of_now() {
    let (world, mut server) = world();
    world.write("planets.csv", "id,name\na,Mars\nb,[[simulate:tight]] Venus\n");
    let job = job(&world);
    world.run(&["status", &job, "--wait"]);
    let mut outcomes = || -> Vec<Value> {
        let answer = server.ask(&request("resources/read", &json!({"uri": format!("batch://jobs/{job}/answers")})));
        let text = answer["result"]["contents"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["outcome"].clone()).collect()
    };
    let before = outcomes();
    let retry = world.reply(&["retry", &job, "--generation-config", r#"{"maxOutputTokens": 8192}"#])["job"].clone();
    world.run(&["status", retry.as_str().unwrap(), "--wait"]);
    assert_ne!(before, outcomes(), "what a retry answered since is there");
    assert_eq!(outcomes(), ["answered", "answered"]);
}
