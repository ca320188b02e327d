//! Faults on demand: what shall go wrong, at which call, at which time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A call of the API, as faults and the log name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Call {
    /// Opens a resumable upload.
    StartUpload,
    /// Sends bytes that are not the last ones.
    UploadChunk,
    /// Sends the last bytes and makes the file.
    Finalize,
    /// Asks how much of an upload has arrived.
    QueryUpload,
    /// Gives an upload up.
    CancelUpload,
    /// Reads what is known of a file.
    GetFile,
    /// Lists files.
    ListFiles,
    /// Deletes a file.
    DeleteFile,
    /// Reads the bytes of a result file.
    Download,
    /// Creates a batch, of either kind.
    CreateBatch,
    /// Reads a batch.
    GetBatch,
    /// Lists batches.
    ListBatches,
    /// Cancels a batch.
    CancelBatch,
    /// Deletes a batch.
    DeleteBatch,
    /// Changes a batch.
    UpdateBatch,
    /// Lists models or reads one.
    Models,
    /// Counts the tokens of a prompt.
    CountTokens,
    /// Reads the keys with which webhooks are signed.
    SigningKeys,
}

/// The form of the body of an error answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorBody {
    /// Google's error object, with how long to wait where given.
    Google {
        /// Becomes `RetryInfo.retryDelay`.
        retry_after: Option<Duration>,
    },
    /// Google's error object whose only detail is a link to the documentation.
    HelpOnly,
    /// The quota of a day is used up: `QuotaFailure` with a quota `…PerDay…`. As at the service, `RetryInfo` says to come
    /// back in 36 seconds all the same. Meant for 429.
    DailyQuota,
    /// The project has reached its monthly spending cap: a message and no details. Meant for 429.
    SpendingCap,
    /// Google's error object inside an array of one.
    Array,
    /// The page of a proxy.
    Html,
    /// Nothing at all.
    Empty,
    /// JSON that ends too early.
    Malformed,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The whole request is read, then answered with an error; nothing is done.
    Status {
        /// The HTTP status.
        code: u16,
        /// The form of the body.
        body: ErrorBody,
    },
    /// The request is answered with an error before its body is read, and the connection ends; nothing is done.
    ///
    /// A caller who is still sending may see a broken connection, a reply, or both.
    StatusBeforeReading {
        /// The HTTP status.
        code: u16,
        /// The form of the body.
        body: ErrorBody,
    },
    /// The call is carried out, then answered with an error all the same.
    StatusAfterActing {
        /// The HTTP status.
        code: u16,
        /// The form of the body.
        body: ErrorBody,
    },
    /// The connection is closed without a reply; nothing is done.
    ResetBeforeActing,
    /// The call is carried out, then the connection is closed without a reply.
    ResetAfterActing,
    /// So many bytes of the request body are taken in, then the connection is closed without a reply.
    ResetAfterReading(u64),
    /// The whole request is read, then there is no answer: until the caller gives up, the simulator stops, or
    /// 120 seconds are over. Nothing is done.
    Hang,
    /// The whole request is read, and the call is carried out only after this time, also if the caller is gone by then;
    /// not if the simulator is stopped meanwhile.
    DelayBeforeActing(Duration),
    /// The call is carried out at once; the reply comes late. With a long time: a server that acts and hangs.
    Delay(Duration),
    /// The reply breaks off after so many bytes of its body, and the connection with it.
    CutBodyAfter(u64),
    /// The reply ends after so many bytes of its body, and looks complete.
    EndBodyAfter(u64),
    /// A batch is shown as succeeded before its output is there ([`Call::GetBatch`]).
    SucceededWithoutOutput,
    /// A batch is shown without its counters ([`Call::GetBatch`], [`Call::ListBatches`]).
    WithoutCounters,
    /// A batch has its answers inside, without their keys, and not in a file ([`Call::GetBatch`]).
    AnswersWithoutKeys,
    /// A batch that has ended is shown in a state that has no documented word ([`Call::GetBatch`]).
    UnknownWord,
    /// The file is refused for its MIME type, inside an answer of status 200 ([`Call::Finalize`]).
    UnsupportedMime,
    /// The file is said to be a byte longer than it is ([`Call::Finalize`], [`Call::GetFile`]).
    WrongLength,
    /// The file is said to have another hash than it has ([`Call::Finalize`], [`Call::GetFile`]).
    WrongHash,
    /// The file is said to be in processing still ([`Call::Finalize`], [`Call::GetFile`]).
    StillProcessing,
    /// The file is said to be one that could not be processed ([`Call::Finalize`], [`Call::GetFile`]).
    CannotBeProcessed,
}

