//! `hermes man`: the manual pages, made of the commands themselves.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man as Page;

use crate::Cli;
use crate::failure::Failure;
use crate::output;
use crate::table::count;

const EXAMPLES: &str = "\
Examples:
  hermes man ~/.local/share/man/man1    # then: man hermes, man hermes-doctor
  hermes man docs/man                   # after a change of a command";

/// Write the manual pages, one for each command
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Man {
    /// The folder to write them to; it is made where it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Man {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let pages = pages()?;
        let written = write(&self.directory, &pages);
        written.map_err(|error| {
            let directory = self.directory.display();
            Failure::new(format!("cannot write to {directory}: {error}"))
        })?;
        let directory = self.directory.display();
        let written = count(pages.len(), "page");
        output::status(format_args!("wrote {written} to {directory}"));
        Ok(ExitCode::SUCCESS)
    }
}

fn write(directory: &Path, pages: &[(String, Vec<u8>)]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    pages
        .iter()
        .try_for_each(|(name, page)| fs::write(directory.join(name), page))
}

/// The file names and contents of all pages.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    add(&command, &mut pages)?;
    Ok(pages)
}

fn add(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    // No date, so that a page changes only with its command.
    let version = concat!("hermes ", env!("CARGO_PKG_VERSION"));
    let page = Page::new(command.clone()).source(version).manual("Hermes");
    let mut text = Vec::new();
    page.render(&mut text)?;
    pages.push((page.get_filename(), text));
    let mut commands = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    commands.try_for_each(|sub| add(sub, pages))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is checked in is what this version says of itself.
    #[test]
    fn the_manual_is_current() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/man");
        let pages = pages().unwrap();
        for (name, page) in &pages {
            let kept = fs::read(directory.join(name)).unwrap_or_default();
            assert_eq!(
                String::from_utf8_lossy(&kept),
                String::from_utf8_lossy(page),
                "docs/man/{name} is old: run `target/debug/hermes man docs/man`"
            );
        }
        let kept = fs::read_dir(&directory).unwrap().count();
        assert_eq!(kept, pages.len(), "docs/man has a page of no command");
    }
}
