//! Parquet: read record by record, one row group after the other.
//!
//! Of each column one page at a time is unpacked: memory is bounded by the pages of a row group, never by the file.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Row as Record;
use ::parquet::record::reader::{ReaderIter, TreeBuilder};
use ::parquet::schema::types::Type;
use serde_json::{Map, Value};

use super::Rows;
use super::parquet_value::{column_type, value};
use crate::error::{Error, ErrorKind, Result};
use crate::paths::AllowedPath;
use crate::source::column_type::ColumnType;
use crate::source::row::{Row, RowProblem};

const LONGEST_CAUSE: usize = 300;

/// Rows of a Parquet file.
pub(in crate::source) struct ParquetRows {
    reader: SerializedFileReader<std::fs::File>,
    act: String,
    columns: Vec<String>,
    /// The row group that comes next.
    group: usize,
    records: Option<ReaderIter>,
    row: Map<String, Value>,
    number: u64,
}

impl ParquetRows {
    pub(in crate::source) fn open(path: &AllowedPath) -> Result<Self> {
        let act = format!("reading {path}");
        let file = path.open()?;
        let reader = guarded(move || SerializedFileReader::new(file))
            .map_err(|cause| bad(&act, format!("it is cut off, or not Parquet: {cause}")).hint(AGAIN))?;
        let fields = reader.metadata().file_metadata().schema().get_fields();
        let columns: Vec<String> = fields.iter().map(|field| field.name().to_owned()).collect();
        for (at, name) in columns.iter().enumerate() {
            if columns.iter().take(at).any(|before| before == name) {
                return Err(
                    bad(&act, format!("it has the column {name:?} twice")).hint("give each column its own name")
                );
            }
        }
        Ok(Self { reader, act, columns, group: 0, records: None, row: Map::new(), number: 0 })
    }

    /// The next record; none at the end of the last row group.
    fn record(&mut self) -> Result<Option<Record>, String> {
        loop {
            if let Some(records) = &mut self.records
                && let Some(record) = guarded(|| records.next().transpose())?
            {
                return Ok(Some(record));
            }
            if self.group == self.reader.num_row_groups() {
                return Ok(None);
            }
            let (reader, group) = (&self.reader, self.group);
            let records = guarded(|| {
                let schema = reader.metadata().file_metadata().schema_descr_ptr();
                TreeBuilder::new().as_iter(schema, reader.get_row_group(group)?.as_ref())
            })?;
            self.records = Some(records);
            self.group += 1;
        }
    }

    fn schema(&self) -> &Type {
        self.reader.metadata().file_metadata().schema()
    }
}

const AGAIN: &str = "write or copy the file again; if it is in another format, say which";

impl Rows for ParquetRows {
    fn advance(&mut self) -> Result<Option<Result<(), RowProblem>>> {
        let number = self.number + 1;
        let record = self.record().map_err(|cause| bad(&self.act, format!("row {number}: {cause}")).hint(AGAIN))?;
        let Some(record) = record else { return Ok(None) };
        let fields = record.into_columns().into_iter().zip(self.schema().get_fields());
        self.row = fields.map(|((name, field), kind)| (name, value(field, Some(kind)))).collect();
        self.number = number;
        Ok(Some(Ok(())))
    }

    fn row(&self) -> Row<'_> {
        Row::object(self.number, None, &self.row)
    }

    fn columns(&self) -> Option<&[String]> {
        Some(&self.columns)
    }

    fn column_types(&self) -> Option<Vec<ColumnType>> {
        Some(self.schema().get_fields().iter().map(|field| column_type(field)).collect())
    }
}

fn bad(act: &str, cause: String) -> Error {
    Error::new(ErrorKind::InvalidInput, act, cause)
}

/// Runs a step of the Parquet reader. It gives up on some damaged or unusual files by a panic, which is caught here,
/// so that it is told as what it is: a file that cannot be read.
fn guarded<T>(step: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    let told = |text: &str| text.chars().filter(|c| !c.is_control()).take(LONGEST_CAUSE).collect::<String>();
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(e)) => Err(told(&e.to_string())),
        Err(_) => Err("its content does not fit its own description, or is of a kind that is not read".to_owned()),
    }
}
