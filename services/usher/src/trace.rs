//! One journey as a picture: flat spans come in, a tree ordered by time is made of them, a waterfall goes to
//! the terminal (`usher demo`, `usher up`).

mod collect;
mod span;
mod tree;
mod waterfall;

pub(crate) use collect::Traces;
pub(crate) use span::Span;
pub(crate) use waterfall::render;
