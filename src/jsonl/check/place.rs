//! Where in a line the check is, without storing it until somebody asks.

use crate::jsonl::finding::quoted;

/// A step into the line and the steps before it, kept on the stack of the calls that took them.
pub(super) struct Place<'p> {
    parent: Option<&'p Place<'p>>,
    step: Step<'p>,
    /// The column of the nearest field name that is known.
    pub(super) column: u64,
}

enum Step<'p> {
    Line,
    Field(&'p str),
    Item(usize),
}

impl<'p> Place<'p> {
    /// The line as a whole.
    pub(super) fn line() -> Self {
        Self { parent: None, step: Step::Line, column: 1 }
    }

    /// The field `name` of this object, whose name stands at `column` if that is known.
    pub(super) fn field(&'p self, name: &'p str, column: Option<u64>) -> Self {
        Self { parent: Some(self), step: Step::Field(name), column: column.unwrap_or(self.column) }
    }

    /// An item of this array.
    pub(super) fn item(&'p self, index: usize) -> Self {
        Self { parent: Some(self), step: Step::Item(index), column: self.column }
    }

    /// `request.contents[0].parts`.
    pub(super) fn path(&self) -> String {
        let mut path = self.parent.map(Place::path).unwrap_or_default();
        match self.step {
            Step::Line => {}
            Step::Item(index) => path.push_str(&format!("[{index}]")),
            Step::Field(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(quoted(name).trim_matches('`'));
            }
        }
        path
    }

    /// What to call the value here in a message.
    pub(super) fn name(&self) -> String {
        match self.step {
            Step::Line => "the line".into(),
            Step::Field(name) => quoted(name),
            Step::Item(_) => format!("an item of {}", self.parent.map_or_else(String::new, Place::name)),
        }
    }
}
