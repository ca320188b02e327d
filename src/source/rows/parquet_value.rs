//! The values of a Parquet file as JSON.
//!
//! What JSON has no type for becomes the text that a person would write: dates and times in ISO 8601, decimals with
//! all their digits, bytes in base64. What JSON cannot say (a number that is none) is null.

use ::parquet::basic::{ConvertedType as C, LogicalType, Repetition, TimeUnit, Type as Physical};
use ::parquet::data_type::{AsBytes, Decimal};
use ::parquet::record::Field;
use ::parquet::schema::types::Type;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Duration, NaiveDate, NaiveTime, SecondsFormat, Utc};
use serde_json::{Map, Number, Value};

use crate::source::column_type::ColumnType;

/// A field as JSON. `kind` is its type in the file's schema, as far as it can be followed.
pub(super) fn value(field: Field, kind: Option<&Type>) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(flag) => flag.into(),
        Field::Byte(number) => number.into(),
        Field::Short(number) => number.into(),
        Field::Int(number) => number.into(),
        Field::Long(number) => long(number, kind),
        Field::UByte(number) => number.into(),
        Field::UShort(number) => number.into(),
        Field::UInt(number) => number.into(),
        Field::ULong(number) => number.into(),
        Field::Float16(number) => shortest(number.to_f32()),
        Field::Float(number) => shortest(number),
        Field::Double(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        Field::Decimal(decimal) => decimal_text(&decimal).into(),
        Field::Str(text) => text.into(),
        Field::Bytes(bytes) => binary(bytes.as_bytes(), kind).into(),
        Field::Date(days) => text(NaiveDate::default().checked_add_signed(Duration::days(days.into()))),
        Field::TimeMillis(time) => time_of_day(i64::from(time) * 1_000),
        Field::TimeMicros(time) => time_of_day(time),
        Field::TimestampMillis(time) => moment(DateTime::from_timestamp_millis(time), kind),
        Field::TimestampMicros(time) => moment(DateTime::from_timestamp_micros(time), kind),
        Field::Group(group) => {
            let kinds = kind.filter(|kind| kind.is_group()).map(Type::get_fields).unwrap_or_default();
            let members = group.into_columns().into_iter().enumerate();
            let member = |(at, (name, field)): (usize, (String, Field))| {
                let kind = kinds.get(at).map(AsRef::as_ref).filter(|kind: &&Type| kind.name() == name);
                (name, value(field, kind))
            };
            members.map(member).collect::<Map<_, _>>().into()
        }
        Field::ListInternal(list) => {
            let kind = kind.map(element);
            list.elements().iter().map(|field| value(field.clone(), kind)).collect()
        }
        Field::MapInternal(map) => {
            let entry = |(key, field): &(Field, Field)| {
                let key = match value(key.clone(), None) {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                (key, value(field.clone(), None))
            };
            map.entries().iter().map(entry).collect::<Map<_, _>>().into()
        }
    }
}

/// What the values of a column are as they are given here.
pub(super) fn column_type(kind: &Type) -> ColumnType {
    let info = kind.get_basic_info();
    if kind.is_group() || (info.has_repetition() && info.repetition() == Repetition::REPEATED) {
        return ColumnType::Text;
    }
    let is_whole = match (info.logical_type_ref(), info.converted_type()) {
        // Larger numbers than 64 bits with a sign can hold would be lost.
        (Some(LogicalType::Integer(integer)), _) => integer.is_signed || integer.bit_width < 64,
        (Some(_), _) => false,
        (None, C::NONE | C::INT_8 | C::INT_16 | C::INT_32 | C::INT_64 | C::UINT_8 | C::UINT_16 | C::UINT_32) => true,
        (None, _) => false,
    };
    match kind.get_physical_type() {
        Physical::BOOLEAN => ColumnType::Boolean,
        Physical::INT32 | Physical::INT64 if is_whole => ColumnType::Integer,
        Physical::FLOAT | Physical::DOUBLE => ColumnType::Number,
        _ => ColumnType::Text,
    }
}

/// The type of the elements of a list: what its wrapping groups hold.
fn element(mut kind: &Type) -> &Type {
    while let [only] = if kind.is_group() { kind.get_fields() } else { &[] } {
        kind = only;
    }
    kind
}

/// A whole number, or nanoseconds since 1970 where the schema says so.
fn long(number: i64, kind: Option<&Type>) -> Value {
    match logical(kind) {
        Some(LogicalType::Timestamp(time)) if time.unit == TimeUnit::NANOS => {
            moment(Some(DateTime::from_timestamp_nanos(number)), kind)
        }
        Some(LogicalType::Time(time)) if time.unit == TimeUnit::NANOS => time_of_day(number / 1_000),
        _ => number.into(),
    }
}

