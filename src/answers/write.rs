//! Writing answers to a file that appears whole or not at all.
//!
//! A format is one file that implements `Layout`, one name in [`Format`] and one line in
//! `Format::layout`.

use std::io::{self, BufWriter};

use crate::error::{Error, ErrorKind, Result};
use crate::paths::AllowedPath;

use super::csv_format::CsvLayout;
use super::json_array::JsonArrayLayout;
use super::jsonl_format::JsonlLayout;
use super::layout::{BUFFER, Finished, Layout, Sink};
use super::markdown::MarkdownLayout;
use super::media::{MediaFolder, Saved};
use super::npy::NpyLayout;
use super::parquet_format::ParquetLayout;
use super::raw::RawLayout;
use super::record::Record;
use super::source_format;
use super::table::Shape;

/// Files of formats that answers are never in.
const NEVER_WRITTEN: [&str; 7] = ["xlsx", "xls", "ods", "pdf", "gz", "zst", "zip"];

/// How answers are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Format {
    /// One JSON object a line: key, response, error, outcome.
    #[default]
    Jsonl,
    /// The lines of the API as they came.
    Raw,
    /// A table, separated by commas.
    Csv,
    /// A table, separated by tabs.
    Tsv,
    /// One JSON array of the objects of `jsonl`.
    Json,
    /// A table in columns.
    Parquet,
    /// A Markdown table of the first answers.
    Md,
    /// Vectors as a NumPy matrix.
    Npy,
    /// That of the data set.
    Source,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 9] =
        [Self::Jsonl, Self::Json, Self::Csv, Self::Tsv, Self::Parquet, Self::Md, Self::Npy, Self::Raw, Self::Source];

    /// The format's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Raw => "raw",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Json => "json",
            Self::Parquet => "parquet",
            Self::Md => "md",
            Self::Npy => "npy",
            Self::Source => "source",
        }
    }

    /// Whether it can be read back as a data set with columns.
    pub fn is_table(self) -> bool {
        matches!(self, Self::Csv | Self::Tsv | Self::Parquet)
    }

    /// The format of this name.
    pub fn parse(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|format| format.as_str().eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, format!("choosing the format {name}"), "there is no such format")
                .hint(format!("use one of {}", Self::ALL.map(Self::as_str).join(", ")))
        })
    }

    /// The format that a file's extension asks for: `jsonl` without one. An extension of no format is refused,
    /// so that nobody finds JSON in a spreadsheet's file.
    pub fn of_file(output: &AllowedPath) -> Result<Self> {
        let Some(extension) = extension(output) else { return Ok(Self::default()) };
        Self::named_by(&extension).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).into_iter().filter(|name| *name != Self::Source.as_str());
            Error::new(
                ErrorKind::InvalidArgument,
                format!("writing {output}"),
                format!("no format is called .{extension}"),
            )
            .hint(format!("end the name in one of {}; or pass format as well", names.collect::<Vec<_>>().join(", ")))
        })
    }

    /// The format whose extension this is.
    fn named_by(extension: &str) -> Option<Self> {
        match extension {
            "ndjson" => Some(Self::Jsonl),
            "markdown" => Some(Self::Md),
            extension => Self::ALL.into_iter().find(|format| *format != Self::Source && format.as_str() == extension),
        }
    }

    fn layout(self, sink: Sink, output: &AllowedPath, shape: &Shape) -> Result<Box<dyn Layout>> {
        let failed = |e| Error::io(format!("writing {output}"), e);
        Ok(match self {
            Self::Jsonl => Box::new(JsonlLayout::new(sink, shape)),
            Self::Raw => Box::new(RawLayout::new(sink)),
            Self::Csv => Box::new(CsvLayout::new(sink, b',', false, shape).map_err(failed)?),
            Self::Tsv => Box::new(CsvLayout::new(sink, b'\t', false, shape).map_err(failed)?),
            Self::Json => Box::new(JsonArrayLayout::new(sink, shape)),
            Self::Parquet => Box::new(ParquetLayout::new(sink, shape).map_err(failed)?),
            Self::Md => Box::new(MarkdownLayout::new(sink, shape).map_err(failed)?),
            Self::Npy => Box::new(NpyLayout::new(sink, output.temporary()?, shape).map_err(failed)?),
            Self::Source => source_format::layout(sink, shape).map_err(failed)?,
        })
    }
}

