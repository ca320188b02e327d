//! A server that others can reach: it starts only with a login and encryption, and then lets in whom it should.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::io::{BufRead, Read};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::address::Address;
use support::certificate;
use support::http_server::{HttpServer, Sse, message, status};
use support::program::{self, PATIENCE, TOOLS, initialize, modern, request, tool_names};
use support::scripted::{Reply, Scripted};
use support::session::Session;
use support::signed::{self, from_now};
use support::world::World;

const TOKEN: &str = "5f0b-a-token-for-tests-9c1e-and-long-enough";
const ISSUER: &str = "https://as.example";
const AUDIENCE: &str = "https://batch.example.com/mcp";
const LEGACY: [(&str, &str); 2] =
    [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")];

fn command(folder: &Path) -> Command {
    let mut command = program::program(folder);
    command.env("RUST_LOG", "trace");
    command
}

/// A server with a token, for which a proxy speaks.
fn with_token(folder: &Path, flags: &[&str]) -> HttpServer {
    let mut command = command(folder);
    command.env("GEMINI_BATCH_HTTP_TOKEN", TOKEN);
    HttpServer::with(command, &[&["--behind-proxy", "--allowed-host", "batch.example.com"], flags].concat())
}

/// A server that takes the tokens of an issuer whose keys are in a file.
fn with_oauth(folder: &Path) -> HttpServer {
    command_with_oauth(command(folder), folder)
}

fn command_with_oauth(command: Command, folder: &Path) -> HttpServer {
    let keys = folder.join("keys.json");
    std::fs::write(&keys, signed::key_set().to_string()).unwrap();
    let flags = ["--oauth-issuer", ISSUER, "--oauth-audience", AUDIENCE, "--oauth-jwks", keys.to_str().unwrap()];
    let proxy = ["--behind-proxy", "--allowed-host", "batch.example.com"];
    HttpServer::with(command, &[proxy.as_slice(), flags.as_slice()].concat())
}

fn claims(scope: &str) -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "somebody", "exp": from_now(300), "scope": scope})
}

fn call(tool: &str) -> Value {
    request("tools/call", &json!({"name": tool, "arguments": {}}))
}

/// Posts a message to `/mcp` with a token.
fn post_with(server: &HttpServer, token: &str, message: &Value) -> (u16, String) {
    server.post("/mcp", &[("Authorization", &format!("Bearer {token}"))], message)
}

#[test]
fn it_does_not_start_where_others_can_reach_it_and_nothing_protects_it() {
    let folder = tempfile::tempdir().unwrap();
    let with_token = || {
        let mut command = command(folder.path());
        command.env("GEMINI_BATCH_HTTP_TOKEN", TOKEN);
        command
    };
    let short = || {
        let mut command = command(folder.path());
        command.env("GEMINI_BATCH_HTTP_TOKEN", "a-short-one");
        command
    };
    let (open, named) = (["--http", "0.0.0.0:0"], ["--http", "127.0.0.1:0", "--allowed-host", "batch.example.com"]);
    let by_issuer = |issuer, keys: Option<&'static str>| {
        let flags = ["--http", "127.0.0.1:0", "--oauth-audience", AUDIENCE, "--oauth-issuer", issuer];
        flags.into_iter().chain(keys.into_iter().flat_map(|keys| ["--oauth-jwks", keys])).collect::<Vec<_>>()
    };
    let oauth = by_issuer(ISSUER, None);
    for (command, flags, cause) in [
        (command(folder.path()), open.as_slice(), "there is no login"),
        (command(folder.path()), named.as_slice(), "there is no login"),
        (with_token(), open.as_slice(), "nothing is encrypted"),
        (with_token(), named.as_slice(), "nothing is encrypted"),
        (short(), &["--http", "127.0.0.1:0"], "shorter than 32"),
        (with_token(), oauth.as_slice(), "a token is set as well"),
        (command(folder.path()), &by_issuer("as.example", None), "it is no address"),
        (command(folder.path()), &by_issuer("http://as.example", None), "it is not encrypted"),
        (command(folder.path()), &by_issuer(ISSUER, Some("http://as.example/keys")), "it is not encrypted"),
    ] {
        let (code, text) = HttpServer::refused(command, flags);
        assert_eq!(code, 2, "{flags:?}: {text}");
        assert!(text.contains(cause) && text.contains("hint: "), "{flags:?}: {text}");
        assert!(!text.contains(TOKEN) && !text.contains("a-short-one"), "{text}");
    }
    // Without --http there is nothing that these flags could be of.
    let (code, text) = HttpServer::refused(command(folder.path()), &["--behind-proxy"]);
    assert_eq!(code, 2, "{text}");
}

