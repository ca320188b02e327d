//! Templates with logic, rendered by the template engine. Nothing else uses it.
//!
//! Templates come through a model, so the work is bounded: fuel for each row, length of the text,
//! depth of calls, amount of code. Without `namespace` values cannot be nested without end, which
//! would overflow the stack when they are dropped.

use std::io::Write;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Object, Serde, Value};
use minijinja::{AutoEscape, Environment, ErrorKind as EngineErrorKind, Output, State, UndefinedBehavior};

use super::filters;
use super::row::{Cell, Row, RowProblem, Slot};
use super::template::LONGEST_TEXT;
use crate::error::{Error, ErrorKind, Result};

/// One instruction or 64 bytes of text each; well under a second of work.
const FUEL: u64 = 5_000_000;
const DEEPEST_CALL: usize = 40;
const MOST_CODE: usize = 16 * 1024;
const NAME: &str = "template";
/// The name under which a template finds the whole row.
const ROW: &str = "row";

/// A template with logic.
#[derive(Debug)]
pub(super) struct Logic {
    environment: Environment<'static>,
    columns: Arc<[Slot]>,
    wants_row: bool,
}

impl Logic {
    pub(super) fn compile(text: &str) -> Result<Self> {
        check_amount(text)?;
        let mut environment = environment()?;
        environment.add_template_owned(NAME, text.to_owned()).map_err(|e| syntax_error(text, &e))?;
        let template = environment.get_template(NAME).map_err(|e| syntax_error(text, &e))?;
        let mut names: Vec<String> = template.undeclared_variables(false).into_iter().collect();
        names.retain(|name| !environment.globals().any(|(global, _)| global == name));
        names.sort_unstable();
        let wants_row = names.iter().any(|name| name == ROW);
        let columns = names.iter().filter(|name| *name != ROW).map(Slot::new).collect();
        Ok(Self { environment, columns, wants_row })
    }

    /// The columns that the template names.
    pub(super) fn columns(&self) -> &[Slot] {
        &self.columns
    }

    pub(super) fn render(&self, row: &Row<'_>, out: impl Write) -> Result<(), RowProblem> {
        let context = Value::from_object(self.context(row));
        let template = self.environment.get_template(NAME);
        let rendered = template.and_then(|template| template.render_captured_to(context, out).map(drop));
        rendered.map_err(|error| self.problem(row, &error))
    }

    fn context(&self, row: &Row<'_>) -> Context {
        let values = self.columns.iter().map(|slot| row.cell(slot).map(value)).collect();
        let whole = self.wants_row.then(|| match row.get(ROW) {
            Some(cell) => value(cell),
            None => Value::from_iter(row.columns().map(|(name, cell)| (name, value(cell)))),
        });
        Context { columns: Arc::clone(&self.columns), values, whole }
    }

    fn problem(&self, row: &Row<'_>, error: &minijinja::Error) -> RowProblem {
        let expression = expression(error).unwrap_or_default();
        let named = |slot: &&Slot| expression.is_empty() || mentions(expression, slot.name());
        if error.kind() == EngineErrorKind::UndefinedError
            && let Some(missing) = self.columns.iter().filter(named).find(|slot| row.cell(slot).is_none())
        {
            return row.lacks(missing.name());
        }
        let is_null = |slot: &&Slot| row.cell(slot).is_some_and(|cell| cell.text().is_none());
        let null = self.columns.iter().filter(named).find(is_null);
        if let Some(null) = null.filter(|_| error.kind() == EngineErrorKind::BadSerialization) {
            return row.is_null(null.name());
        }
        row.problem(None, told(error, expression))
    }
}

/// The variables of a template: the columns it names, and the row.
#[derive(Debug)]
struct Context {
    columns: Arc<[Slot]>,
    values: Vec<Option<Value>>,
    whole: Option<Value>,
}

impl Object for Context {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let at = self.columns.iter().position(|slot| slot.name() == key);
        match at {
            Some(at) => self.values.get(at).cloned().flatten(),
            None => self.whole.clone().filter(|_| key == ROW),
        }
    }
}

