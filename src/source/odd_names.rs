//! Names of columns in the places of a template that mean nothing, or something else, to the template engine: words with
//! spaces between them, letters that it does not know, and dashes, which it takes for minus.

use std::borrow::Cow;
use std::ops::Range;

use super::template::{is_column_name, opening};

/// Such a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OddName<'t> {
    pub(super) name: &'t str,
    /// It can be nothing but a name. With a dash it is one if there is such a column.
    pub(super) is_sure: bool,
    at: Range<usize>,
}

/// What such a name is to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Means {
    Column,
    /// A column where the row has it, and else what the engine makes of it.
    ColumnIfThere,
}

/// The text for the engine, and which column each of the names stands for that were put into it.
pub(super) struct Renamed<'t> {
    pub(super) text: Cow<'t, str>,
    aliases: Vec<(String, &'t str)>,
}

impl<'t> Renamed<'t> {
    /// Puts names that the engine knows in the place of these, as many characters long: faults keep their place.
    pub(super) fn of(text: &'t str, names: &[OddName<'t>], means: impl Fn(&OddName<'t>) -> Option<Means>) -> Self {
        let mut renamed = Self { text: Cow::Borrowed(text), aliases: Vec::new() };
        let mut made = String::new();
        let mut rest = 0;
        for odd in names {
            let Some(means) = means(odd) else { continue };
            made.push_str(text.get(rest..odd.at.start).unwrap_or_default());
            let alias = renamed.alias(text, odd.name);
            match means {
                Means::Column => made.push_str(alias),
                Means::ColumnIfThere => made.push_str(&format!("({alias} if {alias} is defined else {})", odd.name)),
            }
            rest = odd.at.end;
        }
        if rest > 0 {
            made.push_str(text.get(rest..).unwrap_or_default());
            renamed.text = Cow::Owned(made);
        }
        renamed
    }

    /// The column that a variable of the engine is.
    pub(super) fn column<'v>(&'v self, variable: &'v str) -> &'v str {
        self.aliases.iter().find(|(alias, _)| alias == variable).map_or(variable, |(_, name)| name)
    }

    fn alias(&mut self, text: &str, name: &'t str) -> &str {
        let known = self.aliases.iter().position(|(_, known)| *known == name);
        let at = known.unwrap_or_else(|| {
            let mut alias: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            while text.contains(&alias) || self.aliases.iter().any(|(other, _)| *other == alias) {
                alias.push('_');
            }
            self.aliases.push((alias, name));
            self.aliases.len() - 1
        });
        self.aliases.get(at).map_or(name, |(alias, _)| alias)
    }
}

/// The odd names of a template, each where it stands alone in its place or before filters.
pub(super) fn odd_names(text: &str) -> Vec<OddName<'_>> {
    let mut names = Vec::new();
    let mut start = 0;
    while let Some(at) = text.get(start..).and_then(opening) {
        let tag = start + at;
        let rest = text.get(tag + 2..).unwrap_or_default();
        let length = match text.get(tag..tag + 2) {
            Some("{{") => {
                names.extend(odd_name(rest).map(|name| name.moved(tag + 2)));
                end(rest, "}}")
            }
            Some("{%") if word(rest) == "raw" => end_of_raw(rest),
            Some("{%") => end(rest, "%}"),
            _ => rest.find("#}").map(|at| at + 2),
        };
        let Some(length) = length else { break };
        start = tag + 2 + length;
    }
    names
}

/// The first thing in a place, if it is such a name and only filters follow.
fn odd_name(inside: &str) -> Option<OddName<'_>> {
    let until = [inside.find('|'), inside.find("}}")].into_iter().flatten().min()?;
    let printed = inside.get(..until)?;
    // The engine trims what is around `{{- … -}}`.
    let printed = printed.strip_prefix(['-', '+']).unwrap_or(printed);
    let printed = printed.strip_suffix(['-', '+']).unwrap_or(printed);
    let name = printed.trim();
    let is_known = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let is_sure = is_column_name(name);
    if name.is_empty() || is_known || !(is_sure || is_column_name(&name.replace('-', " "))) {
        return None;
    }
    let start = name.as_ptr() as usize - inside.as_ptr() as usize;
    Some(OddName { name, is_sure, at: start..start + name.len() })
}

impl OddName<'_> {
    fn moved(self, by: usize) -> Self {
        Self { at: self.at.start + by..self.at.end + by, ..self }
    }
}

/// The first word of a block.
fn word(block: &str) -> &str {
    let block = block.trim_start_matches(['-', '+']).trim_start();
    block.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default()
}

fn end_of_raw(block: &str) -> Option<usize> {
    let ends = block.match_indices("{%").find(|(at, _)| word(block.get(at + 2..).unwrap_or_default()) == "endraw");
    let (at, _) = ends?;
    block.get(at..)?.find("%}").map(|end| at + end + 2)
}

/// How long a tag is, with the closing that stands in no quotes.
fn end(inside: &str, closing: &str) -> Option<usize> {
    let mut quote = None;
    let mut characters = inside.char_indices();
    while let Some((at, c)) = characters.next() {
        match quote {
            Some(_) if c == '\\' => _ = characters.next(),
            Some(open) if open == c => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None if inside.get(at..).is_some_and(|rest| rest.starts_with(closing)) => return Some(at + closing.len()),
            None => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_stand_alone_or_before_filters_and_outside_of_quotes_comments_and_raw_text() {
        let text = "{{ a }}{{ First Name | title }}{{größe}}{{- e-mail -}}{{ a if b }}{{ 'x y }}' ~ a }}{# {{ C d }} #}\
                    {%- raw %}{{ C d }}{% endraw -%}{% if \"%}{{ C d }}\" %}{{ a-1 }}{{ a.b }}{{ C | f('}}') }}{{ Z z}}";
        let names: Vec<_> = odd_names(text).into_iter().map(|odd| (odd.name, odd.is_sure)).collect();
        let expected = [("First Name", true), ("größe", true), ("e-mail", false), ("a-1", false), ("Z z", true)];
        assert_eq!(names, expected);
        assert!(odd_names(text).iter().all(|odd| text[odd.at.clone()] == *odd.name));
    }

    #[test]
    fn no_two_columns_have_one_name() {
        let text = "{{ E-Mail }}{{ E Mail }}{{ E_Mail }}{{ E-Mail }}";
        let names = odd_names(text);
        let renamed = Renamed::of(text, &names, |_| Some(Means::Column));
        assert_eq!(renamed.text, "{{ E_Mail_ }}{{ E_Mail__ }}{{ E_Mail }}{{ E_Mail_ }}");
        assert_eq!(["E_Mail_", "E_Mail__", "E_Mail"].map(|name| renamed.column(name)), ["E-Mail", "E Mail", "E_Mail"]);
    }
}
