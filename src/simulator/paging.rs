//! Pages of a list.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::refusal::Refusal;
use super::server::Ask;

/// What of a list is asked for.
pub(super) struct Page {
    size: usize,
    /// The position after which the page starts.
    after: Option<String>,
}

impl Page {
    /// The page that `ask` wants.
    pub(super) fn of(ask: &Ask, default: usize, largest: usize) -> Result<Self, Refusal> {
        let parameter = |camel: &str, snake: &str| ask.query.get(camel).or_else(|| ask.query.get(snake));
        let size = match parameter("pageSize", "page_size").map(|size| size.parse::<usize>()) {
            None | Some(Ok(0)) => default,
            Some(Ok(size)) => size.min(largest),
            Some(Err(_)) => return Err(Refusal::invalid("Invalid value at 'page_size' (TYPE_INT32)")),
        };
        let token = parameter("pageToken", "page_token").filter(|token| !token.is_empty());
        let after = token.map(|token| position(token)).transpose()?;
        Ok(Self { size, after })
    }

    /// The things of the page and the token of the next one. The list has the order of its positions.
    pub(super) fn cut<T>(&self, things: Vec<T>, position: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
        let start = match &self.after {
            None => 0,
            Some(after) => things.iter().position(|thing| position(thing) > *after).unwrap_or(things.len()),
        };
        let more = things.len().saturating_sub(start) > self.size;
        let page: Vec<T> = things.into_iter().skip(start).take(self.size).collect();
        let next = page.last().filter(|_| more).map(|last| URL_SAFE_NO_PAD.encode(position(last)));
        (page, next)
    }
}

fn position(token: &str) -> Result<String, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let position = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    position.ok_or_else(|| Refusal::invalid("Invalid page token."))
}

/// A position that sorts the newest first.
pub(super) fn newest_first(time: chrono::DateTime<chrono::Utc>, id: &str) -> String {
    let micros = u64::try_from(time.timestamp_micros()).unwrap_or_default();
    format!("{:020} {id}", u64::MAX - micros)
}
