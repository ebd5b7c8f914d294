//! The way to a file or folder: followed from the root, and refused where somebody else could lead
//! us astray.

use std::{
    collections::VecDeque,
    fs::{self, Metadata},
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
};

use super::refused::{FileRefused, us};

/// As many as Linux follows.
const LINKS: u32 = 40;

/// What becomes of a link at the very end of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    Followed,
    AsItIs,
}

/// Where `path` really is. What lies beyond the last folder that exists is taken as it stands.
pub(super) fn follow(path: &Path, last: Last) -> Result<PathBuf, FileRefused> {
    let absolute = std::path::absolute(path);
    let absolute = absolute.map_err(|error| FileRefused::io(path, "found", &error))?;
    let mut ahead: VecDeque<PathBuf> = steps(&absolute).collect();
    let (mut here, mut links) = (PathBuf::from("/"), 0);
    while let Some(step) = ahead.pop_front() {
        if step == Path::new("/") {
            here = step;
            continue;
        }
        if step == Path::new("..") {
            here.pop();
            continue;
        }
        let next = here.join(step);
        let is_last = ahead.is_empty();
        let facts = match fs::symlink_metadata(&next) {
            Ok(facts) => facts,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                here = next;
                here.extend(ahead);
                break;
            }
            Err(error) => return Err(FileRefused::io(&next, "looked at", &error)),
        };
        if facts.is_symlink() && !(is_last && last == Last::AsItIs) {
            if !is_trusted(facts.uid()) {
                return Err(FileRefused::is_strange_link(&next, facts.uid()));
            }
            links += 1;
            let target = fs::read_link(&next).and_then(|target| match links > LINKS {
                true => Err(io::Error::other("too many links")),
                false => Ok(target),
            });
            let target = target.map_err(|error| FileRefused::io(&next, "followed", &error))?;
            for step in steps(&target).rev() {
                ahead.push_front(step);
            }
            continue;
        }
        if !is_last {
            check(&next, &facts, &absolute)?;
        }
        here = next;
    }
    Ok(here)
}

fn steps(path: &Path) -> impl DoubleEndedIterator<Item = PathBuf> {
    let steps = path.components();
    let steps = steps.filter(|step| *step != Component::CurDir);
    steps.map(|step| PathBuf::from(step.as_os_str()))
}

pub(super) fn check(folder: &Path, facts: &Metadata, path: &Path) -> Result<(), FileRefused> {
    if !is_trusted(facts.uid()) {
        return Err(FileRefused::could_be_replaced_by(facts.uid(), folder, path));
    }
    let (everybody_writes, is_sticky) = (facts.mode() & 0o002 != 0, facts.mode() & 0o1000 != 0);
    match everybody_writes && !is_sticky && facts.is_dir() {
        true => Err(FileRefused::could_be_replaced(facts.mode(), folder, path)),
        false => Ok(()),
    }
}

fn is_trusted(owner: u32) -> bool {
    owner == us() || owner == 0
}
