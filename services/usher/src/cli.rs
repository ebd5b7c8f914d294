//! The command line: every command, what `--help` teaches, and where each command goes.

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::{
    account, cluster, completions, config, demo, dlq, doctor, exit,
    help::Color,
    keys, local, logs, mail, mailbox, man, migrate, nats,
    output::Format,
    serve,
    service::Service,
    target::{DataFlag, Target},
    trace, version,
};

/// Signs people up and makes sure that their verification mail arrives
#[derive(Debug, Parser)]
#[command(
    name = "usher",
    arg_required_else_help = true,
    max_term_width = 110,
    after_help = "`usher COMMAND --help` shows examples; `usher --help` also exit codes and the environment."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) folder: DataFlag,
    /// What answers look like
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    output: Format,
    /// Say only what the next command needs: ids, one a line, and nothing where there is none
    #[arg(short, long, global = true, conflicts_with = "output")]
    quiet: bool,
    /// When to use colours; auto: on a terminal, unless NO_COLOR is set
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t = Color::Auto,
        value_name = "WHEN",
        hide_possible_values = true
    )]
    color: Color,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// What answers look like.
    pub(crate) fn format(&self) -> Format {
        match self.quiet {
            true => Format::Quiet,
            false => self.output,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(demo::DemoArguments),
    Up(local::up::UpArguments),
    Logs(logs::LogsArguments),
    /// Sign people up, confirm them, watch them
    #[command(
        disable_help_subcommand = true,
        after_help = "Examples:
  usher account create ada@example.com --name Ada     # sign somebody up
  usher account watch ada@example.com                 # see it happen
  usher account confirm ada@example.com 1234 5678     # with the code from the mail
  usher account list --status pending                 # who has not confirmed yet

`usher account COMMAND --help` shows more of each."
    )]
    Account(Client<account::AccountCommand>),
    /// What became of mails, and how they look
    #[command(
        disable_help_subcommand = true,
        after_help = "Examples:
  usher mail list                         # the newest attempts, with the mail server's answers
  usher mail show MAIL                    # every attempt on one mail
  usher mail preview --locale de          # how it looks; nothing is sent

`usher mail COMMAND --help` shows more of each."
    )]
    Mail(Client<mail::MailCommand>),
    Mailbox(mailbox::MailboxArguments),
    /// Events that no handler could use
    #[command(
        disable_help_subcommand = true,
        after_help = "Examples:
  usher dlq list                                      # which ones there are, and why
  usher dlq show LETTER                               # one of them, whole
  usher dlq replay --reason unknown_account           # handle them again, once the reason is gone
  usher dlq drop --older-than 7d --dry-run            # what would be deleted for good

`usher dlq COMMAND --help` shows more of each."
    )]
    Dlq(Client<dlq::DlqCommand>),
    Doctor(doctor::DoctorArguments),
    /// Journeys, as a Jaeger keeps them
    #[command(
        disable_help_subcommand = true,
        after_help = "Examples:
  usher trace show TRACE --jaeger-url http://127.0.0.1:16686   # drawn, with what is missing
  usher trace show ACCOUNT                                     # that of the account's sign-up

`usher trace COMMAND --help` shows more of each."
    )]
    Trace {
        #[command(subcommand)]
        command: trace::TraceCommand,
    },
    /// The broker's streams
    #[command(
        disable_help_subcommand = true,
        after_help = "Examples:
  usher nats status                       # streams, who reads them and how far
  usher nats provision                    # make or correct them; safe to repeat
  usher nats provision --replicas 3       # in a cluster

`usher nats COMMAND --help` shows more of each."
    )]
    Nats(Client<nats::NatsCommand>),
    /// In a Kubernetes cluster: make secrets once, see that everything works
    #[command(
        disable_help_subcommand = true,
        after_help = "Examples:
  usher cluster secrets --plan plan.json  # in a Job: make what is missing, change nothing
  usher cluster smoke                     # sign a person up and see that everything works

`usher cluster COMMAND --help` shows more of each."
    )]
    Cluster {
        #[command(subcommand)]
        command: cluster::ClusterCommand,
    },
    #[command(disable_help_subcommand = true)]
    Migrate(migrate::MigrateArguments),
    /// Secret keys from which codes are derived, and their rotation
    #[command(
        disable_help_subcommand = true,
        after_help = "Examples:
  usher keys list                         # which keys there are, and what each is for
  usher keys generate                     # a new one, known and not used
  usher keys activate KEY                 # codes are made with it from now on
  usher keys retire KEY                   # the old one is gone

`usher keys COMMAND --help` shows more of each."
    )]
    Keys(Client<keys::KeysCommand>),
    #[command(disable_help_subcommand = true)]
    Config(config::ConfigArguments),
    Completions(completions::CompletionsArguments),
    Man(man::ManArguments),
    Version(version::VersionArguments),
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
    let mut command = Cli::command()
        .version(version::short())
        .long_version(version::long());
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
  usher demo                                  see everything work, in ten seconds
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
  USHER_MAILBOX_URL              where the mailbox speaks HTTP, for `usher mailbox`
  USHER_NATS_SERVER              the nats-server executable, instead of the one on PATH
  OTEL_EXPORTER_OTLP_ENDPOINT    where traces go
  RUST_LOG                       what is logged; never affects traces
  NO_COLOR, CLICOLOR_FORCE=1     no colours, colours also where no terminal reads; --color wins

An empty variable counts as unset. `usher SERVICE --help` lists the settings of accounts,
verification and mailer; `usher config` shows what holds, and where it came from."
    ))
}
