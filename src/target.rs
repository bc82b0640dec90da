//! The request target, parsed once, by an exact grammar.
//!
//! What two parsers could read in two ways is refused here with a 400, before any rule is looked at: empty and
//! dot segments, backslashes, encodings of characters that need none or that delimit. So the edge and the
//! origin see the same path, or the origin sees nothing. The query is taken apart in `classify`, by the rule.

use crate::rules::{NOCACHE, is_word};
use alloc::string::{String, ToString as _};

/// The greatest length of a URL that is looked at, in bytes.
pub const GREATEST_LENGTH: usize = 8192;

/// A URL whose path can be read in one way only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// Whether it came over TLS.
    pub is_secure: bool,
    /// The host without its port, as the client wrote it.
    pub host: &'a str,
    /// The path, from its slash.
    pub path: &'a str,
    /// What follows the first `?`, or nothing.
    pub query: &'a str,
}

/// Why a URL is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// Longer than [`GREATEST_LENGTH`].
    TooLong,
    /// Not `http://` or `https://` with a host.
    NotHttp,
    /// `//` within the path.
    EmptySegment,
    /// `.` or `..`.
    DotSegment,
    /// A character that no path has as it stands.
    Character,
    /// A percent sign without two hexadecimal digits, or one for a character that needs none or that delimits.
    Encoding,
}

impl Malformed {
    /// What is wrong, for whoever sent it.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::TooLong => "The URL is longer than 8192 bytes.",
            Self::NotHttp => "The URL is not an http or https URL with a host.",
            Self::EmptySegment => "The path has an empty segment (two slashes in a row).",
            Self::DotSegment => "The path has a `.` or `..` segment.",
            Self::Character => "The URL has a character that must be percent-encoded, a backslash, or a fragment.",
            Self::Encoding => {
                "The path percent-encodes a character that needs no encoding, or a delimiter, or ends in a broken encoding."
            }
        }
    }
}

impl<'a> Target<'a> {
    /// Parses an absolute URL as the runtime hands it over.
    ///
    /// # Errors
    /// The first thing that could be read in two ways.
    pub fn parse(url: &'a str) -> Result<Self, Malformed> {
        if url.len() > GREATEST_LENGTH {
            return Err(Malformed::TooLong);
        }
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")).ok_or(Malformed::NotHttp)?;
        // RFC 3986, section 3.2: the authority ends at the next slash, question mark or number sign.
        let (authority, path_and_query) = match rest.find(['/', '?', '#']) {
            Some(end) => rest.split_at(end),
            None => (rest, ""),
        };
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        // RFC 9110, section 4.2.3: an empty path is that of "/".
        let path = if path.is_empty() { "/" } else { path };
        check_path(path)?;
        // A fragment is not part of a request target; the runtime would drop it without a word. What it would encode has
        // another spelling in a request, and a ledger keeps keys in lines.
        if query.contains('#') || !query.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Malformed::Character);
        }
        Ok(Self { is_secure: url.starts_with("https:"), host: host(authority).ok_or(Malformed::NotHttp)?, path, query })
    }

    /// Whether it may come without TLS: from this machine, or to an address, which no certificate is for.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let name = self.host.to_ascii_lowercase();
        let is_v4 = name.split('.').count() == 4 && name.split('.').all(|part| part.parse::<u8>().is_ok());
        name == "localhost" || name.ends_with(".localhost") || is_v4 || name.contains(':')
    }

    /// Path and query as they were asked for.
    #[must_use]
    pub fn after_host(&self) -> String {
        let mark = if self.query.is_empty() { "" } else { "?" };
        format!("{}{mark}{}", self.path, self.query)
    }

    /// Path and query of a request that is passed on. The edge's own parameter stays with the edge.
    #[must_use]
    pub fn without_own_parameter(&self) -> String {
        let mut text = self.path.to_string();
        let passed = self.query.split('&').filter(|pair| pair.split('=').next() != Some(NOCACHE));
        for (index, pair) in passed.filter(|_| !self.query.is_empty()).enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            text.push_str(pair);
        }
        text
    }

    /// The segments of the path.
    pub fn segments(&self) -> impl Iterator<Item = &'a str> + Clone {
        self.path.strip_prefix('/').unwrap_or(self.path).split('/')
    }
}

/// The host of an authority, without its port. User information is not HTTP (RFC 9110, section 4.2.4).
fn host(authority: &str) -> Option<&str> {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(address, _)| address)?,
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    (!host.is_empty() && !host.contains('@')).then_some(host)
}

