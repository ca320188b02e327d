//! Tables written as files of every kind.

use std::io::Write;
use std::sync::Arc;

use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, FloatType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// UTF-16 with a byte order mark.
pub(crate) fn utf16(text: &str, little: bool) -> Vec<u8> {
    let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
    units.flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
}

pub(crate) fn separated(columns: &[&str], rows: &[Vec<String>], delimiter: u8) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
    writer.write_record(columns).unwrap();
    rows.iter().for_each(|row| writer.write_record(row).unwrap());
    writer.into_inner().unwrap()
}

/// Rows of text as Parquet, compressed, a row group for every hundred rows.
pub(crate) fn parquet_of_rows(columns: &[&str], rows: &[Vec<String>]) -> Vec<u8> {
    let fields: String = columns.iter().map(|name| format!("required binary {name} (UTF8); ")).collect();
    let schema = Arc::new(parse_message_type(&format!("message rows {{ {fields} }}")).unwrap());
    let properties = WriterProperties::builder().set_compression(parquet::basic::Compression::SNAPPY).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    for rows in rows.chunks(100) {
        let mut group = writer.next_row_group().unwrap();
        for column in 0..columns.len() {
            let cells: Vec<_> = rows.iter().map(|row| ByteArray::from(row[column].as_str())).collect();
            write::<ByteArrayType>(&mut group, &cells, None, None);
        }
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

/// Writes the next column of a row group.
fn write<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
    defined: Option<&[i16]>,
    repeated: Option<&[i16]>,
) {
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<T>().write_batch(values, defined, repeated).unwrap();
    column.close().unwrap();
}

/// Two row groups of two rows with a value of every kind.
pub(crate) fn every_type() -> Vec<u8> {
    let schema = "message rows {
        required int64 id;
        optional binary name (UTF8);
        required int64 at (TIMESTAMP(MILLIS, true));
        required int32 day (DATE);
        required int32 price (DECIMAL(9, 2));
        required float ratio;
        required binary raw;
        required group tags (LIST) { repeated group list { required binary element (UTF8); } }
        required group place { required binary city (UTF8); }
        required group flags (MAP) { repeated group key_value { required binary key (UTF8); required boolean value; } }
    }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(WriterProperties::default())).unwrap();
    let text = |text: &str| ByteArray::from(text);
    for (first, name) in [(1, "Ann"), (3, "Cy")] {
        let mut group = writer.next_row_group().unwrap();
        write::<Int64Type>(&mut group, &[first, first + 1], None, None);
        write::<ByteArrayType>(&mut group, &[text(name)], Some(&[1, 0]), None);
        write::<Int64Type>(&mut group, &[1_700_000_000_001; 2], None, None);
        write::<Int32Type>(&mut group, &[19_000; 2], None, None);
        write::<Int32Type>(&mut group, &[1_250, -5], None, None);
        write::<FloatType>(&mut group, &[0.1; 2], None, None);
        write::<ByteArrayType>(&mut group, &[text("text"), ByteArray::from(vec![0xFF, 0xFE, 0xFD])], None, None);
        write::<ByteArrayType>(&mut group, &[text("a"), text("b")], Some(&[1, 1, 0]), Some(&[0, 1, 0]));
        write::<ByteArrayType>(&mut group, &[text("Rome"), text("Rome")], None, None);
        write::<ByteArrayType>(&mut group, &[text("hot"), text("hot")], Some(&[1, 1]), Some(&[0, 0]));
        write::<BoolType>(&mut group, &[true, true], Some(&[1, 1]), Some(&[0, 0]));
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}
