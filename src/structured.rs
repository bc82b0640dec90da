//! Structured fields (RFC 9651), as far as this edge reads any: lists of strings, and dictionaries of cache directives.
//! A field that is not what it should be is none at all (section 4.2), so nothing here answers a part of one.

use alloc::string::String;
use alloc::vec::Vec;

/// A bare item (section 3.3). Kinds that no field here has a use for are told apart from errors, and no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// An integer (section 3.3.1).
    Integer(i64),
    /// A string (section 3.3.3).
    String(String),
    /// A token (section 3.3.4).
    Token(String),
    /// A boolean (section 3.3.6). A member of a dictionary without a value is true (section 3.2).
    Boolean(bool),
    /// A decimal, a byte sequence, a date or a list.
    Other,
}

/// The members of a list (section 3.1) whose members are strings, all of a field's lines joined by commas. Parameters
/// are left out.
#[must_use]
pub fn strings(field: &str) -> Option<Vec<String>> {
    let mut members = Vec::new();
    for_each_member(field, |text| {
        let (member, behind) = string(text)?;
        members.push(member);
        parameters(behind)
    })?;
    Some(members)
}

/// The members of a dictionary (section 3.2), in order. Parameters are left out. Of two with one key, both are there.
#[must_use]
pub fn dictionary(field: &str) -> Option<Vec<(String, Item)>> {
    let mut members = Vec::new();
    for_each_member(field, |text| {
        let (key, behind) = key(text)?;
        let (item, behind) = match behind.strip_prefix('=') {
            None => (Item::Boolean(true), behind),
            Some(value) if value.starts_with('(') => (Item::Other, inner_list(value)?),
            Some(value) => bare_item(value)?,
        };
        members.push((String::from(key), item));
        parameters(behind)
    })?;
    Some(members)
}

/// Goes through what stands between commas. `member` reads one and answers what stands behind it.
fn for_each_member<'a>(field: &'a str, mut member: impl FnMut(&'a str) -> Option<&'a str>) -> Option<()> {
    let mut rest = field.trim_matches([' ', '\t']);
    while !rest.is_empty() {
        rest = member(rest)?.trim_start_matches([' ', '\t']);
        if let Some(next) = rest.strip_prefix(',') {
            rest = next.trim_start_matches([' ', '\t']);
            (!rest.is_empty()).then_some(())?;
        } else if !rest.is_empty() {
            return None;
        }
    }
    Some(())
}

