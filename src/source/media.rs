//! Media of a request: which types Gemini takes, told by a file's content, and how a request carries them.

use std::ffi::OsStr;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::escape::escape_into;

/// How much of the start of a file tells its type.
pub const HEAD: usize = 8 * 1024;

/// What the first bytes of a file are called by `infer`, and by Gemini.
const TYPES: [(&str, &str); 22] = [
    ("image/png", "image/png"),
    ("image/jpeg", "image/jpeg"),
    ("image/webp", "image/webp"),
    ("image/heif", "image/heif"),
    (PDF, PDF),
    ("audio/x-wav", "audio/wav"),
    ("audio/mpeg", "audio/mp3"),
    ("audio/x-aiff", "audio/aiff"),
    ("audio/aac", "audio/aac"),
    ("audio/ogg", "audio/ogg"),
    ("audio/opus", "audio/ogg"),
    ("audio/x-flac", "audio/flac"),
    ("video/mp4", "video/mp4"),
    ("video/x-m4v", "video/mp4"),
    ("video/mpeg", "video/mpeg"),
    ("video/quicktime", "video/mov"),
    ("video/x-msvideo", "video/avi"),
    ("video/x-flv", "video/x-flv"),
    ("video/webm", "video/webm"),
    ("video/x-ms-wmv", "video/wmv"),
    ("text/rtf", "text/rtf"),
    ("application/rtf", "text/rtf"),
];

/// What the names of files in the cloud tell: their bytes are not here to be looked at.
const EXTENSIONS: [(&str, &str); 30] = [
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("webp", "image/webp"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("pdf", PDF),
    ("wav", "audio/wav"),
    ("mp3", "audio/mp3"),
    ("aif", "audio/aiff"),
    ("aiff", "audio/aiff"),
    ("aac", "audio/aac"),
    ("ogg", "audio/ogg"),
    ("flac", "audio/flac"),
    ("mp4", "video/mp4"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpg"),
    ("mov", "video/mov"),
    ("avi", "video/avi"),
    ("flv", "video/x-flv"),
    ("webm", "video/webm"),
    ("wmv", "video/wmv"),
    ("3gp", "video/3gpp"),
    ("3gpp", "video/3gpp"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("markdown", "text/markdown"),
    ("csv", "text/csv"),
    ("html", "text/html"),
    ("xml", "text/xml"),
];

/// The type of a PDF.
pub const PDF: &str = "application/pdf";

/// The MIME type of a file that starts with these bytes, as Gemini names it; else what is wrong with it.
pub fn mime_of_file(path: &Path, head: &[u8]) -> Result<&'static str, String> {
    if let Some(mime) = by_brand(head) {
        return Ok(mime);
    }
    let found = infer::get(head).map(|found| found.mime_type());
    // Two letters make a bitmap, and "BMW" too. Of what Gemini takes only these are made of characters.
    if is_text(head) && !matches!(found, Some(PDF | "text/rtf" | "application/rtf")) {
        let by_name = mime_of_name(path).filter(|mime| mime.starts_with("text/"));
        return Ok(by_name.unwrap_or("text/plain"));
    }
    if let Some((_, mime)) = TYPES.iter().find(|(name, _)| Some(*name) == found) {
        return Ok(mime);
    }
    match found {
        Some(mime) => Err(format!("Gemini does not take {mime}; {TAKEN}")),
        None => Err(format!("it is of no known type; {TAKEN}")),
    }
}

const TAKEN: &str = "it takes png, jpeg, webp and heic pictures, pdf, wav, mp3, aiff, aac, ogg and flac sound, \
                     mp4, mpeg, mov, avi, flv, webm, wmv and 3gpp video, and UTF-8 text";

/// The MIME type that a name or an address ends in.
pub fn mime_of_name(path: &Path) -> Option<&'static str> {
    let extension = path.extension().and_then(OsStr::to_str)?.to_ascii_lowercase();
    EXTENSIONS.iter().find(|(name, _)| *name == extension).map(|(_, mime)| *mime)
}

/// What `infer` tells less finely than Gemini: brands of one container format.
fn by_brand(head: &[u8]) -> Option<&'static str> {
    let brand = (head.get(4..8)? == b"ftyp").then(|| head.get(8..11))??;
    match brand {
        b"hei" | b"hev" => Some("image/heic"),
        b"3gp" | b"3g2" => Some("video/3gpp"),
        _ => None,
    }
}

/// Whether the start of a file is UTF-8 text. A character may be cut off at its end.
fn is_text(head: &[u8]) -> bool {
    let cut = head.len() == HEAD;
    !head.contains(&0)
        && match std::str::from_utf8(head) {
            Ok(_) => true,
            Err(e) => cut && e.error_len().is_none(),
        }
}

