//! What callers give for a path: the path itself, or the address of the file, as this program's own links have it
//! (RFC 8089).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::error::{Error, ErrorKind, Result};

/// The path that a text names. What can name none on this machine is refused with what to do instead.
pub(super) fn path_of(text: &str) -> Result<Cow<'_, str>> {
    let refused = |cause: &str, hint: &str| {
        Err(Error::new(ErrorKind::InvalidArgument, format!("opening {text}"), cause).hint(hint))
    };
    if text == "~" || text.starts_with("~/") {
        return refused("only a shell knows ~", "write the path of the home folder in its place");
    }
    let Some((scheme, rest)) = text.split_once("://") else { return Ok(Cow::Borrowed(text)) };
    if !scheme.eq_ignore_ascii_case("file") {
        return refused(
            "files are not fetched from addresses",
            "download it into an allowed folder, and give the path there",
        );
    }
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if path.is_empty() || !(host.is_empty() || host.eq_ignore_ascii_case("localhost")) {
        return refused("it names a file of another machine", "give the path of a file on this one");
    }
    // file:///C:/data/a.csv.
    let path = if cfg!(windows) { path.trim_start_matches('/') } else { path };
    percent_decode_str(path).decode_utf8().or_else(|_| refused("it is not UTF-8 once its % are read", "give the path"))
}
