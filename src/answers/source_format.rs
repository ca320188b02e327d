//! `source`: the data set's own format, with its columns in their order, and the answer columns after them.
//!
//! A CSV keeps its delimiter and its line ends. Text and folders of files come back as CSV.

use std::io;

use super::csv_format::CsvLayout;
use super::flat_json::FlatJsonLayout;
use super::layout::{Layout, Sink};
use super::parquet_format::ParquetLayout;
use super::table::Shape;
use crate::source::Style;

/// The name of the format that a data set in this one is answered in, and its extension.
pub fn answered_in(style: &Style) -> &'static str {
    match style.format.as_deref() {
        Some("tsv") => "tsv",
        Some("json") => "json",
        Some("jsonl") => "jsonl",
        Some("parquet") => "parquet",
        _ => "csv",
    }
}

pub(super) fn layout(sink: Sink, shape: &Shape) -> io::Result<Box<dyn Layout>> {
    let style = &shape.style;
    Ok(match answered_in(style) {
        "json" => Box::new(FlatJsonLayout::new(sink, true, shape)),
        "jsonl" => Box::new(FlatJsonLayout::new(sink, false, shape)),
        "parquet" => Box::new(ParquetLayout::new(sink, shape)?),
        _ => Box::new(CsvLayout::new(sink, style.delimiter, style.crlf, shape)?),
    })
}
