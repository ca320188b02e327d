//! Text into JSON, exactly as serde_json writes it.

const BLOCK: usize = 16;

/// Appends `text` as the inside of a JSON string.
pub(super) fn escape_into(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    loop {
        let (clean, tail) = rest.split_at(clean_length(rest));
        out.extend_from_slice(clean);
        let Some((special, after)) = tail.split_first() else { return };
        escape_byte(*special, out);
        rest = after;
    }
}

/// Whether text written by [`escape_into`] is nothing but white space.
pub(super) fn is_blank(escaped: &[u8]) -> bool {
    let mut rest = escaped;
    loop {
        rest = match rest {
            [] => return true,
            [b' ', after @ ..] | [b'\\', b'n' | b'r' | b't', after @ ..] => after,
            [byte, ..] if byte.is_ascii() => return false,
            _ => {
                let text = std::str::from_utf8(rest).unwrap_or_default();
                let after = text.trim_start();
                if after.len() == text.len() {
                    return false;
                }
                after.as_bytes()
            }
        };
    }
}

/// How many bytes at the start can be copied as they are.
fn clean_length(bytes: &[u8]) -> usize {
    // Whole blocks without a branch a byte: the compiler makes vector code of it.
    let is_clean = |block: &&[u8]| !block.iter().fold(false, |found, byte| found | is_special(*byte));
    let clean = bytes.chunks_exact(BLOCK).take_while(is_clean).count() * BLOCK;
    let rest = bytes.get(clean..).unwrap_or_default();
    clean + rest.iter().position(|byte| is_special(*byte)).unwrap_or(rest.len())
}

fn is_special(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

fn escape_byte(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            const HEX: [u8; 16] = *b"0123456789abcdef";
            let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or_default();
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn white_space_of_any_sort_is_blank() {
        for (text, blank) in
            [("", true), (" \n\t\r\u{a0}\u{3000} ", true), ("\n\u{3000}.", false), ("é", false), ("\\n", false)]
        {
            let mut out = Vec::new();
            escape_into(text, &mut out);
            assert_eq!(is_blank(&out), blank, "{text:?}");
        }
    }

    fn escaped(text: &str) -> String {
        let mut out = vec![b'"'];
        escape_into(text, &mut out);
        out.push(b'"');
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_ascii_character_is_written_as_serde_json_writes_it() {
        for byte in 0..=0x7f_u8 {
            for text in [char::from(byte).to_string(), format!("0123456789abcde{}x", char::from(byte))] {
                assert_eq!(escaped(&text), serde_json::to_string(&text).unwrap());
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_written_as_serde_json_writes_it(text in "(?s)(.|[\"\\\\\n\r\t\u{0}-\u{1f}]|[a-z ]{15,20}){0,40}") {
            prop_assert_eq!(escaped(&text), serde_json::to_string(&text).unwrap());
        }
    }
}
