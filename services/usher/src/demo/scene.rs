//! How the demo speaks: numbered chapters, facts under them, boxes and pictures; aside when
//! standard output belongs to JSON.

use std::{cell::Cell, path::Path};

use crate::{
    output::Format,
    terminal::{CODE, DIM, GOOD, Progress, STRONG, WARN, program},
};

#[derive(Debug)]
pub(super) struct Scene {
    format: Format,
    chapter: Cell<u32>,
}

impl Scene {
    pub(super) fn new(format: Format) -> Self {
        Self {
            format,
            chapter: Cell::new(0),
        }
    }

    pub(super) fn say(&self, text: impl AsRef<str>) {
        self.format.narrate(text);
    }

    pub(super) fn progress(&self) -> Progress {
        self.format.progress()
    }

    pub(super) fn opening(&self) {
        self.say(format!(
            "{STRONG}Usher{STRONG:#} takes a sign-up and makes sure that its verification mail arrives:\n\
             never lost, never doubled, and visible all the way."
        ));
    }

    pub(super) fn chapter(&self, title: &str) {
        let number = self.chapter.get() + 1;
        self.chapter.set(number);
        self.say(format!("\n{STRONG}{number}  {title}{STRONG:#}"));
    }

    /// Something that went as it should.
    pub(super) fn fact(&self, what: &str) {
        self.say(format!("  {GOOD}✓{GOOD:#} {what}"));
    }

    /// Something that was done to the system.
    pub(super) fn blow(&self, what: &str) {
        self.say(format!("  {WARN}✗{WARN:#} {what}"));
    }

    /// What to do after the demo.
    pub(super) fn try_next(&self) {
        let usher = program();
        let wide = usher.len() + 32;
        let line = |command: &str, what: &str| {
            format!(
                "  {CODE}{:<wide$}{CODE:#} {DIM}{what}{DIM:#}\n",
                format!("{usher} {command}")
            )
        };
        let lines = [
            line("demo --keep", "this, left running"),
            line("up", "run it on this machine"),
            line("account create you@example.com", "… and sign yourself up"),
            line("doctor", "how every part is"),
            line("--help", "everything else"),
        ];
        self.say(format!(
            "\n{STRONG}Try next{STRONG:#}\n{}",
            lines.concat().trim_end()
        ));
    }

    /// Says that it is still running, and where.
    pub(super) fn kept(&self, data: &Path) {
        let here = std::env::current_dir().unwrap_or_default();
        let (usher, data) = (program(), data.strip_prefix(here).unwrap_or(data).display());
        self.say(format!(
            "\n{STRONG}Still running{STRONG:#} until Ctrl-C. In another terminal:\n  \
             {CODE}{usher} --data {data} account list{CODE:#}\n  \
             {CODE}{usher} --data {data} mail list{CODE:#}\n  \
             {CODE}{usher} --data {data} doctor{CODE:#}"
        ));
    }
}
