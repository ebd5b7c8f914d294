//! One journey as a picture: flat spans come in, a tree ordered by time is made of them, a
//! waterfall goes to the terminal (`usher demo`, `usher up`, and `usher trace`, which reads the
//! spans from Jaeger).

pub(crate) mod jaeger;
mod journeys;
mod labels;
mod show;
mod steps;
mod tree;
mod waterfall;

use clap::Subcommand;

use crate::{exit::Failure, output::Format};

pub(crate) use journeys::Journeys;
pub(crate) use labels::short;
pub(crate) use steps::{is_rooted, missing_of_sign_up};
pub(crate) use waterfall::render;

#[derive(Debug, Subcommand)]
pub(crate) enum TraceCommand {
    Show(show::ShowTraceArguments),
}

pub(crate) async fn run(command: TraceCommand, format: Format) -> Result<(), Failure> {
    match command {
        TraceCommand::Show(arguments) => show::run(arguments, format).await,
    }
}
