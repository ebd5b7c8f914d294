//! From a due mail to its outcome in the table. Commands put mails into the queue as they are
//! committed; `mail_loop` takes them from there, or claims them from the table, keeps them in
//! `held`, hands them to the mailers over `streams` and has what became of them recorded through
//! `db_calls`. `encode` has the messages.

mod db_calls;
mod encode;
mod held;
mod mail_loop;
mod mode;
mod streams;
mod timers;

pub(crate) use mail_loop::MailLoop;
