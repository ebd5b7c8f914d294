//! Why a file or folder is not used, in one line, and the command that mends it.

use std::{io, path::Path};

use crate::words;

/// A refusal: what is wrong and where, and what mends it.
#[derive(Debug, thiserror::Error)]
#[error("{what}. {mend}")]
pub struct FileRefused {
    what: String,
    mend: String,
    kind: Option<io::ErrorKind>,
}

impl FileRefused {
    fn new(what: String, mend: String) -> Self {
        let kind = None;
        Self { what, mend, kind }
    }

    /// What is wrong, and where.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What mends it, as sentences with a command.
    pub fn mend(&self) -> &str {
        &self.mend
    }

    /// Whether there is nothing at that place.
    pub fn is_missing(&self) -> bool {
        self.kind == Some(io::ErrorKind::NotFound)
    }

    /// What else can be done.
    #[must_use]
    pub fn or(mut self, otherwise: &str) -> Self {
        let end = self.mend.trim_end_matches('.').len();
        self.mend.truncate(end);
        self.mend.push_str("; ");
        self.mend.push_str(otherwise);
        self
    }

    /// The same, said of something that has a name.
    #[must_use]
    pub(super) fn about(mut self, what: &str) -> Self {
        self.what = format!("{what}: {}", self.what);
        self
    }

    /// One that is missing, and not ours to make.
    #[must_use]
    pub(super) fn brought_by_operators(self) -> Self {
        if !self.is_missing() {
            return self;
        }
        self.mended_by(
            "Put it there, the same for all replicas: docs/settings.md says under Secrets how it is made. It is read \
             within a second"
                .to_owned(),
        )
    }

    /// A secret that is not what it should be. `why` quotes nothing of it.
    pub fn makes_no_sense(what: &str, path: &Path, why: &dyn std::fmt::Display) -> Self {
        let path = shown(path);
        Self::new(
            format!("{what}: {path} cannot be used: {why}"),
            format!("Bring it back from a backup; or, to begin with a new one, run: rm {path}"),
        )
    }

    /// The same, mended by something else.
    #[must_use]
    pub fn mended_by(mut self, mend: String) -> Self {
        self.mend = mend;
        self
    }

    pub(super) fn io(path: &Path, cannot: &str, error: &io::Error) -> Self {
        let shown = shown(path);
        let mut refused = Self::new(
            format!("{shown} cannot be {cannot}: {}", words::of_io(error)),
            format!("Look at it: ls -ld {shown}"),
        );
        refused.kind = Some(error.kind());
        refused
    }

    pub(super) fn is_link(path: &Path) -> Self {
        let path = shown(path);
        Self::new(
            format!("{path} is a link, and is not followed"),
            format!("Run: rm {path}"),
        )
    }

    /// One of ours, to a folder.
    pub(super) fn is_own_link(path: &Path, target: &Path) -> Self {
        let what = format!("{} is a link, and is not followed", shown(path));
        Self::new(what, format!("Name what it leads to: {}", shown(target)))
    }

    pub(super) fn is_strange_link(link: &Path, owner: u32) -> Self {
        let link = shown(link);
        Self::new(
            format!("{link} is a link of user {owner}, and is not followed"),
            format!("Choose another place, or remove it: rm {link}"),
        )
    }

    pub(super) fn is_not_a(kind: &str, path: &Path) -> Self {
        let path = shown(path);
        Self::new(
            format!("{path} is no {kind}"),
            format!("Move it away: mv {path} {path}.old"),
        )
    }

    pub(super) fn belongs_to(owner: u32, path: &Path, is_folder: bool) -> Self {
        let (us, path) = (us(), shown(path));
        let what = format!("{path} belongs to user {owner}, and this runs as user {us}");
        let (chown, otherwise) = match is_folder {
            true => ("chown -R", "choose another folder".to_owned()),
            false => ("chown", format!("rm {path}")),
        };
        let mend =
            format!("If what it holds is yours, run: {chown} {us} {path}; otherwise {otherwise}");
        Self::new(what, mend)
    }

    /// `chmod` is the command without the path that it is for.
    pub(super) fn is_open(mode: u32, path: &Path, chmod: &str, on: &Path) -> Self {
        let may = match mode & 0o044 {
            0 => "use",
            _ => "read",
        };
        Self::new(
            format!(
                "others may {may} {} (mode {:04o})",
                shown(path),
                mode & 0o7777
            ),
            format!("Run: {chmod} {}", shown(on)),
        )
    }

    pub(super) fn has_two_names(path: &Path) -> Self {
        let path = shown(path);
        Self::new(
            format!("{path} has a second name, under which it may be somebody else's"),
            format!("Run: cp {path} {path}.new && mv {path}.new {path}"),
        )
    }

    pub(super) fn could_be_replaced_by(owner: u32, folder: &Path, path: &Path) -> Self {
        let (folder, path) = (shown(folder), shown(path));
        Self::new(
            format!(
                "{folder} belongs to user {owner}, who could put something else in the place of {path}"
            ),
            format!(
                "Choose a place below folders of yours, or run: chown {} {folder}",
                us()
            ),
        )
    }

    pub(super) fn could_be_replaced(mode: u32, folder: &Path, path: &Path) -> Self {
        let (folder, path) = (shown(folder), shown(path));
        let mode = mode & 0o7777;
        Self::new(
            format!(
                "everybody may write to {folder} (mode {mode:04o}), and put something else in the place of {path}"
            ),
            format!("Run: chmod o-w {folder}"),
        )
    }
}

impl From<FileRefused> for io::Error {
    fn from(refused: FileRefused) -> Self {
        let kind = refused.kind.unwrap_or(io::ErrorKind::PermissionDenied);
        Self::new(kind, refused)
    }
}

/// The user who runs this process.
pub(super) fn us() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// A path as a shell takes it, on one line.
pub(super) fn shown(path: &Path) -> String {
    let text = path.display().to_string().replace(char::is_control, "?");
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::shown;

    #[test]
    fn a_path_in_a_command_is_one_word_on_one_line() {
        assert_eq!(shown(Path::new("/var/lib/usher")), "/var/lib/usher");
        assert_eq!(shown(Path::new("/my data/o'x")), r"'/my data/o'\''x'");
        assert_eq!(shown(Path::new("/a\nb;rm")), "'/a?b;rm'");
    }
}
