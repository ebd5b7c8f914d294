//! Pure rules of a mail: what a request must look like, how a server's answer is to be read, what may be stored of
//! it. `commands` call these; nothing here does I/O or reads a clock.

pub mod address_mac;
pub mod circuit;
pub mod digits;
pub mod display_name;
pub mod lifetime;
pub mod locale;
pub mod outcome;
pub mod recipient;
pub mod redact;
pub mod reply;
pub mod sender;
pub mod turn;
pub mod yielding;
