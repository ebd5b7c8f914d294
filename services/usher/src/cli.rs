//! The command line: every command, what `--help` teaches, and where each command goes.

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::{
    account, config, demo, dlq, doctor, exit, keys, local, mail, migrate, nats,
    output::Format,
    serve,
    service::Service,
    target::{DataFlag, Target},
};

/// Signs people up and makes sure that their verification mail arrives
#[derive(Debug, Parser)]
#[command(
    name = "usher",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 110,
    after_help = "`usher COMMAND --help` shows examples; `usher --help` also exit codes and the environment."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) folder: DataFlag,
    /// What answers look like
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Misspelt variables, a sentence each.
    #[arg(skip)]
    pub(crate) slips: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(demo::DemoArguments),
    Up(local::up::UpArguments),
    /// Sign people up, confirm them, watch them
    Account(Client<account::AccountCommand>),
    /// What became of mails, and how they look
    Mail(Client<mail::MailCommand>),
    /// Events that no handler could use
    Dlq(Client<dlq::DlqCommand>),
    Doctor(doctor::DoctorArguments),
    /// The broker's streams
    Nats(Client<nats::NatsCommand>),
    Migrate(migrate::MigrateArguments),
    /// Secret keys from which codes are derived, and their rotation
    Keys(Client<keys::KeysCommand>),
    Config(config::ConfigArguments),
    /// Run the service accounts alone: takes sign-ups
    ///
    /// Settings come from flags, else the environment, else the TOML file that USHER_CONFIG names,
    /// else defaults. SIGTERM lets it finish what it has begun, within ten seconds.
    Accounts(Box<serve::ServeArguments<accounts::config::Config>>),
    /// Run the service verification alone: makes codes, confirms them
    ///
    /// Settings come from flags, else the environment, else the TOML file that USHER_CONFIG names,
    /// else defaults. SIGTERM lets it finish what it has begun, within ten seconds.
    Verification(Box<serve::ServeArguments<verification::config::Config>>),
    /// Run the service mailer alone: sends the mails
    ///
    /// Settings come from flags, else the environment, else the TOML file that USHER_CONFIG names,
    /// else defaults. SIGTERM lets it finish what it has begun, within ten seconds.
    Mailer(Box<serve::ServeArguments<mailer::config::Config>>),
}

/// Commands that talk to services, and where those are.
#[derive(Debug, Args)]
pub(crate) struct Client<C: Subcommand> {
    #[command(subcommand)]
    pub(crate) command: C,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// The whole command tree with its help.
pub(crate) fn command() -> clap::Command {
    let codes = exit::help();
    let mut command = Cli::command();
    // Flags of all commands mean nothing to a service; its help is long enough.
    let mut hidden = Vec::new();
    for argument in command.get_arguments() {
        if argument.is_global_set() {
            hidden.push(argument.clone().hide(true));
        }
    }
    for service in Service::ALL {
        command = command.mut_subcommand(service.name(), |service| service.args(hidden.clone()));
    }
    command.after_long_help(format!(
        "Start here:
  usher demo                                  see everything work, in half a minute
  usher up                                    run everything on this machine
  usher account create ada@example.com        sign somebody up
  usher doctor                                find out what is wrong

Exit codes:
{codes}
Environment:
  USHER_DATA                     the folder of --data
  USHER_ACCOUNTS_URL, USHER_VERIFICATION_URL, USHER_MAILER_URL, USHER_NATS_URL
                                 where the parts are, instead of the running `usher up`
  USHER_ADMIN_TOKEN_FILE         the token for operators' commands
  USHER_CONFIG                   the TOML file with settings of the services
  USHER_MAIL_URL                 smtp://…, smtps://… or file:…, for `usher up` and `usher demo`
  USHER_NATS_SERVER              the nats-server executable, instead of the one on PATH
  OTEL_EXPORTER_OTLP_ENDPOINT    where traces go
  RUST_LOG                       what is logged; never affects traces
  NO_COLOR                       no colours (there are none anyway where no terminal reads)

An empty variable counts as unset. `usher SERVICE --help` lists the settings of accounts,
verification and mailer; `usher config` shows what holds, and where it came from."
    ))
}