fn value(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Text(text) => Value::from(text),
        Cell::Json(value) => Value::from(Serde(value)),
    }
}

fn environment() -> Result<Environment<'static>> {
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    let mut environment = Environment::new();
    environment.set_syntax(syntax.map_err(|e| Error::internal("setting up templates", e.to_string()))?);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_formatter(format);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(DEEPEST_CALL);
    // Without it errors do not say which expression they are about.
    environment.set_debug(true);
    environment.remove_global("namespace");
    environment.remove_global("debug");
    filters::install(&mut environment);
    Ok(environment)
}

/// Writes a value as a plain template would: strings as they are, the rest as JSON, null not at all.
fn format(out: &mut Output, _: &mut State, value: &Value) -> Result<(), minijinja::Error> {
    if let Some(text) = value.as_str() {
        return Ok(out.write_str(text)?);
    }
    if value.is_undefined() {
        return Err(EngineErrorKind::UndefinedError.into());
    }
    if value.is_none() {
        return Err(minijinja::Error::new(EngineErrorKind::BadSerialization, "the value is null"));
    }
    Ok(out.write_str(&json_text(value, None)?)?)
}

/// A value as JSON, indented by `width`.
pub(super) fn json_text(value: &Value, width: Option<usize>) -> Result<String, minijinja::Error> {
    let bad = |cause: String| minijinja::Error::new(EngineErrorKind::InvalidOperation, format!("no JSON: {cause}"));
    let mut text = Capped(Vec::new());
    match width {
        None => serde_json::to_writer(&mut text, value),
        Some(width) => {
            let indent = " ".repeat(width);
            let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
            serde::Serialize::serialize(value, &mut serde_json::Serializer::with_formatter(&mut text, formatter))
        }
    }
    .map_err(|e| bad(e.to_string()))?;
    String::from_utf8(text.0).map_err(|e| bad(e.to_string()))
}

/// A buffer that does not grow beyond the longest text: shared values can be small and print huge.
struct Capped(Vec<u8>);

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > LONGEST_TEXT {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn check_amount(text: &str) -> Result<()> {
    let tags = text.split('{').skip(1).filter_map(|part| part.split_once('}'));
    let code: usize = tags.map(|(inside, _)| inside.len()).sum();
    if code <= MOST_CODE {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidArgument,
        "compiling the template",
        format!("it has more than {} kB of code between braces", MOST_CODE / 1024),
    )
    .hint("prepare the columns before, or put text with many braces into a column"))
}

fn syntax_error(text: &str, error: &minijinja::Error) -> Error {
    let place = place(text, error);
    let cause = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    Error::new(ErrorKind::InvalidArgument, "compiling the template", format!("{place}: {cause}")).hint(
        "columns are written {{ name }}, or {{ row[\"odd name\"] }}; put braces that are meant as text \
         between {% raw %} and {% endraw %}",
    )
}

/// "line 2, column 7".
fn place(text: &str, error: &minijinja::Error) -> String {
    let start = error.range().and_then(|range| text.get(..range.start));
    match (start, error.line()) {
        (Some(before), _) => {
            let line = before.split('\n').count();
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            format!("line {line}, column {column}")
        }
        (None, Some(line)) => format!("line {line}"),
        (None, None) => "somewhere".to_owned(),
    }
}

/// The text of the expression that failed.
fn expression(error: &minijinja::Error) -> Option<&str> {
    error.template_source()?.get(error.range()?)
}

fn mentions(expression: &str, name: &str) -> bool {
    expression.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
}

fn told(error: &minijinja::Error, expression: &str) -> String {
    if error.kind() == EngineErrorKind::OutOfFuel {
        return "the template does too much work for one row".to_owned();
    }
    let cause = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    match expression.get(..expression.floor_char_boundary(80)) {
        Some(shown) if !shown.is_empty() => format!("{cause} (in {shown:?}, line {})", error.line().unwrap_or(1)),
        _ => cause,
    }
}
