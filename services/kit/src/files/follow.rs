//! A secret that is read again and again, so that it can be renewed without a restart.

use std::{path::PathBuf, time::Duration};

use tokio::{task::spawn_blocking, time::sleep};

use super::FileRefused;

/// How often a file is read.
const READ_EVERY: Duration = Duration::from_secs(2);

/// Reads `path` every few seconds, by `read`, and hands what differs from `known` to `take`. What
/// cannot be read changes nothing and is logged, each reason once. Never returns.
pub async fn follow<T: Clone + PartialEq + Send + 'static>(
    path: PathBuf,
    mut known: T,
    read: fn(&std::path::Path) -> Result<T, FileRefused>,
    mut take: impl FnMut(T),
) {
    let mut refused = None;
    loop {
        sleep(READ_EVERY).await;
        let path = path.clone();
        // In a thread of its own: a file system that hangs holds up nothing else.
        let Ok(found) = spawn_blocking(move || read(&path)).await else {
            continue;
        };
        match found {
            Ok(new) => {
                refused = None;
                if new != known {
                    known = new.clone();
                    take(new);
                }
            }
            Err(why) => {
                let why = why.to_string();
                if refused.as_ref() != Some(&why) {
                    tracing::error!("{why} Until then what was read before holds.");
                }
                refused = Some(why);
            }
        }
    }
}
