//! The settings of one process: flags and environment, read once, in one place.

pub mod http;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::FalseyValueParser;
use secrecy::SecretString;

use crate::error::{Error, ErrorKind, Result};

/// The flags that every command shares. Each may also be set in the environment.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// Work against the embedded simulator: no key, no network, no cost.
    #[arg(long, global = true, env = "GEMINI_BATCH_SIMULATE", value_parser = FalseyValueParser::new())]
    pub simulate: bool,
    /// A folder below which files may be read and written (repeatable) [env: GEMINI_BATCH_ROOTS]
    ///
    /// The server's default is the current folder. At the command line, where a person names each
    /// path, everything is allowed unless this is given.
    #[arg(long = "root", global = true, value_name = "FOLDER")]
    pub roots: Vec<PathBuf>,
    /// Where jobs are remembered [default: the platform's data folder] [env: GEMINI_BATCH_HOME]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub home: Option<PathBuf>,
    /// Refuse everything that changes the API's state or costs money.
    #[arg(long, global = true, env = "GEMINI_BATCH_READ_ONLY", value_parser = FalseyValueParser::new())]
    pub read_only: bool,
    /// The project's tier at Google, 1 to 3: larger jobs than it may enqueue go out in parts [env: GEMINI_BATCH_TIER]
    #[arg(long, global = true, value_name = "N", value_parser = tier)]
    pub tier: Option<u8>,
    /// Refuse what goes beyond this in a day (UTC), over all jobs and processes [env: GEMINI_BATCH_DAILY_BUDGET_USD]
    #[arg(long, global = true, value_name = "USD", value_parser = budget)]
    pub daily_budget_usd: Option<f64>,
    /// Refuse a retry after so many, one of the other [default: 5] [env: GEMINI_BATCH_MAX_GENERATIONS]
    #[arg(long, global = true, value_name = "N", value_parser = generations)]
    pub max_generations: Option<u32>,
    /// Leave uploaded request files at the API when their job has ended, for the 48 hours that it keeps them.
    #[arg(long, global = true, env = "GEMINI_BATCH_KEEP_UPLOADS", value_parser = FalseyValueParser::new())]
    pub keep_uploads: bool,
    /// A model and price table to use instead of the built-in one [env: GEMINI_BATCH_MODELS]
    #[arg(long, global = true, value_name = "FILE")]
    pub models: Option<PathBuf>,
}

fn tier(text: &str) -> Result<u8, String> {
    match text.trim().parse::<u8>() {
        Ok(tier @ 1..=3) => Ok(tier),
        _ => Err("it has to be 1, 2 or 3, as AI Studio shows it for the project".to_owned()),
    }
}

fn generations(text: &str) -> Result<u32, String> {
    text.trim().parse::<u32>().map_err(|_| "it has to be a whole number, 0 or more".to_owned())
}

/// A sum that can be kept to.
fn budget(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(usd) if usd.is_finite() && usd >= 0.0 => Ok(usd),
        _ => Err("it has to be an amount in US dollars, 0 or more".to_owned()),
    }
}

/// Who is asking: it decides what is allowed when no root is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// A model, through the MCP server.
    Agent,
    /// A person at a shell.
    Person,
}

/// Everything a process needs to know about its surroundings.
#[derive(Debug, Clone)]
pub struct Config {
    /// The API key, if one is set. Never printed.
    pub key: Option<SecretString>,
    /// The variable that it is from.
    pub key_variable: Option<&'static str>,
    /// Another address than the API's own, from `GOOGLE_GEMINI_BASE_URL`.
    pub base_url: Option<String>,
    /// Another version of the API than the usual one, from `GOOGLE_GENAI_API_VERSION`.
    pub api_version: Option<String>,
    /// Where the ledger and the results are kept.
    pub home: PathBuf,
    /// Folders below which files may be read and written. The first is where relative paths start.
    pub roots: Vec<PathBuf>,
    /// The one of them that nobody named: in the user's home, in place of the top of the file system.
    pub own_root: Option<PathBuf>,
    /// Whether the embedded simulator stands in for the API.
    pub simulate: bool,
    /// Whether everything that changes something is refused.
    pub read_only: bool,
    /// A model table to use instead of the built-in one.
    pub models: Option<PathBuf>,
    /// The project's tier at Google, if the user told it.
    pub tier: Option<u8>,
    /// What may be spent in a day (UTC), in US dollars.
    pub daily_budget_usd: Option<f64>,
    /// How many retries may follow one another.
    pub max_generations: u32,
    /// Whether uploaded request files stay at the API when their job has ended.
    pub keep_uploads: bool,
    /// How long a call may take before its work goes on behind it; `None`: as long as it needs.
    pub patience: Option<Duration>,
    /// The user is asked before a job that may cost more than this, in USD, where the client can ask.
    pub confirm_above_usd: f64,
    /// How long a lost create is looked up before it counts as never arrived.
    pub settle: Duration,
    /// Things worth telling the user at start.
    pub notes: Vec<String>,
}

