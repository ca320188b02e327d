//! Arguments that may be long: given in place, or as `@file`.

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::job::text::in_words_of_json;

/// A text, or with `@path` the text in that file. `@@` starts a text that begins with `@`.
pub(super) fn text(flag: &str, given: &str) -> Result<String> {
    match given.strip_prefix('@') {
        None => Ok(given.to_owned()),
        Some(literal) if literal.starts_with('@') => Ok(literal.to_owned()),
        Some(path) => std::fs::read_to_string(Path::new(path)).map_err(|e| {
            Error::io(format!("reading {path} for {flag}"), e)
                .hint(format!("{flag} takes the text itself, or @ and the path of a file with it"))
        }),
    }
}

/// A JSON object, or with `@path` the object in that file.
pub(super) fn object(flag: &str, given: &str) -> Result<Map<String, Value>> {
    let text = text(flag, given)?;
    serde_json::from_str(&text).map_err(|e| {
        Error::new(ErrorKind::InvalidArgument, format!("reading {flag}"), in_words_of_json(&e.to_string()))
            .hint(format!("{flag} takes a JSON object such as '{{\"a\": 1}}', or @ and the path of a file with it"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_at_sign_names_a_file_and_two_stand_for_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from the file").unwrap();
        assert_eq!(text("--template", &format!("@{}", file.path().display())).unwrap(), "from the file");
        assert_eq!(text("--template", "@@home").unwrap(), "@home");
        assert_eq!(text("--template", "plain").unwrap(), "plain");
    }

    #[test]
    fn what_is_no_object_is_a_wrong_argument() {
        for given in ["[1]", "{", "3"] {
            assert_eq!(object("--request", given).unwrap_err().kind(), ErrorKind::InvalidArgument, "{given}");
        }
    }
}
