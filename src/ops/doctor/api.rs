//! What one look at the API tells: of the key, of the network, of the clock.

use std::time::Duration;

use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretString};

use super::Check;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::gemini::{Reach, Settings, can_be_sent, reach};
use crate::job::outcome::counted;
use crate::ops::app::start_simulator;

/// The API tells whole seconds, and an answer takes a moment.
const CLOSE_ENOUGH: TimeDelta = TimeDelta::seconds(30);
/// From here on days, and with them prices and budgets, are wrong for a while.
const FAR_OFF: TimeDelta = TimeDelta::hours(1);

pub(super) async fn checks(config: &Config) -> [Check; 3] {
    match look(config).await {
        Ok(reach) => [key(config, Some(&reach)), network(&reach), clock(&reach)],
        Err(e) => [key(config, None), Check::failed("network", &e), unknown_clock()],
    }
}

async fn look(config: &Config) -> Result<Reach> {
    if config.simulate {
        // One of its own, as it changes nothing in the folder of the one that is used.
        let folder = tempfile::tempdir().map_err(|e| Error::io("making a folder for a simulator", e))?;
        let simulator = start_simulator(folder.path().to_owned()).await?;
        let usual = Settings::new(SecretString::from("simulated".to_owned()));
        let reach = reach(&Settings { base_url: simulator.url().to_owned(), ..usual }).await;
        simulator.stop().await;
        return reach;
    }
    let usual = Settings::new(config.key.clone().unwrap_or_default());
    reach(&Settings {
        base_url: config.base_url.clone().unwrap_or(usual.base_url),
        api_version: config.api_version.clone().unwrap_or(usual.api_version),
        ..usual
    })
    .await
}

fn key(config: &Config, reach: Option<&Reach>) -> Check {
    const SET: &str = "set GOOGLE_API_KEY or GEMINI_API_KEY where the program is started: in an MCP client's configuration, \
                       or the shell; a key is made at https://aistudio.google.com/apikey";
    if config.simulate {
        return Check::ok("key", "none is needed: the simulator stands in for the API");
    }
    let (Some(variable), Some(key)) = (config.key_variable, &config.key) else {
        return Check::fail("key", "no API key is set; building and checking files works without", SET);
    };
    if !can_be_sent(key) {
        return Check::fail("key", format!("{variable} is set, but what it holds is no key"), SET);
    }
    let unsure = |why: &str| {
        let looks = if looks_like_one(key) { "looks like a key" } else { "is shorter than keys are" };
        let found = format!("{variable} is set and {looks}; whether the API takes it is not known: {why}");
        Check::warn("key", found, "make the network check pass first, or look again later")
    };
    match reach.map(|reach| (&reach.models, reach.latency)) {
        Some((Ok(models), _)) => {
            let models = counted(i64::try_from(*models).unwrap_or(i64::MAX), "model");
            Check::ok("key", format!("{variable} is set, and the API takes it ({models})"))
        }
        Some((Err(e), Some(_))) if is_about_the_key(e) => {
            let found = format!("{variable} is set, and the API refuses it: {}", e.cause());
            Check::fail("key", found, e.next_step().unwrap_or(SET))
        }
        Some((Err(e), _)) => unsure(e.cause()),
        None => unsure("it could not be asked"),
    }
}

/// Keys have had 39 characters for years; newer kinds have more.
fn looks_like_one(key: &SecretString) -> bool {
    key.expose_secret().trim().len() >= 30
}

fn is_about_the_key(e: &Error) -> bool {
    matches!(e.kind(), ErrorKind::Auth | ErrorKind::KeyMissing | ErrorKind::Refused)
}

fn network(reach: &Reach) -> Check {
    let address = &reach.address;
    let Some(latency) = reach.latency else {
        return match &reach.models {
            Err(e) => Check::fail("network", format!("{address}: {}", e.cause()), e.next_step().unwrap_or_default()),
            Ok(_) => Check::ok("network", address),
        };
    };
    let found = format!("{address} answers in {} ms", milliseconds(latency));
    match &reach.models {
        Ok(_) => Check::ok("network", found),
        Err(e) if is_about_the_key(e) || e.kind() == ErrorKind::Quota => Check::ok("network", found),
        Err(e) if e.kind() == ErrorKind::Unavailable => {
            let found = format!("{found}, but not as it should: {}", e.cause());
            Check::warn("network", found, e.next_step().unwrap_or_default())
        }
        Err(e) => Check::fail(
            "network",
            format!("{found}, but not as the API does: {}", e.cause()),
            "check GOOGLE_GEMINI_BASE_URL and GOOGLE_GENAI_API_VERSION if they are set, and any proxy",
        ),
    }
}

fn milliseconds(latency: Duration) -> u128 {
    latency.as_millis().max(1)
}

fn clock(reach: &Reach) -> Check {
    let Some(ahead) = reach.ahead else { return unknown_clock() };
    let off = ahead.abs();
    let direction = if ahead > TimeDelta::zero() { "behind" } else { "ahead of" };
    let found = format!("this machine is {} {direction} the API", span(off));
    let mend = "set the clock of this machine, or let it set itself (NTP)";
    if off <= CLOSE_ENOUGH {
        let seconds = off.num_seconds();
        Check::ok("clock", if seconds <= 1 { "agrees with the API's".to_owned() } else { found })
    } else if off <= FAR_OFF {
        Check::warn("clock", found, mend)
    } else {
        Check::fail("clock", format!("{found}: days, and with them prices and budgets, are wrong"), mend)
    }
}

fn unknown_clock() -> Check {
    Check::warn("clock", "not compared: the API did not tell its time", "make the network check pass first")
}

fn span(off: TimeDelta) -> String {
    crate::ops::status::span(off.num_seconds())
}