/// The faults that are due. Clones share one plan.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    due: Vec<Due>,
    fired: Vec<(Call, Fault)>,
}

#[derive(Debug)]
struct Due {
    call: Call,
    fault: Fault,
    /// Calls that still pass before the fault.
    passing: u32,
    /// Times the fault still strikes; `None` for ever.
    times: Option<u32>,
}

impl FaultPlan {
    /// A plan without faults.
    pub fn none() -> Self {
        Self::default()
    }

    /// The next `call` meets `fault`.
    pub fn next(&self, call: Call, fault: Fault) {
        self.add(call, fault, 0, Some(1));
    }

    /// The next `times` calls meet `fault`.
    pub fn next_times(&self, call: Call, times: u32, fault: Fault) {
        self.add(call, fault, 0, Some(times));
    }

    /// The `nth` call from now, counted from 1, meets `fault`.
    pub fn nth(&self, call: Call, nth: u32, fault: Fault) {
        self.add(call, fault, nth.saturating_sub(1), Some(1));
    }

    /// Every `call` meets `fault` until the plan is cleared.
    pub fn always(&self, call: Call, fault: Fault) {
        self.add(call, fault, 0, None);
    }

    /// Forgets all faults that are due.
    pub fn clear(&self) {
        self.lock().due.clear();
    }

    /// The faults that have struck so far, in order.
    pub fn fired(&self) -> Vec<(Call, Fault)> {
        self.lock().fired.clone()
    }

    /// How many faults are due still.
    pub fn due(&self) -> usize {
        self.lock().due.len()
    }

    fn add(&self, call: Call, fault: Fault, passing: u32, times: Option<u32>) {
        if times != Some(0) {
            self.lock().due.push(Due { call, fault, passing, times });
        }
    }

    /// Counts a call and takes the fault it meets: the oldest one that is due.
    pub(super) fn take(&self, call: Call) -> Option<Fault> {
        let mut plan = self.lock();
        let mut struck = None;
        for due in plan.due.iter_mut().filter(|due| due.call == call) {
            if due.passing > 0 {
                due.passing -= 1;
            } else if struck.is_none() {
                struck = Some(due.fault);
                due.times = due.times.map(|times| times - 1);
            }
        }
        plan.due.retain(|due| due.times != Some(0));
        plan.fired.extend(struck.map(|fault| (call, fault)));
        struck
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_the_call_it_was_planned_for_and_no_other() {
        let plan = FaultPlan::none();
        plan.nth(Call::GetBatch, 2, Fault::ResetAfterActing);
        assert_eq!(plan.take(Call::GetBatch), None);
        assert_eq!(plan.take(Call::ListBatches), None);
        assert_eq!(plan.take(Call::GetBatch), Some(Fault::ResetAfterActing));
        assert_eq!(plan.take(Call::GetBatch), None);
        assert_eq!(plan.fired(), [(Call::GetBatch, Fault::ResetAfterActing)]);
    }

    #[test]
    fn faults_of_one_call_strike_in_the_order_of_planning() {
        let plan = FaultPlan::none();
        plan.next_times(Call::Download, 2, Fault::CutBodyAfter(3));
        plan.next(Call::Download, Fault::ResetBeforeActing);
        let met: Vec<_> = (0..4).map(|_| plan.take(Call::Download)).collect();
        let cut = Some(Fault::CutBodyAfter(3));
        assert_eq!(met, [cut, cut, Some(Fault::ResetBeforeActing), None]);
        assert_eq!(plan.due(), 0);
    }

    #[test]
    fn a_fault_for_ever_lasts_until_the_plan_is_cleared() {
        let plan = FaultPlan::none();
        plan.always(Call::Models, Fault::ResetBeforeActing);
        assert!((0..5).all(|_| plan.take(Call::Models).is_some()));
        plan.clear();
        assert_eq!(plan.take(Call::Models), None);
    }
}
