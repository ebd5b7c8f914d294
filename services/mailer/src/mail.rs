//! From a request to the bytes of a mail: `texts` in the reader's language, filled into the `template`, framed as
//! MIME by `message`; `transport` sends the result.

pub(crate) mod message;
pub(crate) mod template;
mod texts;

#[cfg(test)]
mod tests;
