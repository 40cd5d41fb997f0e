//! The `hermes` command: what a person or a backend script does with a Hermes stack.

mod commands;
mod dead_letters;
mod failure;
mod interrupt;
mod listener;
mod notification;
mod output;
mod queue;
mod settings;
mod signed;
mod socket;
mod table;
mod tokens;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hermes::config::Environment;

use crate::settings::{Settings, StackArguments};

const AFTER_HELP: &str = "\
Examples:
  export HERMES_STACK=hermes-dev
  hermes token issue --user alice --room demo
  hermes listen --room demo --user alice
  hermes publish --room demo '{\"type\":\"greeting\",\"data\":\"hello\"}'
  hermes doctor

Instead of --stack, each value can be a variable, which wins over the stack's output:
  HERMES_WEBSOCKET_URL, HERMES_CONNECTIONS_ENDPOINT,
  HERMES_MESSAGE_QUEUE_URL, HERMES_DEAD_LETTER_QUEUE_URL,
  HERMES_DELIVERY_QUEUE_URL, HERMES_DELIVERY_DEAD_LETTER_QUEUE_URL,
  HERMES_CONNECTIONS_TABLE, HERMES_CREDENTIALS_TABLE, HERMES_STREAMS_TABLE,
  HERMES_SHARDED_ROOMS,
  HERMES_JWT_SECRET_ARN or HERMES_JWT_SECRET, HERMES_PASSCODE_SECRET_ARN or HERMES_PASSCODE
Credentials and region are found as in the AWS CLI; AWS_ENDPOINT_URL leads to a local stack.

Exit codes:
  0  done
  1  not done: refused, not found, not reachable, interrupted before the end
  2  wrong arguments, or a setting is missing
  3  doctor: it works, but somebody should look";

/// Notifications from the command line: tokens, rooms and messages of a Hermes stack, and whether it is well
#[derive(Debug, Parser)]
#[command(name = "hermes", version, after_help = AFTER_HELP, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    stack: StackArguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Issue, revoke and inspect the tokens that clients connect with
    #[command(subcommand)]
    Token(commands::token::Token),
    /// Look at what could not be handled, send it back, or delete it
    #[command(subcommand)]
    Dlq(commands::dlq::Dlq),
    Listen(commands::listen::Listen),
    Publish(commands::publish::Publish),
    Rooms(commands::rooms::Rooms),
    Members(commands::members::Members),
    Kick(commands::kick::Kick),
    History(commands::history::History),
    Tail(commands::tail::Tail),
    Doctor(commands::doctor::Doctor),
    Bench(commands::bench::Bench),
    Cost(commands::cost::Cost),
    Completions(commands::completions::Completions),
    Man(commands::man::Man),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    use commands::dlq::Dlq;
    use commands::token::Token;

    let Cli { command, stack } = Cli::parse();
    let settings = Settings::new(stack, Environment::from_process());
    let result = match command {
        Command::Token(Token::Issue(command)) => command.run(&settings).await,
        Command::Token(Token::Revoke(command)) => command.run(&settings).await,
        Command::Token(Token::Inspect(command)) => command.run(&settings).await,
        Command::Dlq(Dlq::List(command)) => command.run(&settings).await,
        Command::Dlq(Dlq::Show(command)) => command.run(&settings).await,
        Command::Dlq(Dlq::Redrive(command)) => command.run(&settings).await,
        Command::Dlq(Dlq::Purge(command)) => command.run(&settings).await,
        Command::Listen(command) => command.run(&settings).await,
        Command::Publish(command) => command.run(&settings).await,
        Command::Rooms(command) => command.run(&settings).await,
        Command::Members(command) => command.run(&settings).await,
        Command::Kick(command) => command.run(&settings).await,
        Command::History(command) => command.run(&settings).await,
        Command::Tail(command) => command.run(&settings).await,
        Command::Doctor(command) => command.run(&settings).await,
        Command::Bench(command) => command.run(&settings).await,
        Command::Cost(command) => command.run(),
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
    };
    result.unwrap_or_else(|failure| {
        if !failure.is_silent() {
            output::error(&failure);
        }
        failure.exit_code()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples() {
        fn examine(command: &clap::Command, without: &mut Vec<String>) {
            let help = command.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            if !command.has_subcommands() && !help.starts_with("Examples:\n  hermes ") {
                without.push(command.get_name().to_owned());
            }
            command
                .get_subcommands()
                .for_each(|sub| examine(sub, without));
        }
        let mut without = Vec::new();
        examine(&Cli::command(), &mut without);
        assert!(without.is_empty(), "{without:?}");
    }
}
