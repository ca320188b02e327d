//! The binary: flags to the library, the library's outcome to an exit code.

use std::process::ExitCode;

use clap::Parser;
use gemini_batch_mcp::cli::{self, Cli, Command, Exit};
use gemini_batch_mcp::config::http::{HttpFlags, HttpSettings};
use gemini_batch_mcp::config::{Caller, Config};
use gemini_batch_mcp::error::{Error, Result};
use gemini_batch_mcp::mcp;
use gemini_batch_mcp::ops::App;
use tokio::runtime::Builder;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Threads of a server. Little is done on them: what takes long has threads of its own.
const WORKERS: usize = 4;
const STACK: usize = 2 << 20;

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log();
    // Who runs one command waits for it anyway; of a server's clients none is to wait for what another has to wait for.
    let mut runtime = match cli.command {
        None | Some(Command::Serve(_)) => Builder::new_multi_thread(),
        Some(_) => Builder::new_current_thread(),
    };
    let exit = match runtime.worker_threads(WORKERS).thread_stack_size(STACK).enable_all().build() {
        Ok(runtime) => {
            let exit = runtime.block_on(run(cli));
            // A thread may still wait for input that never comes.
            runtime.shutdown_background();
            exit
        }
        Err(e) => cli::report_error(&Error::io("starting the async runtime", e), false, false),
    };
    exit.into()
}

async fn run(cli: Cli) -> Exit {
    let (json, simulate) = (cli.json, cli.flags.simulate);
    let served = match &cli.command {
        None => serve(&cli, &HttpFlags::default()).await,
        Some(Command::Serve(serve_args)) => serve(&cli, &serve_args.http).await,
        Some(_) => return cli::run(cli).await,
    };
    served.map_or_else(|error| cli::report_error(&error, json, simulate), |()| Exit::Success)
}

async fn serve(cli: &Cli, http: &HttpFlags) -> Result<()> {
    let http = HttpSettings::read(http)?;
    let config = Config::read(&cli.flags, Caller::Agent)?;
    cli::tell_notes(&config.notes, cli.quiet);
    config.make_own_root()?;
    let app = App::new(config)?;
    match http {
        Some(settings) => {
            cli::tell_notes(&settings.notes, cli.quiet);
            mcp::http::serve(app, &settings).await
        }
        None => {
            cli::greet_a_person(cli.quiet);
            mcp::stdio::serve(app).await
        }
    }
}

/// Logs go to standard error: standard output belongs to the protocol and to replies.
fn start_log() {
    let usual = || format!("{},{}", LevelFilter::WARN, mcp::LEFT_OUT_OF_LOG);
    let filter = EnvFilter::builder()
        .parse_lossy(std::env::var("RUST_LOG").ok().filter(|asked| !asked.is_empty()).unwrap_or_else(usual));
    // Where nobody hears the log any more, a complaint about that would be a panic.
    let log = tracing_subscriber::fmt().log_internal_errors(false);
    log.with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
}
