//! The stores behind the Worker's bindings: Workers KV and the Cache API, as HTTP services that workerd asks.
//!
//! A *store* holds the data; a *face* ([`KvFace`], [`CacheFace`]) is what one Worker sees of it, and
//! carries the faults and the log of operations. One KV store may have several faces, one for each
//! location, and each location its own cache store: a write is seen in its own location before it is in others.

mod cache;
pub(crate) mod face;
mod faults;
mod kv;
mod kv_face;

pub use cache::{CacheFace, CacheStore};
pub use faults::{Fault, Op};
pub use kv::{KvStore, KvValue};
pub use kv_face::{Consistency, KvFace};
