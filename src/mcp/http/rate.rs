//! How many requests a client may send: so many a minute, saved up for a minute at most.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::connections::{Peer, client};
use super::household::household;
use super::later;
use super::refusals::because;

/// Addresses that are remembered. Those that sent nothing for a minute are not needed.
const MOST: usize = 16_384;
const MINUTE: Duration = Duration::from_secs(60);

/// The requests that each client has left.
#[derive(Clone)]
pub(super) struct Rate {
    per_minute: f64,
    /// Whether the address of a client is what a proxy says.
    behind_proxy: bool,
    left: Arc<Mutex<HashMap<IpAddr, Left>>>,
}

#[derive(Clone, Copy)]
struct Left {
    requests: f64,
    at: Instant,
}

impl Rate {
    /// So many requests a minute for each client.
    pub(super) fn new(per_minute: NonZeroU32, behind_proxy: bool) -> Self {
        Self { per_minute: per_minute.get().into(), behind_proxy, left: Arc::default() }
    }

    /// Takes one request of a client's, or says how long it has to wait for the next.
    fn take(&self, client: IpAddr, now: Instant) -> Result<(), Duration> {
        let client = household(client);
        let mut all = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST && !all.contains_key(&client) {
            all.retain(|_, left| now.duration_since(left.at) < MINUTE);
            if all.len() >= MOST {
                return Err(MINUTE);
            }
        }
        let left = all.entry(client).or_insert(Left { requests: self.per_minute, at: now });
        let gained = now.duration_since(left.at).as_secs_f64() / MINUTE.as_secs_f64() * self.per_minute;
        *left = Left { requests: (left.requests + gained).min(self.per_minute), at: now };
        if left.requests < 1.0 {
            return Err(MINUTE.mul_f64((1.0 - left.requests) / self.per_minute));
        }
        left.requests -= 1.0;
        Ok(())
    }
}

/// Refuses what a client sends beyond its rate.
pub(super) async fn limited(State(rate): State<Rate>, request: Request, next: Next) -> Response {
    let Some(peer) = request.extensions().get::<Peer>() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    match rate.take(client(peer, request.headers(), rate.behind_proxy), Instant::now()) {
        Ok(()) => next.run(request).await,
        Err(wait) => because("too many requests", later(StatusCode::TOO_MANY_REQUESTS, wait, "too many requests\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_minute: u32) -> Rate {
        Rate::new(NonZeroU32::new(per_minute).unwrap(), false)
    }

    #[test]
    fn a_client_has_a_minutes_worth_at_once_and_then_gets_them_one_by_one() {
        let (rate, start) = (rate(6), Instant::now());
        let client = "192.0.2.1".parse().unwrap();
        assert!((0..6).all(|_| rate.take(client, start).is_ok()));
        assert_eq!(rate.take(client, start), Err(Duration::from_secs(10)));
        assert!(rate.take("192.0.2.2".parse().unwrap(), start).is_ok(), "another client");
        let later = start + Duration::from_secs(11);
        assert!(rate.take(client, later).is_ok());
        assert!(rate.take(client, later).is_err());
        assert!((0..6).all(|_| rate.take(client, later + 5 * MINUTE).is_ok()));
        assert!(rate.take(client, later + 5 * MINUTE).is_err(), "more was saved up than a minute's worth");
    }

    #[test]
    fn neighbouring_addresses_of_one_network_are_one_client() {
        let (rate, now) = (rate(1), Instant::now());
        assert!(rate.take("2001:db8::1".parse().unwrap(), now).is_ok());
        assert!(rate.take("2001:db8::ffff:2".parse().unwrap(), now).is_err());
        assert!(rate.take("2001:db8:0:1::1".parse().unwrap(), now).is_ok());
        assert!(rate.take("192.0.2.1".parse().unwrap(), now).is_ok());
        assert!(rate.take("::ffff:192.0.2.1".parse().unwrap(), now).is_err());
    }

    #[test]
    fn a_flood_of_addresses_takes_bounded_memory() {
        let (rate, now) = (rate(1), Instant::now());
        for number in 0..MOST as u32 + 100 {
            let _ = rate.take(IpAddr::from(number.to_be_bytes()), now);
        }
        assert_eq!(rate.left.lock().unwrap().len(), MOST);
        assert!(rate.take("203.0.113.9".parse().unwrap(), now + MINUTE).is_ok());
    }
}
