//! `hermes completions`: completions for a shell.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::Cli;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  hermes completions bash > ~/.local/share/bash-completion/completions/hermes
  hermes completions zsh > \"${fpath[1]}/_hermes\"
  hermes completions fish > ~/.config/fish/completions/hermes.fish";

/// Print the completions for a shell
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "hermes", &mut script);
        std::io::stdout().write_all(&script)?;
        Ok(ExitCode::SUCCESS)
    }
}
