//! `npy`: vectors as a matrix of 32-bit floats, as NumPy reads them, in the order of the requests.
//!
//! Line `i` of `OUTPUT.keys.jsonl` beside it names row `i`: its key, and with a join its source row. Requests
//! without a vector are in neither.

use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use tempfile::NamedTempFile;

use super::jsonl_format::write_name;
use super::layout::{BUFFER, Finished, Layout, Sink};
use super::record::Record;
use super::table::Shape;
use crate::job::outcome::counted;

/// Room for the header, as its numbers are known only at the end.
const HEADER: usize = 128;
/// What NumPy's format 1.0 starts with, and the length of the rest of the header.
const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";

pub(super) struct NpyLayout {
    sink: Sink,
    names: BufWriter<NamedTempFile>,
    columns: Vec<String>,
    rows: u64,
    dimensions: usize,
    left_out: i64,
}

impl NpyLayout {
    /// The matrix goes to `sink`, the keys to `names`.
    pub(super) fn new(mut sink: Sink, names: NamedTempFile, shape: &Shape) -> io::Result<Self> {
        sink.write_all(&[b' '; HEADER])?;
        let columns = shape.columns.iter().map(|column| column.name.clone()).collect();
        let names = BufWriter::with_capacity(BUFFER, names);
        Ok(Self { sink, names, columns, rows: 0, dimensions: 0, left_out: 0 })
    }

    fn header(&self) -> Vec<u8> {
        let fields =
            format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", self.rows, self.dimensions);
        let rest = HEADER - MAGIC.len() - 2;
        let mut header = MAGIC.to_vec();
        header.extend(u16::try_from(rest).unwrap_or_default().to_le_bytes());
        header.extend(format!("{fields:<width$}\n", width = rest - 1).into_bytes());
        header
    }
}

impl Layout for NpyLayout {
    fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        let vector = record.answer.embedding.and_then(|vector| serde_json::from_str::<Vec<f32>>(vector.get()).ok());
        let Some(vector) = vector.filter(|vector| !vector.is_empty()) else {
            self.left_out += 1;
            return Ok(());
        };
        if self.rows == 0 {
            self.dimensions = vector.len();
        } else if vector.len() != self.dimensions {
            let (found, expected) = (vector.len(), self.dimensions);
            let cause = format!("the vector of {:?} has {found} dimensions, those before it {expected}", record.key);
            return Err(io::Error::new(io::ErrorKind::InvalidData, cause));
        }
        self.rows += 1;
        for value in vector {
            self.sink.write_all(&value.to_le_bytes())?;
        }
        write_name(&mut self.names, record, &self.columns)?;
        self.names.write_all(b"\n")
    }

    fn finish(mut self: Box<Self>) -> io::Result<Finished> {
        if self.rows == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no answer is a vector; npy holds nothing else"));
        }
        let header = self.header();
        self.sink.seek(SeekFrom::Start(0))?;
        self.sink.write_all(&header)?;
        self.sink.seek(SeekFrom::End(0))?;
        let names = self.names.into_inner().map_err(io::IntoInnerError::into_error)?;
        let mut warnings = vec!["line i of the .keys.jsonl file beside it is the key of row i".to_owned()];
        if self.left_out > 0 {
            warnings.push(format!("{} without a vector left out of the matrix", counted(self.left_out, "request")));
        }
        Ok(Finished { beside: Some((NAMES, names)), warnings, ..self.sink.into() })
    }
}

/// What the name of the file with the keys ends in.
const NAMES: &str = ".keys.jsonl";
