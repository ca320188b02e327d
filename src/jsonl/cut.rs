//! Where a request file is cut into parts that the API takes: always at a line's end, always in the same places.

use std::io::Read;

use super::lines::LineReader;
use crate::error::{Error, Result};
use crate::progress::Monitor;

/// Lines between two looks at the monitor.
const STRIDE: u64 = 4096;

/// What a part may hold at most. A single line that is larger is a part of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartLimits {
    /// Bytes, line ends included.
    pub bytes: u64,
    /// Requests.
    pub requests: u64,
}

impl PartLimits {
    /// Whether a file of this size is one part.
    pub fn hold(&self, bytes: u64, requests: u64) -> bool {
        bytes <= self.bytes && requests <= self.requests
    }
}

/// Some successive lines of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Piece {
    /// Where they start.
    pub first_byte: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// Lines among them that are not blank.
    pub requests: u64,
}

/// Cuts a file: each piece takes as many lines as it may hold. Together the pieces are the file.
pub fn cut(file: impl Read, limits: PartLimits, act: &str, monitor: &dyn Monitor) -> Result<Vec<Piece>> {
    let mut lines = LineReader::new(file);
    let mut pieces = Vec::new();
    let mut piece = Piece::default();
    while let Some(line) = lines.next_line().map_err(|e| Error::io(act, e))? {
        let (start, number, is_request) = (line.offset, line.number, !line.is_blank());
        piece = with_line(piece, lines.offset() - start, is_request, limits, &mut pieces);
        if number.is_multiple_of(STRIDE) {
            monitor.check(act)?;
        }
    }
    if piece.bytes > 0 {
        pieces.push(piece);
    }
    Ok(pieces)
}

/// The piece with one more line, or a new one with it where that line does not fit.
fn with_line(piece: Piece, bytes: u64, is_request: bool, limits: PartLimits, pieces: &mut Vec<Piece>) -> Piece {
    let requests = u64::from(is_request);
    // Blank lines never start a part.
    let fits = limits.hold(piece.bytes + bytes, piece.requests + requests) || !is_request || piece.requests == 0;
    if fits {
        return Piece { bytes: piece.bytes + bytes, requests: piece.requests + requests, ..piece };
    }
    pieces.push(piece);
    Piece { first_byte: piece.first_byte + piece.bytes, bytes, requests }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use proptest::prelude::*;

    fn pieces(text: &str, bytes: u64, requests: u64) -> Vec<Piece> {
        cut(text.as_bytes(), PartLimits { bytes, requests }, "cutting", &Silent::default()).unwrap()
    }

    fn texts(text: &str, bytes: u64, requests: u64) -> Vec<&str> {
        let range = |piece: &Piece| piece.first_byte as usize..(piece.first_byte + piece.bytes) as usize;
        pieces(text, bytes, requests).iter().map(|piece| &text[range(piece)]).collect()
    }

    #[test]
    fn a_file_is_cut_at_line_ends_by_bytes_and_by_requests() {
        assert_eq!(texts("aa\nbb\ncc\n", 6, 9), ["aa\nbb\n", "cc\n"]);
        assert_eq!(texts("aa\nbb\ncc\n", 99, 1), ["aa\n", "bb\n", "cc\n"]);
        assert_eq!(texts("aa\r\nbb", 4, 9), ["aa\r\n", "bb"]);
        assert_eq!(texts("aa\n\n\nbb\n", 3, 9), ["aa\n\n\n", "bb\n"], "blank lines go with the line before");
        assert_eq!(texts("a\nlonger than may be\nb\n", 4, 9), ["a\n", "longer than may be\n", "b\n"]);
        assert!(texts("", 4, 9).is_empty());
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_file_and_none_holds_more_than_it_may(
            lines in proptest::collection::vec("[ab \\r]{0,9}", 0..60), bytes in 1u64..40, requests in 1u64..9, end in any::<bool>()
        ) {
            let text = lines.join("\n") + if end { "\n" } else { "" };
            let all = pieces(&text, bytes, requests);
            prop_assert_eq!(texts(&text, bytes, requests).concat(), text.clone());
            let asked = text.lines().filter(|line| !line.trim().is_empty()).count() as u64;
            prop_assert_eq!(all.iter().map(|piece| piece.requests).sum::<u64>(), asked);
            for piece in &all {
                prop_assert!(piece.requests <= requests);
                prop_assert!(piece.requests >= 1 || all.len() == 1);
            }
            prop_assert_eq!(all, pieces(&text, bytes, requests));
        }
    }
}
