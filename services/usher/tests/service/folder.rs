//! The data folder, from outside: whoever makes it makes it for its owner only, and nobody is
//! followed who prepared it, whichever command comes first. `ground` plays the other user.

pub(crate) mod ground;
mod made;
mod named;
mod prepared;
