//! Tool calls in a reply, spelled as the commands they are at a shell.
//!
//! The verbs say what to do next in the words of the tools: `check_status {"jobs": ["a-1"], "wait": true}`.
//! A person reads `gemini-batch-mcp status a-1 --wait`.

use serde_json::{Map, Value};

/// Each tool, its command, and the argument that stands there without a flag.
const COMMANDS: [(&str, &str, &str); 8] = [
    ("build_jsonl", "build", "source"),
    ("create_batch", "create", "input"),
    ("check_status", "status", "jobs"),
    ("get_results", "results", "job"),
    ("retry_batch", "retry", "job"),
    ("list_batches", "list", ""),
    ("cancel_batch", "cancel", "job"),
    ("delete_batch", "delete", "job"),
];

/// Arguments that are named in hints as `name: "value"`, and the flags for them.
const FLAGS: [(&str, &str); 3] = [("kind", "--kind"), ("model", "--model"), ("format", "--format")];
/// Arguments that are named alone, or with one value.
const NAMED: [(&str, &str); 10] = [
    ("max_part_requests", "--max-part-requests"),
    ("max_part_bytes", "--max-part-bytes"),
    ("count_by", "--count-by"),
    ("on_bad_row: \"skip\"", "--skip-bad-rows"),
    ("outcomes [\"missing\"]", "--outcome missing"),
    ("overwrite: true", "--overwrite"),
    ("new_run: true", "--new-run"),
    ("dry_run: true", "--dry-run"),
    ("without dry_run", "without --dry-run"),
    ("without max_cost_usd", "without --max-cost-usd"),
];

/// The text with every tool call, and every tool named alone, spelled as a command of this program. Whoever
/// works on the simulator goes on there.
pub(super) fn at_the_shell(text: &str, simulate: bool) -> String {
    let program = if simulate { "gemini-batch-mcp --simulate" } else { "gemini-batch-mcp" };
    let mut shell = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, tool, after)) = next_tool(rest) {
        let (call, after) = command(program, tool, after);
        shell.push_str(before);
        shell.push_str(&call);
        rest = after;
    }
    shell.push_str(rest);
    let shell = NAMED.iter().fold(shell, |shell, (argument, flag)| respelled(&shell, argument, flag));
    FLAGS.iter().fold(shell, |shell, (name, flag)| with_flag(&shell, name, flag))
}

/// Each argument that is named, but no part of a name, as the flag for it.
fn respelled(text: &str, argument: &str, flag: &str) -> String {
    let (mut shell, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = place(rest, argument).and_then(|at| rest.split_at_checked(at)) {
        shell.push_str(before);
        shell.push_str(flag);
        rest = after.get(argument.len()..).unwrap_or_default();
    }
    shell + rest
}

/// `pass kind: "embed"` as `pass --kind embed`.
fn with_flag(text: &str, name: &str, flag: &str) -> String {
    let argument = format!(" {name}: \"");
    let mut parts = text.split(&argument);
    let mut shell = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('"') {
            Some((value, rest)) => shell.push_str(&format!(" {flag} {}{rest}", quoted(&value.into()))),
            None => shell.push_str(&format!("{argument}{part}")),
        }
    }
    shell
}

/// The first tool named in the text: what stands before it, which one, what stands after it.
fn next_tool(text: &str) -> Option<(&str, &(&'static str, &'static str, &'static str), &str)> {
    let found = COMMANDS.iter().filter_map(|tool| Some((place(text, tool.0)?, tool)));
    let (at, tool) = found.min_by_key(|(at, _)| *at)?;
    let (before, from) = text.split_at_checked(at)?;
    Some((before, tool, from.get(tool.0.len()..)?))
}

/// Where the text names a tool: not as a part of a longer word, or of a path.
fn place(text: &str, tool: &str) -> Option<usize> {
    let is_apart = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && !"_-./\\".contains(c));
    let ends = |rest: &str| is_apart(rest.strip_prefix('.').unwrap_or(rest).chars().next());
    let mut places = text.match_indices(tool).map(|(at, _)| (at, text.split_at(at)));
    let place = places
        .find(|(_, (before, from))| is_apart(before.chars().next_back()) && from.strip_prefix(tool).is_some_and(ends));
    place.map(|(at, _)| at)
}

