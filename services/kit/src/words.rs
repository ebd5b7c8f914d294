//! What the system says of files and connections, in words: for whoever reads it, "os error 111" is
//! none. And how several sentences become one.

use std::io::{self, ErrorKind};

/// Of an error of the system, what happened; no full stop, so that it can end any sentence.
pub fn of_io(error: &io::Error) -> String {
    let words = match error.kind() {
        ErrorKind::ConnectionRefused => "the connection is refused: nothing listens there",
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => "the connection was closed",
        ErrorKind::TimedOut => "no answer in time",
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "no way leads to that host",
        ErrorKind::AddrInUse => "another program listens there",
        ErrorKind::AddrNotAvailable => "the address is none of this machine's",
        ErrorKind::PermissionDenied => "this user may not",
        ErrorKind::NotFound => "there is no such file or folder",
        ErrorKind::StorageFull => "no space is left",
        _ => return of_another(&error.to_string()),
    };
    words.to_owned()
}

/// An error and its causes as one sentence without its full stop: each of them may end with one.
pub fn of_chain(error: &anyhow::Error) -> String {
    let mut parts = Vec::new();
    for cause in error.chain() {
        parts.push(cause.to_string().trim_end_matches('.').to_owned());
    }
    parts.join(": ")
}

fn of_another(text: &str) -> String {
    // The resolver's errors have no kind of their own.
    if let Some(why) = text.strip_prefix("failed to lookup address information: ") {
        return format!("the name is not known ({why})");
    }
    let text = text.split(" (os error").next().unwrap_or(text);
    text.to_owned()
}
