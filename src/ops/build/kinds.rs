//! What the kinds of requests ask of a model: pictures, speech and its voices.

use serde_json::{Map, Value, json};

use super::rows::Rows;
use super::words::{BuildArgs, BuildKind};
use crate::error::{Error, ErrorKind, Result};
use crate::job::Kind;
use crate::job::models::{Makes, bare_name};
use crate::job::outcome::{counted, grouped};
use crate::ops::App;
use crate::ops::estimate::Unsuited;
use crate::ops::model::{makes_it, output_limit};
use crate::source::Template;

/// What the API takes of speakers in one request.
const SPEAKERS: usize = 2;
/// Fields of a request as they are written once it was mended.
const CONFIG: &str = "generationConfig";
const MODALITIES: &str = "responseModalities";
const SPEECH: &str = "speechConfig";
const HINT: &str = "give one voice, \"Kore\", or one for each of two speakers of the script, \"Ann=Kore,Bob=Puck\"";

/// The model these requests are for; each kind has a default of its own.
pub(super) fn model(app: &App, args: &BuildArgs, kind: Kind) -> String {
    let default = match kind {
        Kind::Embed => app.models().default_for(Kind::Embed),
        Kind::Generate => app.models().default_to_make(makes(args.kind.unwrap_or_default())),
    };
    bare_name(args.model.as_deref().unwrap_or(default)).to_owned()
}

/// Gives a request the settings of its kind. The caller's own are left as they are.
pub(super) fn settle(args: &BuildArgs, rows: &Rows, request: &mut Map<String, Value>) -> Result<()> {
    let kind = args.kind.unwrap_or_default();
    let modalities: &[&str] = match kind {
        BuildKind::Embed if request.contains_key(CONFIG) => {
            return Err(wrong("vectors take no generation_config")
                .hint("leave it out; outputDimensionality, taskType and title go into request"));
        }
        BuildKind::Generate | BuildKind::Embed => return Ok(()),
        BuildKind::Image => &["TEXT", "IMAGE"],
        BuildKind::Speech => &["AUDIO"],
    };
    if args.response_schema.is_some() {
        let cause = format!("an answer of kind {} cannot follow a response_schema", kind.as_str());
        return Err(wrong(cause).hint("leave one of them out"));
    }
    let config = request.entry(CONFIG).or_insert_with(|| json!({}));
    let Value::Object(config) = config else { return Err(wrong("generationConfig is not an object")) };
    config.entry(MODALITIES).or_insert_with(|| json!(modalities));
    if let Some(voice) = &args.voice {
        if config.contains_key(SPEECH) {
            return Err(wrong("both voice and generation_config.speechConfig choose a voice").hint("give one of them"));
        }
        config.insert(SPEECH.to_owned(), speech_config(voice, &rows.columns())?);
    }
    Ok(())
}

/// Refuses a voice where nothing is spoken, and a schema where nothing is said.
pub(super) fn refuse_stray(args: &BuildArgs) -> Result<()> {
    if args.kind == Some(BuildKind::Embed) && args.response_schema.is_some() {
        return Err(wrong("vectors follow no response_schema").hint("leave it out, or pass kind: \"generate\""));
    }
    match (&args.voice, args.kind) {
        (Some(_), kind) if kind != Some(BuildKind::Speech) => {
            Err(wrong("voice is for requests of kind speech").hint("pass kind: \"speech\", or leave voice out"))
        }
        _ => Ok(()),
    }
}

/// What to do about requests for something that the model does not make.
pub(super) fn unsuited(app: &App, args: &BuildArgs, is_ready: bool, Unsuited { asked, cause }: &Unsuited) -> String {
    let kind = args.kind.unwrap_or_default();
    let made = app.models().get(&model(app, args, Kind::Generate)).map(|model| kind_for(model.makes));
    let hint = match made {
        // Nothing but the template says what is asked for.
        Some(made) if *asked == Makes::Text && !is_ready => format!("pass kind: \"{}\"", made.as_str()),
        _ if makes(kind) == *asked => format!("leave model out for the default of kind {}", kind.as_str()),
        _ => makes_it(app, *asked),
    };
    format!("{cause}: {hint}")
}

