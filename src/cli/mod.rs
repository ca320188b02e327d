//! The program for people: commands, progress bars and exit codes over the same verbs that the tools call.

mod commands;
mod demo;
mod exit;
mod flags;
mod input;
mod output;
mod papers;
mod simulate;
mod spelling;
mod terminal;

pub use commands::{Cli, Command};
pub use exit::Exit;
pub use output::{greet_a_person, report_error, tell_notes};

use tokio::signal::ctrl_c;
use tokio_util::sync::CancellationToken;

use crate::config::{Caller, Config};
use crate::error::{Error, Result};
use crate::ops::{self, App};
use output::Output;
use terminal::TerminalMonitor;

/// Runs one command, prints its outcome and says how the process should end.
pub async fn run(cli: Cli) -> Exit {
    let cancellation = CancellationToken::new();
    let monitor = TerminalMonitor::new(cancellation.clone(), cli.quiet);
    let bar = monitor.bar();
    let output = Output { json: cli.json, quiet: cli.quiet, simulate: cli.flags.simulate, reader_of: None, bar };
    let command = execute(&cli, output, &monitor);
    let outcome = tokio::select! {
        outcome = command => outcome,
        () = interrupted_twice(&cancellation) => return Exit::Error,
    };
    monitor.finish();
    outcome.unwrap_or_else(|error| report_error(&error, cli.json, cli.flags.simulate))
}

/// The first Ctrl-C asks the command to stop in good order, the second does not ask.
async fn interrupted_twice(cancellation: &CancellationToken) {
    for _ in 0..2 {
        if ctrl_c().await.is_err() {
            return std::future::pending().await;
        }
        if !cancellation.is_cancelled() {
            output::say(
                "stopping; jobs that were submitted go on at Google: `gemini-batch-mcp status` finds them again",
            );
        }
        cancellation.cancel();
    }
}

async fn execute(cli: &Cli, output: Output, monitor: &TerminalMonitor) -> Result<Exit> {
    // These bring their own surroundings.
    match &cli.command {
        // Settings that cannot be read are a finding, too. What counts is what a server here could do.
        Some(Command::Doctor) => return doctor(Config::read(&cli.flags, Caller::Agent), output).await,
        Some(Command::Demo(args)) => return demo::demo(args, output, monitor).await,
        Some(Command::Simulate(args)) => return simulate::simulate(&cli.flags, args, output, monitor).await,
        Some(Command::Statusline) => return statusline(&Config::read(&cli.flags, Caller::Person)?, &output),
        Some(Command::Completions { shell }) => return papers::completions(*shell),
        Some(Command::Man) => return papers::man(),
        _ => {}
    }
    let config = Config::read(&cli.flags, Caller::Person)?;
    tell_notes(&config.notes, output.quiet);
    let app = App::new(config)?;
    let outcome = command(cli, &app, output.clone(), monitor).await;
    monitor.finish();
    app.take_notes().iter().for_each(|note| output.tell(&format!("warning: {note}")));
    outcome
}

async fn doctor(settings: Result<Config>, output: Output) -> Result<Exit> {
    let report = ops::doctor::doctor(settings).await;
    output.reply(&report)?;
    Ok(if report.ok { Exit::Success } else { Exit::Error })
}

fn statusline(config: &Config, output: &Output) -> Result<Exit> {
    // A client hands over its state as JSON. It is not wanted, and whoever writes it must not be held up.
    std::thread::spawn(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    output.reply(&ops::statusline::statusline(config))
}

async fn command(cli: &Cli, app: &App, output: Output, monitor: &TerminalMonitor) -> Result<Exit> {
    // Started by a timer, as `run` is made for, nobody reads what it prints.
    if let Some(Command::Run(flags)) = &cli.command {
        return flags.run(app, output, monitor).await;
    }
    let output = Output { reader_of: Some(app.config().home.clone()), ..output };
    match &cli.command {
        Some(Command::Build(flags)) => output.reply(&ops::build::build(app, flags.args()?, monitor).await?),
        Some(Command::Create(flags)) => output.reply(&ops::create::create(app, flags.args(), monitor).await?),
        Some(Command::Status(flags)) => flags.run(app, output, monitor).await,
        Some(Command::Results(flags)) => flags.run(app, output, monitor).await,
        Some(Command::Retry(flags)) => output.reply(&ops::retry::retry(app, flags.args()?, monitor).await?),
        Some(Command::List(flags)) => output.reply(&ops::list::list(app, flags.args(), monitor).await?),
        Some(Command::Cancel(flags)) => output.reply(&ops::cancel::cancel(app, flags.args(), monitor).await?),
        Some(Command::Delete(flags)) => output.reply(&ops::delete::delete(app, flags.args(), monitor).await?),
        Some(Command::History(flags)) => output.reply(&ops::history::history(app, flags.args(), monitor).await?),
        Some(Command::Export(flags)) => flags.run(app, output),
        Some(Command::Prune(flags)) => output.reply(&ops::prune::prune(app, flags.args(), monitor).await?),
        None
        | Some(Command::Serve(_) | Command::Demo(_) | Command::Simulate(_) | Command::Doctor | Command::Statusline)
        | Some(Command::Run(_) | Command::Completions { .. } | Command::Man) => {
            Err(Error::internal("running a command", "a server was asked for"))
        }
    }
}
