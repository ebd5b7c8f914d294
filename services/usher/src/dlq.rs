//! `usher dlq …`: dead letters, which accounts and verification keep: looked at, handled again, or
//! dropped.

mod change;
mod drop;
mod list;
mod replay;
mod select;
mod show;
mod view;

use clap::Subcommand;

use crate::{exit::Failure, service::Service, session::Session};

#[derive(Debug, Subcommand)]
pub(crate) enum DlqCommand {
    List(list::ListLettersArguments),
    Show(show::ShowLetterArguments),
    Replay(replay::ReplayArguments),
    Drop(drop::DropArguments),
}

pub(crate) async fn run(command: DlqCommand, session: &Session) -> Result<(), Failure> {
    match command {
        DlqCommand::List(arguments) => list::run(arguments, session).await,
        DlqCommand::Show(arguments) => show::run(arguments, session).await,
        DlqCommand::Replay(arguments) => replay::run(arguments, session).await,
        DlqCommand::Drop(arguments) => drop::run(arguments, session).await,
    }
}

/// How many a service keeps, `most` at most.
pub(crate) async fn count(
    session: &Session,
    service: Service,
    most: usize,
) -> Result<usize, Failure> {
    let filters = select::Filters::of(service);
    let letters = select::select(session, &filters, most).await?;
    Ok(letters.len())
}
