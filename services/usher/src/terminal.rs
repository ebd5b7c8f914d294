//! The terminal: the one place that writes to standard output and standard error. Colours survive
//! where `--color`, `NO_COLOR`, `CLICOLOR_FORCE` or else a terminal wants them (`anstream` decides).

mod behind;
mod lost;
mod progress;

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anstyle::{AnsiColor, Style};

pub(crate) use behind::{finish, finish_output, write_behind};
pub(crate) use lost::{Lost, lost};
pub(crate) use progress::{Progress, Step};

/// What was asked for.
pub(crate) const STRONG: Style = Style::new().bold();
/// What is secondary.
pub(crate) const DIM: Style = Style::new().dimmed();
/// What went well.
pub(crate) const GOOD: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));
/// What to look at.
pub(crate) const WARN: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow)));
/// What went wrong.
pub(crate) const BAD: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));
/// What can be typed.
pub(crate) const CODE: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Cyan)));

/// What one part of a system says, as a line.
pub(crate) fn of_part(style: Style, part: &str, line: &str) -> String {
    format!("{style}{part:<12}{style:#} {DIM}│{DIM:#} {line}")
}

/// Writes a line to standard output.
pub(crate) fn say(text: impl AsRef<str>) {
    print(&format!("{}\n", text.as_ref()));
}

/// Writes a text that brings its own line ends to standard output.
pub(crate) fn print(text: &str) {
    if behind::print(text) {
        return;
    }
    let mut out = anstream::stdout().lock();
    // Neither a panic, as by `println!`, nor the end of what was begun: an `usher up` whose
    // terminal is gone still serves. How the command ends tells of it (`lib::run`).
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    let _ = written.inspect_err(lost::lose);
}

/// Writes a line to standard error: what is wrong, and progress beside a machine-readable answer.
pub(crate) fn tell(text: impl AsRef<str>) {
    if behind::tell(&format!("{}\n", text.as_ref())) {
        return;
    }
    let _ = writeln!(anstream::stderr().lock(), "{}", text.as_ref());
}

/// How this program was called, for commands that are shown to be typed: `usher`, or
/// `target/debug/usher`.
pub(crate) fn program() -> String {
    let called = PathBuf::from(std::env::args_os().next().unwrap_or_default());
    let here = std::env::current_dir().unwrap_or_default();
    let shown = called.strip_prefix(here).unwrap_or(&called);
    let shown = shown.display().to_string();
    // A path that is longer than this hides the command behind it.
    if shown.is_empty() || shown.len() > 24 {
        return "usher".to_owned();
    }
    shown
}

/// How commands for the system in the folder `data` begin: they look into ./data by themselves.
pub(crate) fn called_for(data: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    match data.strip_prefix(here).unwrap_or(data) {
        usual if usual == Path::new("data") => program(),
        other => format!("{} --data {}", program(), other.display()),
    }
}

/// Whether standard error takes colours: where something else than `tell` draws on it.
pub(super) fn is_colourful() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// Columns of the terminal that standard output is; `None` where it is none.
pub(crate) fn columns() -> Option<u16> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0)
}

/// Columns for pictures: the terminal's, but 80 at least so that they keep their shape.
pub(crate) fn width() -> usize {
    columns().map_or(80, usize::from).max(80)
}