/// Appends a part that holds the file itself.
pub fn inline_part(mime: &str, bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"inlineData\":{\"mimeType\":\"");
    escape_into(mime, out);
    out.extend_from_slice(b"\",\"data\":\"");
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, b'=');
    if let Some(room) = out.get_mut(start..) {
        // The room is exactly what base64 takes.
        let written = STANDARD.encode_slice(bytes, room).unwrap_or_default();
        out.truncate(start + written);
    }
    out.extend_from_slice(b"\"}}");
}

/// Appends a part that refers to a file kept elsewhere.
pub fn file_part(uri: &str, mime: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"fileData\":{");
    if let Some(mime) = mime {
        out.extend_from_slice(b"\"mimeType\":\"");
        escape_into(mime, out);
        out.extend_from_slice(b"\",");
    }
    out.extend_from_slice(b"\"fileUri\":\"");
    escape_into(uri, out);
    out.extend_from_slice(b"\"}}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_tells_the_type_whatever_the_name_says() {
        let boxed = |brand: &[u8]| [b"\0\0\0\x18ftyp", brand, b"\0\0\0\0mif1heic"].concat();
        let riff = |form: &[u8]| [b"RIFF\x24\0\0\0", form, b"fmt \x10\0\0\0"].concat();
        let files: [(&[u8], &str); 13] = [
            (b"\x89PNG\r\n\x1a\n", "image/png"),
            (b"\xff\xd8\xff\xe0", "image/jpeg"),
            (&riff(b"WEBP"), "image/webp"),
            (&riff(b"WAVE"), "audio/wav"),
            (&riff(b"AVI "), "video/avi"),
            (&boxed(b"heic"), "image/heic"),
            (&boxed(b"3gp5"), "video/3gpp"),
            (&boxed(b"isom"), "video/mp4"),
            (&boxed(b"qt  "), "video/mov"),
            (b"%PDF-1.7", "application/pdf"),
            (b"ID3\x03\0", "audio/mp3"),
            (b"fLaC\0", "audio/flac"),
            (b"OggS\0\x02\0\0", "audio/ogg"),
        ];
        for (head, mime) in files {
            assert_eq!(mime_of_file(Path::new("a.txt"), head), Ok(mime));
        }
    }

    #[test]
    fn text_is_what_its_name_says_it_is() {
        let mime = |name: &str, head: &[u8]| mime_of_file(Path::new(name), head);
        assert_eq!(mime("a.MD", b"# Hi"), Ok("text/markdown"));
        assert_eq!(mime("a.csv", b"a,b"), Ok("text/csv"));
        assert_eq!(mime("a.html", b"<!DOCTYPE html><html>"), Ok("text/html"));
        assert_eq!(mime("a.rs", "fn ü() {}".as_bytes()), Ok("text/plain"));
        assert_eq!(mime("a.png", b"not a picture"), Ok("text/plain"));
        assert_eq!(mime("a.txt", b"BMW makes cars"), Ok("text/plain"));
        assert_eq!(mime("a.pdf", b"%PDF-1.7\n% ASCII all along"), Ok(PDF));
        // Cut off in the middle of a character.
        let long = format!("{}é", "a".repeat(HEAD - 1));
        assert_eq!(mime("a.txt", &long.as_bytes()[..HEAD]), Ok("text/plain"));
    }

    #[test]
    fn other_files_are_refused_with_their_type() {
        let cause = |head: &[u8]| mime_of_file(Path::new("a.txt"), head).unwrap_err();
        assert!(cause(b"GIF89a\x01\0").contains("image/gif"));
        assert!(cause(b"PK\x03\x04\x14\0").contains("application/zip"));
        assert!(cause(b"caf\xe9").contains("no known type"), "Latin-1");
        assert!(cause(b"a\0b").contains("no known type"));
    }

    #[test]
    fn parts_are_json() {
        for length in 0..5 {
            let mut out = Vec::new();
            inline_part("text/plain", &b"abcd"[..length], &mut out);
            let part: serde_json::Value = serde_json::from_slice(&out).unwrap();
            let data = part["inlineData"]["data"].as_str().unwrap();
            assert_eq!(STANDARD.decode(data).unwrap(), &b"abcd"[..length]);
        }
        let mut out = Vec::new();
        file_part("gs://a/\"b\"", Some("image/png"), &mut out);
        let part: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(part["fileData"]["fileUri"], "gs://a/\"b\"");
    }
}
