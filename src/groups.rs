//! Cache groups (RFC 9875): the tags that the origin puts on an answer, and those that it invalidates.

use crate::structured::strings;
use alloc::string::String;
use alloc::vec::Vec;

/// How many groups a field may name (section 2 asks for 32 at least).
pub const GROUPS_AT_MOST: usize = 32;

/// The groups that a field names, all its lines joined by commas. Nothing, if it is not a list of strings: such a field
/// is ignored as a whole.
#[must_use]
pub fn parse(field: &str) -> Option<Vec<String>> {
    strings(field)
}
