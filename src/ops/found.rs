//! A job that was there before: what it has not of the call that found it.

use super::create::CreateArgs;
use crate::ledger::JobRecord;
use crate::ledger::builds::BuildOrigin;

/// What was asked for and comes too late: the job was there before, with other settings.
pub(super) fn without_effect(args: &CreateArgs, job: &JobRecord) -> Option<String> {
    let settings = [
        ("priority", args.priority.is_some() && args.priority != job.priority),
        ("webhook_urls", !args.webhook_urls.is_empty() && args.webhook_urls != job.webhook_urls),
    ];
    let late: Vec<_> = settings.into_iter().filter(|(_, is_late)| *is_late).map(|(name, _)| name).collect();
    (!late.is_empty()).then(|| format!("the job was there before; without effect in this call: {}", late.join(", ")))
}

/// What to know of a job that was found, and was submitted for other rows or another schema than its requests were built
/// of just now.
pub(super) fn made_before(now: Option<&BuildOrigin>, before: Option<&BuildOrigin>) -> Option<String> {
    let (now, before) = now.zip(before)?;
    let data = |origin: &BuildOrigin| (origin.source.clone(), origin.reading.clone(), origin.key.clone());
    if data(now) != data(before) {
        let source = before.source.as_deref().unwrap_or("rows given in the call");
        return Some(format!(
            "the same requests were submitted before, built of {source}: the answers of this job are joined to that; {FOR_ITSELF}"
        ));
    }
    let is_other = (&now.response_schema, now.expects_json) != (&before.response_schema, before.expects_json);
    is_other.then(|| format!("its answers are checked against the schema that it was submitted with; {FOR_ITSELF}"))
}

const FOR_ITSELF: &str = "new_run: true makes a job of its own, which is paid again";
