//! Text of strangers, such as models, files and the API, made fit for a line of a reply.

/// Answers, keys and reasons are a stranger's text: on one line, and without marks that turn the direction of
/// writing, they cannot pass for a line of the reply.
pub fn one_line(text: &str) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let turns = |c: &char| matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let parts = text.split(breaks).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(" ").chars().filter(|c| !turns(c)).collect()
}

/// The text in at most `most` bytes, cut between characters and marked with `…` where there is room.
pub fn clip(text: &str, most: usize) -> String {
    const MARK: &str = "…";
    if text.len() <= most {
        return text.to_owned();
    }
    let mark = if most >= MARK.len() { MARK } else { "" };
    let kept = text.get(..text.floor_char_boundary(most - mark.len())).unwrap_or_default();
    format!("{kept}{mark}")
}

/// What the reader of JSON found wrong, with its types called as JSON does.
pub fn in_words_of_json(cause: &str) -> String {
    const WORDS: [(&str, &str); 12] = [
        ("expected f64", "expected a number"),
        ("expected f32", "expected a number"),
        ("expected i64", "expected a whole number"),
        ("expected u64", "expected a whole number"),
        ("expected u32", "expected a whole number"),
        ("expected a map", "expected an object"),
        ("expected a sequence", "expected a list"),
        ("expected a boolean", "expected true or false"),
        ("type: map", "type: an object"),
        ("type: sequence", "type: a list"),
        ("type: floating point `", "type: the number `"),
        ("type: integer `", "type: the number `"),
    ];
    WORDS.iter().fold(cause.to_owned(), |told, (theirs, ours)| told.replace(theirs, ours))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_text_can_start_a_line_or_turn_the_direction_of_one() {
        assert_eq!(one_line("a\nb\r\u{2028}c\u{202E}d\0"), "a b cd");
    }

    proptest! {
    #[test]
    fn a_clipped_text_fits_and_is_the_start_of_the_text(text in ".{0,40}", most in 0usize..60) {
        let clipped = clip(&text, most);
        prop_assert!(clipped.len() <= most);
        prop_assert!(clipped == text || text.starts_with(clipped.strip_suffix('…').unwrap_or(&clipped)));
    }
    }
}
