//! One journey as a picture: flat spans come in, a tree ordered by time is made of them, a
//! waterfall goes to the terminal (`usher demo`, `usher up`).

mod journeys;
mod labels;
mod tree;
mod waterfall;

pub(crate) use journeys::Journeys;
pub(crate) use labels::short;
pub(crate) use waterfall::render;
