//! Progress for people: a bar on a terminal, a line every few seconds elsewhere, nothing when quiet.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::output::say;
use crate::job::outcome::grouped;
use crate::progress::{Monitor, Progress};

/// Between two lines of progress where no terminal draws a bar.
const LINE_PAUSE: Duration = Duration::from_secs(5);

/// The monitor of a command.
pub(super) struct TerminalMonitor {
    cancellation: CancellationToken,
    show: Show,
}

enum Show {
    Nothing,
    Bar(ProgressBar),
    /// When the last line was printed.
    Lines(Mutex<Instant>),
}

impl TerminalMonitor {
    /// A monitor that fits standard error.
    pub(super) fn new(cancellation: CancellationToken, quiet: bool) -> Self {
        let show = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Show::Nothing,
            (false, true) => Show::Bar(ProgressBar::no_length().with_style(spinner())),
            (false, false) => Show::Lines(Mutex::new(Instant::now())),
        };
        Self { cancellation, show }
    }

    /// The bar, hidden where none is drawn.
    pub(super) fn bar(&self) -> ProgressBar {
        match &self.show {
            Show::Bar(bar) => bar.clone(),
            Show::Nothing | Show::Lines(_) => ProgressBar::hidden(),
        }
    }

    /// Removes the bar before something is printed. The next report brings it back.
    pub(super) fn finish(&self) {
        self.bar().finish_and_clear();
    }
}

impl Monitor for TerminalMonitor {
    fn report(&self, progress: &Progress) {
        match &self.show {
            Show::Nothing => {}
            Show::Bar(bar) => draw(bar, progress),
            Show::Lines(last) => {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if last.elapsed() >= LINE_PAUSE {
                    *last = Instant::now();
                    say(&line(progress));
                }
            }
        }
    }

    fn cancellation(&self) -> &CancellationToken {
        &self.cancellation
    }
}

fn draw(bar: &ProgressBar, progress: &Progress) {
    if bar.is_finished() {
        bar.reset();
    }
    if bar.message() != progress.stage {
        bar.set_message(progress.stage.clone());
        bar.set_style(match (progress.total, progress.unit) {
            (None, _) => spinner(),
            (Some(_), "bytes") => style("{msg} {wide_bar} {bytes}/{total_bytes} {eta}"),
            (Some(_), _) => style("{msg} {wide_bar} {human_pos}/{human_len} {eta}"),
        });
        bar.reset_eta();
    }
    if let Some(total) = progress.total {
        bar.set_length(total);
    }
    bar.set_position(progress.done);
}

fn spinner() -> ProgressStyle {
    style("{spinner} {msg} {human_pos}")
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// "uploading: 3,000 of 9,000 bytes".
fn line(progress: &Progress) -> String {
    let number = |n: u64| grouped(i64::try_from(n).unwrap_or(i64::MAX));
    let of = progress.total.map_or(String::new(), |total| format!(" of {}", number(total)));
    format!("{}: {}{of} {}", progress.stage, number(progress.done), progress.unit)
}
