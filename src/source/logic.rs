//! Templates with logic, rendered by the template engine. Nothing else uses it.
//!
//! Templates come through a model, so the work is bounded: fuel for each row, length of the text,
//! amount of code. Without macros, recursive loops and `namespace` the amount of code bounds how deep
//! values can be nested, which would otherwise overflow the stack when they are dropped.

use std::io::Write;
use std::sync::Arc;

use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Object, Serde, Value};
use minijinja::{AutoEscape, Environment, ErrorKind as EngineErrorKind, Output, State, UndefinedBehavior};

use super::filters;
use super::odd_names::{Means, OddName, Renamed, odd_names};
use super::row::{Cell, Row, RowProblem, Slot, listed};
use super::template::LONGEST_TEXT;
use super::unknown::refuse_unknown;
use super::uses::{ROW, Uses};
use crate::error::{Error, ErrorKind, Result};

/// One instruction or 64 bytes of text each; well under a second of work.
const FUEL: u64 = 5_000_000;
const MOST_CODE: usize = 500;
const NAME: &str = "template";

/// A template with logic.
#[derive(Debug)]
pub(super) struct Logic {
    environment: Environment<'static>,
    /// First those that have to be there, then those that the template sets itself where it does.
    columns: Arc<[Slot]>,
    /// How many have to be there.
    needed: usize,
    /// What each of the columns is called in the engine's text.
    variables: Arc<[String]>,
    wants_row: bool,
    /// Those that it reaches through the row.
    of_row: Vec<Slot>,
    decides: bool,
    /// As it was given, where what looks like a difference, `{{ e-mail }}`, may be the name of a column.
    ambiguous: Option<String>,
}

impl Logic {
    pub(super) fn compile(text: &str) -> Result<Self> {
        let names = odd_names(text);
        let sure = Renamed::of(text, &names, |odd| odd.is_sure.then_some(Means::Column));
        if names.iter().all(|odd| odd.is_sure) {
            return Self::of(&sure);
        }
        let means = |odd: &OddName<'_>| Some(if odd.is_sure { Means::Column } else { Means::ColumnIfThere });
        if let Ok(logic) = Self::of(&Renamed::of(text, &names, means)) {
            return Ok(Self { decides: decides(&sure.text), ambiguous: Some(text.to_owned()), ..logic });
        }
        // `{{ E-Mail 2 }}` is no difference, either.
        Self::of(&Renamed::of(text, &names, |_| Some(Means::Column))).or_else(|_| Self::of(&sure))
    }

    fn of(renamed: &Renamed<'_>) -> Result<Self> {
        let text = renamed.text.as_ref();
        check_amount(text)?;
        let mut environment = environment()?;
        environment.add_template_owned(NAME, text.to_owned()).map_err(|e| syntax_error(text, &e))?;
        let template = environment.get_template(NAME).map_err(|e| syntax_error(text, &e))?;
        refuse_unknown(&template, &environment)?;
        let Uses { mut given, set, of_row } = Uses::of(&template);
        given.sort_unstable();
        let wants_row = given.iter().any(|name| name == ROW);
        let is_column = |name: &String| name != ROW && !environment.globals().any(|(global, _)| global == name);
        given.retain(is_column);
        let needed = given.len();
        let own = set.into_iter().filter(|name| is_column(name) && !given.contains(name)).collect::<Vec<_>>();
        let variables = [given, own].concat();
        let columns = variables.iter().map(|name| Slot::new(renamed.column(name))).collect();
        Ok(Self {
            environment,
            columns,
            needed,
            variables: variables.into(),
            wants_row,
            of_row: of_row.into_iter().map(Slot::new).collect(),
            decides: decides(text),
            ambiguous: None,
        })
    }

    /// The columns it names that are not among these.
    pub(super) fn missing(&self, columns: &[String]) -> Vec<String> {
        let has = |name: &str| columns.iter().any(|column| column == name);
        let lacking = |logic: &Self| -> Vec<String> {
            let missing = logic.columns().iter().map(Slot::name).filter(|name| !has(name));
            missing.map(str::to_owned).collect()
        };
        let Some(text) = &self.ambiguous else { return lacking(self) };
        let names = odd_names(text);
        let read = |is_name: &dyn Fn(&OddName<'_>) -> bool| {
            Self::of(&Renamed::of(text, &names, |odd| is_name(odd).then_some(Means::Column)))
                .map(|logic| lacking(&logic))
        };
        // Of `{{ e-mail }}` not the halves are meant, where neither is there.
        let readings = [read(&|odd| odd.is_sure || has(odd.name)), read(&|_| true)];
        readings.into_iter().flatten().min_by_key(Vec::len).unwrap_or_default()
    }

    /// The columns that the template names.
    pub(super) fn columns(&self) -> &[Slot] {
        self.columns.get(..self.needed).unwrap_or_default()
    }

