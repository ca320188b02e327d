//! What media inside a line are, told by their first bytes: how large a picture is, how long a sound.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::job::media::Medium;

/// Base64 with or without padding. The last characters of a piece may hold bits of the byte that follows.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The size of a picture stands here, unless a camera put a preview before it.
const HEAD: usize = 16 * 1024;
const LONG_HEAD: usize = 1024 * 1024;

/// What these media are, where that can be told cheaply.
pub(super) fn measure(base64: &str) -> Option<Medium> {
    let head = decoded(base64, HEAD)?;
    if head.starts_with(b"%PDF") {
        return pages(&decoded(base64, usize::MAX)?).map(|pages| Medium::Document { pages });
    }
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WAVE") {
        return sound(&head, base64.len() as u64 / 4 * 3);
    }
    // Pictures of telephones start like that, too.
    if head.get(4..8) == Some(b"ftyp")
        && let Some(film) = film(&head, &decoded(base64, usize::MAX)?)
    {
        return Some(film);
    }
    imagesize::image_type(&head).ok()?;
    picture(&head).or_else(|| picture(&decoded(base64, LONG_HEAD)?))
}

/// The first bytes, out of at most `most` characters.
fn decoded(base64: &str, most: usize) -> Option<Vec<u8>> {
    let most = most.min(base64.len());
    let most = if most < base64.len() { most / 4 * 4 } else { most };
    BASE64.decode(base64.as_bytes().get(..most)?).ok()
}

fn picture(head: &[u8]) -> Option<Medium> {
    let size = imagesize::blob_size(head).ok()?;
    Some(Medium::Picture { width: size.width as u64, height: size.height as u64 })
}

/// Pages of a PDF whose objects are not compressed; of the others nothing is known.
fn pages(pdf: &[u8]) -> Option<u64> {
    let is_page = |at: &usize| {
        let rest = pdf.get(at + b"/Type".len()..).unwrap_or_default().trim_ascii_start();
        rest.strip_prefix(b"/Page").is_some_and(|rest| !rest.first().is_some_and(u8::is_ascii_alphanumeric))
    };
    let pages = memchr::memmem::find_iter(pdf, b"/Type").filter(is_page).count() as u64;
    (pages > 0).then_some(pages)
}

/// The length of a WAV file: its size by the bytes a second that its header tells.
fn sound(head: &[u8], bytes: u64) -> Option<Medium> {
    let format = memchr::memmem::find(head, b"fmt ")?;
    let rate: [u8; 4] = head.get(format + 16..format + 20)?.try_into().ok()?;
    let rate = u64::from(u32::from_le_bytes(rate));
    (rate > 0).then(|| Medium::Sound { milliseconds: bytes.saturating_mul(1000) / rate })
}

/// The length of an MP4 file: what its movie header tells, wherever that stands.
fn film(head: &[u8], file: &[u8]) -> Option<Medium> {
    let header = file.get(memchr::memmem::find(file, b"mvhd")? + 4..)?;
    let number = |at: usize| Some(u64::from(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?)));
    // Version 1 has longer times, and a longer duration in two halves.
    let (scale, duration) = match header.first()? {
        0 => (number(12)?, number(16)?),
        _ => (number(20)?, number(24)? << 32 | number(28)?),
    };
    let milliseconds = duration.saturating_mul(1000).checked_div(scale)?;
    let is_sound = head.get(8..11) == Some(b"M4A");
    Some(if is_sound { Medium::Sound { milliseconds } } else { Medium::Video { milliseconds } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(bytes: &[u8]) -> Option<Medium> {
        measure(&BASE64.encode(bytes))
    }

    #[test]
    fn a_picture_tells_its_size() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x04\0\0\0\x03\0\x08\x02\0\0\0".to_vec();
        png.resize(100_000, 7);
        assert_eq!(measured(&png), Some(Medium::Picture { width: 1024, height: 768 }));
    }

    #[test]
    fn a_document_tells_its_pages_unless_they_are_compressed() {
        let pdf = b"%PDF-1.4 <</Type /Pages /Count 2>> <</Type /Page >> <</Type/Page/Parent 1>>";
        assert_eq!(measured(pdf), Some(Medium::Document { pages: 2 }));
        assert_eq!(measured(b"%PDF-1.5 <</Type /ObjStm>>"), None);
    }

    #[test]
    fn a_sound_tells_its_length() {
        let mut wav =
            b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data\0\0\0\0".to_vec();
        wav.resize(64_002, 0);
        assert_eq!(measured(&wav), Some(Medium::Sound { milliseconds: 2000 }));
    }

    #[test]
    fn what_is_none_of_these_is_unknown() {
        for bytes in [b"ID3\x04".as_slice(), b"", b"\0\0\0\x20ftypisom", b"RIFF\0\0\0\0WAVE"] {
            assert_eq!(measured(bytes), None);
        }
        assert_eq!(measure("no base64!"), None);
    }
}
