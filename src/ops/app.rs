//! What every verb needs, opened when first needed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, Utc};
use secrecy::SecretString;
use tokio::sync::OnceCell;

use super::call_log::CallLog;
use super::ending::Ending;
use super::lacking::Lacking;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::gemini::{GOOGLE_BASE_URL, Gemini, RetryPolicy, Settings, Witness};
use crate::job::ModelTable;
use crate::ledger::{JobRecord, Ledger};
use crate::paths::{Roots, create_private};
use crate::simulator::{self, Simulator};

/// Most clients give up on a call after 60 seconds.
const PATIENCE: Duration = Duration::from_secs(40);

/// An app that may be gone.
#[derive(Clone)]
pub(super) struct WeakApp(Weak<Inner>);

impl WeakApp {
    /// The app, if it is still there.
    pub(super) fn upgrade(&self) -> Option<App> {
        self.0.upgrade().map(|inner| App { inner })
    }
}

/// The settings and, opened lazily so that a server starts at once, the ledger and the API.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    roots: Roots,
    models: ModelTable,
    ledger: OnceLock<Ledger>,
    gemini: OnceCell<Gemini>,
    /// Held while the ledger is rebuilt: when that failed last.
    rebuilding: tokio::sync::Mutex<Option<Instant>>,
    /// Stops with the app.
    simulator: OnceCell<Simulator>,
    /// Held by whoever moves the queue on in this process.
    at_the_queue: Arc<tokio::sync::Mutex<()>>,
    lacking: Lacking,
    ending: Ending,
}

impl App {
    /// An app with these settings. Touches neither network nor ledger.
    pub fn new(config: Config) -> Result<Self> {
        let roots = Roots::new(config.roots.iter().cloned())?.keeping(config.home.clone());
        let models = model_table(config.models.as_deref())?;
        Ok(Self {
            inner: Arc::new(Inner {
                config,
                roots,
                models,
                ledger: OnceLock::new(),
                gemini: OnceCell::new(),
                rebuilding: tokio::sync::Mutex::default(),
                simulator: OnceCell::new(),
                at_the_queue: Arc::default(),
                lacking: Lacking::default(),
                ending: Ending::default(),
            }),
        })
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The folders files may be in.
    pub fn roots(&self) -> &Roots {
        &self.inner.roots
    }

    /// What is known of models.
    pub fn models(&self) -> &ModelTable {
        &self.inner.models
    }

    /// Now.
    pub fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    /// Today, for prices and shutdowns.
    pub fn today(&self) -> NaiveDate {
        self.now().date_naive()
    }

    /// The ledger.
    pub fn ledger(&self) -> Result<&Ledger> {
        if let Some(ledger) = self.inner.ledger.get() {
            return Ok(ledger);
        }
        let opened = Ledger::open(&self.inner.config.home)?;
        let notes = opened.take_notes();
        let ledger = self.inner.ledger.get_or_init(|| opened);
        // Two may open it at once, and one of them is kept: whoever set a damaged one aside is heard.
        notes.into_iter().for_each(|note| ledger.note(note));
        Ok(ledger)
    }

    /// What the user should know of the ledger and was not told yet.
    pub fn take_notes(&self) -> Vec<String> {
        self.inner.ledger.get().map(Ledger::take_notes).unwrap_or_default()
    }

    /// The right to rebuild the ledger, and when it failed last.
    pub(super) async fn rebuilding(&self) -> tokio::sync::MutexGuard<'_, Option<Instant>> {
        self.inner.rebuilding.lock().await
    }

    /// The API, or the simulator standing in for it.
    pub async fn gemini(&self) -> Result<&Gemini> {
        self.inner.gemini.get_or_try_init(|| self.connect()).await
    }

    /// Whether a job was submitted with another key, or at another address, than this program has. Nobody can tell before
    /// it has connected.
    pub(super) fn is_foreign(&self, job: &JobRecord) -> bool {
        self.inner.gemini.get().is_some_and(|gemini| job.is_foreign_to(&gemini.owner()))
    }