#[test]
fn keys_in_a_file_are_there_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let flags =
        |keys| ["--http", "127.0.0.1:0", "--oauth-issuer", ISSUER, "--oauth-audience", AUDIENCE, "--oauth-jwks", keys];
    for (file, text, cause) in [
        ("nowhere.json", None, "nowhere.json: No such file"),
        ("text.json", Some("the keys"), "expected"),
        ("other.json", Some(r#"{"error": "none here"}"#), "missing field `keys`"),
        ("empty.json", Some(r#"{"keys": []}"#), "it is empty"),
    ] {
        if let Some(text) = text {
            std::fs::write(folder.path().join(file), text).unwrap();
        }
        let (code, text) = HttpServer::refused(command(folder.path()), &flags(file));
        assert_eq!(code, 1, "{file}: {text}");
        assert!(text.contains("reading the keys in ") && text.contains(cause), "{file}: {text}");
    }
}

#[test]
fn only_the_token_opens_the_server_and_it_is_told_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_token(folder.path(), &[]);
    let list = request("tools/list", &json!({}));
    let (code, answer) = post_with(&server, TOKEN, &list);
    assert_eq!((code, tool_names(&message(&answer))), (200, TOOLS.to_vec()));
    for wrong in ["", "x", &TOKEN[1..], &format!("{TOKEN}x"), &TOKEN.to_uppercase()] {
        let (code, answer) = post_with(&server, wrong, &list);
        assert_eq!(code, 401, "{wrong}");
        assert!(answer.to_lowercase().contains("www-authenticate: bearer"), "{answer}");
    }
    assert_eq!(server.post("/mcp", &[], &list).0, 401);
    assert_eq!(server.post(&format!("/mcp?access_token={TOKEN}"), &[], &list).0, 401, "a token in an address");
    assert_eq!(server.ask("GET", "/sse", &[], "").0, 401);
    assert_eq!(server.post("/message?sessionId=x", &[], &list).0, 401);
    for health in ["/healthz", "/readyz"] {
        assert_eq!(server.ask("GET", health, &[], "").0, 200, "{health}");
    }
    let log = server.log();
    assert!(!log.contains(TOKEN) && !log.contains(&TOKEN[1..]), "{log}");
}

#[test]
fn the_token_may_be_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let server = HttpServer::with(command(folder.path()), &["--token-file", file.to_str().unwrap()]);
    assert_eq!(post_with(&server, TOKEN, &initialize("2025-11-25")).0, 200);
    // On loopback a token that is set is asked for as well.
    assert_eq!(post_with(&server, "another", &initialize("2025-11-25")).0, 401);
    if cfg!(unix) {
        assert!(server.log().contains("chmod 600"), "{}", server.log());
    }
}

#[test]
fn the_older_transport_is_behind_the_same_login() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_token(folder.path(), &[]);
    let login = format!("Bearer {TOKEN}");
    let mut sse = server.open_sse_with(&[("Authorization", &login)]);
    let path = sse.path.clone();
    assert_eq!(server.post(&path, &[], &initialize("2024-11-05")).0, 401, "the session's id is no login");
    assert_eq!(server.post(&path, &[("Authorization", &login)], &initialize("2024-11-05")).0, 202);
    assert_eq!(sse.message()["result"]["serverInfo"]["name"], "gemini-batch-mcp");
}

#[test]
fn names_and_pages_are_let_in_as_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_token(folder.path(), &["--allowed-origin", "https://app.example.com"]);
    let page = ("Origin", "https://app.example.com");
    let ask = |headers: &[(&str, &str)]| server.ask("GET", "/healthz", headers, "");
    assert_eq!(ask(&[("Host", "batch.example.com")]).0, 200);
    assert_eq!(ask(&[("Host", "other.example.com")]).0, 403);
    assert_eq!(ask(&[("Origin", "https://evil.example")]).0, 403);
    let (code, answer) = ask(&[page]);
    assert_eq!(code, 200);
    assert!(answer.contains("access-control-allow-origin: https://app.example.com"), "{answer}");
    // What a browser asks before it lets the page call with a token.
    let asked = [
        page,
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization,mcp-method"),
    ];
    let (code, answer) = server.ask("OPTIONS", "/mcp", &asked, "");
    assert_eq!(code, 200, "{answer}");
    assert!(answer.contains("access-control-allow-headers: authorization,mcp-method"), "{answer}");
    assert_eq!(server.post("/mcp", &[page], &initialize("2025-11-25")).0, 401, "a page is no login");
}

