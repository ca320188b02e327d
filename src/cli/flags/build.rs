//! `build`: flags as the tool's words.

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::cli::input;
use crate::error::Result;
use crate::job::Kind;
use crate::ops::build::{BuildArgs, OnBadRow};

/// `build`.
#[derive(Debug, Args)]
pub struct BuildFlags {
    /// Data file: CSV, TSV, JSON (array of objects) or JSONL; or job:HANDLE, the answers of an earlier job
    #[arg(required_unless_present = "prompts")]
    source: Option<String>,
    /// Prompt for each row, Jinja over its columns: 'Describe {{name}}'; or @file
    #[arg(long, short, value_name = "TEXT|@FILE")]
    template: Option<String>,
    /// System instruction, a template too; or @file
    #[arg(long, value_name = "TEXT|@FILE")]
    system: Option<String>,
    /// Column or template that names each request, e.g. id [default: row-1, row-2…]
    #[arg(long, value_name = "COLUMN|TEMPLATE")]
    key: Option<String>,
    /// Model the requests are meant for
    #[arg(long, short)]
    model: Option<String>,
    /// generate: texts, images or speech; embed: vectors of the template's text
    #[arg(long, value_parser = PossibleValuesParser::new(["generate", "embed"]))]
    kind: Option<String>,
    /// Gemini generationConfig, e.g. '{"maxOutputTokens": 300}'; or @file
    #[arg(long, value_name = "JSON|@FILE")]
    generation_config: Option<String>,
    /// Schema every answer must follow, in the Gemini dialect of OpenAPI; or @file
    #[arg(long, value_name = "JSON|@FILE")]
    response_schema: Option<String>,
    /// Further fields of the Gemini request (tools, safetySettings…), strings in it are templates; or @file
    #[arg(long, value_name = "JSON|@FILE")]
    request: Option<String>,
    /// Use only the first N rows, for a trial
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    limit: Option<i64>,
    /// Leave bad rows out and report them, instead of writing nothing
    #[arg(long)]
    skip_bad_rows: bool,
    /// Where to write [default: SOURCE.requests.jsonl]
    #[arg(long, short, value_name = "FILE")]
    output: Option<String>,
    /// Replace an existing output file
    #[arg(long)]
    overwrite: bool,
    /// A finished prompt, one request each, instead of a data file and a template (repeatable)
    #[arg(long = "prompt", value_name = "TEXT", conflicts_with_all = ["source", "template"])]
    prompts: Vec<String>,
}

impl BuildFlags {
    pub(in crate::cli) fn args(&self) -> Result<BuildArgs> {
        let text = |flag, given: &Option<String>| given.as_deref().map(|given| input::text(flag, given)).transpose();
        let object =
            |flag, given: &Option<String>| given.as_deref().map(|given| input::object(flag, given)).transpose();
        Ok(BuildArgs {
            source: self.source.clone(),
            rows: None,
            prompts: (!self.prompts.is_empty()).then(|| self.prompts.clone()),
            template: text("--template", &self.template)?,
            system: text("--system", &self.system)?,
            key: self.key.clone(),
            model: self.model.clone(),
            kind: self.kind.as_deref().and_then(Kind::parse),
            generation_config: object("--generation-config", &self.generation_config)?,
            response_schema: object("--response-schema", &self.response_schema)?,
            request: object("--request", &self.request)?,
            limit: self.limit,
            on_bad_row: if self.skip_bad_rows { OnBadRow::Skip } else { OnBadRow::Fail },
            output: self.output.clone(),
            overwrite: self.overwrite,
        })
    }
}
