//! The columns that a compiled template makes use of.
//!
//! It is read from the engine's instructions. The engine's own list of variables lacks what is only cut, `{{ a[:3] }}`, and
//! what is set anew, `{% set a = a | upper %}`.

use minijinja::Template;
use minijinja::machinery::{Instruction, get_compiled_template};
use minijinja::value::Value;

/// The name under which a template finds the whole row.
pub(super) const ROW: &str = "row";

/// The names in a template, each once.
#[derive(Debug, Default)]
pub(super) struct Uses {
    /// Variables that nothing in the template has set before: only a column can.
    pub(super) given: Vec<String>,
    /// Variables that the template sets, perhaps only if a condition holds.
    pub(super) set: Vec<String>,
    /// Columns that are reached through the row: `row.price`, `row["price"]`.
    pub(super) of_row: Vec<String>,
}

impl Uses {
    pub(super) fn of(template: &Template<'_, '_>) -> Self {
        let instructions = &get_compiled_template(template).instructions;
        let mut uses = Self::default();
        // What is set in a loop is gone behind it.
        let mut scopes: Vec<Vec<&str>> = vec![Vec::new()];
        let all = (0..).map_while(|at| instructions.get(at).map(|instruction| (at, instruction)));
        for (at, instruction) in all {
            match instruction {
                Instruction::PushLoop(_) => scopes.push(vec!["loop"]),
                Instruction::PushWith => scopes.push(Vec::new()),
                Instruction::PopFrame | Instruction::PopLoopFrame => _ = scopes.pop(),
                Instruction::StoreLocal(name) => {
                    scopes.iter_mut().last().into_iter().for_each(|scope| scope.push(name))
                }
                Instruction::Lookup(name) | Instruction::CallFunction(name, _) => {
                    let is_set = scopes.iter().any(|scope| scope.contains(name));
                    add(if is_set { &mut uses.set } else { &mut uses.given }, name);
                    if *name == ROW && !is_set {
                        let next = [at + 1, at + 2].map(|at| instructions.get(at));
                        field(next).into_iter().for_each(|column| add(&mut uses.of_row, column));
                    }
                }
                _ => {}
            }
        }
        uses
    }
}

/// The field that is taken of what was looked up before these instructions.
fn field<'i>(next: [Option<&'i Instruction<'_>>; 2]) -> Option<&'i str> {
    match next {
        [Some(Instruction::GetAttr(name)), _] => Some(name),
        [Some(Instruction::LoadConst(name)), Some(Instruction::GetItem)] => Value::as_str(name),
        _ => None,
    }
}

fn add(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::Environment;

    fn uses(text: &str) -> Uses {
        let environment = Environment::new();
        Uses::of(&environment.template_from_str(text).unwrap())
    }

    #[test]
    fn a_column_is_what_is_looked_up_before_it_is_set() {
        for (text, given) in [
            ("{{ a[:3] }}{{ [b, c][:2] | join }}{{ 'x'[d:e:f] }}", "a b c d e f"),
            ("{% set a = a | upper %}{{ a }}", "a"),
            ("{% with a = b[1:] %}{{ a }}{% endwith %}{{ c }}", "b c"),
            ("{% for a in b[:2] if a.c %}{{ a }}{{ loop.index }}{% else %}{{ d }}{% endfor %}", "b d"),
            ("{% for a in b %}{% set c = a %}{{ c }}{% endfor %}{{ a }}{{ c }}", "b a c"),
            ("{% if a %}{% set x = 1 %}{% else %}{% set x = 2 %}{% endif %}{{ x }}", "a"),
            ("{% set a %}{{ b[:1] }}{% endset %}{% filter replace(c, a) %}x{% endfilter %}", "b c"),
            ("{{ a(b) }}{{ c.d(e[:1]) }}{{ f is divisibleby(g) }}{{ {'h': i}[j] }}", "b a c e f g i j"),
        ] {
            assert_eq!(uses(text).given.join(" "), given, "{text}");
        }
    }

    #[test]
    fn fields_of_the_row_are_columns_unless_the_row_is_another() {
        assert_eq!(uses("{{ row.a }}{{ row['b c'] }}{{ row[d] }}{{ row.a[:2] }}{{ e.f }}").of_row, ["a", "b c"]);
        assert!(uses("{% for row in rows %}{{ row.a }}{% endfor %}").of_row.is_empty());
    }
}
