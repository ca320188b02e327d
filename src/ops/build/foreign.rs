//! Columns as other languages name them in a text, `{name}`, `${name}`, `<name>`: sent as they stand, they would make the same
//! prompt of every row.

use super::rows::Rows;
use super::words::BuildArgs;
use crate::error::{Error, ErrorKind, Result};
use crate::source::Template;

/// Refuses a template that names columns in no other way; warns of one that does so, too.
pub(super) fn look(args: &BuildArgs, rows: &Rows) -> Result<Vec<String>> {
    let texts = [("template", &args.template), ("system", &args.system)];
    let texts: Vec<_> = texts.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?))).collect();
    if !texts.iter().any(|(_, text)| text.contains(['{', '<'])) {
        return Ok(Vec::new());
    }
    let columns = rows.columns();
    let mut warnings = Vec::new();
    for (name, text) in texts {
        let Some((written, meant)) = columns.iter().find_map(|column| named(text, column)) else { continue };
        let cause = format!("{name}: {written} is sent as it stands, and {meant} would be the column");
        if name == "template" && !Template::is_template(text) && args.attach.is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, "building requests", cause).hint(format!(
                "write {meant} in place of {written}; what is meant as text stands between {{% raw %}} and {{% endraw %}}"
            )));
        }
        warnings.push(cause);
    }
    Ok(warnings)
}

/// How the text names a column in another language, and how a template does.
fn named(text: &str, column: &str) -> Option<(String, String)> {
    let braced = format!("{{{column}}}");
    let before = text.match_indices(&braced).filter_map(|(at, _)| text.get(..at)).find(|before| !before.ends_with('{'));
    let angled = format!("<{column}>");
    // What is closed is markup, and so it is beside tags.
    let is_markup = Template::is_template(text) || text.contains(&format!("</{column}>"));
    let written = match before {
        Some(before) if before.ends_with('$') => format!("${braced}"),
        Some(_) => braced,
        None if !is_markup && text.contains(&angled) => angled,
        None => return None,
    };
    Some((written, Template::of_column(column)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_in_the_braces_of_other_languages_are_told_from_text() {
        for (text, written) in [
            ("About {name}", Some("{name}")),
            ("About ${name}", Some("${name}")),
            ("About <name>", Some("<name>")),
            ("{{ id }}: {name}", Some("{name}")),
            ("{{name}} {\"name\": 1} { name", None),
            ("as <name>…</name>", None),
            ("<name>{{ id }}", None),
        ] {
            assert_eq!(named(text, "name").map(|(written, _)| written).as_deref(), written, "{text}");
        }
        assert_eq!(named("{e-mail}", "e-mail").unwrap().1, "{{ row[\"e-mail\"] }}");
        assert_eq!(named("{a b}", "a b").unwrap().1, "{{ a b }}");
    }
}
