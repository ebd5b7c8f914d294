//! Variables of this process.

use std::ffi::OsString;

/// Environment variable that names the TOML file.
pub const FILE_VARIABLE: &str = "USHER_CONFIG";

/// A variable of this process. An empty one counts as unset, everywhere: it is how whoever writes a
/// unit file or a compose file says that there is nothing to say.
pub fn environment(variable: &str) -> Option<OsString> {
    std::env::var_os(variable).filter(|value| !value.is_empty())
}
