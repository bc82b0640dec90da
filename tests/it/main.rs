//! Native tests of the core, on fakes and a virtual clock: scenarios (`tests/spec`), tables over the compiled
//! rules, and properties under random requests and faults.

mod client;
mod documents;
mod everyone;
mod fakes;
mod faults;
mod purges;
mod random;
mod refused_purges;
mod requests;
mod rules;
mod spec;
mod table;
mod tasks;
mod webhook;
