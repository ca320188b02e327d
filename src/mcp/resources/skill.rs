//! SKILL.md as a skill of the server (extension `io.modelcontextprotocol/skills`, SEP-2640).

use rmcp::model::{
    ErrorData, GetSkillResult, ListSkillsResult, Resource, Skill, SkillFrontmatter, SkillResource, SkillResources,
};

/// The skill, as it lies in the repository.
pub(super) const TEXT: &str = include_str!("../../../SKILL.md");
/// Where clients read it. The folder has the skill's name.
pub(super) const URI: &str = "skill://gemini-batch/SKILL.md";
/// It changes with the program only: a day, in milliseconds.
const FRESH_MS: u64 = 24 * 3600 * 1000;

/// All skills of the server: the one.
pub(in crate::mcp) fn list() -> ListSkillsResult {
    ListSkillsResult::with_all_items(vec![skill()]).with_ttl_ms(FRESH_MS)
}

/// The skill at an address.
pub(in crate::mcp) fn get(uri: &str) -> Result<GetSkillResult, ErrorData> {
    if uri == URI {
        return Ok(GetSkillResult::new(skill()).with_ttl_ms(FRESH_MS));
    }
    Err(ErrorData::invalid_params(format!("there is no skill at {uri}; the only one is {URI}"), None))
}

/// The skill among the resources, named as it names itself.
pub(super) fn resource() -> Resource {
    let skill = skill();
    let resource = Resource::new(URI, skill.name()).with_title("Skill").with_mime_type(super::MARKDOWN);
    resource.with_description(skill.frontmatter.description)
}

fn skill() -> Skill {
    let fields = || frontmatter().filter_map(|line| line.split_once(": "));
    let field = |name: &str| fields().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
    let mut front = SkillFrontmatter::new(field("name"), field("description"));
    for (name, value) in fields().filter(|(name, _)| !["name", "description"].contains(name)) {
        front = front.with_field(name, value);
    }
    let file = SkillResource::from_bytes(URI, TEXT.as_bytes());
    Skill::new(URI, front, SkillResources::Files(vec![file]))
}

/// What stands between the first two lines of dashes: one plain `name: value` a line.
fn frontmatter() -> impl Iterator<Item = &'static str> {
    TEXT.lines().skip(1).take_while(|line| *line != "---")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_skill_is_one_by_the_rules_of_the_extension() {
        let skill = skill();
        skill.validate().unwrap();
        assert_eq!(skill.name(), "gemini-batch");
        assert!(skill.frontmatter.description.len() > 100, "{}", skill.frontmatter.description);
        assert!(skill.frontmatter.extra.contains_key("license"));
    }
}