impl Config {
    /// Reads the environment, flags first.
    pub fn read(flags: &Flags, caller: Caller) -> Result<Self> {
        refuse_vertex()?;
        let mut notes = Vec::new();
        let here = std::env::current_dir().map_err(|e| Error::io("finding the current folder", e))?;
        let mut roots = flags.roots.clone();
        if roots.is_empty() {
            roots =
                env_path("GEMINI_BATCH_ROOTS").map(|text| std::env::split_paths(&text).collect()).unwrap_or_default();
        }
        let own_root = if roots.is_empty() && caller == Caller::Agent { own_root(&here, &mut notes)? } else { None };
        if roots.is_empty() {
            roots = default_roots(&here, caller, own_root.as_ref());
        }
        let home = match path(flags.home.as_ref(), "GEMINI_BATCH_HOME") {
            Some(home) => here.join(home),
            None => data_folder()?,
        };
        let (key_variable, key) = api_key(&mut notes).unzip();
        Ok(Self {
            key,
            key_variable,
            base_url: env_text("GOOGLE_GEMINI_BASE_URL"),
            api_version: api_version(),
            // Simulated jobs never mix with real ones.
            home: if flags.simulate { home.join("simulated") } else { home },
            roots,
            own_root,
            simulate: flags.simulate,
            read_only: flags.read_only,
            models: path(flags.models.as_ref(), "GEMINI_BATCH_MODELS"),
            tier: setting(flags.tier, "GEMINI_BATCH_TIER", tier)?,
            daily_budget_usd: setting(flags.daily_budget_usd, "GEMINI_BATCH_DAILY_BUDGET_USD", budget)?,
            max_generations: setting(flags.max_generations, "GEMINI_BATCH_MAX_GENERATIONS", generations)?
                .unwrap_or(MAX_GENERATIONS),
            keep_uploads: flags.keep_uploads,
            patience: (caller == Caller::Agent).then_some(PATIENCE),
            confirm_above_usd: setting(None, "GEMINI_BATCH_CONFIRM_ABOVE_USD", budget)?.unwrap_or(CONFIRM_ABOVE_USD),
            settle: settle(),
            notes,
        })
    }
}

impl Config {
    /// Settings for a job on the simulator that touches nothing but these folders.
    pub fn simulated(home: PathBuf, root: PathBuf) -> Self {
        Self {
            key: None,
            key_variable: None,
            base_url: None,
            api_version: None,
            home,
            roots: vec![root],
            own_root: None,
            simulate: true,
            read_only: false,
            models: None,
            tier: None,
            daily_budget_usd: None,
            max_generations: MAX_GENERATIONS,
            keep_uploads: false,
            patience: None,
            confirm_above_usd: CONFIRM_ABOVE_USD,
            settle: SETTLE,
            notes: Vec::new(),
        }
    }

    /// Makes the folder that nobody named, if it is not there.
    pub fn make_own_root(&self) -> Result<()> {
        let Some(folder) = &self.own_root else { return Ok(()) };
        std::fs::create_dir_all(folder)
            .map_err(|e| Error::io(format!("creating {}", folder.display()), e).hint(NAME_A_ROOT))
    }

    /// Where the simulator keeps its state.
    pub fn simulator_folder(&self) -> PathBuf {
        self.home.join("simulator")
    }
}

fn default_roots(here: &Path, caller: Caller, own: Option<&PathBuf>) -> Vec<PathBuf> {
    match (caller, own) {
        // The current folder first: relative paths start there.
        (Caller::Person, _) => vec![here.to_owned(), here.ancestors().last().unwrap_or(here).to_owned()],
        (Caller::Agent, Some(own)) => vec![own.clone()],
        (Caller::Agent, None) => vec![here.to_owned()],
    }
}

const NAME_A_ROOT: &str = "name a folder for its files with --root or GEMINI_BATCH_ROOTS";

/// Where a server's files are that was started at the top of the file system, as by systemd: not everywhere.
fn own_root(here: &Path, notes: &mut Vec<String>) -> Result<Option<PathBuf>> {
    if here.parent().is_some() {
        return Ok(None);
    }
    let act = format!("finding a folder for the files of a server that was started in {}", here.display());
    let user = directories::UserDirs::new()
        .ok_or_else(|| Error::new(ErrorKind::InvalidArgument, act, "this user has no home folder").hint(NAME_A_ROOT))?;
    let folder = user.home_dir().join("gemini-batch");
    notes.push(format!(
        "started in {}: files are read and written below {} instead; choose with --root",
        here.display(),
        folder.display()
    ));
    Ok(Some(folder))
}

