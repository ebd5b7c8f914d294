//! The mailer from outside.

mod mails;
