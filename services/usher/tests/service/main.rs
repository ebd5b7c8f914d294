//! The command from outside: the real binary, real nats-server, real files. Modules by what they
//! look at. `world` runs everything, `alone` one service; `mailer` plays the mailer for
//! verification alone, `scenarios` runs in a child of the tests in `telemetry`.
#![expect(
    clippy::unwrap_used,
    reason = "what a test's helper cannot do fails the test"
)]

mod alone;
mod boundaries;
mod build;
mod callers;
mod canary;
mod cluster;
mod collector;
mod command;
mod crash;
mod demo;
mod dispatchers;
mod dlq;
mod failpoints;
mod folder;
mod hanging;
mod hops;
mod http;
mod import;
mod issue_code;
mod journey;
mod keeper;
mod kubernetes;
mod login;
mod logs;
mod loops;
mod mailbox;
mod mailer;
mod manners;
mod manual;
mod otlp;
mod papers;
mod pods;
mod processes;
mod recorded;
mod reflection;
mod refused;
mod replicas;
mod rotation;
mod scenarios;
mod secrets;
mod settings;
mod signals;
mod smoke;
mod standstill;
mod strangers;
mod supervisor;
mod telemetry;
mod trace;
mod traces;
mod unread;
mod waits;
mod world;
