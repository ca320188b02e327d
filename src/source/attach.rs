//! Which media a row brings along: columns and templates that name files.

use serde_json::Value;

use super::row::{Cell, Row, RowProblem, Slot, listed};
use super::template::Template;
use crate::error::{Error, ErrorKind, Result};

/// One source of media: a column, a template, or a file that is the same for every row.
#[derive(Debug)]
pub struct Attachment(Rule);

#[derive(Debug)]
enum Rule {
    Named(Slot),
    Template(Template),
}

impl Attachment {
    /// Reads what a caller gave. Where the columns are known, those it names have to be among them.
    pub fn parse(text: &str, columns: Option<&[String]>) -> Result<Self> {
        if Template::is_template(text) {
            let template = Template::compile(text)?;
            columns.map_or(Ok(()), |columns| template.check_columns(columns))?;
            return Ok(Self(Rule::Template(template)));
        }
        let name = text.trim();
        if let Some(columns) = columns.filter(|columns| !is_path(name) && !columns.iter().any(|column| column == name))
        {
            let there = listed(columns.iter().map(String::as_str));
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "choosing what to attach",
                format!("there is no column {name:?}"),
            )
            .hint(format!("the columns are: {there}; or give a template such as \"pictures/{{{{ id }}}}.jpg\"")));
        }
        Ok(Self(Rule::Named(Slot::new(name))))
    }

    /// Adds the paths and addresses that it names for a row. An empty or absent cell names none.
    pub fn places(&self, row: &Row<'_>, places: &mut Vec<String>) -> Result<(), RowProblem> {
        match &self.0 {
            Rule::Template(template) => {
                let mut place = String::new();
                template.render_into(row, &mut place)?;
                add(&place, places);
            }
            Rule::Named(slot) => match row.cell(slot) {
                Some(cell) => of_cell(cell, row, slot, places)?,
                None if is_path(slot.name()) => add(slot.name(), places),
                None => return Err(row.lacks(slot.name())),
            },
        }
        Ok(())
    }
}

fn of_cell(cell: Cell<'_>, row: &Row<'_>, slot: &Slot, places: &mut Vec<String>) -> Result<(), RowProblem> {
    match cell {
        Cell::Text(text) => add(text, places),
        Cell::Json(Value::String(text)) => add(text, places),
        Cell::Json(Value::Null) => {}
        Cell::Json(Value::Array(list)) => {
            for item in list {
                of_cell(Cell::Json(item), row, slot, places)?;
            }
        }
        Cell::Json(_) => {
            let cause = format!("the column {:?} holds neither a path nor a list of paths", slot.name());
            return Err(row.problem(Some(slot.name()), cause));
        }
    }
    Ok(())
}

fn add(place: &str, places: &mut Vec<String>) {
    let place = place.trim();
    if !place.is_empty() {
        places.push(place.to_owned());
    }
}

/// Whether a name that is no column can be a file: "logo.png", "docs/terms".
fn is_path(name: &str) -> bool {
    name.contains(['.', '/', '\\'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, json};

    fn places(text: &str, row: Value) -> Result<Vec<String>, RowProblem> {
        let Value::Object(row): Value = row else { return Ok(Vec::new()) };
        let row: Map<String, Value> = row;
        let mut places = Vec::new();
        let attachment = Attachment::parse(text, None).unwrap();
        attachment.places(&Row::object(1, None, &row), &mut places).map(|()| places)
    }

    #[test]
    fn columns_templates_and_fixed_files_name_places() {
        assert_eq!(places("a", json!({"a": " x.png "})).unwrap(), ["x.png"]);
        assert_eq!(places("a", json!({"a": ["x.png", "", "y.png"]})).unwrap(), ["x.png", "y.png"]);
        assert_eq!(places("d/{{ id }}.pdf", json!({"id": 7})).unwrap(), ["d/7.pdf"]);
        assert_eq!(places("logo.png", json!({"a": 1})).unwrap(), ["logo.png"]);
        for absent in [json!(""), json!("  "), json!(null), json!([])] {
            assert_eq!(places("a", json!({"a": absent})).unwrap(), Vec::<String>::new());
        }
    }

    #[test]
    fn what_is_no_path_is_a_problem_of_the_row() {
        assert!(places("a", json!({"b": 1})).unwrap_err().cause.contains("no column \"a\""));
        assert!(places("a", json!({"a": {"x": 1}})).unwrap_err().cause.contains("neither a path"));
    }

    #[test]
    fn a_column_that_is_not_there_is_refused_at_once() {
        let columns = ["id".to_owned(), "image".to_owned()];
        let error = Attachment::parse("picture", Some(&columns)).unwrap_err();
        assert!(error.next_step().unwrap().contains("id, image"));
        assert!(Attachment::parse("image", Some(&columns)).is_ok());
        assert!(Attachment::parse("x/{{ pictur }}", Some(&columns)).is_err());
    }
}
