//! What the API says, fit for a message.

/// The longest text of the API that is passed on, in characters.
pub(super) const LONGEST_TEXT: usize = 2_000;

/// What a body is that is no error of Google's.
pub(super) fn describe(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.is_empty() {
        "the answer is empty".to_owned()
    } else if text.starts_with('<') {
        "the answer is a web page, not JSON: a proxy or a wrong base URL may be in the way".to_owned()
    } else {
        format!("the answer is not what the API sends: {}", plain(&text.chars().take(200).collect::<String>()))
    }
}

/// Text of the API on one line, without control characters, not longer than it has to be.
pub(super) fn plain(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    match line.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}