fn check_path(path: &str) -> Result<(), Malformed> {
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "" if last => {}
            "" => return Err(Malformed::EmptySegment),
            "." | ".." => return Err(Malformed::DotSegment),
            segment if is_word(segment) => {}
            segment => check_segment(segment.as_bytes())?,
        }
    }
    Ok(())
}

/// `segment = *pchar` (RFC 3986, section 3.3), with percent-encoding only where it cannot mean anything else.
fn check_segment(segment: &[u8]) -> Result<(), Malformed> {
    let mut bytes = segment.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
                let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
                    return Err(Malformed::Encoding);
                };
                if !may_be_encoded(high * 16 + low) {
                    return Err(Malformed::Encoding);
                }
            }
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'-'
            | b'.'
            | b'_'
            | b'~'
            | b'!'
            | b'$'
            | b'&'
            | b'('
            | b')'
            | b'*'
            | b'+'
            | b','
            | b';'
            | b'='
            | b':'
            | b'@'
            | b'\'' => {}
            _ => return Err(Malformed::Character),
        }
    }
    Ok(())
}

/// Characters that can stand in a path only encoded, and that delimit nothing: space, a few marks, and all beyond ASCII.
fn may_be_encoded(byte: u32) -> bool {
    byte >= 0x80 || [b' ', b'"', b'<', b'>', b'^', b'`', b'{', b'|', b'}'].map(u32::from).contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::{Malformed, Target};
    use alloc::string::String;

    #[track_caller]
    fn check(path: &str, expected: Result<(), Malformed>) {
        let url = format!("http://edge.test:8787{path}");
        assert_eq!(Target::parse(&url).map(|_| ()), expected, "{path}");
    }

    #[test]
    fn plain_paths_are_read() {
        for path in [
            "/",
            "/api",
            "/api/",
            "/api/a-b_c.d~e",
            "/api/a;b=c",
            "/api/my%20report.csv",
            "/api/caf%C3%A9",
            "/a/...",
            "/a?b//c",
        ] {
            check(path, Ok(()));
        }
    }

    #[test]
    fn what_two_parsers_read_in_two_ways_is_refused() {
        for path in ["/a//b", "//a", "/a//"] {
            check(path, Err(Malformed::EmptySegment));
        }
        for path in ["/./a", "/a/../b", "/a/.."] {
            check(path, Err(Malformed::DotSegment));
        }
        for path in [
            "/a\\b",
            "/a b",
            "/caf\u{e9}",
            "/a#b",
            "/a?b#c",
            "/a\"b",
            "/a|b",
            "/a\u{7}",
            "/a?b\nc",
            "/a?b c",
            "/a?\u{e9}",
        ] {
            check(path, Err(Malformed::Character));
        }
        for path in [
            "/%2e%2E/a",
            "/a%2fb",
            "/a%5cb",
            "/%61pi",
            "/a%3fb",
            "/a%3bb",
            "/a%23",
            "/a%00",
            "/a%0a",
            "/a%25",
            "/a%",
            "/a%4",
            "/a%zz",
            "/a%+1",
        ] {
            check(path, Err(Malformed::Encoding));
        }
    }

    #[test]
    fn the_host_is_read_without_its_port() {
        for (url, host) in [
            ("http://a.test/x", "a.test"),
            ("https://a.test:1/", "a.test"),
            ("http://[::1]:8787/", "::1"),
            ("http://a.test", "a.test"),
        ] {
            assert_eq!(Target::parse(url).map(|target| target.host), Ok(host));
        }
        for url in ["ftp://a/", "/api", "http:///a", "http://user@a/", "http://[::1/"] {
            assert_eq!(Target::parse(url), Err(Malformed::NotHttp), "{url}");
        }
    }

    #[test]
    fn a_long_url_is_refused() {
        let url = String::from("http://a/?") + &"x".repeat(super::GREATEST_LENGTH);
        assert_eq!(Target::parse(&url), Err(Malformed::TooLong));
    }

    #[test]
    fn path_and_query_part_at_the_first_question_mark() {
        let target = Target::parse("http://a/b/c?d?e/f").map(|target| (target.path, target.query));
        assert_eq!(target, Ok(("/b/c", "d?e/f")));
        let target = Target::parse("http://a?b").map(|target| (target.path, target.query));
        assert_eq!(target, Ok(("/", "b")));
    }
}
