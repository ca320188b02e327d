//! Which names may stand in a URL.
//!
//! Names come from callers, ledgers and models' texts. Each is checked against a strict pattern
//! first, so that none can reach another path of the API.

use crate::error::{Error, ErrorKind, Result};

/// The longest file id that the API can look up or delete (API reference §0.7).
const LOOKUP_LIMIT: usize = 40;
const LONGEST: usize = 128;

/// A batch name: `batches/…`.
pub(super) fn batch(name: &str) -> Result<&str> {
    let valid = name.strip_prefix("batches/").is_some_and(|id| is_id(id, ""));
    valid.then_some(name).ok_or_else(|| malformed("batch", name, "batches/abc123"))
}

/// A file name: `files/…`, result files included.
pub(super) fn file(name: &str) -> Result<&str> {
    let valid = name.strip_prefix("files/").is_some_and(|id| is_id(id, ""));
    valid.then_some(name).ok_or_else(|| malformed("file", name, "files/abc123"))
}

/// A file that the API can look up or delete: any but a result file.
pub(super) fn uploaded_file<'a>(act: &str, name: &'a str) -> Result<&'a str> {
    let id = file(name)?.trim_start_matches("files/");
    if id.len() > LOOKUP_LIMIT {
        let cause = "the API cannot look up or delete a result file: its id is longer than it allows";
        return Err(Error::new(ErrorKind::InvalidArgument, act, cause)
            .hint("result files can only be downloaded; they go away by themselves"));
    }
    Ok(name)
}

/// A model as it stands in a path: `models/…` or `tunedModels/…`, the prefix added where it is missing.
pub(super) fn model(name: &str) -> Result<String> {
    let (folder, id) = match name.split_once('/') {
        Some((folder @ ("models" | "tunedModels"), id)) => (folder, id),
        Some(_) => return Err(malformed("model", name, "gemini-3-flash-preview")),
        None => ("models", name),
    };
    if is_id(id, ".") { Ok(format!("{folder}/{id}")) } else { Err(malformed("model", name, "gemini-3-flash-preview")) }
}

/// Letters, digits, `-`, `_` and the extra characters; the first one a letter or digit.
fn is_id(id: &str, extra: &str) -> bool {
    id.len() <= LONGEST
        && id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_' || extra.contains(c))
}

fn malformed(what: &str, name: &str, example: &str) -> Error {
    let shown: String = name.chars().take(80).collect();
    Error::new(ErrorKind::InvalidArgument, format!("checking the {what} name"), format!("{shown:?} is not one"))
        .hint(format!("a {what} name looks like {example}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_its_folder() {
        for bad in
            ["batches/../files/x", "batches/a/b", "batches/", "batches/a?x=1", "batches/a:cancel", "files/a", "a"]
        {
            assert_eq!(batch(bad).unwrap_err().kind(), ErrorKind::InvalidArgument, "{bad}");
        }
        for bad in ["models/..", "models/a/b", "models/a:b", "files/a", "", "models/", "a%2f", "é"] {
            assert_eq!(model(bad).unwrap_err().kind(), ErrorKind::InvalidArgument, "{bad}");
        }
    }

    #[test]
    fn a_model_may_be_named_without_its_folder() {
        assert_eq!(model("gemini-2.5-flash").unwrap(), "models/gemini-2.5-flash");
        assert_eq!(model("models/gemini-2.5-flash").unwrap(), "models/gemini-2.5-flash");
        assert_eq!(model("tunedModels/mine").unwrap(), "tunedModels/mine");
    }
}