/// A key (section 3.1.2), and what stands behind it.
fn key(text: &str) -> Option<(&str, &str)> {
    let in_key = |character: char| {
        character.is_ascii_lowercase() || character.is_ascii_digit() || matches!(character, '_' | '-' | '.' | '*')
    };
    let starts = text.starts_with(|character: char| character.is_ascii_lowercase() || character == '*');
    let behind = text.trim_start_matches(in_key);
    starts.then(|| text.split_at_checked(text.len() - behind.len())).flatten()
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

/// A bare item, and what stands behind it.
fn bare_item(text: &str) -> Option<(Item, &str)> {
    let end_of = |in_item: fn(char) -> bool| text.split_at_checked(text.len() - text.trim_start_matches(in_item).len());
    match text.chars().next()? {
        '"' => string(text).map(|(string, behind)| (Item::String(string), behind)),
        '-' | '0'..='9' => {
            let (number, behind) = end_of(|character| matches!(character, '-' | '.' | '0'..='9'))?;
            let (whole, fraction) = number.split_once('.').map_or((number, None), |(whole, part)| (whole, Some(part)));
            let digits = |text: &str, at_most| {
                (1..=at_most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
            };
            let unsigned = whole.strip_prefix('-').unwrap_or(whole);
            match fraction {
                None if digits(unsigned, 15) => Some((Item::Integer(number.parse().ok()?), behind)),
                Some(fraction) if digits(unsigned, 12) && digits(fraction, 3) => Some((Item::Other, behind)),
                _ => None,
            }
        }
        '?' => match text.split_at_checked(2)? {
            ("?1", behind) => Some((Item::Boolean(true), behind)),
            ("?0", behind) => Some((Item::Boolean(false), behind)),
            _ => None,
        },
        ':' => {
            let (bytes, behind) = text.strip_prefix(':')?.split_once(':')?;
            let in_bytes = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
            bytes.bytes().all(in_bytes).then_some((Item::Other, behind))
        }
        // What is no number is not looked into: a field of nothing but these would go as deep as it is long.
        '@' => match bare_item(text.strip_prefix('@').filter(|date| !date.starts_with('@'))?)? {
            (Item::Integer(_), behind) => Some((Item::Other, behind)),
            _ => None,
        },
        'a'..='z' | 'A'..='Z' | '*' => {
            let (token, behind) = end_of(|character| {
                character.is_ascii_alphanumeric()
                    || matches!(
                        character,
                        '!' | '#'
                            | '$'
                            | '%'
                            | '&'
                            | '\''
                            | '*'
                            | '+'
                            | '-'
                            | '.'
                            | '^'
                            | '_'
                            | '`'
                            | '|'
                            | '~'
                            | ':'
                            | '/'
                    )
            })?;
            Some((Item::Token(String::from(token)), behind))
        }
        _ => None,
    }
}

/// What stands behind an inner list (section 3.1.1).
fn inner_list(text: &str) -> Option<&str> {
    let mut rest = text.strip_prefix('(')?;
    loop {
        let item = rest.trim_start_matches(' ');
        if let Some(behind) = item.strip_prefix(')') {
            return Some(behind);
        }
        rest = parameters(bare_item(item)?.1)?;
        rest.starts_with([' ', ')']).then_some(())?;
    }
}

/// What stands behind the parameters (section 3.1.2) of an item.
fn parameters(mut text: &str) -> Option<&str> {
    while let Some(parameter) = text.strip_prefix(';') {
        let (_, behind) = key(parameter.trim_start_matches(' '))?;
        text = match behind.strip_prefix('=') {
            None => behind,
            Some(value) => bare_item(value)?.1,
        };
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::{Item, dictionary, strings};
    use alloc::string::String;

    #[track_caller]
    fn check(field: &str, expected: Option<&[&str]>) {
        let read = strings(field);
        assert_eq!(
            read.as_ref().map(|read| read.iter().map(String::as_str).collect()),
            expected.map(<[_]>::to_vec),
            "{field}"
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

    #[track_caller]
    fn check_dictionary(field: &str, expected: Option<&[(&str, Item)]>) {
        let expected =
            expected.map(|members| members.iter().map(|(key, item)| ((*key).into(), item.clone())).collect());
        assert_eq!(dictionary(field), expected, "{field}");
    }

    #[test]
    fn a_dictionary_is_read_with_the_kinds_of_its_members() {
        check_dictionary("", Some(&[]));
        check_dictionary(
            "max-age=60, no-store;a=1;b , x=\"a,b\",y=?0,*z=a/b:c",
            Some(&[
                ("max-age", Item::Integer(60)),
                ("no-store", Item::Boolean(true)),
                ("x", Item::String("a,b".into())),
                ("y", Item::Boolean(false)),
                ("*z", Item::Token("a/b:c".into())),
            ]),
        );
        for other in ["a=1.5", "a=:aGk=:", "a=@1659578233", "a=(1 2)", "a=(  \"x\";q ?1 )", "a=()", "a=-0.001"] {
            check_dictionary(other, Some(&[("a", Item::Other)]));
        }
        check_dictionary("a=-999999999999999", Some(&[("a", Item::Integer(-999_999_999_999_999))]));
    }

    #[test]
    fn what_is_no_dictionary_is_nothing() {
        for field in [
            "max-age=60,",
            "max-age=60 no-store",
            "Max-Age=60",
            "max-age =60",
            "max-age= 60",
            "max-age=60, &&&&&",
            "a=1e99",
            "a=1.",
            "a=.5",
            "a=1.2345",
            "a=1234567890123456",
            "a=1234567890123.1",
            "a=--1",
            "a=?2",
            "a=:a",
            "a=:!:",
            "a=@1.5",
            "a=@x",
            "a=(1",
            "a=(1,2)",
            "a=(1(2))",
            "a=",
            "a=\u{e9}",
            "a;=1",
            &format!("a={}", "@".repeat(100_000)),
        ] {
            check_dictionary(field, None);
        }
    }
}
