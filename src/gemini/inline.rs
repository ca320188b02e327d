//! Results that come inside the batch.
//!
//! The batch may be large, and holds its results twice: in `response` and in `metadata.output`. It is
//! kept in a temporary file beside the ledger and read as a stream, one result at a time.

use std::fmt;
use std::io::{BufReader, Read, Seek, Write};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use tempfile::SpooledTempFile;
use tokio::sync::mpsc;

use super::Gemini;
use super::json::{misread, number_or_text, on_one_line};
use crate::error::{Error, ErrorKind, Result};

/// Where results are looked for, in this order.
const PLACES: [&[&str]; 2] = [
    &["response", "inlinedResponses", "inlinedResponses"],
    &["metadata", "output", "inlinedResponses", "inlinedResponses"],
];
/// How many lines may be read ahead of the sink.
const AHEAD: usize = 4;

/// What [`Gemini::inline_results`] wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InlineResults {
    /// Result lines written.
    pub lines: u64,
    /// How many of them came without a key and got their position instead: `#0`, `#1`, …. The API
    /// does not keep the order, so such a line cannot be told apart with certainty.
    pub without_key: u64,
}

#[derive(Deserialize)]
struct Inlined {
    #[serde(default)]
    response: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<Box<RawValue>>,
    /// Some clients saw this word in place of `error`.
    #[serde(default)]
    status: Option<Box<RawValue>>,
    #[serde(default)]
    metadata: Value,
}

impl Gemini {
    /// Writes the inline results of a batch as result lines: `{"key", "response"}` or `{"key", "error"}`.
    ///
    /// A batch without inline results writes nothing. The order is that of the API, which is not that
    /// of the requests.
    pub async fn inline_results(&self, name: &str, sink: &mut (dyn Write + Send)) -> Result<InlineResults> {
        let call = self.whole_batch_call(name, "fetching the inline results of")?;
        let spool = self.http.spooled(&call, Ok).await?;
        let (lines, mut incoming) = mpsc::channel(AHEAD);
        let reading = tokio::task::spawn_blocking(move || read_results(spool, &lines));
        while let Some(line) = incoming.recv().await {
            let line: Vec<u8> = line;
            sink.write_all(&line).map_err(|e| Error::io("writing inline results", e))?;
        }
        let read = reading.await.map_err(|e| Error::internal(&call.act, e.to_string()))?;
        read.map_err(|why| Error::new(ErrorKind::UnexpectedAnswer, &call.act, why).hint("try again later"))
    }
}

/// Sends the results of the first place that has any.
fn read_results(mut spool: SpooledTempFile, lines: &mpsc::Sender<Vec<u8>>) -> Result<InlineResults, String> {
    let mut results = InlineResults::default();
    for place in PLACES {
        spool.rewind().map_err(|e| e.to_string())?;
        stream(&mut spool, place, &mut |inlined| {
            let line = result_line(inlined, &mut results);
            // The receiver is gone when the caller gave up or could not write: nothing is left to do.
            lines.blocking_send(line).map_err(|_| "nobody takes the results any more".to_owned())
        })?;
        if results.lines > 0 {
            break;
        }
    }
    Ok(results)
}

fn result_line(inlined: Inlined, results: &mut InlineResults) -> Vec<u8> {
    let key = inlined.metadata.get("key").and_then(number_or_text).unwrap_or_else(|| {
        results.without_key += 1;
        format!("#{}", results.lines)
    });
    results.lines += 1;
    let (field, value) = match (&inlined.response, inlined.error.as_ref().or(inlined.status.as_ref())) {
        (Some(response), _) => ("response", response.get()),
        (None, Some(error)) => ("error", error.get()),
        (None, None) => ("error", r#"{"message":"the API sent neither a response nor an error"}"#),
    };
    let mut line = format!("{{\"key\":{},\"{field}\":", Value::from(key)).into_bytes();
    on_one_line(value, &mut line);
    line.extend_from_slice(b"}\n");
    line
}

/// Takes one result; an error ends the reading.
type Take<'a> = dyn FnMut(Inlined) -> Result<(), String> + 'a;

fn stream(source: &mut (impl Read + Seek), place: &'static [&'static str], take: &mut Take<'_>) -> Result<(), String> {
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(&mut *source));
    Descend { place, take }.deserialize(&mut json).map_err(|e| misread(source, &e))
}

/// Goes down the named fields to a list and takes its elements one by one.
struct Descend<'a, 'b> {
    place: &'static [&'static str],
    take: &'a mut Take<'b>,
}

impl<'de> DeserializeSeed<'de> for Descend<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Descend<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a batch")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key::<String>()? {
            match self.place.split_first() {
                Some((first, place)) if *first == field => map.next_value_seed(Descend { place, take: self.take })?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.place.is_empty() {
            while let Some(inlined) = list.next_element()? {
                (self.take)(inlined).map_err(serde::de::Error::custom)?;
            }
        } else {
            // The whole batch in a list of one.
            while list.next_element_seed(Descend { place: self.place, take: self.take })?.is_some() {}
        }
        Ok(())
    }
}
