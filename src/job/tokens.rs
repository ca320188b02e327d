//! How many tokens a text will roughly be, counted here and free of charge.
//!
//! Calibrated by script: four ASCII characters a token, one and a half Chinese, Japanese or Korean
//! characters, two and a half of any other script. Expect English prose within 15 % of the service's
//! own count, other languages, code and tables within 35 %; single short strings may be further off.
//! Good for a price before spending, not for a hard limit.

use std::fmt;

use super::outcome::counted;

/// Small enough that no counter of a chunk overflows a byte, so that the compiler can count many bytes at once.
const CHUNK: usize = 192;

/// The estimated number of tokens of `text`, rounded up: 0 only for an empty text.
pub fn estimate(text: &str) -> u64 {
    let bytes = text.as_bytes();
    if bytes.is_ascii() {
        return (bytes.len() as u64).div_ceil(4);
    }
    let count = Scripts::of(bytes);
    (count.ascii * 15 + count.east_asian * 40 + count.other * 24).div_ceil(60)
}

/// Input tokens of some requests, counted by the API and estimated here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counted {
    /// How many requests.
    pub requests: i64,
    /// What the API counted.
    pub tokens: i64,
    /// The estimate for the same requests.
    pub estimated: i64,
}

impl fmt::Display for Counted {
    /// "measured by countTokens on 10 requests: the local estimate is 12 % high".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "measured by countTokens on {}: the local estimate is ", counted(self.requests, "request"))?;
        let off = (self.estimated - self.tokens).saturating_abs().saturating_mul(100);
        let percent = off.saturating_add(self.tokens / 2) / self.tokens.max(1);
        match percent {
            0 => f.write_str("right"),
            percent => write!(f, "{percent} % {}", if self.estimated > self.tokens { "high" } else { "low" }),
        }
    }
}

/// The characters of a text by the group of scripts they belong to.
#[derive(Default)]
struct Scripts {
    ascii: u64,
    east_asian: u64,
    other: u64,
}

impl Scripts {
    /// Counts by the first byte of each character; the bytes that continue one count nothing.
    fn of(bytes: &[u8]) -> Self {
        let mut all = Self::default();
        for chunk in bytes.chunks(CHUNK) {
            let (mut ascii, mut leads, mut east_asian) = (0u8, 0u8, 0u8);
            for &byte in chunk {
                ascii += u8::from(byte < 0x80);
                leads += u8::from(byte >= 0xC0);
                east_asian += u8::from(starts_east_asian(byte));
            }
            all.ascii += u64::from(ascii);
            all.east_asian += u64::from(east_asian);
            all.other += u64::from(leads - east_asian);
        }
        all
    }
}

/// Whether a character that starts with this byte is Chinese, Japanese, Korean or full width:
/// U+3000 to U+DFFF and U+F000 to U+FFFF.
fn starts_east_asian(byte: u8) -> bool {
    (0xE3..=0xED).contains(&byte) | (byte == 0xEF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_script_has_its_own_rate() {
        assert_eq!(estimate(""), 0);
        assert_eq!(estimate("a"), 1);
        assert_eq!(estimate(&"word".repeat(100)), 100);
        assert_eq!(estimate(&"漢字かな交じり文".repeat(3)), 16);
        assert_eq!(estimate(&"Здравствуй".repeat(5)), 20);
        assert_eq!(estimate("abcd漢字字"), 3);
    }

    proptest! {
        #[test]
        fn two_texts_cost_about_what_they_cost_together(a in any::<String>(), b in any::<String>()) {
            let apart = estimate(&a) + estimate(&b);
            let together = estimate(&format!("{a}{b}"));
            prop_assert!(together <= apart && apart <= together + 1);
        }

        #[test]
        fn counting_by_lead_byte_is_counting_characters(text in any::<String>()) {
            let count = Scripts::of(text.as_bytes());
            prop_assert_eq!(count.ascii + count.east_asian + count.other, text.chars().count() as u64);
        }
    }
}
