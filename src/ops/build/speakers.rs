//! The speakers of a dialogue, each with a voice: a prompt without a line of any of them is no dialogue.

use memchr::memmem;
use serde_json::Value;

use crate::job::outcome::counted;
use crate::source::Template;

const CONFIGS: &str = "/generationConfig/speechConfig/multiSpeakerVoiceConfig/speakerVoiceConfigs";

/// The speakers that have a voice, and the prompts in which nobody of them speaks.
pub(super) struct Speakers {
    /// As they stand in a script: "Ann:".
    marks: Vec<String>,
    silent: i64,
}

impl Speakers {
    /// Those of a request; none, if they differ from row to row.
    pub(super) fn new(request: &Value) -> Self {
        let configs = request.pointer(CONFIGS).and_then(Value::as_array).map_or([].as_slice(), Vec::as_slice);
        let names = configs.iter().filter_map(|config| config.get("speaker")?.as_str());
        let marks: Vec<String> = names.map(|name| format!("{name}:")).collect();
        let are_fixed = !marks.iter().any(|mark| Template::is_template(mark));
        Self { marks: if are_fixed { marks } else { Vec::new() }, silent: 0 }
    }

    /// Looks at the line of a request.
    pub(super) fn see(&mut self, line: &[u8]) {
        let speaks = |mark: &String| memmem::find(line, mark.as_bytes()).is_some();
        self.silent += i64::from(!self.marks.is_empty() && !self.marks.iter().any(speaks));
    }

    /// "2 requests without a line of the speakers of voice (Ann: …, Bob: …): …".
    pub(super) fn warning(&self) -> Option<String> {
        let marks: Vec<_> = self.marks.iter().map(|mark| format!("{mark} …")).collect();
        (self.silent > 0).then(|| {
            format!(
                "{} without a line of the speakers of voice ({}): the template needs a script with their names, or one voice, \
                 \"Kore\", reads it",
                counted(self.silent, "request"),
                marks.join(", ")
            )
        })
    }
}
