//! Being asked to stop as a supervised child: by a standard input that closes.

use std::io::Read as _;

use tokio::sync::oneshot;

/// Environment variable by which a parent says that the end of standard input means stop. `usher
/// up` sets it: the pipe closes when that process dies, however it dies.
pub(crate) const STOP_WITH_STDIN: &str = "USHER_STOP_WITH_STDIN";

/// Resolves when standard input ends.
pub(crate) async fn stdin_closed() {
    let (ended, end) = oneshot::channel();
    // A thread of its own: a runtime would wait at its own end for a pool thread that still reads.
    std::thread::spawn(move || {
        let mut input = std::io::stdin();
        let mut ignored = [0; 64];
        while let Ok(1..) = input.read(&mut ignored) {}
        let _ = ended.send(());
    });
    let _ = end.await;
}
