//! From an offer to the bytes of a mail: `composer` asks `template`, which fills the `texts` of the
//! reader's language into the layout (for a mail that goes out, into the encoded one of `forms`), and
//! `message`, which frames the result as MIME; `transport` sends it.

mod composer;
mod forms;
mod message;
mod template;
mod texts;

#[cfg(test)]
mod tests;

pub(crate) use self::{composer::Composer, message::Unmailable, template::Rendered};
