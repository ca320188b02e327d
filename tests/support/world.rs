//! A folder, the simulator, and the real binary working there.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

use gemini_batch_mcp::simulator::{ManualClock, Options, Pace, Simulator};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::address::Address;
use super::program::program;

/// Everything a user has: a folder of their own, and the API. It is pretended here, over real HTTP.
pub struct World {
    pub folder: TempDir,
    pub simulator: Simulator,
    /// Where the program looks for the API, which may be down.
    address: Address,
    /// Runs the simulator until the world ends.
    runtime: Runtime,
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl World {
    /// Jobs end at once.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// One whose jobs take their time, which goes by this clock.
    pub fn timed() -> (Self, ManualClock) {
        let clock = ManualClock::default();
        let time = clock.clone();
        let world = Self::with(move |options| {
            options.clock = Arc::new(time);
            options.pace = Pace::realistic();
        });
        (world, clock)
    }

    /// A world whose simulator is set up otherwise.
    pub fn with(setup: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::new(folder.path().join("api"));
        options.pace = Pace::instant();
        let address = Address::new();
        options.address = address.socket;
        setup(&mut options);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let simulator = runtime.block_on(Simulator::start(options)).unwrap();
        Self { folder, simulator, address, runtime }
    }

    /// Nobody listens where the API was. Limits, faults and the log begin anew.
    pub fn goes_down(&mut self) {
        let elsewhere = Options::new(self.path("api"));
        let other = self.runtime.block_on(Simulator::start(elsewhere)).unwrap();
        self.runtime.block_on(std::mem::replace(&mut self.simulator, other).stop());
    }

    /// The API is there again, with all that it had.
    pub fn comes_back(&mut self) {
        let mut options = Options::new(self.path("api"));
        options.pace = Pace::instant();
        options.address = self.address.socket;
        self.simulator = self.runtime.block_on(Simulator::start(options)).unwrap();
    }

    /// The binary, with a key and this world's API.
    pub fn command(&self) -> Command {
        let mut command = program(self.folder.path());
        command.env("GOOGLE_API_KEY", "a-key-for-tests").env("GOOGLE_GEMINI_BASE_URL", self.address.url());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command().args(arguments).output().unwrap())
    }

    /// Runs a command while no file may grow beyond so many KB, as if the disk were full then.
    pub fn with_files_of(&self, kilobytes: u32, arguments: &[&str]) -> Ran {
        Ran::of(self.command_with_files_of(kilobytes).args(arguments).arg("--json").output().unwrap())
    }

    /// The binary, which cannot have a file grow beyond so many KB.
    pub fn command_with_files_of(&self, kilobytes: u32) -> Command {
        // The signal that comes with it is ignored, as it does not come when a disk is full.
        let limited = format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$0\" \"$@\"");
        let mut command = Command::new("bash");
        let real = self.command();
        command.args(["-c", &limited]).arg(real.get_program()).current_dir(self.folder.path());
        command.envs(real.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// Runs a command that has to succeed; its structured reply.
    pub fn reply(&self, arguments: &[&str]) -> Value {
        let ran = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
        ran.json()
    }

    /// Runs a command that has to fail; its structured error.
    pub fn refusal(&self, arguments: &[&str]) -> Value {
        let ran = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(ran.code, 1, "{arguments:?}: {ran:?}");
        ran.json()["error"].clone()
    }

    /// Runs a command that has to fail, for bad input (1) or for wrong arguments (2); its structured error.
    pub fn refused(&self, arguments: &[&str]) -> Value {
        let ran = self.run(&[arguments, &["--json"]].concat());
        assert!([1, 2].contains(&ran.code), "{arguments:?}: {ran:?}");
        ran.json()["error"].clone()
    }

    /// Runs `results`, whether or not every request has an answer; its structured reply.
    pub fn results(&self, arguments: &[&str]) -> Value {
        let ran = self.run(&[&["results"], arguments, &["--json"]].concat());
        assert!([0, 4].contains(&ran.code), "{ran:?}");
        ran.json()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The lines of a JSONL file.
    pub fn lines(&self, name: &str) -> Vec<Value> {
        self.read(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// How many batches were created at the API, whatever the client believes.
    pub fn jobs_at_the_api(&self) -> usize {
        let batches = std::fs::read_dir(self.path("api").join("batches"));
        batches.map_or(0, |entries| entries.filter_map(Result::ok).count())
    }
}

impl Ran {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}