/// What is odd about asking this of that model.
pub(super) fn warnings(app: &App, model: &str, request: &Value) -> Vec<String> {
    let mut warnings: Vec<_> = too_much(app, model, request).into_iter().collect();
    let is_second = app.models().get(model).is_some_and(|known| known.name == "gemini-embedding-2");
    if is_second && request.get("taskType").is_some() {
        warnings.push("gemini-embedding-2 does not take taskType: say the task in the template instead".to_owned());
    }
    warnings
}

/// More than the model has to give.
fn too_much(app: &App, model: &str, request: &Value) -> Option<String> {
    let dimensions = ("outputDimensionality", request.get("outputDimensionality"), "dimensions");
    let tokens = request.get(CONFIG).and_then(|config| config.get("maxOutputTokens"));
    [dimensions, ("maxOutputTokens", tokens, "tokens")].into_iter().find_map(|(name, asked, unit)| {
        let (asked, most) = (asked?.as_i64()?, output_limit(app, model)?);
        let (more, limit) = (grouped(asked), grouped(most));
        (asked > most).then(|| format!("{name} is {more}, and {model} gives {limit} {unit} at most"))
    })
}

fn makes(kind: BuildKind) -> Makes {
    match kind {
        BuildKind::Generate | BuildKind::Embed => Makes::Text,
        BuildKind::Image => Makes::Images,
        BuildKind::Speech => Makes::Speech,
    }
}

fn kind_for(made: Makes) -> BuildKind {
    match made {
        Makes::Text => BuildKind::Generate,
        Makes::Images => BuildKind::Image,
        Makes::Speech => BuildKind::Speech,
    }
}

/// "Kore", or "Ann=Kore,Bob=Puck" for a script of two. A voice that is a column stands in it.
fn speech_config(voice: &str, columns: &[String]) -> Result<Value> {
    let named = |name: &str| {
        let is_column = columns.iter().any(|column| column == name);
        let name = if is_column { Template::of_column(name) } else { name.to_owned() };
        json!({"prebuiltVoiceConfig": {"voiceName": name}})
    };
    let pairs: Vec<&str> = voice.split(outside_tags(',')).collect();
    if pairs.len() == 1 && voice.split(outside_tags('=')).count() == 1 {
        return match voice.trim() {
            "" => Err(wrong("voice is empty").hint(HINT)),
            voice => Ok(json!({"voiceConfig": named(voice)})),
        };
    }
    let mut speakers: Vec<(&str, &str)> = Vec::new();
    for pair in pairs {
        let mut sides = pair.splitn(2, outside_tags('=')).map(str::trim);
        let (speaker, voice) = (sides.next().unwrap_or_default(), sides.next().unwrap_or_default());
        if speaker.is_empty() || voice.is_empty() {
            return Err(wrong(format!("voice: {:?} is not SPEAKER=VOICE", pair.trim())).hint(HINT));
        }
        if speakers.iter().any(|(known, _)| *known == speaker) {
            return Err(wrong(format!("voice: the speaker {speaker:?} is named twice")).hint(HINT));
        }
        speakers.push((speaker, voice));
    }
    if speakers.len() != SPEAKERS {
        let cause = format!(
            "voice names {}; the API takes {SPEAKERS}",
            counted(i64::try_from(speakers.len()).unwrap_or(i64::MAX), "speaker")
        );
        return Err(wrong(cause).hint(HINT));
    }
    let configs: Vec<Value> =
        speakers.iter().map(|(speaker, voice)| json!({"speaker": speaker, "voiceConfig": named(voice)})).collect();
    Ok(json!({"multiSpeakerVoiceConfig": {"speakerVoiceConfigs": configs}}))
}

/// Tells the places of a letter that are in no `{{ … }}`, asked about all letters in their order.
fn outside_tags(wanted: char) -> impl FnMut(char) -> bool {
    let mut open = 0_usize;
    move |letter| {
        match letter {
            '{' => open += 1,
            '}' => open = open.saturating_sub(1),
            _ => {}
        }
        letter == wanted && open == 0
    }
}

fn wrong(cause: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, "building requests", cause)
}
