//! What can go wrong at a step.

use std::time::Duration;

use gemini_batch_mcp::simulator::{ErrorBody, Fault};

use super::stage::Stage;

/// Longer than a command is waited for.
const LONG: Duration = Duration::from_secs(60);

/// Something that goes wrong.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) name: &'static str,
    pub(crate) fault: Fault,
    /// The process is killed once the fault has struck.
    pub(crate) kills: bool,
    /// What the user may be told, if the call is one that is repeated.
    kind: &'static str,
    /// It waits for what times out.
    pub(crate) is_slow: bool,
}

fn trouble(name: &'static str, fault: Fault, kind: &'static str) -> Trouble {
    Trouble { name, fault, kills: false, kind, is_slow: false }
}

fn killed(name: &'static str, fault: Fault) -> Trouble {
    Trouble { kills: true, ..trouble(name, fault, "") }
}

fn status(name: &'static str, code: u16, body: ErrorBody) -> Trouble {
    let kind = if code == 429 { "quota" } else { "unavailable" };
    trouble(name, Fault::Status { code, body }, kind)
}

const GOOGLE: ErrorBody = ErrorBody::Google { retry_after: None };

impl Trouble {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let soon = ErrorBody::Google { retry_after: Some(Duration::from_secs(1)) };
        let late = ErrorBody::Google { retry_after: Some(Duration::from_secs(50)) };
        [
            killed("killed before the API acts", Fault::Hang),
            killed("killed after the API acted", Fault::Delay(LONG)),
            killed("killed, and then the API acts", Fault::DelayBeforeActing(Duration::from_millis(700))),
            trouble("reset before acting", Fault::ResetBeforeActing, "unavailable"),
            trouble("reset in the middle of the body", Fault::ResetAfterReading(50), "unavailable"),
            trouble("reset after acting", Fault::ResetAfterActing, "unavailable"),
            status("408", 408, GOOGLE),
            status("429, in a second", 429, soon),
            status("429, in a while", 429, late),
            status("429, nobody knows when", 429, ErrorBody::HelpOnly),
            status("429, of the day", 429, ErrorBody::DailyQuota),
            status("500", 500, GOOGLE),
            status("503", 503, ErrorBody::Array),
            status("504", 504, GOOGLE),
            status("502, a page", 502, ErrorBody::Html),
            status("502, empty", 502, ErrorBody::Empty),
            status("503, broken JSON", 503, ErrorBody::Malformed),
            trouble("503 before reading", Fault::StatusBeforeReading { code: 503, body: GOOGLE }, "unavailable"),
            trouble("503 after acting", Fault::StatusAfterActing { code: 503, body: ErrorBody::Html }, "unavailable"),
            trouble("500 after acting", Fault::StatusAfterActing { code: 500, body: GOOGLE }, "unavailable"),
            trouble("reply cut", Fault::CutBodyAfter(1), "unavailable"),
            trouble("reply too short", Fault::EndBodyAfter(1), "unexpected_answer"),
            trouble("reply without a body", Fault::EndBodyAfter(0), "unexpected_answer"),
            trouble("success without output", Fault::SucceededWithoutOutput, ""),
            trouble("wrong length", Fault::WrongLength, "invalid_input"),
            trouble("wrong hash", Fault::WrongHash, "invalid_input"),
            trouble("still processing", Fault::StillProcessing, ""),
            Trouble { is_slow: true, ..trouble("no answer", Fault::Hang, "unavailable") },
        ]
        .into_iter()
    }

    pub(crate) fn can_be_at(&self, stage: Stage) -> bool {
        match self.fault {
            Fault::ResetAfterReading(_) | Fault::StatusBeforeReading { .. } => stage.sends_a_body(),
            Fault::SucceededWithoutOutput => stage == Stage::Poll,
            Fault::WrongLength | Fault::WrongHash | Fault::StillProcessing => stage == Stage::Finalize,
            _ => true,
        }
    }

    /// Whether the API does what it is asked all the same.
    pub(crate) fn lets_act(&self) -> bool {
        !matches!(
            self.fault,
            Fault::Hang
                | Fault::ResetBeforeActing
                | Fault::ResetAfterReading(_)
                | Fault::Status { .. }
                | Fault::StatusBeforeReading { .. }
        )
    }

    /// Whether it is done some time later.
    pub(crate) fn is_late(&self) -> bool {
        matches!(self.fault, Fault::DelayBeforeActing(_))
    }

    /// Whether the API clearly says that it did nothing.
    fn is_a_clear_no(&self) -> bool {
        matches!(self.fault, Fault::Status { code: 429, .. })
    }

    /// The kinds of the errors that the user may be told.
    pub(crate) fn kinds(&self, stage: Stage) -> Vec<&'static str> {
        let told = if self.kind.is_empty() { None } else { Some(self.kind) };
        match (stage, self.fault) {
            (Stage::Create, _) if self.is_a_clear_no() => vec!["quota"],
            // A download that looks complete is known to be cut off by its last line.
            (Stage::Download, Fault::EndBodyAfter(_)) => vec!["unavailable"],
            (Stage::Create, _) => vec!["unclear_outcome"],
            (Stage::CreateLookUp, _) => told.into_iter().chain(["unclear_outcome"]).collect(),
            _ => told.into_iter().collect(),
        }
    }
}
