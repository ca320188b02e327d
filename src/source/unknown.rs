//! What no row can do: filters and tests that are not there, and methods, which no value has.

use minijinja::machinery::{Instruction, get_compiled_template};
use minijinja::value::Value;
use minijinja::{Environment, Template};

use super::logic::line_and_column;
use crate::error::{Error, ErrorKind, Result};
use crate::job::spelling::distance;

/// Filters that prompts want, for whoever names one that is not there.
const FILTERS: [&str; 20] = [
    "upper",
    "lower",
    "title",
    "capitalize",
    "trim",
    "replace",
    "truncate",
    "default",
    "split",
    "join",
    "first",
    "last",
    "length",
    "items",
    "sort",
    "unique",
    "round",
    "int",
    "tojson",
    "fromjson",
];
/// What other languages call some of them.
const OTHER_NAMES: [(&str, &str); 7] = [
    ("strip", "trim"),
    ("len", "length"),
    ("size", "length"),
    ("get", "default"),
    ("json", "tojson"),
    ("to_json", "tojson"),
    ("from_json", "fromjson"),
];
/// What a loop can do, as nothing else in a template can.
const OF_LOOPS: [&str; 2] = ["cycle", "changed"];

/// Refuses a template that fails on whichever row, and not on account of it.
pub(super) fn refuse_unknown(template: &Template<'_, '_>, environment: &Environment<'_>) -> Result<()> {
    let instructions = &get_compiled_template(template).instructions;
    let mut state = environment.empty_state();
    let mut is_known = |test: &str, name: &str| state.perform_test(test, &[Value::from(name)]).unwrap_or(true);
    let all = (0..).map_while(|at| instructions.get(at).map(|instruction| (at, instruction)));
    for (at, instruction) in all {
        let (cause, name) = match instruction {
            Instruction::ApplyFilter(name, ..) if !is_known("filter", name) => {
                (format!("there is no filter {name:?}"), name)
            }
            Instruction::PerformTest(name, ..) if !is_known("test", name) => {
                (format!("there is no test \"is {name}\""), name)
            }
            Instruction::CallMethod(name, _) if !OF_LOOPS.contains(name) => {
                (format!("values have no methods, such as .{name}(), but filters"), name)
            }
            _ => continue,
        };
        let start = instructions.get_span(at).and_then(|span| template.source().get(..span.start_offset as usize));
        let place = start.map_or(String::new(), |before| format!("{}: ", line_and_column(before)));
        return Err(
            Error::new(ErrorKind::InvalidArgument, "compiling the template", place + &cause).hint(way_out(name))
        );
    }
    Ok(())
}

/// The filters that are there, first the one that may be meant.
fn way_out(name: &str) -> String {
    let other = OTHER_NAMES.iter().find(|(other, _)| *other == name).map(|(_, ours)| *ours);
    let near = FILTERS.into_iter().filter(|known| distance(known, name) <= known.len() / 3);
    let meant = other.or_else(|| near.min_by_key(|known| distance(known, name)));
    let meant = meant.map_or(String::new(), |meant| format!("did you mean {{{{ … | {meant} }}}}? "));
    format!("{meant}filters are {} and more of Jinja's", FILTERS.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Result<()> {
        let mut environment = Environment::new();
        environment.set_debug(true);
        refuse_unknown(&environment.template_from_str(text).unwrap(), &environment)
    }

    #[test]
    fn what_is_not_there_is_told_with_its_place_and_what_may_be_meant() {
        for (text, cause, meant) in [
            (
                "{{ a | upper | uper(1) }}",
                "line 1, column 16: there is no filter \"uper\"",
                "did you mean {{ … | upper }}? ",
            ),
            (
                "\n{{ a | wordcount }}",
                "line 2, column 8: there is no filter \"wordcount\"",
                "filters are upper, lower,",
            ),
            ("{{ a is empty }}", "line 1, column 9: there is no test \"is empty\"", "filters are"),
            (
                "{{ a.strip()[:3] }}",
                "line 1, column 5: values have no methods, such as .strip(), but filters",
                "did you mean {{ … | trim }}? filters are",
            ),
        ] {
            let error = refused(text).unwrap_err();
            assert_eq!(error.cause(), cause);
            assert!(error.next_step().unwrap().starts_with(meant), "{error:?}");
        }
    }

    #[test]
    fn what_the_engine_or_we_have_is_there() {
        for text in ["{{ a | trim }}{{ a is none }}", "{% for a in b %}{{ loop.cycle(1, 2) }}{% endfor %}"] {
            refused(text).unwrap();
        }
        let environment = super::super::logic::environment().unwrap();
        let all = FILTERS.map(|name| format!("{{{{ a | {name} }}}}")).concat();
        refuse_unknown(&environment.template_from_str(&all).unwrap(), &environment).unwrap();
    }
}
