//! `parquet`: a [table](super::table) in columns, compressed with zstd.
//!
//! Columns of the source are text, unless it is Parquet that says otherwise, or all values of a JSON source's column
//! are numbers or truths; fields of a schema have the type that the schema promises; vectors are lists of 32-bit floats. Nothing and null are null.

use std::io;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};

use super::fields::{Column, Kind};
use super::layout::{Finished, Layout, Sink};
use super::record::Record;
use super::table::{Shape, Table, TableCell};

/// A row group is written when it has so many rows or bytes: what is held in memory stays the same.
const GROUP_ROWS: usize = 10_000;
const GROUP_BYTES: usize = 32 << 20;

pub(super) struct ParquetLayout {
    writer: SerializedFileWriter<Sink>,
    table: Table,
    group: Vec<Values>,
    rows: usize,
    bytes: usize,
}

impl ParquetLayout {
    pub(super) fn new(sink: Sink, shape: &Shape) -> io::Result<Self> {
        let table = Table::new(shape);
        let columns = || table.columns.iter().map(|(column, _)| column);
        let fields = columns().map(|column| schema_of(column).map(Arc::new)).collect::<Result<Vec<_>>>();
        let schema = fields.and_then(|fields| Type::group_type_builder("answers").with_fields(fields).build());
        let compression = Compression::ZSTD(ZstdLevel::default());
        let properties = WriterProperties::builder().set_compression(compression).build();
        let writer = SerializedFileWriter::new(sink, TypePtr::new(schema.map_err(to_io)?), Arc::new(properties));
        let group = columns().map(|column| Values::of(column.kind)).collect();
        Ok(Self { writer: writer.map_err(to_io)?, table, group, rows: 0, bytes: 0 })
    }

    fn write_group(&mut self) -> Result<()> {
        let mut group = self.writer.next_row_group()?;
        for values in &mut self.group {
            let Some(mut column) = group.next_column()? else { break };
            values.write(&mut column)?;
            column.close()?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

impl Layout for ParquetLayout {
    fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        let Self { table, group, bytes, .. } = self;
        let mut group = group.iter_mut();
        table.fill(record, |_, cell| {
            *bytes += group.next().map_or(0, |values| values.put(&cell));
            Ok(())
        })?;
        self.rows += 1;
        if self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES {
            self.write_group().map_err(to_io)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<Finished> {
        if self.rows > 0 {
            self.write_group().map_err(to_io)?;
        }
        Ok(self.writer.into_inner().map_err(to_io)?.into())
    }

    fn renamed(&self) -> &[(String, String)] {
        &self.table.renamed
    }
}

/// How a column stands in the schema of the file.
fn schema_of(column: &Column) -> Result<Type> {
    let name = column.name.as_str();
    let optional = |physical, logical| {
        let builder = Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
        builder.with_logical_type(logical).build()
    };
    match column.kind {
        Kind::Text => optional(Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Integer => optional(Physical::INT64, None),
        Kind::Number => optional(Physical::DOUBLE, None),
        Kind::Boolean => optional(Physical::BOOLEAN, None),
        Kind::Vector => {
            let element = Type::primitive_type_builder("element", Physical::FLOAT);
            let element = Arc::new(element.with_repetition(Repetition::REQUIRED).build()?);
            let list = Type::group_type_builder("list").with_repetition(Repetition::REPEATED);
            let list = Arc::new(list.with_fields(vec![element]).build()?);
            let group = Type::group_type_builder(name).with_repetition(Repetition::OPTIONAL);
            group.with_logical_type(Some(LogicalType::List)).with_fields(vec![list]).build()
        }
    }
}

/// The cells of one column in the row group at hand; `there` tells which rows have one.
enum Values {
    Text {
        cells: Vec<ByteArray>,
        there: Vec<i16>,
    },
    Integer {
        cells: Vec<i64>,
        there: Vec<i16>,
    },
    Number {
        cells: Vec<f64>,
        there: Vec<i16>,
    },
    Boolean {
        cells: Vec<bool>,
        there: Vec<i16>,
    },
    /// `again` is 0 at the first number of each list.
    Vector {
        cells: Vec<f32>,
        there: Vec<i16>,
        again: Vec<i16>,
    },
}

impl Values {
    fn of(kind: Kind) -> Self {
        let there = Vec::new();
        match kind {
            Kind::Text => Self::Text { cells: Vec::new(), there },
            Kind::Integer => Self::Integer { cells: Vec::new(), there },
            Kind::Number => Self::Number { cells: Vec::new(), there },
            Kind::Boolean => Self::Boolean { cells: Vec::new(), there },
            Kind::Vector => Self::Vector { cells: Vec::new(), there, again: Vec::new() },
        }
    }

    /// Adds a cell; null, if it is not what the column holds. Returns about how many bytes it takes.
    fn put(&mut self, cell: &TableCell<'_>) -> usize {
        let text = cell.text();
        match self {
            Self::Text { cells, there } => {
                let size = text.as_ref().map_or(0, |text| text.len());
                let bytes = text.map(|text| ByteArray::from(text.into_owned().into_bytes()));
                add(cells, there, bytes);
                return size + size_of::<ByteArray>();
            }
            Self::Integer { cells, there } => add(cells, there, text.and_then(|text| text.parse().ok())),
            Self::Number { cells, there } => add(cells, there, text.and_then(|text| text.parse().ok())),
            Self::Boolean { cells, there } => add(cells, there, text.and_then(|text| text.parse().ok())),
            Self::Vector { cells, there, again } => {
                let vector = text.and_then(|text| serde_json::from_str::<Vec<f32>>(&text).ok());
                let length = vector.as_ref().map_or(0, Vec::len);
                there.push(if length > 0 { IN_LIST } else { i16::from(vector.is_some()) });
                again.push(0);
                there.extend(std::iter::repeat_n(IN_LIST, length.saturating_sub(1)));
                again.extend(std::iter::repeat_n(1, length.saturating_sub(1)));
                cells.extend(vector.unwrap_or_default());
                return length * 2 * size_of::<f32>();
            }
        }
        size_of::<i64>()
    }

    /// Writes the cells and forgets them.
    fn write(&mut self, column: &mut SerializedColumnWriter<'_>) -> Result<()> {
        match self {
            Self::Text { cells, there } => flush::<ByteArrayType>(column, cells, there, None),
            Self::Integer { cells, there } => flush::<Int64Type>(column, cells, there, None),
            Self::Number { cells, there } => flush::<DoubleType>(column, cells, there, None),
            Self::Boolean { cells, there } => flush::<BoolType>(column, cells, there, None),
            Self::Vector { cells, there, again } => flush::<FloatType>(column, cells, there, Some(again)),
        }
    }
}

fn flush<T: DataType>(
    column: &mut SerializedColumnWriter<'_>,
    cells: &mut Vec<T::T>,
    there: &mut Vec<i16>,
    again: Option<&mut Vec<i16>>,
) -> Result<()> {
    column.typed::<T>().write_batch(cells, Some(there), again.as_deref().map(Vec::as_slice))?;
    cells.clear();
    there.clear();
    again.into_iter().for_each(Vec::clear);
    Ok(())
}

/// The level of a number in a list: the list is there, and so is the number.
const IN_LIST: i16 = 2;

fn add<T>(cells: &mut Vec<T>, there: &mut Vec<i16>, cell: Option<T>) {
    there.push(i16::from(cell.is_some()));
    cells.extend(cell);
}

fn to_io(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(cause) => *cause,
            Err(cause) => io::Error::other(cause),
        },
        other => io::Error::other(other),
    }
}
