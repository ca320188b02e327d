//! Names: of a job's content, and of the job.

use std::fmt;

/// SHA-256 over everything that makes a job what it is: the request file, model, kind, options, run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContentHash(String);

impl ContentHash {
    /// Hashes the identity of a job.
    ///
    /// `file_sha256` is the hex hash of the request file; `run` counts deliberate repetitions, from 1.
    pub fn of_job(file_sha256: &str, model: &str, kind: super::Kind, run: u32) -> Self {
        use sha2::{Digest, Sha256};
        let mut hasher = Sha256::new();
        for field in [file_sha256, model, kind.as_str()] {
            hasher.update(field.as_bytes());
            hasher.update([0]);
        }
        if run > 1 {
            hasher.update(run.to_be_bytes());
        }
        Self(hex(&hasher.finalize()))
    }

    /// The hash in lower-case hex.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The twelve digits that stand in a handle.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

/// Bytes as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        use fmt::Write;
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The name of a job: `<slug>-<12 hex of the content hash>`.
///
/// Readable, deterministic, and also the `displayName` at the API, so that the job can be found again
/// when everything local is gone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle(String);

impl Handle {
    /// The handle of the job with this content, named by the user or after its file.
    pub fn new(name: &str, content: &ContentHash) -> Self {
        Self(format!("{}-{}", slug(name), content.short()))
    }

    /// A handle read back from the ledger.
    pub fn from_ledger(text: String) -> Self {
        Self(text)
    }

    /// A handle of the form that [`new`](Self::new) makes; a name from elsewhere may hold anything.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, hash) = text.rsplit_once('-')?;
        let is_hash = hash.len() == 12 && hash.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        (is_hash && slug(name) == name).then(|| Self(text.to_owned()))
    }

    /// The display name of a part of the job: the handle itself if it has only one, else `HANDLE-p1of3`.
    pub fn part_name(&self, number: u32, of: u32) -> String {
        if of == 1 { self.0.clone() } else { format!("{self}-p{number}of{of}") }
    }

    /// Reads a display name that [`part_name`](Self::part_name) made: the job, which part, of how many.
    pub fn parse_part(name: &str) -> Option<(Self, u32, u32)> {
        if let Some(handle) = Self::parse(name) {
            return Some((handle, 1, 1));
        }
        let (handle, part) = name.rsplit_once("-p")?;
        let (number, of) = part.split_once("of")?;
        let (number, of): (u32, u32) = (number.parse().ok()?, of.parse().ok()?);
        let handle = Self::parse(handle)?;
        (number >= 1 && number <= of && handle.part_name(number, of) == name).then_some((handle, number, of))
    }

    /// The handle as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits of the content hash at its end.
    pub fn hash(&self) -> &str {
        self.0.rsplit_once('-').map_or(&self.0, |(_, hash)| hash)
    }

    /// The readable part in front of the hash.
    pub fn slug(&self) -> &str {
        self.0.rsplit_once('-').map_or(&self.0, |(slug, _)| slug)
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Lower-case ASCII letters, digits and single dashes, at most 40 long, never empty.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() == 40 {
            break;
        }
    }
    let trimmed = slug.trim_end_matches('-');
    if trimmed.is_empty() { "job".to_owned() } else { trimmed.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Kind;

    #[test]
    fn slug_is_plain_short_and_never_empty() {
        assert_eq!(slug("Products (Spring 2026)"), "products-spring-2026");
        assert_eq!(slug("製品"), "job");
        assert_eq!(slug(&"ab-".repeat(40)).len(), 40);
    }

    #[test]
    fn handle_is_the_slug_and_twelve_digits_of_the_content_hash() {
        let content = ContentHash::of_job("aa", "gemini-3-flash-preview", Kind::Generate, 1);
        let handle = Handle::new("Products", &content);
        assert_eq!(handle.as_str(), format!("products-{}", &content.as_str()[..12]));
        assert_eq!(handle.slug(), "products");
    }

    #[test]
    fn only_what_could_be_a_handle_is_read_as_one() {
        for good in ["products-0123456789ab", "a-b-0123456789ab", "job-0123456789ab"] {
            assert_eq!(Handle::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "products",
            "-0123456789ab",
            "products-0123456789AB",
            "../../x-0123456789ab",
            "..\\x-0123456789ab",
            "a\nnext: b-0123456789ab",
            &format!("{}-0123456789ab", "a".repeat(41)),
        ] {
            assert_eq!(Handle::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_name_of_a_part_is_read_back_and_nothing_else_is() {
        let handle = Handle::parse("products-0123456789ab").unwrap();
        assert_eq!(handle.part_name(1, 1), "products-0123456789ab");
        for (number, of) in [(1, 1), (1, 3), (3, 3), (12, 120)] {
            assert_eq!(Handle::parse_part(&handle.part_name(number, of)), Some((handle.clone(), number, of)));
        }
        for bad in ["0of3", "4of3", "01of3", "1of", "of3", "1of3x", "-1of3", "1of1"] {
            assert_eq!(Handle::parse_part(&format!("{handle}-p{bad}")), None, "{bad}");
        }
    }

    #[test]
    fn content_hash_tells_model_kind_and_run_apart() {
        let first = ContentHash::of_job("aa", "m", Kind::Generate, 1);
        assert_eq!(first, ContentHash::of_job("aa", "m", Kind::Generate, 1));
        for other in [
            ContentHash::of_job("ab", "m", Kind::Generate, 1),
            ContentHash::of_job("aa", "n", Kind::Generate, 1),
            ContentHash::of_job("aa", "m", Kind::Embed, 1),
            ContentHash::of_job("aa", "m", Kind::Generate, 2),
        ] {
            assert_ne!(first, other);
        }
    }
}
