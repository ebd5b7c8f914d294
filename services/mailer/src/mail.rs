//! From a request to the bytes of a mail: `texts` in the reader's language, filled into the `template`, framed as
//! MIME by `message`; `transport` sends the result.

pub mod message;
pub mod template;
pub mod texts;