#[test]
fn a_client_that_sends_too_much_has_to_wait_and_others_need_not() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_token(folder.path(), &["--requests-per-minute", "5"]);
    let ask = |client: &str| server.ask("GET", "/healthz", &[("X-Forwarded-For", client)], "");
    assert!((0..5).all(|_| ask("203.0.113.1").0 == 200));
    let (code, answer) = ask("203.0.113.1");
    assert_eq!(code, 429);
    assert!(answer.to_lowercase().contains("retry-after: "), "{answer}");
    assert_eq!(ask("198.51.100.9, 203.0.113.1").0, 429, "what a client says of others does not count");
    assert_eq!(ask("203.0.113.2").0, 200);
}

#[test]
fn the_log_names_who_is_refused_and_repeats_nothing_that_they_sent() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program::program(folder.path());
    command.env("GEMINI_BATCH_HTTP_TOKEN", TOKEN).env_remove("RUST_LOG");
    let flags = ["--behind-proxy", "--allowed-host", "batch.example.com", "--requests-per-minute", "4"];
    let server = HttpServer::with(command, &flags);
    let list = request("tools/list", &json!({}));
    let mut wanted = Vec::new();
    for (client, header, words) in [
        ("203.0.113.1", ("Authorization", "Bearer guessed-and-wrong"), "a wrong token"),
        ("203.0.113.2", ("X-Nothing", ""), "no token"),
        ("203.0.113.3", ("Host", "evil.example"), "this server does not answer by that name"),
        ("203.0.113.4", ("Origin", "https://evil.example"), "this server answers no page from there"),
    ] {
        assert!([401, 403].contains(&server.post("/mcp", &[("X-Forwarded-For", client), header], &list).0));
        wanted.push(format!("refused {client}: {words}"));
    }
    for _ in 0..5 {
        server.ask("GET", "/healthz", &[("X-Forwarded-For", "203.0.113.5")], "");
    }
    wanted.push("refused 203.0.113.5: too many requests".to_owned());
    let start = Instant::now();
    while !wanted.iter().all(|words| server.log().contains(words)) {
        assert!(start.elapsed() < PATIENCE, "{wanted:?}: {}", server.log());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(!server.log().contains("evil.example") && !server.log().contains("guessed"), "{}", server.log());
}

#[test]
fn without_a_proxy_a_client_cannot_say_who_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let server = HttpServer::with(command(folder.path()), &["--requests-per-minute", "3"]);
    let ask = |client: &str| server.ask("GET", "/healthz", &[("X-Forwarded-For", client)], "").0;
    let answers = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"].map(ask);
    assert_eq!(answers, [200, 200, 200, 429]);
}

#[test]
fn a_caller_without_a_token_is_sent_to_its_issuer() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_oauth(folder.path());
    let host = ("Host", "batch.example.com");
    let (code, answer) = server.post("/mcp", &[host], &initialize("2025-11-25"));
    assert_eq!(code, 401);
    let metadata = "https://batch.example.com/.well-known/oauth-protected-resource/mcp";
    assert!(answer.contains(&format!("Bearer resource_metadata=\"{metadata}\"")), "{answer}");
    for (path, resource) in [("", "/mcp"), ("/mcp", "/mcp"), ("/sse", "/sse")] {
        let (code, answer) = server.ask("GET", &format!("/.well-known/oauth-protected-resource{path}"), &[host], "");
        assert_eq!(code, 200, "{path}");
        let metadata: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!(metadata["resource"], format!("https://batch.example.com{resource}"));
        assert_eq!(metadata["authorization_servers"], json!([ISSUER]));
        assert_eq!(metadata["scopes_supported"], json!(["batch:read", "batch:write"]));
    }
    assert_eq!(server.ask("GET", "/.well-known/oauth-protected-resource/else", &[], "").0, 404);
}