fn data_folder() -> Result<PathBuf> {
    let folders = directories::ProjectDirs::from("", "", "gemini-batch-mcp").ok_or_else(no_home)?;
    Ok(folders.data_dir().to_owned())
}

fn no_home() -> Error {
    Error::new(ErrorKind::InvalidArgument, "finding the data folder", "this user has no home folder")
        .hint("set GEMINI_BATCH_HOME to a folder for the ledger")
}

/// `GOOGLE_API_KEY`, then `GEMINI_API_KEY`, as Google's SDKs do (API reference §1.3): the variable and its value.
fn api_key(notes: &mut Vec<String>) -> Option<(&'static str, SecretString)> {
    let mut key = |name| {
        let value = env_text(name)?;
        // Some clients hand over "${GOOGLE_API_KEY}" as it stands in their configuration.
        let expanded = !value.starts_with("${") && !value.starts_with(&format!("${name}"));
        if !expanded {
            notes.push(format!("{name} holds the name of a variable, not a key: it counts as not set"));
        }
        expanded.then_some((name, value))
    };
    let google = key("GOOGLE_API_KEY");
    let gemini = key("GEMINI_API_KEY");
    if let (Some((_, google)), Some((_, gemini))) = (&google, &gemini)
        && google != gemini
    {
        notes.push("both GOOGLE_API_KEY and GEMINI_API_KEY are set: GOOGLE_API_KEY is used".to_owned());
    }
    google.or(gemini).map(|(name, value)| (name, SecretString::from(value)))
}

/// `beta` is short for `v1beta`, as in Google's SDKs.
fn api_version() -> Option<String> {
    env_text("GOOGLE_GENAI_API_VERSION").map(|version| if version == "beta" { "v1beta".to_owned() } else { version })
}

/// Most clients give up on a call after 60 seconds.
const PATIENCE: Duration = Duration::from_secs(40);
/// What a job may cost without a question.
const CONFIRM_ABOVE_USD: f64 = 10.0;

/// What did not answer after so many repetitions will not.
const MAX_GENERATIONS: u32 = 5;

/// How long after a create without a clear outcome its absence from the API's list means that there is no batch: the far
/// end may go on with it for minutes, whatever a proxy said or the client waited for (API reference §3.6), and then it
/// has to show up.
const SETTLE: Duration = Duration::from_secs(300 + 180);

/// Fails if Google's SDKs would turn to Vertex AI here: what is submitted would be paid by another project. The first of
/// the variables that is set decides (API reference §1.3).
fn refuse_vertex() -> Result<()> {
    let set = |variable: &&str| env_text(variable).is_some();
    let Some(variable) = ["GOOGLE_GENAI_USE_ENTERPRISE", "GOOGLE_GENAI_USE_VERTEXAI"].into_iter().find(set) else {
        return Ok(());
    };
    if !env_text(variable).is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1") {
        return Ok(());
    }
    let cause = format!("{variable} asks for Vertex AI, whose batch API is another one and not supported yet");
    Err(Error::new(ErrorKind::InvalidArgument, "reading the settings", cause)
        .hint(format!("unset {variable} and set GOOGLE_API_KEY to a Gemini Developer API key")))
}

/// Tests shorten it; whoever did so with money would pay twice.
fn settle() -> Duration {
    let shortened = env_text("GEMINI_BATCH_SETTLE_SECONDS").filter(|_| cfg!(debug_assertions));
    shortened.and_then(|text| text.parse().ok()).map_or(SETTLE, Duration::from_secs)
}

/// A value by its flag, else by its variable.
fn setting<T>(flag: Option<T>, variable: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>> {
    let given = || env_text(variable).map(|text| parse(&text)).transpose();
    match flag {
        Some(value) => Ok(Some(value)),
        None => given().map_err(|cause| {
            Error::new(ErrorKind::InvalidArgument, format!("reading {variable}"), cause).hint("correct it, or unset it")
        }),
    }
}

/// A path by its flag, else by its variable.
fn path(flag: Option<&PathBuf>, variable: &str) -> Option<PathBuf> {
    flag.cloned().or_else(|| env_path(variable).map(PathBuf::from))
}

/// A variable that names folders, which need not be text.
fn env_path(name: &str) -> Option<OsString> {
    let value = std::env::var_os(name)?;
    if value.to_str().is_none() { Some(value) } else { env_text(name).map(OsString::from) }
}

/// A variable's trimmed value; one set to nothing, as client configurations do, counts as unset.
fn env_text(name: &str) -> Option<String> {
    let value = std::env::var(name).ok()?;
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}