/// The command for a tool and for the arguments that follow it, if any do.
fn command<'t>(program: &str, tool: &(&str, &str, &str), after: &'t str) -> (String, &'t str) {
    let bare = format!("{program} {}", tool.1);
    let Some(json) = after.strip_prefix(' ').filter(|json| json.starts_with('{')) else { return (bare, after) };
    let mut values = serde_json::Deserializer::from_str(json).into_iter::<Map<String, Value>>();
    match values.next() {
        Some(Ok(arguments)) => {
            let after = json.get(values.byte_offset()..).unwrap_or_default();
            (format!("{bare}{}", words(&arguments, tool.2)), after)
        }
        _ => (bare, after),
    }
}

fn words(arguments: &Map<String, Value>, positional: &str) -> String {
    let mut words = String::new();
    for (name, value) in arguments {
        match (name.as_str(), value) {
            // Flags that are not spelled as the arguments are.
            ("where", Value::Object(fields)) => {
                let texts = fields
                    .iter()
                    .map(|(field, value)| (field, value.as_str().map_or(value.to_string(), str::to_owned)));
                let flags =
                    texts.map(|(field, text)| format!(" --where {}", quoted(&format!("{field}={text}").into())));
                words.extend(flags);
                continue;
            }
            ("merge_retries", _) => {
                words.push_str(if value == &Value::Bool(false) { " --without-retries" } else { "" });
                continue;
            }
            ("remote", _) => {
                words.push_str(if value == &Value::Bool(false) { " --local" } else { "" });
                continue;
            }
            _ => {}
        }
        let values = match value {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        let many = value.is_array();
        for value in values {
            if name != positional {
                // One flag a value: outcomes becomes --outcome.
                let singular = if many { name.strip_suffix('s').unwrap_or(name) } else { name };
                words.push_str(&format!(" --{}", singular.replace('_', "-")));
            }
            if *value != Value::Bool(true) {
                words.push(' ');
                words.push_str(&quoted(value));
            }
        }
    }
    words
}

/// A value as one word of a shell.
fn quoted(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_becomes_a_command() {
        for (tool, shell) in [
            (
                r#"check_status {"jobs": ["a-1", "b-2"], "wait": true} in 60 s"#,
                "gemini-batch-mcp status a-1 b-2 --wait in 60 s",
            ),
            (
                r#"create_batch {"input": "/tmp/my data.jsonl", "model": "m"}"#,
                "gemini-batch-mcp create '/tmp/my data.jsonl' --model m",
            ),
            (
                r#"get_results {"job": "a-1", "outcomes": ["failed", "empty"], "output": "it's.csv"}"#,
                r"gemini-batch-mcp results a-1 --outcome failed --outcome empty --output 'it'\''s.csv'",
            ),
            (
                r#"get_results {"job": "a-1", "where": {"kind": "toy", "n": 5}, "merge_retries": false, "offset": 3} shows"#,
                "gemini-batch-mcp results a-1 --where 'kind=toy' --where 'n=5' --without-retries --offset 3 shows",
            ),
            ("list_batches shows all jobs", "gemini-batch-mcp list shows all jobs"),
            ("cancel_batch {broken", "gemini-batch-mcp cancel {broken"),
            ("mend it, or pass on_bad_row: \"skip\"", "mend it, or pass --skip-bad-rows"),
            ("with new_run: true or overwrite: true", "with --new-run or --overwrite"),
            (
                r#"build with kind: "embed", or pass model: "m-1"; then"#,
                "build with --kind embed, or pass --model m-1; then",
            ),
            (
                "answers in /data/count_by/x.csv, max_part_bytes.jsonl",
                "answers in /data/count_by/x.csv, max_part_bytes.jsonl",
            ),
            ("it said: no model: \"x", "it said: no model: \"x"),
            ("nothing", "nothing"),
            ("(see list_batches.) max_part_requests makes", "(see gemini-batch-mcp list.) --max-part-requests makes"),
            (
                "in /data/list_batches/my.get_results.csv (5 bytes)",
                "in /data/list_batches/my.get_results.csv (5 bytes)",
            ),
        ] {
            assert_eq!(at_the_shell(tool, false), shell);
        }
        assert_eq!(at_the_shell("list_batches", true), "gemini-batch-mcp --simulate list");
    }
}
