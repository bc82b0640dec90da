//! Ranges of a stored answer (RFC 9110, section 14): one of bytes, and no others.

use crate::date;
use crate::time::UnixMillis;

/// What a Range field selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// Everything: it cannot be read, is of another unit, or names several ranges. A server may ignore it (section 14.2).
    Whole,
    /// From the first to the last byte, both included.
    Bytes {
        /// The first, from 0.
        first: usize,
        /// The last.
        last: usize,
    },
    /// Nothing that there is (section 15.5.17).
    Unsatisfiable,
}

/// What a Range field selects of so many bytes (section 14.1.2).
#[must_use]
pub fn select(range: &str, length: usize) -> Selection {
    let bytes = range.split_once('=').filter(|(unit, _)| unit.trim().eq_ignore_ascii_case("bytes"));
    let Some((first, last)) = bytes.and_then(|(_, set)| set.trim().split_once('-')) else { return Selection::Whole };
    let (Some(first), Some(last)) = (position(first), position(last)) else { return Selection::Whole };
    let end = length.checked_sub(1);
    match (first, last, end) {
        (None, None, _) => Selection::Whole,
        (Some(first), Some(last), _) if last < first => Selection::Whole,
        (Some(first), last, Some(end)) if first <= end => {
            Selection::Bytes { first, last: last.unwrap_or(end).min(end) }
        }
        (None, Some(suffix @ 1..), Some(end)) => Selection::Bytes { first: length.saturating_sub(suffix), last: end },
        _ => Selection::Unsatisfiable,
    }
}

/// A position, or none where nothing stands. What overflows is the greatest there is.
#[expect(clippy::option_option, reason = "nothing there is not the same as something unreadable")]
fn position(text: &str) -> Option<Option<usize>> {
    let text = text.trim();
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| (!text.is_empty()).then(|| text.parse().unwrap_or(usize::MAX)))
}

/// Whether a range is to be looked at, by If-Range (section 13.1.5): it names this very representation.
#[must_use]
pub fn applies(
    if_range: Option<&str>,
    etag: Option<&str>,
    last_modified: Option<&str>,
    date: Option<&str>,
    now: UnixMillis,
) -> bool {
    let Some(if_range) = if_range.map(str::trim) else { return true };
    if if_range.ends_with('"') {
        // Compared strongly: a weak tag matches nothing.
        return if_range.starts_with('"') && etag == Some(if_range);
    }
    let date_of = |text: Option<&str>| text.and_then(|text| date::parse(text, now));
    let (named, modified, made) = (date_of(Some(if_range)), date_of(last_modified), date_of(date));
    // Section 8.8.2.2: a date is a strong validator if it is a second older at least than the answer that carries it.
    named.is_some() && named == modified && made.zip(modified).is_some_and(|(made, modified)| made > modified)
}

#[cfg(test)]
mod tests {
    use super::{Selection, applies, select};
    use crate::time::UnixMillis;

    #[track_caller]
    fn check(range: &str, length: usize, expected: Selection) {
        assert_eq!(select(range, length), expected, "{range} of {length}");
    }

    #[test]
    fn one_range_is_selected() {
        check("bytes=0-1", 10, Selection::Bytes { first: 0, last: 1 });
        check("Bytes = 2-", 10, Selection::Bytes { first: 2, last: 9 });
        check("bytes=-3", 10, Selection::Bytes { first: 7, last: 9 });
        check("bytes=-30", 10, Selection::Bytes { first: 0, last: 9 });
        check("bytes=9-99999999999999999999", 10, Selection::Bytes { first: 9, last: 9 });
        check("bytes=0-0", 1, Selection::Bytes { first: 0, last: 0 });
    }

    #[test]
    fn what_there_is_not_is_unsatisfiable() {
        check("bytes=10-", 10, Selection::Unsatisfiable);
        check("bytes=10-12", 10, Selection::Unsatisfiable);
        check("bytes=-0", 10, Selection::Unsatisfiable);
        check("bytes=0-", 0, Selection::Unsatisfiable);
        check("bytes=-1", 0, Selection::Unsatisfiable);
    }

    #[test]
    fn anything_else_is_ignored() {
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=1",
            "bytes=a-b",
            "bytes=2-1",
            "bytes=0-1,3-4",
            "lines=0-1",
            "bytes=1--2",
            "bytes=+1-2",
        ] {
            check(range, 10, Selection::Whole);
        }
    }

    const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    #[track_caller]
    fn check_if(if_range: Option<&str>, etag: Option<&str>, date: Option<&str>, expected: bool) {
        assert_eq!(applies(if_range, etag, Some(MODIFIED), date, UnixMillis(0)), expected, "{if_range:?}");
    }

    #[test]
    fn a_range_applies_to_the_very_same_representation() {
        check_if(None, None, None, true);
        check_if(Some("\"a\""), Some("\"a\""), None, true);
        check_if(Some("\"a\""), Some("\"b\""), None, false);
        check_if(Some("\"a\""), Some("W/\"a\""), None, false);
        check_if(Some("W/\"a\""), Some("W/\"a\""), None, false);
        check_if(Some("\"a\""), None, None, false);
        check_if(Some(MODIFIED), None, Some(LATER), true);
        check_if(Some(MODIFIED), None, Some(MODIFIED), false);
        check_if(Some(MODIFIED), None, None, false);
        check_if(Some(LATER), None, Some(LATER), false);
        check_if(Some("yesterday"), None, Some(LATER), false);
    }
}
