//! Files that hold other files, and documents of office programs: no rows can be read from them.

use super::format::first_bytes;
use crate::error::{Error, ErrorKind, Result};
use crate::paths::AllowedPath;

/// Refuses a file that holds other files, or a document of an office program, with what to make of it.
pub fn refuse_containers(path: &AllowedPath) -> Result<()> {
    first_bytes(path).map_or(Ok(()), |(start, _)| refuse_container(path, &start))
}

pub(super) fn refuse_container(path: &AllowedPath, start: &[u8]) -> Result<()> {
    const ZIP: &[u8] = b"PK\x03\x04";
    const OLD_OFFICE: &[u8] = b"\xD0\xCF\x11\xE0";
    if !start.starts_with(ZIP) && !start.starts_with(OLD_OFFICE) {
        return Ok(());
    }
    let extension = path.as_path().extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    let mime = infer::get(start).map(|kind| kind.mime_type()).unwrap_or_default();
    let is = |extensions: [&str; 3], of: &str| {
        extension.iter().any(|it| extensions.contains(&it.as_str())) || mime.contains(of)
    };
    let (what, act) = if is(["xlsx", "xls", "ods"], "sheet") {
        ("a workbook of a spreadsheet program", "save the sheet as CSV (UTF-8), and give that file to build_jsonl")
    } else if is(["docx", "doc", "odt"], "word") {
        ("a document of a text program", "save it as plain text (UTF-8), and give that file to build_jsonl")
    } else {
        ("a ZIP archive or an office document", "unpack it, and give what is inside: a file, or the folder")
    };
    let cause = format!("it is {what}, whose rows cannot be read");
    Err(Error::new(ErrorKind::InvalidInput, format!("reading {path}"), cause).hint(act))
}
