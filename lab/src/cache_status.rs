//! `Cache-Status` (RFC 9211), read strictly: a structured list (RFC 9651) of caches with parameters.
//!
//! What the RFC forbids is an error here: inner lists, a parameter of the wrong type, `hit` beside
//! `fwd`, a reason to forward that it does not name. A parameter given twice is one as well.

/// What one cache says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheStatus {
    /// The cache's name.
    pub cache: String,
    /// Answered without asking further on.
    pub hit: bool,
    /// Why it was asked further on.
    pub fwd: Option<String>,
    /// What the next one answered.
    pub fwd_status: Option<i64>,
    /// Seconds of freshness left; negative when stale.
    pub ttl: Option<i64>,
    /// Stored on the way.
    pub stored: bool,
    /// Joined another request's forward.
    pub collapsed: bool,
    /// The cache key.
    pub key: Option<String>,
    /// In the cache's own words.
    pub detail: Option<String>,
    /// Parameters that the RFC does not define.
    pub other: Vec<(String, Item)>,
}

/// A bare item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An integer of at most 15 digits.
    Integer(i64),
    /// A quoted string.
    Text(String),
    /// A token.
    Token(String),
    /// `?1`, or a parameter without a value.
    Boolean(bool),
}

const REASONS: [&str; 8] = ["bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"];

/// Reads the field's value (several fields joined by commas): the cache nearest to the origin first.
pub fn parse(value: &str) -> Result<Vec<CacheStatus>, String> {
    let mut rest = value.trim_matches(' ');
    let mut caches = Vec::new();
    loop {
        let cache = match item(&mut rest)? {
            Item::Text(name) | Item::Token(name) => name,
            other => {
                return Err(format!("a cache is named by a string or a token, not by {other:?}"));
            }
        };
        caches.push(member(cache, &mut rest)?);
        rest = rest.trim_start_matches([' ', '\t']);
        if rest.is_empty() {
            return Ok(caches);
        }
        rest = rest.strip_prefix(',').ok_or_else(|| format!("a comma was expected before {rest:?}"))?;
        rest = rest.trim_start_matches([' ', '\t']);
    }
}

fn member(cache: String, rest: &mut &str) -> Result<CacheStatus, String> {
    let mut status = CacheStatus { cache, ..CacheStatus::default() };
    let mut seen: Vec<String> = Vec::new();
    while let Some(after) = rest.strip_prefix(';') {
        *rest = after.trim_start_matches(' ');
        let name = key(rest)?;
        let value = match rest.strip_prefix('=') {
            Some(after) => {
                *rest = after;
                item(rest)?
            }
            None => Item::Boolean(true),
        };
        if seen.contains(&name) {
            return Err(format!("{name} is given twice"));
        }
        set(&mut status, &name, value)?;
        seen.push(name);
    }
    if status.hit && status.fwd.is_some() {
        return Err("hit and fwd exclude each other".to_owned());
    }
    Ok(status)
}

fn set(status: &mut CacheStatus, name: &str, value: Item) -> Result<(), String> {
    match (name, value) {
        ("hit", Item::Boolean(yes)) => status.hit = yes,
        ("stored", Item::Boolean(yes)) => status.stored = yes,
        ("collapsed", Item::Boolean(yes)) => status.collapsed = yes,
        ("fwd", Item::Token(reason)) if REASONS.contains(&reason.as_str()) => {
            status.fwd = Some(reason);
        }
        ("fwd-status", Item::Integer(code)) => status.fwd_status = Some(code),
        ("ttl", Item::Integer(seconds)) => status.ttl = Some(seconds),
        ("key", Item::Text(key)) => status.key = Some(key),
        ("detail", Item::Text(words) | Item::Token(words)) => status.detail = Some(words),
        ("hit" | "stored" | "collapsed" | "fwd" | "fwd-status" | "ttl" | "key" | "detail", value) => {
            return Err(format!("{name} may not be {value:?}"));
        }
        (_, value) => status.other.push((name.to_owned(), value)),
    }
    Ok(())
}

fn item(rest: &mut &str) -> Result<Item, String> {
    match rest.chars().next() {
        Some('"') => text(rest),
        Some('-' | '0'..='9') => integer(rest),
        Some('?') => {
            let value = rest.get(1..2).filter(|digit| matches!(*digit, "0" | "1")).ok_or("a boolean is ?0 or ?1")?;
            *rest = &rest[2..];
            Ok(Item::Boolean(value == "1"))
        }
        Some(first) if first.is_ascii_alphabetic() || first == '*' => {
            let inside = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:/".contains(c);
            Ok(Item::Token(take(rest, inside)))
        }
        _ => Err(format!("an item was expected at {rest:?}")),
    }
}

fn text(rest: &mut &str) -> Result<Item, String> {
    let mut value = String::new();
    let mut characters = rest[1..].char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => {
                *rest = &rest[at + 2..];
                return Ok(Item::Text(value));
            }
            '\\' => match characters.next() {
                Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                _ => return Err("only a quote or a backslash may be escaped".to_owned()),
            },
            ' '..='~' => value.push(character),
            _ => return Err("a string holds printable ASCII alone".to_owned()),
        }
    }
    Err("a string without its end".to_owned())
}

fn integer(rest: &mut &str) -> Result<Item, String> {
    let negative = rest.starts_with('-');
    *rest = rest.strip_prefix('-').unwrap_or(rest);
    let digits = take(rest, |c| c.is_ascii_digit());
    if digits.len() > 15 || rest.starts_with('.') {
        return Err("an integer of at most 15 digits was expected".to_owned());
    }
    let value: i64 = digits.parse().map_err(|_| "a minus without digits")?;
    Ok(Item::Integer(if negative { -value } else { value }))
}

fn key(rest: &mut &str) -> Result<String, String> {
    if !rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '*') {
        return Err(format!("a parameter's name was expected at {rest:?}"));
    }
    Ok(take(rest, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.*".contains(c)))
}

fn take(rest: &mut &str, belongs: impl Fn(char) -> bool) -> String {
    let end = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
    let (taken, after) = rest.split_at(end);
    *rest = after;
    taken.to_owned()
}
