//! `usher completions`: what a shell needs to complete commands, flags and their values.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::terminal;

/// Print what lets a shell complete commands, flags and their values
///
/// A new shell reads it from the places that the examples name; packages of usher put it there.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  source <(usher completions bash)     # in this shell only
  usher completions bash > ~/.local/share/bash-completion/completions/usher
  usher completions zsh > ~/.zfunc/_usher
  # zsh: with `fpath+=~/.zfunc` before `compinit` in ~/.zshrc
  usher completions fish > ~/.config/fish/completions/usher.fish
  usher completions elvish >> ~/.config/elvish/rc.elv
  usher completions powershell >> $PROFILE")]
pub(crate) struct CompletionsArguments {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(arguments: &CompletionsArguments, mut usher: Command) {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut usher, "usher", &mut script);
    terminal::print(&String::from_utf8_lossy(&script));
}
