//! Webhooks: who is told that a batch has ended, and how they know it is true.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::*;

const SECRET: &[u8] = b"twenty-four bytes of it!";

/// One who is to be told. It refuses the first calls.
struct Receiver {
    url: String,
    told: UnboundedReceiver<(HeaderMap, String)>,
}

#[derive(Clone)]
struct Ear {
    told: UnboundedSender<(HeaderMap, String)>,
    refusals: Arc<std::sync::atomic::AtomicI32>,
}

impl Receiver {
    async fn start(refusals: i32) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (sender, told) = unbounded_channel();
        let ear = Ear { told: sender, refusals: Arc::new(refusals.into()) };
        let app = Router::new().fallback(hear).with_state(ear);
        tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
        Self { url, told }
    }

    async fn next(&mut self) -> (HeaderMap, String) {
        tokio::time::timeout(Duration::from_secs(20), self.told.recv()).await.expect("nobody is told").unwrap()
    }
}

async fn hear(State(ear): State<Ear>, request: Request) -> StatusCode {
    assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/hook"));
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    ear.told.send((parts.headers, String::from_utf8(body.to_vec()).unwrap())).unwrap();
    match ear.refusals.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) > 0 {
        true => StatusCode::SERVICE_UNAVAILABLE,
        false => StatusCode::NO_CONTENT,
    }
}

async fn create(world: &World, text: &str, uris: &[&str]) -> String {
    let file = world.upload(text).await;
    let body = json!({"batch": {"inputConfig": {"fileName": file}, "webhookConfig": {"uris": uris}}});
    let (status, batch) = world.post(CREATE, body).await;
    assert_eq!(status, 200, "{batch}");
    batch["name"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_notice_is_signed_with_the_secret_and_repeated_until_it_is_taken() {
    let secret = format!("whsec_{}", STANDARD.encode(SECRET));
    let world = World::with(|options| options.webhook_secret = Some(secret)).await;
    let mut receiver = Receiver::start(2).await;
    let name = create(&world, &lines(2), &[&receiver.url]).await;
    let mut ids = BTreeSet::new();
    for _ in 0..3 {
        let (headers, body) = receiver.next().await;
        let header = |name: &str| headers[name].to_str().unwrap().to_owned();
        let signed = format!("{}.{}.{body}", header("webhook-id"), header("webhook-timestamp"));
        let tag = STANDARD.decode(header("webhook-signature").strip_prefix("v1,").unwrap()).unwrap();
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), signed.as_bytes(), &tag).unwrap();
        let age = chrono::Utc::now().timestamp() - header("webhook-timestamp").parse::<i64>().unwrap();
        assert!((0..300).contains(&age), "{age}");
        ids.insert(header("webhook-id"));
        let (_, batch) = world.get(&format!("/v1beta/{name}")).await;
        let data = json!({"id": name, "output_file_uri": batch["response"]["responsesFile"]});
        let event = json!({"type": "batch.succeeded", "version": "v1", "timestamp": batch["metadata"]["endTime"], "data": data});
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), event);
    }
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn without_a_secret_the_signature_is_a_token_that_a_public_key_checks() {
    let world = World::new(Pace::instant()).await;
    let mut receiver = Receiver::start(0).await;
    create(&world, &line("a", "[[simulate:job-failed]]"), &[&receiver.url]).await;
    let (headers, body) = receiver.next().await;
    let keys = client().get(format!("{}/.well-known/jwks.json", world.simulator.url())).send().await.unwrap();
    let (_, keys) = read(keys).await;
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let part = |text: &str| serde_json::from_slice::<Value>(&decode(text)).unwrap();
    let token = headers["webhook-signature"].to_str().unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    assert_eq!((&part(header)["alg"], &part(header)["kid"]), (&json!("RS256"), &keys["keys"][0]["kid"]));
    let field = |name: &str| decode(keys["keys"][0][name].as_str().unwrap());
    let key = RsaPublicKeyComponents { n: field("n"), e: field("e") };
    key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &decode(signature)).unwrap();
    let (claims, event) = (part(claims), serde_json::from_str::<Value>(&body).unwrap());
    assert_eq!(
        (&claims["aud"], &claims["jti"]),
        (&json!(receiver.url), &json!(headers["webhook-id"].to_str().unwrap()))
    );
    assert_eq!((&claims["type"], &claims["data"]), (&json!("batch.failed"), &event["data"]));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
}

#[tokio::test]
async fn everybody_is_told_once_and_only_when_it_has_ended() {
    let world = World::new(Pace::demo()).await;
    let _other = start(&world.folder, &world.clock, |_| {}).await;
    let (mut first, mut second) = (Receiver::start(0).await, Receiver::start(0).await);
    let expiring = create(&world, &line("a", "[[simulate:job-expired]]"), &[&first.url]).await;
    let cancelled = create(&world, &lines(1), &[&first.url, &second.url]).await;
    world.post(&format!("/v1beta/{cancelled}:cancel"), json!({})).await;
    let expected = |kind: &str, name: &str| (json!(kind), json!({"id": name}));
    let told = |(_, body): (HeaderMap, String)| {
        let event: Value = serde_json::from_str(&body).unwrap();
        (event["type"].clone(), event["data"].clone())
    };
    assert_eq!(told(first.next().await), expected("batch.cancelled", &cancelled));
    assert_eq!(told(second.next().await), expected("batch.cancelled", &cancelled));
    world.clock.advance(Duration::from_secs(48 * 3600));
    assert_eq!(told(first.next().await), expected("batch.expired", &expiring));
    // Nothing is told again: what comes next is new.
    let last = create(&world, &line("a", "[[simulate:job-expired]]"), &[&first.url, &second.url]).await;
    world.clock.advance(Duration::from_secs(48 * 3600));
    assert_eq!(told(first.next().await), expected("batch.expired", &last));
    assert_eq!(told(second.next().await), expected("batch.expired", &last));
}

#[tokio::test]
async fn nobody_outside_this_machine_is_called() {
    let world = World::new(Pace::instant()).await;
    let mut receiver = Receiver::start(0).await;
    let elsewhere = ["https://example.com/hook", "http://192.0.2.1/hook", "https://127.0.0.1/hook"];
    create(&world, &lines(1), &elsewhere).await;
    assert_eq!(std::fs::read_dir(world.folder.path().join("webhooks")).unwrap().count(), 0);
    let name = create(&world, &lines(1), &[elsewhere[1], &receiver.url]).await;
    assert!(receiver.next().await.1.contains(&name));
}

#[tokio::test]
async fn a_secret_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::new(folder.path());
    options.webhook_secret = Some("secret".into());
    assert!(Simulator::start(options).await.unwrap_err().to_string().contains("webhook secret"));
}
