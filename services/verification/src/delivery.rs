//! From a due mail to its outcome in the table. The consumer puts mails into `queue` as they are
//! committed; `mail_loop` takes them from there, or claims them from the table, keeps them in
//! `held`, hands them to the mailers over `streams` and has what became of them recorded through
//! `db_calls`. `encode` has the messages.

mod db_calls;
mod encode;
mod held;
mod mail_loop;
mod mode;
mod open_stream;
mod queue;
mod streams;
mod timers;
mod unrecorded;

pub(crate) use self::{
    mail_loop::MailLoop,
    queue::{Incoming, Queue},
};
