//! Native tests of the core, on fakes and a virtual clock: scenarios (`tests/spec`), tables over the compiled
//! rules, and properties under random requests and faults.

mod access;
mod bad_days;
mod client;
mod collapse;
mod documents;
mod early;
mod events;
mod everyone;
mod explorer;
mod fakes;
mod faults;
mod fields;
mod follow;
mod frugal;
mod leases;
mod ledgers;
mod orders;
mod origin_faults;
mod promises;
mod purges;
mod random;
mod readers;
mod refused_purges;
mod requests;
mod rules;
mod seeds;
mod signing;
mod spec;
mod stores;
mod table;
mod tasks;
mod tenants;
mod tokens;
mod webhook;
