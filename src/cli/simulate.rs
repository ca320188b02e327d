//! `simulate`: the simulator alone, for any client of the Gemini API.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::Exit;
use super::flags::{Pace as Speed, SimulateFlags};
use super::output::{Output, print, say};
use crate::config::{Caller, Config, Flags};
use crate::error::Result;
use crate::progress::Monitor;
use crate::simulator::{FileClock, Marker, Options, Pace, Simulator};

/// What a prompt can ask for, for the help.
pub(super) fn markers() -> String {
    let words = Marker::ALL.iter().map(|(_, word, means)| format!("\n  {:<28}{means}", format!("[[simulate:{word}]]")));
    format!("A prompt asks for an outcome by a marker anywhere in its text:{}", words.collect::<String>())
}

/// Serves until it is interrupted. The first line on standard output is the address.
pub(super) async fn simulate(
    flags: &Flags,
    args: &SimulateFlags,
    output: Output,
    monitor: &dyn Monitor,
) -> Result<Exit> {
    let folder = match &args.dir {
        Some(folder) => folder.clone(),
        // The same place that --simulate uses: both see the same jobs.
        None => Config::read(&Flags { simulate: true, ..flags.clone() }, Caller::Person)?.simulator_folder(),
    };
    let mut options = Options::new(folder);
    options.address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    options.pace = match args.pace {
        Speed::Realistic => Pace::realistic(),
        Speed::Demo => Pace::demo(),
        Speed::Instant => Pace::instant(),
    };
    options.limits.set_enqueued_tokens(args.max_enqueued_tokens);
    options.limits.set_batches(args.max_batches);
    options.limits.set_storage_bytes(args.max_storage_bytes);
    if let Some(file) = &args.clock_file {
        options.clock = Arc::new(FileClock::new(file));
    }
    let simulator = Simulator::start(options).await?;
    print(simulator.url())?;
    if !output.quiet {
        say("the Gemini Batch API, pretended; any key will do. Ctrl-C stops it. Point a client at it:");
        say(&format!("  GOOGLE_API_KEY=any GOOGLE_GEMINI_BASE_URL={} gemini-batch-mcp list", simulator.url()));
    }
    monitor.cancellation().cancelled().await;
    simulator.stop().await;
    Ok(Exit::Success)
}