/// Refuses a file whose name says that something else is in it than what is written. Extensions of nobody are free.
pub fn refuse_misnamed(output: &AllowedPath, written: &str) -> Result<()> {
    let Some(extension) = extension(output) else { return Ok(()) };
    let fits = match Format::named_by(&extension) {
        Some(Format::Jsonl) => ["jsonl", "raw"].contains(&written),
        Some(format) => format.as_str() == written,
        None => !NEVER_WRITTEN.contains(&extension.as_str()),
    };
    if fits {
        return Ok(());
    }
    let cause = format!("it would hold {written}, which is not what .{extension} says");
    let right = if written == "raw" { "jsonl" } else { written };
    Err(Error::new(ErrorKind::InvalidArgument, format!("writing {output}"), cause)
        .hint(format!("give it a name that ends in .{right}, or leave format out: then the name says it")))
}

/// In small letters.
fn extension(output: &AllowedPath) -> Option<String> {
    output.as_path().extension()?.to_str().map(str::to_ascii_lowercase)
}

/// Writes records to a file, and their pictures and sounds beside it.
pub struct AnswerWriter {
    output: AllowedPath,
    overwrite: bool,
    format: &'static str,
    all_rows: bool,
    layout: Box<dyn Layout>,
    media: Option<MediaFolder>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Size of the file.
    pub bytes: u64,
    /// The same file was there already and was left alone.
    pub unchanged: bool,
    /// The format it is in.
    pub format: &'static str,
    /// The pictures and sounds.
    pub media: Option<Saved>,
    /// Things to know.
    pub warnings: Vec<String>,
}

impl AnswerWriter {
    /// Starts a file of answers.
    ///
    /// The records go to a temporary file beside `output`, which vanishes if the writer is dropped.
    pub fn create(output: AllowedPath, format: Format, shape: &Shape, overwrite: bool) -> Result<Self> {
        let sink = BufWriter::with_capacity(BUFFER, output.temporary()?);
        let layout = format.layout(sink, &output, shape)?;
        let name = if format == Format::Source { source_format::answered_in(&shape.style) } else { format.as_str() };
        Ok(Self { output, overwrite, format: name, all_rows: format == Format::Source, layout, media: None })
    }

    /// The same, but pictures and sounds become files in this folder.
    #[must_use]
    pub fn with_media(self, folder: MediaFolder) -> Self {
        Self { media: Some(folder), ..self }
    }

    /// Columns that had to be named otherwise, because the source has one of that name.
    pub fn renamed(&self) -> &[(String, String)] {
        self.layout.renamed()
    }

    /// Whether the file is the data set again, with the rows that were never asked for.
    pub fn has_all_rows(&self) -> bool {
        self.all_rows
    }

    /// Writes one record. Returns the files of its pictures and sounds.
    pub fn write(&mut self, record: &Record<'_>) -> Result<Vec<Option<String>>> {
        let media = match &mut self.media {
            Some(folder) if !record.answer.media.is_empty() => folder.save(record.key, &record.answer.media)?,
            _ => Vec::new(),
        };
        let record = Record { media: &media, ..*record };
        self.layout.write(&record).map_err(|e| failed(&self.output, e))?;
        Ok(media)
    }

    /// Puts the file in its place. Without leave to overwrite, a different file that is there already is
    /// kept and the call fails with [`ErrorKind::AlreadyExists`]; the same content again is fine.
    pub fn finish(self) -> Result<Written> {
        let failed = |e| failed(&self.output, e);
        let Finished { sink, beside, mut warnings } = self.layout.finish().map_err(failed)?;
        let file = sink.into_inner().map_err(|e| failed(e.into_error()))?;
        let bytes = file.as_file().metadata().map_err(failed)?.len();
        let media = self.media.map(MediaFolder::finish).transpose()?;
        warnings.extend(media.iter().flat_map(|media| media.warnings.clone()));
        // Neither of two files that belong together is replaced without the other.
        let refused = !self.overwrite && self.output.would_lose_to(&file)?;
        if let Some((ending, beside)) = beside.filter(|_| !refused) {
            self.output.beside(ending)?.persist_if_new(beside, self.overwrite)?;
        }
        let unchanged = self.output.persist_if_new(file, self.overwrite)?;
        Ok(Written { bytes, unchanged, format: self.format, media, warnings })
    }
}

/// What kept a file from being written.
fn failed(output: &AllowedPath, error: io::Error) -> Error {
    let act = format!("writing {output}");
    match error.kind() {
        // A format says what it cannot hold.
        io::ErrorKind::InvalidData => {
            Error::new(ErrorKind::InvalidInput, act, error.to_string()).hint("write another format, such as jsonl")
        }
        _ => Error::io(act, error),
    }
}

#[cfg(test)]
mod tests;
