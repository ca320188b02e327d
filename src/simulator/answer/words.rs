//! Short plausible texts.

use fastrand::Rng;

const SENTENCES: &[&str] = &[
    "It depends on the context, but the main point holds in most cases.",
    "Three things matter here: what it is, who needs it, and when.",
    "The usual reading is the simplest one.",
    "A good example makes the difference clear.",
    "Most sources agree on this, with small differences in detail.",
    "It is worth checking the assumptions before going further.",
    "In short, the answer follows from the question itself.",
    "Seen from a distance, the pattern is easy to recognise.",
];

/// An answer to a prompt: names what it was asked about, then says little.
pub(super) fn about(prompt: &str, rng: &mut Rng) -> String {
    let mut text = format!("Here is a short answer about {}:", topic(prompt));
    for _ in 0..rng.usize(1..=3) {
        text.push(' ');
        text.push_str(rng.choice(SENTENCES).copied().unwrap_or_default());
    }
    text
}

/// What the model says to itself.
pub(super) fn thought(prompt: &str) -> String {
    format!("The user asks about {}. I will keep the answer short.", topic(prompt))
}

/// The first words of a prompt, without markers.
pub(super) fn topic(prompt: &str) -> String {
    let words = prompt.split_whitespace().filter(|word| !word.starts_with("[[simulate:"));
    let topic = words.take(8).collect::<Vec<_>>().join(" ");
    let topic: String = topic.chars().take(80).collect();
    match topic.trim_end_matches(|c: char| c.is_ascii_punctuation()) {
        "" => "your request".into(),
        topic => topic.into(),
    }
}