#[test]
fn tokens_of_the_issuer_open_what_their_scope_says() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_oauth(folder.path());
    let (read, write) = (signed::token(&claims("openid batch:read")), signed::token(&claims("batch:write")));
    let list = request("tools/list", &json!({}));
    for token in [&read, &write] {
        assert_eq!(post_with(&server, token, &initialize("2025-11-25")).0, 200);
        assert_eq!(tool_names(&message(&post_with(&server, token, &list).1)), TOOLS);
        assert_eq!(post_with(&server, token, &call("list_batches")).0, 200);
        assert_eq!(post_with(&server, token, &call("check_status")).0, 200);
    }
    for tool in TOOLS.iter().filter(|tool| !["list_batches", "check_status"].contains(tool)) {
        let (code, answer) = post_with(&server, &read, &call(tool));
        assert_eq!(code, 403, "{tool}");
        assert!(answer.contains("error=\"insufficient_scope\", scope=\"batch:write\""), "{answer}");
        assert_eq!(post_with(&server, &write, &call(tool)).0, 200, "{tool}");
    }
    // Scopes as other issuers write them.
    let mut listed = claims("");
    listed["scp"] = json!(["batch:read", "x"]);
    assert_eq!(post_with(&server, &signed::token(&listed), &list).0, 200);
}

