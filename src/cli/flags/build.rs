//! `build`: flags as the tool's words.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::cli::input;
use crate::error::Result;
use crate::ops::build::{BuildArgs, BuildKind, Format, OnBadRow};

const EXAMPLES: &str = "\
Examples:
  Text, one request a row:
    build products.csv --key sku --template 'Describe {{name}}: {{features}}'
  Answers in JSON, by a schema:
    build products.csv --key sku --template 'Sort {{name}}' --response-schema @schema.json
  Vectors:
    build products.csv --kind embed --template '{{name}}' --request '{\"outputDimensionality\": 768}'
  Pictures:
    build products.csv --key sku --kind image --template 'A photo of {{name}}'
  Speech, in one voice or in one for each of two speakers:
    build lines.csv --kind speech --voice Kore --template '{{text}}'
    build scenes.csv --kind speech --voice Ann=Kore,Bob=Puck --template '{{script}}'
  Pictures, PDF, sound or video sent along:
    build products.csv --key sku --attach 'photos/{{sku}}.png' --template 'Describe this {{name}}'
    build 'scans/**/*.pdf' --attach path --template 'Sum up this document'
  The answers of an earlier job as rows:
    build job:products --template 'A slogan out of: {{answer}}' -o slogans.requests.jsonl
  Requests written for OpenAI, Anthropic, an SDK or Vertex, put right:
    build requests.jsonl -o mended.requests.jsonl";

/// `build`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct BuildFlags {
    /// Data file (CSV, TSV, JSON, JSONL, Parquet, text; .gz and .zst too), a folder or glob of files, or job:HANDLE
    #[arg(required_unless_present = "prompts")]
    source: Option<String>,
    /// Format, if the source does not tell
    #[arg(long, value_parser = PossibleValuesParser::new(Format::ALL.map(Format::as_str)))]
    format: Option<String>,
    /// What separates CSV fields, if not found
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<String>,
    /// The CSV has no header: its columns are column_1, column_2…
    #[arg(long)]
    no_header: bool,
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
    /// What to ask for: text, vectors of the template's text, pictures or speech [default: generate]
    #[arg(long, value_parser = kind_parser())]
    kind: Option<BuildKind>,
    /// For speech: a voice such as Kore, or one per speaker, Ann=Kore,Bob=Puck
    #[arg(long, value_name = "VOICE")]
    voice: Option<String>,
    /// Media sent along: column or template that gives the path or URL of a picture, PDF, sound or video (repeatable)
    #[arg(long, value_name = "COLUMN|TEMPLATE")]
    attach: Vec<String>,
    /// Gemini generationConfig, e.g. '{"maxOutputTokens": 300}'; or @file
    #[arg(long, value_name = "JSON|@FILE")]
    generation_config: Option<String>,
    /// JSON Schema every answer must follow; or @file
    #[arg(long, value_name = "JSON|@FILE")]
    response_schema: Option<String>,
    /// Further fields of the Gemini request (tools, safetySettings…), strings in it are templates; or @file
    #[arg(long, value_name = "JSON|@FILE")]
    request: Option<String>,
    /// Use only the first N rows, for a trial
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    limit: Option<i64>,
    /// Count the tokens of a few requests at the API, for a better estimate; free
    #[arg(long)]
    count_tokens: bool,
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
            format: self.format.clone(),
            delimiter: self.delimiter.clone(),
            header: self.no_header.then_some(false),
            rows: None,
            prompts: (!self.prompts.is_empty()).then(|| self.prompts.clone()),
            template: text("--template", &self.template)?,
            system: text("--system", &self.system)?,
            key: self.key.clone(),
            model: self.model.clone(),
            kind: self.kind,
            voice: self.voice.clone(),
            attach: self.attach.clone(),
            generation_config: object("--generation-config", &self.generation_config)?,
            response_schema: object("--response-schema", &self.response_schema)?,
            request: object("--request", &self.request)?,
            limit: self.limit,
            count_tokens: self.count_tokens,
            on_bad_row: if self.skip_bad_rows { OnBadRow::Skip } else { OnBadRow::Fail },
            output: self.output.clone(),
            overwrite: self.overwrite,
        })
    }
}

fn kind_parser() -> impl TypedValueParser<Value = BuildKind> {
    PossibleValuesParser::new(BuildKind::ALL.map(BuildKind::as_str))
        .try_map(|word| BuildKind::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or("no such kind"))
}
