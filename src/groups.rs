//! Cache groups (RFC 9875): the tags that the origin puts on an answer, and those that it invalidates.

use alloc::string::String;
use alloc::vec::Vec;

/// How many groups a field may name (section 2 asks for 32 at least).
pub const GROUPS_AT_MOST: usize = 32;

/// The strings of a list (RFC 9651, section 3.1), all of a field's lines joined by commas. Parameters are left out.
/// Nothing, if it is not a list of strings: such a field is ignored as a whole (section 4.2).
#[must_use]
pub fn parse(field: &str) -> Option<Vec<String>> {
    let mut rest = field.trim_matches([' ', '\t']);
    let mut groups = Vec::new();
    while !rest.is_empty() {
        let (group, behind) = string(rest)?;
        groups.push(group);
        rest = parameters(behind)?.trim_start_matches([' ', '\t']);
        if let Some(next) = rest.strip_prefix(',') {
            rest = next.trim_start_matches([' ', '\t']);
            (!rest.is_empty()).then_some(())?;
        } else if !rest.is_empty() {
            return None;
        }
    }
    Some(groups)
}

/// A string (section 3.3.3), and what stands behind it.
fn string(text: &str) -> Option<(String, &str)> {
    let mut string = String::new();
    let mut characters = text.strip_prefix('"')?.chars();
    loop {
        match characters.next()? {
            '"' => return Some((string, characters.as_str())),
            '\\' => string.push(characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            plain @ ' '..='~' => string.push(plain),
            _ => return None,
        }
    }
}

/// What stands behind the parameters (section 3.1.2) of an item.
fn parameters(mut text: &str) -> Option<&str> {
    while let Some(parameter) = text.strip_prefix(';') {
        let parameter = parameter.trim_start_matches(' ');
        let in_key = |character: char| {
            character.is_ascii_lowercase() || character.is_ascii_digit() || matches!(character, '_' | '-' | '.' | '*')
        };
        let behind = parameter.trim_start_matches(in_key);
        let starts = parameter.starts_with(|character: char| character.is_ascii_lowercase() || character == '*');
        starts.then_some(())?;
        text = match behind.strip_prefix('=') {
            None => behind,
            Some(value) if value.starts_with('"') => string(value)?.1,
            Some(value) => {
                let end = value.find([';', ',', ' ', '\t']).unwrap_or(value.len());
                (end > 0).then_some(())?;
                value.get(end..)?
            }
        };
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::parse;
    use alloc::string::String;

    #[track_caller]
    fn check(field: &str, expected: Option<&[&str]>) {
        let groups = parse(field);
        assert_eq!(
            groups.as_ref().map(|groups| groups.iter().map(String::as_str).collect()),
            expected.map(<[_]>::to_vec)
        );
    }

    #[test]
    fn a_list_of_strings_is_read() {
        check(r#""orders""#, Some(&["orders"]));
        check(r#""orders", "a, b" ,"\"\\""#, Some(&["orders", "a, b", "\"\\"]));
        check(r#" "a";x;y=1; z="q,;" , "b""#, Some(&["a", "b"]));
        check("", Some(&[]));
        check(r#""A","a","A""#, Some(&["A", "a", "A"]));
    }

    #[test]
    fn anything_else_is_nothing() {
        for field in [
            "orders",
            "\"orders",
            "\"a\" \"b\"",
            "\"a\",",
            ",\"a\"",
            "\"a\"; =1",
            "\"a\";X",
            "1",
            "(\"a\")",
            "\"caf\u{e9}\"",
            r#""\n""#,
            "\"a\";x=",
            "\"\u{7}\"",
        ] {
            check(field, None);
        }
    }
}
