//! The mail catcher: takes every mail by SMTP, keeps each as a file, and shows them by HTTP.
//!
//! In reading order: `config` says how it is set up and `app` runs it; `smtp` takes a mail and
//! answers 250 once `store` has brought it to the disk; `letter` reads what is in a mail; `http`
//! answers for them in the shapes of `api`, and with a page for people.

pub mod api;
pub mod app;
pub mod config;
mod http;
mod letter;
mod smtp;
mod store;
