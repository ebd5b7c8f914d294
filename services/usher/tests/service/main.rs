//! The command from outside: the real binary, real nats-server, real files. Modules by what they look at.

mod canary;
mod cluster;
mod command;
mod crash;
mod demo;
mod journey;
mod papers;
mod recorded;
mod supervisor;
mod system;
mod traces;
