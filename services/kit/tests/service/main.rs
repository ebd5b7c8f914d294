//! kit from outside: each module against the real thing it talks to.

mod propagation;