fn logical(kind: Option<&Type>) -> Option<&LogicalType> {
    kind.and_then(|kind| kind.get_basic_info().logical_type_ref())
}

/// The number with as few digits as tell it: 0.1, not 0.10000000149011612.
fn shortest(number: f32) -> Value {
    let nearest = number.to_string().parse().ok();
    nearest.and_then(Number::from_f64).map_or(Value::Null, Value::Number)
}

fn text(value: Option<impl ToString>) -> Value {
    value.map_or(Value::Null, |value| value.to_string().into())
}

fn time_of_day(micros: i64) -> Value {
    let (seconds, rest) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let nanos = u32::try_from(rest * 1_000).ok();
    let seconds = u32::try_from(seconds).ok();
    text(seconds.zip(nanos).and_then(|(seconds, nanos)| NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos)))
}

/// A moment with `Z`; without it, where the schema says that the time zone is not known.
fn moment(time: Option<DateTime<Utc>>, kind: Option<&Type>) -> Value {
    let is_local = matches!(logical(kind), Some(LogicalType::Timestamp(time)) if !time.is_adjusted_to_u_t_c);
    time.map_or(Value::Null, |time| {
        let text = time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        text.strip_suffix('Z').filter(|_| is_local).map(str::to_owned).unwrap_or(text).into()
    })
}

/// The digits of a decimal: a big-endian whole number with the point `scale` digits from its end.
fn decimal_text(decimal: &Decimal) -> String {
    let bytes = decimal.data();
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    // Base 256 to base 10, one byte after the other: exact for any width.
    let mut digits = vec![0u8];
    for byte in bytes {
        let mut carry = u32::from(if negative { !byte } else { *byte });
        for digit in &mut digits {
            carry += u32::from(*digit) * 256;
            *digit = u8::try_from(carry % 10).unwrap_or_default();
            carry /= 10;
        }
        while carry > 0 {
            digits.push(u8::try_from(carry % 10).unwrap_or_default());
            carry /= 10;
        }
    }
    if negative {
        add_one(&mut digits);
    }
    let scale = usize::try_from(decimal.scale()).unwrap_or_default();
    digits.resize(digits.len().max(scale + 1), 0);
    while digits.len() > scale + 1 && digits.last() == Some(&0) {
        digits.pop();
    }
    let (fraction, whole) = digits.split_at(scale);
    let written = |digits: &[u8]| digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect::<String>();
    let sign = if negative { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{}{point}{}", written(whole), written(fraction))
}

/// Adds one to a number, its lowest digit first.
fn add_one(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut() {
        if *digit < 9 {
            *digit += 1;
            return;
        }
        *digit = 0;
    }
    digits.push(1);
}

fn binary(bytes: &[u8], kind: Option<&Type>) -> String {
    if logical(kind) == Some(&LogicalType::Uuid) && bytes.len() == 16 {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        return [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-");
    }
    // Text without the mark that it is text, as old writers leave it, stays text.
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    text.map_or_else(|| BASE64_STANDARD.encode(bytes), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_all_their_digits() {
        for (number, scale, expected) in [
            (0, 2, "0.00"),
            (5, 2, "0.05"),
            (12_345, 2, "123.45"),
            (-1, 0, "-1"),
            (-12_345, 4, "-1.2345"),
            (-25_600, 2, "-256.00"),
            (1_000, 0, "1000"),
        ] {
            assert_eq!(decimal_text(&Decimal::from_i64(number, 18, scale)), expected);
        }
        let wide = Decimal::from_bytes(vec![0x7F; 16].into(), 38, 6);
        assert_eq!(decimal_text(&wide), "169473963133173273960190490760135.540607");
    }

    #[test]
    fn times_are_written_as_people_write_them() {
        assert_eq!(value(Field::Date(19_000), None), "2022-01-08");
        assert_eq!(value(Field::Date(-1), None), "1969-12-31");
        assert_eq!(value(Field::TimestampMillis(1_700_000_000_000), None), "2023-11-14T22:13:20Z");
        assert_eq!(value(Field::TimestampMicros(1_700_000_000_000_001), None), "2023-11-14T22:13:20.000001Z");
        assert_eq!(value(Field::TimeMillis(3_723_004), None), "01:02:03.004");
        assert_eq!(value(Field::Float(0.1), None), serde_json::json!(0.1));
        assert_eq!(value(Field::Double(f64::NAN), None), Value::Null);
    }
}