    /// Where the API is, or the simulator standing in for it.
    pub(super) async fn api_address(&self) -> Result<&str> {
        let config = &self.inner.config;
        if config.simulate {
            return Ok(self.simulator().await?.url());
        }
        Ok(config.base_url.as_deref().unwrap_or(GOOGLE_BASE_URL))
    }

    async fn simulator(&self) -> Result<&Simulator> {
        self.inner.simulator.get_or_try_init(|| start_simulator(self.inner.config.simulator_folder())).await
    }

    /// Whether the API can be asked at all.
    pub fn can_connect(&self) -> bool {
        self.inner.config.simulate || self.inner.config.key.is_some()
    }

    /// How the server ends that serves this; what is to be waited for then is begun with it.
    pub fn ending(&self) -> &Ending {
        &self.inner.ending
    }

    /// The turn of moving the queue on, unless somebody in this process has it.
    pub(super) fn turn_at_the_queue(&self) -> Option<tokio::sync::OwnedMutexGuard<()>> {
        Arc::clone(&self.inner.at_the_queue).try_lock_owned().ok()
    }

    /// Answers that were looked for in vain.
    pub(super) fn lacking(&self) -> &Lacking {
        &self.inner.lacking
    }

    /// Fails where the user allowed reading only.
    pub(super) fn allow_changes(&self, act: &str) -> Result<()> {
        if self.inner.config.read_only {
            return Err(Error::new(ErrorKind::WrongState, act, "this server is read-only")
                .hint("start it without --read-only (GEMINI_BATCH_READ_ONLY) to allow changes"));
        }
        Ok(())
    }

    async fn connect(&self) -> Result<Gemini> {
        let config = &self.inner.config;
        if config.simulate {
            let simulator = self.simulator().await?;
            let key = SecretString::from("simulated".to_owned());
            let usual = self.settings(key);
            return Gemini::new(Settings { base_url: simulator.url().to_owned(), ..usual });
        }
        let key = config.key.clone().ok_or_else(|| {
            Error::new(ErrorKind::KeyMissing, "connecting to the Gemini API", "no API key is set").hint(
                "set GOOGLE_API_KEY (or GEMINI_API_KEY) where this program is started (an MCP client's configuration, a shell) and start it again; \
                 without a key everything can be tried with --simulate",
            )
        })?;
        let usual = self.settings(key);
        Gemini::new(Settings {
            base_url: config.base_url.clone().unwrap_or(usual.base_url),
            api_version: config.api_version.clone().unwrap_or(usual.api_version),
            ..usual
        })
    }

    /// For whoever is kept by the app itself.
    fn downgrade(&self) -> WeakApp {
        WeakApp(Arc::downgrade(&self.inner))
    }

    /// The usual settings, with repetitions that end before an agent gives up on its call; every call is written down.
    fn settings(&self, key: SecretString) -> Settings {
        let usual = Settings::new(key);
        let retry = RetryPolicy { total: PATIENCE, cap: PATIENCE / 2, ..usual.retry };
        let witness = Some(Arc::new(CallLog::new(self.downgrade())) as Arc<dyn Witness>);
        Settings { retry, witness, spool: Some(self.config().home.clone()), ..usual }
    }
}

pub(super) async fn start_simulator(folder: PathBuf) -> Result<Simulator> {
    create_private(&folder).map_err(|e| Error::io(format!("creating {}", folder.display()), e))?;
    Simulator::start(simulator::Options::new(folder)).await
}

pub(super) fn model_table(file: Option<&Path>) -> Result<ModelTable> {
    let Some(file) = file else { return ModelTable::embedded() };
    let origin = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|e| Error::io(format!("reading the model table {origin}"), e))?;
    ModelTable::from_json(&text, &origin)
}
