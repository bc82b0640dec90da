//! The ledger of a tenant: who moves its line of purges, what it promises for that, and what it has still to do.
//!
//! All of it is a value that is changed by calls and has no clock: the Durable Object that holds it adds the time,
//! a disk and a way to call. Natively the same code runs on a disk in memory.

pub mod desk;
pub mod erase;
pub mod leases;
pub mod line;
pub mod order;
pub mod outbox;
