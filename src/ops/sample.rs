//! A sample: some requests of a file, submitted first, to tell what the whole would take.

use std::fmt;

use serde_json::json;

use super::App;
use super::checked::{check, modified};
use super::create::{CreateArgs, CreateReply, default_name, submit_file};
use super::next::call;
use super::off_thread::off_thread;
use super::vault::Vault;
use crate::answers::summary::Summary;
use crate::error::{Error, ErrorKind, Result};
use crate::job::outcome::{counted, grouped};
use crate::job::{Cost, Kind};
use crate::jsonl::lines::LineReader;
use crate::jsonl::writer::RequestWriter;
use crate::ledger::JobRecord;
use crate::ledger::builds::{BuildOrigin, SampleOf};
use crate::paths::AllowedPath;
use crate::progress::Monitor;

/// 95 of 100 samples are off by less than so many standard errors.
const STANDARD_ERRORS: f64 = 1.96;
/// Lines between two looks at the monitor.
const STRIDE: u64 = 4096;

/// Some of a number of things, spread evenly over them: the first, the last, and those between.
///
/// The same numbers make the same choice, so the same sample is the same job.
#[derive(Debug, Clone, Copy)]
pub(super) struct Evenly {
    pub(super) some: u64,
    pub(super) all: u64,
}

impl Evenly {
    /// The place of the nth of them, counted from 0.
    pub(super) fn place(self, nth: u64) -> Option<u64> {
        let place = u128::from(nth) * u128::from(self.all.checked_sub(1)?) / u128::from(self.some.max(2) - 1);
        (nth < self.some.min(self.all)).then(|| u64::try_from(place).unwrap_or(u64::MAX))
    }
}

/// Submits `count` of the requests of a file as a job of their own.
pub(super) async fn create_sample(
    app: &App,
    input: &AllowedPath,
    count: i64,
    args: &CreateArgs,
    monitor: &dyn Monitor,
) -> Result<CreateReply> {
    let checked = check(app, input, monitor).await?;
    let (requests, sha256) = (checked.requests(), checked.validation.sha256.clone());
    if count < 1 || count >= requests {
        let cause = format!("a sample of {count} was asked for, and {input} has {}", counted(requests, "request"));
        let fewer = if requests > 1 { format!("ask for 1 to {}, or ", requests - 1) } else { String::new() };
        return Err(Error::new(ErrorKind::InvalidArgument, "choosing a sample", cause)
            .hint(format!("{fewer}leave sample out to submit all; nothing was sent")));
    }
    let whole = SampleOf { path: input.to_string(), sha256, requests };
    let file = write(app, input, checked.modified, &whole, count, monitor).await?;
    let name = format!("{}-sample", args.name.as_deref().unwrap_or_else(|| default_name(args, input)));
    remember(app, &file.sha256, &whole, checked.kind)?;
    let args = CreateArgs { input: None, requests: None, sample: None, name: Some(name), ..args.clone() };
    let mut reply = submit_file(app, file.path, None, &args, monitor).await?;
    reply.warnings.push(format!(
        "a sample of {} of {}; its results tell what the whole would take, which is a job of its own and asks these again",
        grouped(count),
        counted(requests, "request")
    ));
    Ok(reply)
}

struct Sampled {
    path: AllowedPath,
    sha256: String,
}

/// Copies the requests that are chosen to a file kept beside the ledger.
async fn write(
    app: &App,
    input: &AllowedPath,
    as_checked: Option<chrono::DateTime<chrono::Utc>>,
    whole: &SampleOf,
    count: i64,
    monitor: &dyn Monitor,
) -> Result<Sampled> {
    let name = format!("sample-{}-{count}.requests.jsonl", whole.sha256);
    let path = Vault::inline(app)?.file(&name)?;
    let (input, output) = (input.clone(), path.clone());
    let choice = Evenly { some: count.unsigned_abs(), all: whole.requests.unsigned_abs() };
    let sha256 = off_thread(monitor, move |monitor| {
        let act = format!("taking a sample of {input}");
        let file = input.open()?;
        if modified(&file) != as_checked {
            return Err(Error::new(ErrorKind::InvalidInput, act, "the file was changed since it was checked")
                .hint("make the same call again; nothing was sent"));
        }
        let mut lines = LineReader::new(file);
        let mut writer = RequestWriter::create(output, true)?;
        let mut seen = 0;
        while let (Some(wanted), Some(line)) =
            (choice.place(writer.requests()), lines.next_line().map_err(|e| Error::io(&act, e))?)
        {
            if line.is_blank() {
                continue;
            }
            if seen == wanted {
                writer.push(line.bytes)?;
            }
            seen += 1;
            if seen % STRIDE == 0 {
                monitor.check(&act)?;
            }
        }
        Ok(writer.finish()?.sha256)
    })
    .await?;
    Ok(Sampled { path, sha256 })
}

/// The sample was made of the same rows as the whole, so its answers can be joined to them as well.
fn remember(app: &App, sha256: &str, whole: &SampleOf, kind: Kind) -> Result<()> {
    let ledger = app.ledger()?;
    let mut origin = ledger.build_origin(&whole.sha256)?.unwrap_or_else(|| BuildOrigin::unknown(kind));
    origin.sample_of = Some(whole.clone());
    ledger.remember_build(sha256, &origin)
}