    /// The columns that it reaches through the row.
    pub(super) fn of_row(&self) -> &[Slot] {
        &self.of_row
    }

    /// Whether the template has a condition, or a `default` for what is empty.
    pub(super) fn decides(&self) -> bool {
        self.decides
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
            None => Value::from_pairs(row.columns().map(|(name, cell)| (name, value(cell)))),
        });
        Context { variables: Arc::clone(&self.variables), values, whole }
    }

    /// The problem in terms of columns, where one of them is at fault.
    fn problem(&self, row: &Row<'_>, error: &minijinja::Error) -> RowProblem {
        let expression = expression(error).unwrap_or_default();
        let at_fault = error.detail().filter(|_| error.kind() == EngineErrorKind::UndefinedError).unwrap_or(expression);
        let mut named = self.named(at_fault);
        let fault = match error.kind() {
            EngineErrorKind::UndefinedError => {
                named.find(|slot| row.cell(slot).is_none()).map(|slot| row.lacks(slot.name()))
            }
            EngineErrorKind::BadSerialization => {
                let is_null = |slot: &&Slot| row.cell(slot).is_some_and(|cell| cell.text().is_none());
                // At a filter the engine does not say of what.
                let null = named.find(is_null).or_else(|| self.columns.iter().find(is_null));
                null.map(|slot| row.is_null(slot.name()))
            }
            _ => None,
        };
        fault.unwrap_or_else(|| {
            let fields =
                if error.kind() == EngineErrorKind::UndefinedError { self.fields(row, at_fault) } else { None };
            row.problem(None, told(error, expression) + &fields.unwrap_or_default())
        })
    }

    /// The columns that an expression of the engine's text mentions.
    fn named<'l>(&'l self, expression: &'l str) -> impl Iterator<Item = &'l Slot> {
        let named = self.columns().iter().zip(self.variables.iter());
        named.filter(|(_, variable)| mentions(expression, variable)).map(|(slot, _)| slot)
    }

    /// "; parsed has slogan, tone": the fields of a column that the expression looks into.
    fn fields(&self, row: &Row<'_>, expression: &str) -> Option<String> {
        self.named(expression).find_map(|slot| match row.cell(slot)? {
            Cell::Json(serde_json::Value::Object(fields)) => {
                Some(format!("; {} has {}", slot.name(), listed(fields.keys().map(String::as_str))))
            }
            _ => None,
        })
    }
}

/// The variables of a template: the columns it names, and the row.
#[derive(Debug)]
struct Context {
    variables: Arc<[String]>,
    values: Vec<Option<Value>>,
    whole: Option<Value>,
}

impl Object for Context {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let at = self.variables.iter().position(|name| name == key);
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

pub(super) fn environment() -> Result<Environment<'static>> {
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    let mut environment = Environment::new();
    environment.set_syntax(syntax.map_err(|e| Error::internal("setting up templates", e.to_string()))?);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_formatter(format);
    environment.set_fuel(Some(FUEL));
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
    super::filters::refuse_null(value)?;
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

/// Refuses code from which values could be nested so deep that dropping them overflows the stack:
/// each level takes one of these tokens, as there are neither macros nor recursive loops to repeat it.
fn check_amount(text: &str) -> Result<()> {
    let tokens = || tokenize(text, false, SyntaxConfig::default()).map_while(|token| token.ok());
    let refused = |cause: String| Error::new(ErrorKind::InvalidArgument, "compiling the template", cause);
    if tokens().any(|(token, _)| matches!(token, Token::Ident("recursive"))) {
        return Err(refused("recursive loops are not available".to_owned()).hint("prepare the column before"));
    }
    let nesting = |token: &Token<'_>| {
        matches!(token, Token::BracketOpen | Token::ParenOpen | Token::BraceOpen | Token::Pipe | Token::Comma)
    };
    let amount = tokens().filter(|(token, _)| nesting(token)).count();
    if amount > MOST_CODE {
        let cause = format!("its code has {amount} brackets, commas and filters, {MOST_CODE} are allowed");
        return Err(refused(cause).hint("prepare the columns before, in the file"));
    }
    Ok(())
}

fn decides(text: &str) -> bool {
    let tokens = tokenize(text, false, SyntaxConfig::default()).map_while(|token| token.ok());
    tokens.into_iter().any(|(token, _)| matches!(token, Token::Ident("if" | "or" | "true")))
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
        (Some(before), _) => line_and_column(before),
        (None, Some(line)) => format!("line {line}"),
        (None, None) => "somewhere".to_owned(),
    }
}

/// "line 2, column 7", behind this text.
pub(super) fn line_and_column(before: &str) -> String {
    let line = before.split('\n').count();
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}")
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
        Some(shown) if !shown.is_empty() => {
            let place = place(error.template_source().unwrap_or_default(), error);
            format!("{cause} (at {shown:?}, {place})")
        }
        _ => cause,
    }
}
