//! Who was refused is told in the log: a line each, with where it came from, and not more of them than somebody reads.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::connections::{Peer, client};

/// Lines within a minute.
const MOST: u32 = 30;
const MINUTE: Duration = Duration::from_secs(60);

/// Beside an answer that refuses: why, in words of ours only.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal(pub(super) &'static str);

/// How many were told lately.
#[derive(Clone)]
pub(super) struct Refusals {
    behind_proxy: bool,
    lately: Arc<Mutex<Lately>>,
}

struct Lately {
    since: Instant,
    refused: u32,
}

impl Refusals {
    pub(super) fn new(behind_proxy: bool) -> Self {
        Self { behind_proxy, lately: Arc::new(Mutex::new(Lately { since: Instant::now(), refused: 0 })) }
    }

    /// What to write of one more, if anything.
    fn line(&self, client: IpAddr, why: &str, now: Instant) -> Option<String> {
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = String::new();
        if now.duration_since(lately.since) >= MINUTE {
            if lately.refused > MOST {
                before = format!(" ({} more before that)", lately.refused - MOST);
            }
            *lately = Lately { since: now, refused: 0 };
        }
        lately.refused = lately.refused.saturating_add(1);
        let last = if lately.refused == MOST { "; the next ones of this minute are only counted" } else { "" };
        (lately.refused <= MOST).then(|| format!("refused {client}: {why}{last}{before}"))
    }
}

/// Writes down the requests that are refused.
pub(super) async fn told(State(refusals): State<Refusals>, request: Request, next: Next) -> Response {
    let client = request.extensions().get::<Peer>().map(|peer| client(peer, request.headers(), refusals.behind_proxy));
    let response = next.run(request).await;
    if let (Some(client), Some(Refusal(why))) = (client, response.extensions().get())
        && let Some(line) = refusals.line(client, why, Instant::now())
    {
        tracing::warn!("{line}");
    }
    response
}

/// The same answer, with why it refuses.
pub(super) fn because(why: &'static str, mut response: Response) -> Response {
    response.extensions_mut().insert(Refusal(why));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_in_a_few_lines_and_how_large_it_was() {
        let (refusals, start) = (Refusals::new(false), Instant::now());
        let client = "192.0.2.7".parse().unwrap();
        let told: Vec<String> = (0..MOST + 12).filter_map(|_| refusals.line(client, "no token", start)).collect();
        assert_eq!((told.len(), told[0].as_str()), (MOST as usize, "refused 192.0.2.7: no token"));
        assert!(told.last().unwrap().ends_with("are only counted"), "{told:?}");
        let next = refusals.line(client, "no token", start + 2 * MINUTE).unwrap();
        assert_eq!(next, "refused 192.0.2.7: no token (12 more before that)");
    }
}
