//! What was found in some lines, and how that of two neighbouring pieces adds up.

use super::blocks::Block;
use crate::job::Kind;
use crate::job::media::MediaTokens;
use crate::jsonl::check::{LineFacts, check_line};
use crate::jsonl::finding::{Finding, Findings, Severity};
use crate::jsonl::keys;
use crate::jsonl::lines::{Line, Lines};

/// What the requests of a file add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests that generate.
    pub generate: u64,
    /// Requests that embed.
    pub embed: u64,
    /// Estimated tokens of all prompt text.
    pub input_tokens: u64,
    /// Estimated tokens of the request that has most.
    pub largest_input_tokens: u64,
    /// The sum of `maxOutputTokens` (times `candidateCount`) where it is set.
    pub max_output_tokens: u64,
    /// How many requests set `maxOutputTokens`.
    pub with_max_output_tokens: u64,
    /// Answers asked for: `candidateCount`, or one, a request.
    pub candidates: u64,
    /// Tokens of the media inside, as far as they could be measured.
    pub media: MediaTokens,
    /// Requests with media that could not be measured, with files kept elsewhere or cached content.
    pub unmeasured: u64,
    /// Requests that may use a search tool, which is billed apart.
    pub grounded: u64,
    /// Requests that leave it to the model whether text comes back.
    pub without_modalities: u64,
    /// Requests that ask for images.
    pub wants_images: u64,
    /// Requests that ask for speech.
    pub wants_audio: u64,
}

/// What was found in consecutive lines, numbered from 1 on.
pub(super) struct Tally {
    pub(super) lines: u64,
    pub(super) requests: u64,
    pub(super) findings: Findings,
    pub(super) totals: Totals,
    /// The first line of each kind: generate, embed.
    pub(super) first_of: [Option<u64>; 2],
    /// The hash of each key, and its line.
    pub(super) hashes: Vec<(u128, u64)>,
    /// Each key as a JSON string and a line feed, if they were asked for.
    pub(super) keys: Vec<u8>,
    /// Blank lines at the end: no mistake unless a request follows.
    blank: u64,
}

impl Tally {
    pub(super) fn new(keep_findings: usize) -> Self {
        Self {
            lines: 0,
            requests: 0,
            findings: Findings::new(keep_findings),
            totals: Totals::default(),
            first_of: [None; 2],
            hashes: Vec::new(),
            keys: Vec::new(),
            blank: 0,
        }
    }

    /// Checks the lines of a block.
    pub(super) fn of(block: &Block, keep_findings: usize, with_keys: bool) -> Self {
        let mut tally = Self::new(keep_findings);
        let mut findings = Vec::new();
        for line in Lines::new(&block.bytes, block.first) {
            if line.is_blank() {
                tally.lines = line.number;
                tally.blank += 1;
                continue;
            }
            tally.flush_blank();
            tally.lines = line.number;
            let facts = check_line(line.bytes, line.number, &mut findings);
            findings.drain(..).for_each(|finding| tally.findings.push(finding));
            tally.take(&line, &facts, with_keys);
        }
        tally
    }

    /// Adds what was found in the lines that follow.
    pub(super) fn append(&mut self, later: Self) {
        if later.requests > 0 {
            self.flush_blank();
        }
        self.blank += later.blank;
        self.findings.append(later.findings, self.lines);
        self.totals.add(&later.totals);
        for (first, later) in self.first_of.iter_mut().zip(later.first_of) {
            *first = first.or(later.map(|line| line + self.lines));
        }
        self.requests += later.requests;
        self.lines += later.lines;
    }

    fn take(&mut self, line: &Line<'_>, facts: &LineFacts<'_>, with_keys: bool) {
        self.requests += 1;
        self.totals.count(facts);
        let [generate, embed] = &mut self.first_of;
        match facts.kind {
            Some(Kind::Generate) => _ = generate.get_or_insert(line.number),
            Some(Kind::Embed) => _ = embed.get_or_insert(line.number),
            None => {}
        }
        if let Some(key) = &facts.key {
            self.hashes.push((keys::hash(key.as_bytes()), line.number));
            // Writing a string into memory cannot fail.
            if with_keys && serde_json::to_writer(&mut self.keys, key).is_ok() {
                self.keys.push(b'\n');
            }
        }
    }

    /// A request follows the blank lines: reports them.
    fn flush_blank(&mut self) {
        let first = self.lines + 1 - std::mem::take(&mut self.blank);
        for line in first..=self.lines {
            let hint = Some("the API takes it for a broken request: remove it".into());
            let message = "the line is blank".into();
            let severity = Severity::Warning;
            self.findings.push(Finding { line, column: 1, path: String::new(), severity, message, hint });
        }
    }
}

impl Totals {
    /// Adds what one request asks for.
    pub fn count(&mut self, facts: &LineFacts<'_>) {
        let candidates = facts.candidate_count.unwrap_or(1).max(1);
        let max_output = facts.max_output_tokens.map(|tokens| tokens.saturating_mul(candidates));
        let one = Self {
            generate: u64::from(facts.kind == Some(Kind::Generate)),
            embed: u64::from(facts.kind == Some(Kind::Embed)),
            input_tokens: facts.input_tokens,
            largest_input_tokens: facts.input_tokens,
            max_output_tokens: max_output.unwrap_or(0),
            with_max_output_tokens: u64::from(max_output.is_some()),
            candidates,
            media: facts.media,
            unmeasured: u64::from(facts.has_file_data || facts.unmeasured > 0),
            grounded: u64::from(facts.grounded),
            without_modalities: u64::from(!facts.names_modalities),
            wants_images: u64::from(facts.wants_images),
            wants_audio: u64::from(facts.wants_audio),
        };
        self.add(&one);
    }

    /// A file can claim any number: no overflow.
    fn add(&mut self, later: &Self) {
        for (sum, more) in [
            (&mut self.generate, later.generate),
            (&mut self.embed, later.embed),
            (&mut self.input_tokens, later.input_tokens),
            (&mut self.max_output_tokens, later.max_output_tokens),
            (&mut self.with_max_output_tokens, later.with_max_output_tokens),
            (&mut self.candidates, later.candidates),
            (&mut self.unmeasured, later.unmeasured),
            (&mut self.grounded, later.grounded),
            (&mut self.without_modalities, later.without_modalities),
            (&mut self.wants_images, later.wants_images),
            (&mut self.wants_audio, later.wants_audio),
        ] {
            *sum = sum.saturating_add(more);
        }
        self.media += later.media;
        self.largest_input_tokens = self.largest_input_tokens.max(later.largest_input_tokens);
    }
}
