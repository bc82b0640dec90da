//! End-to-end tests: the built Worker on real workerd, between a raw client, a scripted origin, and
//! stores that can fail. `lab::harness` shows how a case is written.

mod built;
mod edge_crowds;
mod edge_fields;
mod edge_ledger;
mod edge_methods;
mod edge_mutated;
mod edge_odd;
mod edge_purge;
mod edge_purge_races;
mod edge_purge_refused;
mod edge_routes;
mod edge_settings;
mod edge_stores;
mod edge_streams;
mod edge_targets;
mod edge_tiers;
mod edge_unstored;
mod edge_websocket;
mod harness_cache;
mod harness_case;
mod harness_kv;
mod harness_lab;
mod harness_lab_command;
mod harness_lab_kv;
mod harness_origin;
mod harness_platform;
mod harness_platform_url;
mod harness_workerd;
mod harness_zone;
mod lab_erase;
mod lab_everyone;
mod lab_outbox;
mod newcomer;
