//! Who is asking: decided before anything is looked up.
//!
//! Access is a setting of the deployment, never of a request. The tenant comes from here and from nowhere else.

use crate::key::Tenant;
use crate::problem::{Kind, Problem};
use crate::validation::hex;
use alloc::string::String;
use alloc::vec::Vec;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

/// Who may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Whoever gets through to the Worker, as this tenant: something in front of it controls access.
    Open {
        /// The one tenant.
        tenant: Tenant,
    },
}

impl Access {
    /// The tenant that a request may read.
    ///
    /// # Errors
    /// The answer to whoever may not.
    pub fn admit(&self) -> Result<&Tenant, Problem> {
        match self {
            Self::Open { tenant } => Ok(tenant),
        }
    }

    /// Whether a shared cache behind the edge may keep its answers: only where everybody may read everything.
    #[must_use]
    pub fn is_public(&self) -> bool {
        match self {
            Self::Open { .. } => true,
        }
    }
}

/// The operators' bearer tokens, kept as SHA-256. Several may be valid at a time, so that one can be rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorTokens(Vec<[u8; 32]>);

impl OperatorTokens {
    /// Reads digests of 64 hexadecimal digits each, separated by white space or commas. None, if any is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let words = text.split(|character: char| character == ',' || character.is_whitespace());
        let digests: Option<Vec<_>> = words.filter(|word| !word.is_empty()).map(digest).collect();
        digests.filter(|digests| !digests.is_empty()).map(Self)
    }

    /// The caller whose token an Authorization field holds, as `Bearer <token>` (RFC 6750, section 2.1): by the
    /// beginning of its digest, which tells nothing of the token.
    ///
    /// Every digest is compared whole, whichever matches, so the time taken tells nothing.
    #[must_use]
    pub fn admit(&self, authorization: Option<&str>) -> Option<String> {
        let (scheme, token) = authorization.and_then(|field| field.split_once(' '))?;
        if !scheme.eq_ignore_ascii_case("Bearer") || token.is_empty() {
            return None;
        }
        let given = Sha256::digest(token.as_bytes());
        let found =
            self.0.iter().fold(Choice::from(0), |found, known| found | known.as_slice().ct_eq(given.as_slice()));
        bool::from(found).then(|| hex(given.get(..4).unwrap_or_default()))
    }

    /// The answer to whoever is none of them. One and the same, whatever was wrong.
    #[must_use]
    pub fn refusal() -> Problem {
        Problem::new(Kind::Unauthorized, "This needs an operator's token, as `Authorization: Bearer <token>`.")
    }
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    let nibbles: Option<Vec<u8>> = hex.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
    let bytes: Vec<u8> =
        nibbles?.chunks(2).map(|pair| pair.iter().fold(0, |byte, nibble| byte << 4 | nibble)).collect();
    (hex.len() == 64).then_some(bytes)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::OperatorTokens;

    /// SHA-256 of `one` and of `two`.
    const ONE: &str = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
    const TWO: &str = "3FC4CCFE745870E2C0D99F71F30FF0656C8DEDD41CC1D7D3D376B0DBE685E2F3";

    #[track_caller]
    fn check(field: Option<&str>, admitted: bool) {
        let tokens = OperatorTokens::parse(&format!("{ONE},\n {TWO}")).unwrap();
        assert_eq!(tokens.admit(field).is_some(), admitted, "{field:?}");
    }

    #[test]
    fn each_of_several_tokens_is_admitted() {
        check(Some("Bearer one"), true);
        check(Some("bearer two"), true);
    }

    #[test]
    fn nothing_else_is() {
        for field in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer three",
            "Bearer on",
            "Bearer one ",
            "Bearer  one",
            "Basic one",
            "one",
            ONE,
        ] {
            check(Some(field), false);
        }
        check(Some(&format!("Bearer {ONE}")), false);
        check(None, false);
    }

    #[test]
    fn digests_are_read_whole_or_not_at_all() {
        for text in [
            "",
            " , ",
            "abc",
            ONE.trim_start_matches('7'),
            &format!("{ONE}0"),
            &ONE.replace('7', "g"),
            &format!("{ONE} x"),
        ] {
            assert_eq!(OperatorTokens::parse(text), None, "{text}");
        }
    }
}
