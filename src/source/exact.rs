//! Numbers of a data set with all their digits: one that no number here can hold is read as the text that it was
//! written as, as nothing would tell a rounded one from the right one.

use std::borrow::Cow;

use serde_json::Value;

/// So many digits every number keeps.
const SURE: usize = 15;

/// A JSON value, and the first of its numbers that is text now.
pub(super) fn from_slice(json: &[u8]) -> serde_json::Result<(Value, Option<&str>)> {
    // As it stands first: quotes would hide a number that is none.
    let value = serde_json::from_slice(json)?;
    match quoted(json) {
        (_, None) => Ok((value, None)),
        (quoted, first) => Ok((serde_json::from_slice(&quoted)?, first)),
    }
}

/// The JSON with quotes around each number that would be rounded, and the first of these.
fn quoted(json: &[u8]) -> (Cow<'_, [u8]>, Option<&str>) {
    let mut made = Vec::new();
    let (mut at, mut copied, mut first) = (0, 0, None);
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => at = behind_string(json, at),
            b'-' | b'0'..=b'9' => {
                let number = number_at(json, at);
                let end = at + number.len();
                if !survives(number) {
                    first = first.or(Some(number));
                    made.extend_from_slice(json.get(copied..at).unwrap_or_default());
                    made.extend([b"\"", number.as_bytes(), b"\""].concat());
                    copied = end;
                }
                at = end.max(at + 1);
            }
            _ => at += 1,
        }
    }
    if first.is_none() {
        return (Cow::Borrowed(json), None);
    }
    made.extend_from_slice(json.get(copied..).unwrap_or_default());
    (Cow::Owned(made), first)
}

/// Where the string ends that starts there.
fn behind_string(json: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        let rest = json.get(at..).unwrap_or_default();
        match memchr::memchr2(b'"', b'\\', rest) {
            None => return json.len(),
            Some(found) if rest.get(found) == Some(&b'"') => return at + found + 1,
            Some(found) => at += found + 2,
        }
    }
}

fn number_at(json: &[u8], start: usize) -> &str {
    let rest = json.get(start..).unwrap_or_default();
    let length = rest.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')).count();
    std::str::from_utf8(rest.get(..length).unwrap_or_default()).unwrap_or_default()
}

/// Whether the number says the same when it was read: a whole one within 64 bits, any other one if it is written again as it
/// was, or as many digits as it has are right.
fn survives(number: &str) -> bool {
    if number.len() <= SURE {
        return true;
    }
    if !number.contains(['.', 'e', 'E']) {
        return number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok();
    }
    let digits = digits(number);
    if digits.len() <= SURE {
        return true;
    }
    let Ok(read) = serde_json::from_str::<f64>(number) else { return false };
    let again = [Value::from(read).to_string(), format!("{read:.*e}", digits.len() - 1)];
    again.iter().any(|written| self::digits(written) == digits)
}

/// The digits of a number that say something, wherever its point stands.
fn digits(number: &str) -> String {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(json: &str) -> String {
        String::from_utf8(quoted(json.as_bytes()).0.into_owned()).unwrap()
    }

    #[test]
    fn numbers_that_would_be_rounded_become_text() {
        for (number, is_kept) in [
            ("9223372036854775807", true),
            ("-9223372036854775808", true),
            ("18446744073709551615", true),
            ("18446744073709551616", false),
            ("-9223372036854775809", false),
            ("100000000000000000000", false),
            ("12.50", true),
            ("0.10000000000000001", true),
            ("0.1000000000000000055511151231257827", true),
            ("0.10000000000000000000000", true),
            ("1.7976931348623157e308", true),
            // One number to a computer, of which two texts are as short.
            ("-1253857642997022.2", true),
            ("-1253857642997022.3", false),
            ("1234567890123456.78", false),
            ("9007199254740993.5", false),
            ("0.30000000000000000001", false),
            ("1.234567890123456789e-7", false),
        ] {
            let expected = if is_kept { number.to_owned() } else { format!("\"{number}\"") };
            assert_eq!(text(number), expected);
        }
    }

    #[test]
    fn strings_and_names_stay_as_they_are() {
        let json = r#"{"12345678901234567890123": "a\\\"12345678901234567890123", "b": [12345678901234567890123, {"c":-12345678901234567890123}]}"#;
        let expected = json.replace("[12345678901234567890123", "[\"12345678901234567890123\"");
        let expected = expected.replace("-12345678901234567890123", "\"-12345678901234567890123\"");
        assert_eq!(text(json), expected);
        assert_eq!(quoted(json.as_bytes()).1, Some("12345678901234567890123"));
    }

    proptest! {
        #[test]
        fn what_any_program_writes_of_its_own_numbers_stays_a_number(number in any::<f64>(), whole: i64) {
            prop_assume!(number.is_finite());
            for written in [number.to_string(), format!("{number:e}"), format!("{number:.16e}"), whole.to_string()] {
                let is_whole = !written.contains(['.', 'e']);
                let is_other = digits(&written) != digits(&Value::from(number).to_string());
                prop_assert!(survives(&written) || is_other || (is_whole && written.len() > 18), "{written}");
            }
        }

        #[test]
        fn any_bytes_are_looked_at_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (made, first) = quoted(&bytes);
            prop_assert_eq!(made.as_ref() == bytes.as_slice(), first.is_none());
        }
    }
}