/// What the whole would take, told from the results of a sample; none of any other job.
pub(super) fn whole(app: &App, job: &JobRecord, summary: &Summary) -> Result<Option<Whole>> {
    let origin = app.ledger()?.origin_of(job)?;
    let Some(of) = origin.and_then(|origin| origin.sample_of) else { return Ok(None) };
    let came = summary.outcomes.total() - summary.outcomes.missing;
    let input = summary.usage.input_tokens;
    let output = summary.usage.output_tokens;
    Ok(Some(Whole {
        asked: summary.outcomes.total(),
        answered: summary.outcomes.answered,
        came,
        input: Total::of(float(input), 0.0, came, of.requests),
        output: Total::of(float(output), summary.spread.output, came, of.requests),
        cost: summary.cost.usd().map(|usd| Total::of(usd, summary.spread.cost, came, of.requests)),
        model: job.model.clone(),
        of,
    }))
}

/// What a whole would take.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    of: SampleOf,
    model: String,
    asked: i64,
    answered: i64,
    /// Of so many requests it is known what they took.
    came: i64,
    input: Total,
    output: Total,
    cost: Option<Total>,
}

impl Whole {
    /// The call that submits it.
    pub(super) fn next_step(&self) -> String {
        let price = self.cost.map_or("an unknown price".to_owned(), |cost| Cost::Usd(cost.expected).to_string());
        let submits = call("create_batch", json!({"input": self.of.path, "model": self.model}));
        format!("{submits} submits the whole, for about {price}")
    }
}

/// A sum over all, told from a sum over some.
#[derive(Debug, Clone, Copy)]
struct Total {
    expected: f64,
    /// It is likely not off by more than this.
    margin: f64,
}

impl Total {
    /// `sum` over `some` values of which `squares` is the sum of squares, of `all`.
    fn of(sum: f64, squares: f64, some: i64, all: i64) -> Self {
        let (some, all) = (float(some.max(1)), float(all));
        let variance = if some > 1.0 { (squares - sum * sum / some).max(0.0) / (some - 1.0) } else { 0.0 };
        // Nothing is left to guess when nearly all are known.
        let left = (1.0 - some / all).max(0.0);
        Self { expected: sum * all / some, margin: STANDARD_ERRORS * all * (variance * left / some).sqrt() }
    }

    #[expect(clippy::cast_possible_truncation, reason = "such a cast saturates")]
    fn tokens(self) -> String {
        let step = if self.expected >= 100_000.0 { 1000.0 } else { 1.0 };
        grouped(((self.expected / step).round() * step) as i64)
    }
}

#[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
fn float(count: i64) -> f64 {
    count as f64
}

impl fmt::Display for Whole {
    /// "this sample answered 48 of 50; the whole of 40,000 requests would take about 3,100,000 input and …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this sample answered {} of {}", grouped(self.answered), grouped(self.asked))?;
        if self.came == 0 {
            return f.write_str("; nothing came back, so nothing can be told of the whole");
        }
        // Where no request took anything, none did any work: that is no price for the whole.
        if self.input.expected + self.output.expected <= 0.0 {
            return f.write_str("; no tokens were counted, so nothing can be told of the whole");
        }
        let (whole, input, output) = (counted(self.of.requests, "request"), self.input.tokens(), self.output.tokens());
        write!(f, "; the whole of {whole} would take about {input} input and {output} output tokens, ")?;
        match self.cost {
            None => f.write_str("at an unknown price")?,
            Some(cost) => write!(f, "{}", Cost::Usd(cost.expected))?,
        }
        if let Some(cost) = self.cost.filter(|_| self.came > 1) {
            let low = Cost::Usd((cost.expected - cost.margin).max(0.0));
            write!(
                f,
                " ({low} to {}, as 95 of 100 such samples would have it)",
                Cost::Usd(cost.expected + cost.margin)
            )?;
        }
        f.write_str("; it is a job of its own and asks the sampled requests again")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_and_the_last_are_chosen_and_none_twice(all in 2u64..5000, some in 2u64..200) {
            prop_assume!(some <= all);
            let choice = Evenly { some, all };
            let places: Vec<_> = (0..some).map_while(|nth| choice.place(nth)).collect();
            prop_assert_eq!(places.len() as u64, some);
            prop_assert_eq!((places[0], places[places.len() - 1]), (0, all - 1));
            prop_assert!(places.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }

    #[test]
    fn what_is_alike_is_known_and_what_differs_has_a_margin() {
        let alike = Total::of(50.0, 250.0, 10, 1000);
        assert_eq!((alike.expected, alike.margin), (5000.0, 0.0));
        let apart = Total::of(50.0, 500.0, 10, 1000);
        // Variance 250/9, of the mean a tenth of that: 1.96 * 1000 * sqrt(2.75).
        assert!((apart.margin - 3250.3).abs() < 1.0, "{apart:?}");
        assert_eq!(Total::of(50.0, 500.0, 10, 10).margin, 0.0);
    }

    #[test]
    fn many_tokens_are_told_in_thousands() {
        let told = |expected| Total { expected, margin: 0.0 }.tokens();
        assert_eq!([99_999.4, 123_456.0].map(told), ["99,999", "123,000"]);
    }
}
