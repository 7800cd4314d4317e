//! Command templates: arguments with placeholders, filled from a resource.
//!
//! Not a shell and not a language: no splitting, no expansion, no defaults. What must hold: a value never becomes a second argument, an option or
//! the program.

use sexton_plugin_api::prelude::*;

/// The arguments of the template with the resource's values in place.
///
/// # Errors
/// A permanent failure that names the placeholder: another attempt meets the same template and the same resource.
pub fn fill(template: &[String], resource: &Resource) -> JobResult<Vec<String>> {
    let mut filled = Vec::with_capacity(template.len());
    let mut options_ended = false;
    for (position, argument) in template.iter().enumerate() {
        let parts = parse(argument)?;
        if position == 0 && parts.iter().any(|part| matches!(part, Part::Placeholder(_))) {
            return fail_permanently(format!(
                "the program `{argument}` of the template has a placeholder: a resource may not choose the program"
            ));
        }
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Literal(literal) => text.push_str(&literal),
                Part::Placeholder(name) => {
                    let value = value_of(resource, &name)?;
                    if text.is_empty() && value.starts_with('-') && !options_ended {
                        return fail_permanently(format!(
                            "`{{{name}}}` is `{value}`, which would be read as an option; put `--` before it in the template"
                        ));
                    }
                    text.push_str(&value);
                }
            }
        }
        options_ended |= argument == "--";
        filled.push(text);
    }
    Ok(filled)
}

enum Part {
    Literal(String),
    Placeholder(String),
}

fn parse(argument: &str) -> JobResult<Vec<Part>> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = argument;
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let (brace, after) = rest[at..].split_at(1);
        if let Some(doubled) = after.strip_prefix(brace) {
            literal.push_str(brace);
            rest = doubled;
        } else if let Some((name, after)) = after.split_once('}').filter(|_| brace == "{") {
            parts.push(Part::Literal(std::mem::take(&mut literal)));
            parts.push(Part::Placeholder(name.to_owned()));
            rest = after;
        } else {
            return fail_permanently(format!(
                "the argument `{argument}` of the template has a lone brace; `{{{{` and `}}}}` stand for braces"
            ));
        }
    }
    literal.push_str(rest);
    parts.push(Part::Literal(literal));
    Ok(parts)
}

fn value_of(resource: &Resource, name: &str) -> JobResult<String> {
    let value = match name {
        "id" => resource.id.clone(),
        "kind" => resource.kind.clone(),
        _ => match resource.properties.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(simple @ (Value::Number(_) | Value::Bool(_))) => simple.to_string(),
            Some(other) => return fail_permanently(format!("`{{{name}}}` needs a text, a number or a boolean; the resource has {other}")),
            None => return fail_permanently(format!("the resource has no property `{name}`, which the template asks for")),
        },
    };
    if value.is_empty() || value.contains('\0') {
        return fail_permanently(format!("`{{{name}}}` is empty or holds a zero byte"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::fill;
    use sexton_plugin_api::prelude::*;

    fn check(template: &[&str], expected: Result<&[&str], &str>) {
        let resource = Resource::new("vm-1; rm -rf /", "vm")
            .with("zone", "a b")
            .with("size", 3)
            .with("flag", "--force")
            .with("list", vec![1])
            .with("none", "");
        let template: Vec<String> = template.iter().map(|&s| s.to_owned()).collect();
        match (fill(&template, &resource), expected) {
            (Ok(filled), Ok(expected)) => assert_eq!(filled, expected),
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
            (filled, expected) => panic!("{template:?}: {filled:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_placeholder_fills_exactly_one_argument() {
        check(&["ctl", "start", "{id}"], Ok(&["ctl", "start", "vm-1; rm -rf /"]));
        check(&["ctl", "--zone={zone}", "{size}"], Ok(&["ctl", "--zone=a b", "3"]));
        check(&["ctl", "{{{id}}}", "{kind}-{size}"], Ok(&["ctl", "{vm-1; rm -rf /}", "vm-3"]));
        check(&["ctl"], Ok(&["ctl"]));
        check(&[], Ok(&[]));
    }

    #[test]
    fn a_value_is_never_an_option_unless_options_have_ended() {
        check(&["ctl", "{flag}"], Err("option"));
        check(&["ctl", "{flag}", "--"], Err("option"));
        check(&["ctl", "--", "{flag}"], Ok(&["ctl", "--", "--force"]));
        check(&["ctl", "x{flag}"], Ok(&["ctl", "x--force"]));
    }

    #[test]
    fn what_cannot_be_filled_is_named() {
        check(&["{id}", "x"], Err("may not choose the program"));
        check(&["ctl", "{owner}"], Err("no property `owner`"));
        check(&["ctl", "{list}"], Err("needs a text"));
        check(&["ctl", "{none}"], Err("empty"));
        check(&["ctl", "{id"], Err("lone brace"));
        check(&["ctl", "id}"], Err("lone brace"));
    }
}
