//! Who is asking: decided before anything is looked up.
//!
//! Access is a setting of the deployment, never of a request. The tenant comes from here and from nowhere else.

use crate::key::Tenant;
use crate::problem::Problem;

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
