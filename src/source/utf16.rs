//! UTF-16 as UTF-8, strictly: what is not UTF-16 is an error with its place, never a replacement character.

use std::io::{self, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding};

use super::damage::Damage;

const BLOCK: usize = 64 * 1024;

/// Reads UTF-16 from `source` and gives UTF-8.
pub(super) struct Utf16<R> {
    source: R,
    decoder: Decoder,
    raw: Vec<u8>,
    text: Vec<u8>,
    /// How much of `text` was handed out.
    given: usize,
    /// Where in the file the next byte of `source` stands.
    offset: u64,
    at_end: bool,
}

impl<R: Read> Utf16<R> {
    /// The byte order mark, `offset` bytes, was taken off before.
    pub(super) fn new(source: R, encoding: &'static Encoding, offset: u64) -> Self {
        let decoder = encoding.new_decoder_without_bom_handling();
        Self { source, decoder, raw: vec![0; BLOCK], text: Vec::new(), given: 0, offset, at_end: false }
    }

    /// Decodes one more block.
    fn fill(&mut self) -> io::Result<()> {
        let count = self.source.read(&mut self.raw)?;
        self.at_end = count == 0;
        let raw = self.raw.get(..count).unwrap_or_default();
        let room = self.decoder.max_utf8_buffer_length_without_replacement(count).unwrap_or(BLOCK * 2);
        self.text.resize(room, 0);
        let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(raw, &mut self.text, self.at_end);
        if let DecoderResult::Malformed(bad, after) = result {
            let at = (self.offset + read as u64).saturating_sub(u64::from(bad) + u64::from(after));
            let cause = format!("it starts as UTF-16 text and is none at offset {at}");
            return Err(Damage::new(cause, "save the file as UTF-8, or copy it again if it was cut off").into());
        }
        self.offset += read as u64;
        self.text.truncate(written);
        self.given = 0;
        Ok(())
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() && !self.at_end {
            self.fill()?;
        }
        let rest = self.text.get(self.given..).unwrap_or_default();
        let count = rest.len().min(into.len());
        if let (Some(to), Some(from)) = (into.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.given += count;
        Ok(count)
    }
}
