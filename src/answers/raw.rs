//! `raw`: the lines of the API as they came; a line with an error for each key without one.

use std::io::{self, Write};

use serde_json::json;

use super::layout::{Finished, Layout, Sink};
use super::reasons::NO_LINE;
use super::record::Record;

pub(super) struct RawLayout {
    sink: Sink,
}

impl RawLayout {
    pub(super) fn new(sink: Sink) -> Self {
        Self { sink }
    }
}

impl Layout for RawLayout {
    fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        match record.raw {
            Some(line) => self.sink.write_all(line)?,
            None => write!(self.sink, "{}", json!({"key": record.key, "error": {"message": NO_LINE}}))?,
        }
        self.sink.write_all(b"\n")
    }

    fn finish(self: Box<Self>) -> io::Result<Finished> {
        Ok(self.sink.into())
    }
}