#[test]
fn the_right_to_look_is_not_stretched_by_odd_messages() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_oauth(folder.path());
    let read = format!("Bearer {}", signed::token(&claims("batch:read")));
    let call = r#""jsonrpc":"2.0","id":1,"method":"tools/call""#;
    for body in [
        format!(r#"{{{call},"params":{{"name":"list_batches","name":"delete_batch","arguments":{{}}}}}}"#),
        format!(r#"{{{call},"method":"tools/list","params":{{"name":"delete_batch"}}}}"#),
        format!(r#"[{{{call},"params":{{"name":"delete_batch"}}}}]"#),
        format!(r#"{{{call},"params":{{"name":["delete_batch"]}}}}"#),
        format!(r#"{{{call}}}"#),
        r#"{"jsonrpc":"2.0","id":1,"method":"tasks/cancel","params":{"taskId":"x"}}"#.to_owned(),
        "no JSON".to_owned(),
    ] {
        let headers = [LEGACY.as_slice(), &[("Authorization", &read)]].concat();
        assert_eq!(server.ask("POST", "/mcp", &headers, &body).0, 403, "{body}");
    }
}

#[test]
fn a_session_is_of_whoever_opened_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_oauth(folder.path());
    let token = |subject: &str, scope: &str| {
        let mut claims = claims(scope);
        claims["sub"] = subject.into();
        signed::token(&claims)
    };
    let session = Session::open_as(&server, &token("somebody", "batch:read"));
    let mut standing = session.listen(None);
    assert_eq!(standing.status, 200);
    assert_eq!(session.ask("resources/subscribe", &json!({"uri": "batch://jobs"}))["result"], json!({}));

    // Another caller learns nothing of it and changes nothing, but is served.
    let other = session.used_by(&token("somebody else", "batch:write"));
    assert_eq!((other.listen(None).status, other.end()), (404, 404));
    assert!(other.ask("tools/list", &json!({}))["result"]["tools"].is_array());
    assert!(other.ask("resources/subscribe", &json!({"uri": "batch://jobs"}))["error"].is_object());
    assert_eq!(session.used_by("no-token").listen(None).status, 401);

    // The same caller's next token is as good, and no more than its scope says.
    let renewed = session.used_by(&token("somebody", "batch:read openid"));
    assert_eq!(renewed.ask("resources/unsubscribe", &json!({"uri": "batch://jobs"}))["result"], json!({}));
    assert_eq!(renewed.tell(&call("delete_batch")), 403);
    assert_eq!(renewed.end(), 204);
    assert_eq!(standing.next(), None);

    // Of a caller without a name nobody could say whether it is the same one.
    let mut nameless = claims("batch:write");
    nameless.as_object_mut().unwrap().remove("sub");
    let (code, answer) = post_with(&server, &signed::token(&nameless), &initialize("2025-11-25"));
    assert!(code == 200 && !answer.contains("mcp-session-id"), "{answer}");
}

/// A token of somebody's.
fn token_of(subject: &str, scope: &str) -> String {
    let mut claims = claims(scope);
    claims["sub"] = subject.into();
    signed::token(&claims)
}

#[test]
fn nobody_takes_more_than_a_share_of_what_others_need_too() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_oauth(folder.path());
    let (greedy, other) = (token_of("greedy", "batch:read"), token_of("other", "batch:read"));
    let login = |token: &str| format!("Bearer {token}");
    let listens = |token: &str| {
        let listen =
            modern("subscriptions/listen", json!({"notifications": {"resourceSubscriptions": ["batch://models"]}}));
        let login = login(token);
        let headers = [
            LEGACY.as_slice(),
            &[("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "subscriptions/listen")],
            &[("Authorization", login.as_str())],
        ];
        let stream = server.send("POST", "/mcp", &headers.concat(), &listen.to_string());
        let mut ear = Sse { stream, path: String::new() };
        assert_eq!(ear.message()["method"], "notifications/subscriptions/acknowledged");
        ear
    };
    let is_refused = |ear: &mut Sse, time: Duration| {
        ear.stream.get_ref().set_read_timeout(Some(time)).unwrap();
        let mut said = ear.stream.by_ref().lines().map_while(Result::ok);
        said.any(|line| line.contains("so many are listening"))
    };
    let mut ears: Vec<_> = (0..17).map(|_| listens(&greedy)).collect();
    // Each was told first that it listens, so that it need not be the last one.
    let start = Instant::now();
    while !ears.iter_mut().any(|ear| is_refused(ear, Duration::from_millis(20))) {
        assert!(start.elapsed() < PATIENCE, "one caller takes all there is");
    }
    assert!(!is_refused(&mut listens(&other), Duration::from_millis(100)), "somebody is refused what another took");

    let open = |token: &str| {
        let mut stream = server.send("GET", "/sse", &[("Authorization", &login(token))], "");
        (status(&mut stream), stream)
    };
    let streams: Vec<_> = (0..17).map(|_| open(&greedy)).collect();
    assert_eq!(streams.iter().map(|(code, _)| *code).collect::<Vec<_>>(), [&[200; 16][..], &[503]].concat());
    assert_eq!(open(&other).0, 200);

    let _standing: Vec<_> = (0..32).map(|_| Session::open_as(&server, &greedy).listen(None)).collect();
    let (code, answer) = post_with(&server, &greedy, &initialize("2025-11-25"));
    assert!(code == 200 && !answer.contains("mcp-session-id"), "{answer}");
    assert!(!Session::open_as(&server, &other).id.is_empty());
}

#[test]
fn a_session_of_the_older_transport_is_of_whoever_opened_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_oauth(folder.path());
    let (ada, bob) = (token_of("ada", "batch:write"), token_of("bob", "batch:write"));
    let login = |token: &str| format!("Bearer {token}");
    let mut sse = server.open_sse_with(&[("Authorization", &login(&ada))]);
    let path = sse.path.clone();
    let say = |token: &str| server.post(&path, &[("Authorization", &login(token))], &initialize("2024-11-05")).0;
    assert_eq!((say(&bob), say(&token_of("ada", "batch:read"))), (404, 202));
    assert_eq!(sse.message()["result"]["serverInfo"]["name"], "gemini-batch-mcp");
}

#[test]
fn the_right_to_look_shows_no_names_of_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("planets.csv"), "id\n1\n").unwrap();
    let server = with_oauth(folder.path());
    let prompt = json!({"type": "ref/prompt", "name": "enrich_dataset"});
    let params = json!({"ref": prompt, "argument": {"name": "dataset", "value": "pla"}});
    let complete = request("completion/complete", &params);
    for (scope, shown) in [("batch:read", json!([])), ("batch:write", json!(["planets.csv"]))] {
        let token = token_of("somebody", scope);
        let (_, answer) = post_with(&server, &token, &complete);
        assert_eq!(message(&answer)["result"]["completion"]["values"], shown, "{scope}");
        let login = [("Authorization", format!("Bearer {token}"))];
        let login = login.each_ref().map(|(name, value)| (*name, value.as_str()));
        let mut sse = server.open_sse_with(&login);
        let path = sse.path.clone();
        server.post(&path, &login, &initialize("2024-11-05"));
        sse.message();
        server.post(&path, &login, &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        server.post(&path, &login, &complete);
        assert_eq!(sse.message()["result"]["completion"]["values"], shown, "{scope}");
    }
}

#[test]
fn the_right_to_look_shows_a_manifest_without_paths() {
    let world = World::new();
    world.write("planets.csv", "id\n1\n");
    world.reply(&["build", "planets.csv", "--template", "{{ id }}"]);
    let job = world.reply(&["create", "planets.requests.jsonl"])["job"].as_str().unwrap().to_owned();
    let server = command_with_oauth(world.command(), world.folder.path());
    let read = request("resources/read", &json!({"uri": format!("batch://jobs/{job}/manifest")}));
    let read_with = |scope: &str| {
        let answer = message(&post_with(&server, &token_of("somebody", scope), &read).1);
        let text = answer["result"]["contents"][0]["text"].as_str().unwrap().to_owned();
        (serde_json::from_str::<Value>(&text).unwrap(), text)
    };
    let (manifest, text) = read_with("batch:read");
    assert_eq!((manifest["requests"].as_i64(), manifest["source"]["reading"].is_null()), (Some(1), false), "{text}");
    assert!(!text.contains("planets.csv") && !text.contains("requests.jsonl"), "{text}");
    let (manifest, text) = read_with("batch:write");
    assert!(manifest["source"]["path"].as_str().unwrap().ends_with("planets.csv"), "{text}");
    assert!(manifest["parts"][0]["input"]["path"].as_str().unwrap().ends_with("planets.requests.jsonl"), "{text}");
}

#[test]
fn tokens_of_others_open_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_oauth(folder.path());
    let with = |name: &str, value: Value| {
        let mut claims = claims("batch:write");
        claims[name] = value;
        claims
    };
    let without = |name: &str| {
        let mut claims = claims("batch:write");
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    for wrong in [
        with("iss", json!("https://evil.example")),
        with("aud", json!("https://other.example")),
        with("exp", json!(from_now(-300))),
        with("nbf", json!(from_now(300))),
        without("iss"),
        without("aud"),
        without("exp"),
    ] {
        let (code, answer) = post_with(&server, &signed::token(&wrong), &initialize("2025-11-25"));
        assert_eq!(code, 401, "{wrong}");
        assert!(answer.contains("error=\"invalid_token\"") && answer.contains("the token is not accepted"), "{answer}");
    }
    let good = signed::token(&claims("batch:write"));
    for forged in
        [signed::token_by_public_key(&claims("batch:write")), good[..good.len() - 8].to_owned(), "x".to_owned()]
    {
        assert_eq!(post_with(&server, &forged, &initialize("2025-11-25")).0, 401, "{forged}");
    }
    let (code, answer) = post_with(&server, &signed::token(&claims("openid")), &initialize("2025-11-25"));
    assert_eq!(code, 403, "a token without a scope of ours");
    assert!(answer.contains("a token with the scope batch:read is needed"), "{answer}");
    let unnamed = signed::token_with(&json!({"alg": "RS256"}), &claims("batch:write"));
    assert_eq!(post_with(&server, &unnamed, &initialize("2025-11-25")).0, 200, "there is one key only");
    assert_eq!(post_with(&server, &good, &initialize("2025-11-25")).0, 200);
    // What a token says is told of on the line that says so.
    let odd = json!({"alg": "none\nthe owner logged in", "kid": signed::KID});
    assert_eq!(post_with(&server, &signed::token_with(&odd, &claims("batch:write")), &initialize("2025-11-25")).0, 401);
    let start = Instant::now();
    while !server.log().contains("the owner logged in") {
        assert!(start.elapsed() < PATIENCE, "{}", server.log());
        std::thread::sleep(Duration::from_millis(5));
    }
    let log = server.log();
    assert!(log.lines().all(|line| !line.starts_with("the owner")), "a token writes lines of the log: {log}");
    let (_, signature) = good.rsplit_once('.').unwrap();
    assert!(!log.contains(signature) && log.contains("a token is refused"), "a token is in the log");
}

#[test]
fn a_token_made_for_the_older_transport_opens_that_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_oauth(folder.path());
    let mut for_sse = claims("batch:write");
    for_sse["aud"] = "https://batch.example.com/sse".into();
    let (for_sse, for_mcp) = (signed::token(&for_sse), signed::token(&claims("batch:write")));
    for token in [&for_sse, &for_mcp] {
        let login = format!("Bearer {token}");
        let sse = server.open_sse_with(&[("Authorization", &login)]);
        assert_eq!(server.post(&sse.path, &[("Authorization", &login)], &initialize("2024-11-05")).0, 202);
    }
    assert_eq!(post_with(&server, &for_sse, &initialize("2025-11-25")).0, 401);
}

#[test]
fn a_question_is_answered_by_whoever_was_asked() {
    let world = World::new();
    world.write("why.jsonl", r#"{"key":"a","request":{"contents":[{"parts":[{"text":"Why?"}]}]}}"#);
    let mut command = world.command();
    command.env("GEMINI_BATCH_CONFIRM_ABOVE_USD", "0");
    let server = command_with_oauth(command, world.folder.path());
    let call_as = |subject: &str, brought: &Value| {
        let mut params =
            json!({"name": "create_batch", "arguments": {"input": "why.jsonl", "model": "gemini-3.8-flash"}});
        params.as_object_mut().unwrap().extend(brought.as_object().unwrap().clone());
        let mut call = modern("tools/call", params);
        call["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({"elicitation": {"form": {}}});
        let mut claims = claims("batch:write");
        claims["sub"] = subject.into();
        let login = format!("Bearer {}", signed::token(&claims));
        let headers =
            [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", "create_batch")];
        message(&server.post("/mcp", &[headers.as_slice(), &[("Authorization", &login)]].concat(), &call).1)
    };
    let asked = call_as("ada", &json!({}));
    let yes = json!({"pay": {"action": "accept", "content": {"pay": true}}});
    let answer = json!({"requestState": asked["result"]["requestState"], "inputResponses": yes});
    let refused = call_as("bob", &answer);
    assert_eq!((&refused["error"]["code"], world.jobs_at_the_api()), (&json!(-32602), 0), "{refused}");
    let created = call_as("ada", &answer);
    assert_eq!(created["result"]["structuredContent"]["submission"], "created", "{created}");

    // Of whom the token says nothing nobody can be asked, and that is no yes.
    let mut nameless = claims("batch:write");
    nameless.as_object_mut().unwrap().remove("sub");
    let token = signed::token(&nameless);
    let mut hello = initialize("2025-11-25");
    hello["params"]["capabilities"] = json!({"elicitation": {}});
    let (_, answer) = post_with(&server, &token, &hello);
    let name = answer.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).expect("a name to be known by");
    let session = Session { server: &server, id: name.to_owned(), login: format!("Bearer {token}") };
    let arguments = json!({"input": "why.jsonl", "model": "gemini-3.8-flash", "new_run": true});
    let declined = session.ask("tools/call", &json!({"name": "create_batch", "arguments": arguments}));
    assert!(declined["result"]["content"][0]["text"].as_str().unwrap().contains("kind: declined"), "{declined}");
    assert_eq!(world.jobs_at_the_api(), 1);
}

#[test]
fn the_issuers_metadata_name_its_keys() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let issuer = runtime.block_on(Scripted::start([]));
    let address = issuer.base_url.trim_end_matches('/').to_owned();
    issuer.then(Reply::json(404, "{}"));
    issuer.then(Reply::json(200, json!({"issuer": address, "jwks_uri": format!("{address}/keys")})));
    issuer.then(Reply::json(200, signed::key_set()));
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--oauth-issuer", &address, "--oauth-audience", AUDIENCE];
    let server = HttpServer::with(command(folder.path()), &flags);
    let mut claims = claims("batch:read");
    claims["iss"] = address.clone().into();
    assert_eq!(post_with(&server, &signed::token(&claims), &initialize("2025-11-25")).0, 200);
    // The keys are known now.
    assert_eq!(post_with(&server, &signed::token(&claims), &initialize("2025-11-25")).0, 200);
    let asked: Vec<String> = issuer.seen().iter().map(|request| request.target.clone()).collect();
    assert_eq!(asked, ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/keys"]);
}

/// A server that takes the tokens of an issuer whose keys are at an address.
fn with_keys_at(folder: &Path, address: &str) -> HttpServer {
    let flags = ["--oauth-issuer", ISSUER, "--oauth-audience", AUDIENCE, "--oauth-jwks", address];
    HttpServer::with(command(folder), &flags)
}

#[test]
fn a_client_that_hangs_up_does_not_keep_the_issuers_keys_from_others() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let ((begun, asked), (answer, answered)) = (channel(), channel());
    let issuer = runtime.block_on(Scripted::play(move |_| {
        begun.send(()).unwrap();
        answered.recv_timeout(PATIENCE).unwrap();
        Reply::json(200, signed::key_set())
    }));
    let folder = tempfile::tempdir().unwrap();
    let server = with_keys_at(folder.path(), &format!("{}/keys", issuer.base_url));
    let login = format!("Bearer {}", signed::token(&claims("batch:read")));
    let hello = initialize("2025-11-25").to_string();
    let send = || server.send("POST", "/mcp", &[LEGACY.as_slice(), &[("Authorization", &login)]].concat(), &hello);
    let first = send();
    asked.recv_timeout(PATIENCE).unwrap();
    drop(first);
    let start = Instant::now();
    while !server.log().contains("broke off") {
        assert!(start.elapsed() < PATIENCE, "{}", server.log());
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut others = [send(), send()];
    answer.send(()).unwrap();
    assert_eq!(others.each_mut().map(status), [200, 200]);
    assert_eq!(issuer.seen().len(), 1);
}

#[test]
fn a_token_that_runs_out_ends_what_its_bearer_listens_to() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_oauth(folder.path());
    // Clocks may differ by a minute.
    let mut claims = claims("batch:read");
    claims["exp"] = json!(from_now(-56));
    let login = format!("Bearer {}", signed::token(&claims));
    let stream = server.send("GET", "/sse", &[("Authorization", &login)], "");
    let (begun, mut heard) = (Instant::now(), String::new());
    for line in stream.lines() {
        heard.push_str(&line.unwrap());
        assert!(begun.elapsed() < Duration::from_secs(14), "it goes on: {heard}");
    }
    assert!(heard.starts_with("HTTP/1.1 200") && heard.contains("event: endpoint"), "{heard}");
}

#[test]
fn keys_that_cannot_be_had_are_no_fault_of_the_token() {
    let (folder, nobody) = (tempfile::tempdir().unwrap(), Address::new());
    let server = with_keys_at(folder.path(), &format!("{}/keys", nobody.url()));
    let good = signed::token(&claims("batch:read"));
    for _ in 0..2 {
        let (code, answer) = post_with(&server, &good, &initialize("2025-11-25"));
        assert_eq!(code, 503, "{answer}");
        let seconds = answer.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap();
        assert!((1..=5).contains(&seconds.parse().unwrap()), "{answer}");
        assert!(!answer.contains("www-authenticate"), "{answer}");
    }
    assert_eq!(post_with(&server, "x", &initialize("2025-11-25")).0, 401, "what is no token");
    let log = server.log();
    let told = log.lines().find(|line| line.contains("public keys cannot be had")).unwrap_or_else(|| panic!("{log}"));
    assert!(told.contains("cannot connect: ") && told.contains("refused"), "the cause of the cause: {told}");
}

#[tokio::test]
async fn it_speaks_tls_with_the_certificate_it_is_given() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let [cert, key] = certificate::files(folder.path());
    let mut command = command(folder.path());
    command.env("GEMINI_BATCH_HTTP_TOKEN", TOKEN);
    let server = HttpServer::with(command, &["--tls-cert", cert.to_str().unwrap(), "--tls-key", key.to_str().unwrap()]);
    let trusted = reqwest::Certificate::from_der(&certificate::trusted()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([trusted]).no_proxy().build().unwrap();
    let port = server.authority.rsplit(':').next().unwrap();
    let ask = async |token: &str| {
        let call = client.post(format!("https://localhost:{port}/mcp")).bearer_auth(token);
        let call = call.header("Accept", LEGACY[1].1).header("Content-Type", LEGACY[0].1);
        call.body(initialize("2025-11-25").to_string()).send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask(TOKEN).await, 200);
    assert_eq!(ask("another").await, 401);
    // Plain HTTP gets no answer there.
    let mut plain = server.send("GET", "/healthz", &[], "");
    let mut answer = Vec::new();
    let _ = std::io::Read::read_to_end(&mut plain, &mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
}

#[test]
fn a_certificate_that_is_none_is_refused_without_quoting_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let [cert, key] = certificate::files(folder.path());
    let other_key = certificate::other_key(folder.path());
    let nonsense = folder.path().join("nonsense.pem");
    std::fs::write(&nonsense, "-----BEGIN PRIVATE KEY-----\nsecretsecretsecret\n").unwrap();
    for files in [[&cert, &nonsense], [&nonsense, &key], [&key, &key], [&cert, &cert], [&cert, &other_key]] {
        let [cert, key] = files.map(|file| file.to_str().unwrap());
        let flags = ["--http", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key];
        let (code, text) = HttpServer::refused(command(folder.path()), &flags);
        assert_eq!(code, 1, "{files:?}: {text}");
        assert!(text.contains("error: ") && !text.contains("secretsecret"), "{text}");
    }
}
