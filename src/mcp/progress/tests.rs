use std::sync::{Arc, Mutex};
use std::time::Instant;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ErrorData, NumberOrString, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::{NotificationContext, RoleClient};
use rmcp::{ClientHandler, ServerHandler, ServiceExt};

use super::*;

fn report(stage: &str, done: u64, total: u64) -> Progress {
    Progress { stage: stage.to_owned(), done, total: Some(total), unit: "bytes" }
}

#[test]
fn values_increase_over_stages_and_heartbeats_and_stay_below_the_total() {
    let mut meter = Meter::default();
    let reports = [
        None,
        Some(report("hashing", 0, 2)),
        Some(report("hashing", 2, 2)),
        Some(report("hashing", 2, 2)),
        Some(report("uploading", 0, 9_000)),
        Some(report("uploading", 3_000, 9_000)),
    ];
    let token = ProgressToken(NumberOrString::Number(1));
    let sent: Vec<_> = reports.iter().map(|r| meter.next(r.as_ref(), token.clone())).collect();
    assert_increasing(&sent);
    for one in &sent {
        assert!(one.total.is_none_or(|total| total >= one.progress), "{one:?}");
    }
    assert_eq!(sent[5].message.as_deref(), Some("uploading: 3,000 of 9,000 bytes"));
}

fn assert_increasing(sent: &[ProgressNotificationParam]) {
    for pair in sent.windows(2) {
        assert!(pair[0].progress < pair[1].progress, "{pair:?}");
    }
}

/// A server whose only tool works for a while, on a thread that may not wait.
struct Worker {
    rhythm: Rhythm,
    reports: u64,
    pause: Duration,
}

impl ServerHandler for Worker {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        _request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let monitor = McpMonitor::with_rhythm(&context, self.rhythm);
        let (reports, pause) = (self.reports, self.pause);
        let work = tokio::task::spawn_blocking(move || {
            for done in 0..reports {
                monitor.report(&report("working", done, reports));
                std::thread::sleep(pause);
            }
        });
        work.await.unwrap();
        Ok(CallToolResult::success(Vec::new()).into())
    }
}

/// A client that keeps what it is told.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<ProgressNotificationParam>>>);

impl ClientHandler for Listener {
    async fn on_progress(&self, told: ProgressNotificationParam, _context: NotificationContext<RoleClient>) {
        self.0.lock().unwrap().push(told);
    }
}

/// What a client hears during one call of the worker's tool. (rmcp's client asks for progress by itself.)
async fn heard(worker: Worker) -> Vec<ProgressNotificationParam> {
    let (ours, theirs) = tokio::io::duplex(4096);
    let server = tokio::spawn(async move { worker.serve(theirs).await.unwrap().waiting().await });
    let listener = Listener::default();
    let client = listener.clone().serve(ours).await.unwrap();
    client.call_tool(CallToolRequestParams::new("work")).await.unwrap();
    client.cancel().await.unwrap();
    let _ = server.await.unwrap();
    let told = listener.0.lock().unwrap();
    told.clone()
}

#[tokio::test]
async fn many_reports_from_a_busy_thread_become_a_few_notifications() {
    let rhythm = Rhythm { least: Duration::from_millis(100), most: Duration::from_secs(60) };
    let begun = Instant::now();
    let told = heard(Worker { rhythm, reports: 500, pause: Duration::from_millis(1) }).await;
    // On a busy machine it takes longer.
    let most = 3 + begun.elapsed().as_millis() / rhythm.least.as_millis();
    assert!(told.len() >= 2 && told.len() as u128 <= most, "{} notifications, at most {most}", told.len());
    assert_increasing(&told);
    assert!(told.iter().all(|one| one.total == Some(500.0)), "{told:?}");
}

#[tokio::test]
async fn a_call_that_reports_nothing_new_still_gives_signs_of_life() {
    let rhythm = Rhythm { least: Duration::from_millis(1), most: Duration::from_millis(40) };
    let told = heard(Worker { rhythm, reports: 1, pause: Duration::from_millis(400) }).await;
    assert!(told.len() >= 4, "{} notifications", told.len());
    assert_increasing(&told);
}
