//! Prompts: what a client lists and shows, and the message that a model is given.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "support/program.rs"]
#[allow(dead_code, unreachable_pub)]
mod program;

use program::{Server, TOOLS, request};
use serde_json::{Value, json};

fn server() -> Server {
    let mut server = Server::start_with(|command| {
        command.arg("--simulate");
        let folder = command.get_current_dir().unwrap();
        std::fs::create_dir(folder.join("data")).unwrap();
        for name in ["data/moons.csv", "data/.hidden.csv", "planets.csv", "plants.tsv"] {
            std::fs::write(folder.join(name), "id\n1\n").unwrap();
        }
    });
    server.initialize("2025-11-25");
    server
}

fn prompts(server: &mut Server) -> Vec<Value> {
    server.ask(&request("prompts/list", &json!({})))["result"]["prompts"].as_array().unwrap().clone()
}

fn get(server: &mut Server, name: &str, arguments: &Value) -> Value {
    server.ask(&request("prompts/get", &json!({"name": name, "arguments": arguments})))
}

/// An example for each argument.
fn example(name: &str) -> &'static str {
    match name {
        "dataset" | "source" => "planets.csv",
        "job" => "planets-0123456789ab",
        "outcome" => "truncated",
        "model" => "gemini-3.8-flash",
        "max_cost_usd" => "3",
        "output" => "answers.csv",
        "columns" => "size, colour",
        "stages" => "extract, then score",
        "task" => "say how large it is",
        other => panic!("an example for {other} is missing"),
    }
}

#[test]
fn every_workflow_is_one_message_that_names_the_calls_in_their_order() {
    let mut server = server();
    let prompts = prompts(&mut server);
    let names: Vec<_> = prompts.iter().map(|prompt| prompt["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["generate_many", "enrich_dataset", "monitor_jobs", "run_pipeline", "retry_failures"]);
    for prompt in &prompts {
        let name = prompt["name"].as_str().unwrap();
        let all = prompt["arguments"].as_array().unwrap();
        let arguments = |wanted: fn(&Value) -> bool| -> Value {
            let chosen =
                all.iter().filter(|argument| wanted(argument)).map(|argument| argument["name"].as_str().unwrap());
            chosen.map(|name| (name.to_owned(), json!(example(name)))).collect::<serde_json::Map<_, _>>().into()
        };
        for given in [arguments(|_| true), arguments(|argument| argument["required"] == true)] {
            let answer = get(&mut server, name, &given);
            let messages = answer["result"]["messages"].as_array().unwrap_or_else(|| panic!("{answer}"));
            assert_eq!((messages.len(), &messages[0]["role"]), (1, &json!("user")));
            let text = messages[0]["content"]["text"].as_str().unwrap();
            assert!((500..4_000).contains(&text.len()) && !text.contains("  "), "{name}: {text}");
            for value in given.as_object().unwrap().values() {
                assert!(text.contains(value.as_str().unwrap()), "{name} says nothing of {value}: {text}");
            }
            assert!(TOOLS.iter().filter(|tool| text.contains(*tool)).count() >= 3, "{text}");
        }
    }
    let text = get(&mut server, "enrich_dataset", &json!({"dataset": "planets.csv", "task": "size"})).to_string();
    let places: Vec<_> = TOOLS[..4].iter().map(|tool| text.find(tool).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");
    // Nobody is to pay unasked.
    assert!(text.contains("wait for my yes"), "{text}");
}

#[test]
fn what_a_prompt_lacks_or_does_not_know_is_named() {
    let mut server = server();
    for (name, arguments, told) in [
        ("enrich_dataset", json!({"dataset": "planets.csv", "task": " "}), "task is missing"),
        ("retry_failures", json!({"job": "a", "jobs": "b"}), "jobs is not known"),
        ("translate", json!({}), "no prompt translate"),
        ("generate_many", json!({"task": "x", "max_cost_usd": "abc"}), "max_cost_usd is no amount in US dollars"),
        ("retry_failures", json!({"job": "a", "max_cost_usd": "-1"}), "max_cost_usd is no amount in US dollars"),
        ("run_pipeline", json!({"dataset": "a", "stages": "b", "max_cost_usd": "inf"}), "max_cost_usd is no amount"),
    ] {
        let answer = get(&mut server, name, &arguments);
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(told), "{answer}");
    }
}

#[test]
fn arguments_are_completed_with_what_is_there() {
    let mut server = server();
    let mut offered = |prompt: &str, name: &str, value: &str| {
        let of = json!({"type": "ref/prompt", "name": prompt});
        let params = json!({"ref": of, "argument": {"name": name, "value": value}});
        server.ask(&request("completion/complete", &params))["result"]["completion"]["values"].clone()
    };
    assert_eq!(offered("enrich_dataset", "dataset", "pla"), json!(["planets.csv", "plants.tsv"]));
    assert_eq!(offered("enrich_dataset", "dataset", "data/"), json!(["data/moons.csv"]));
    assert_eq!(offered("enrich_dataset", "dataset", "../"), json!([]));
    assert_eq!(offered("enrich_dataset", "dataset", "/etc/"), json!([]));
    assert_eq!(offered("generate_many", "model", "gemini-3.8-flash-t"), json!(["gemini-3.8-flash-tts"]));
    // A model that is shut down is not offered.
    assert_eq!(offered("generate_many", "model", "gemini-3-pro-preview"), json!([]));
    assert_eq!(offered("retry_failures", "outcome", "tru"), json!(["truncated"]));
    assert_eq!(offered("monitor_jobs", "job", ""), json!([]));
    assert_eq!(offered("enrich_dataset", "task", "what"), json!([]));
}
