//! What faults befall: processes, the connections between them, and the disks under them.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// One place of a system. Not every system has all of them.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The service accounts
    Accounts,
    /// The service verification
    Verification,
    /// The service mailer
    Mailer,
    /// The broker
    NatsServer,
    /// The database server of all three, each with a database of its own
    Postgres,
    /// `usher up`, which runs the others
    Up,
    /// Between callers and accounts
    CallersToAccounts,
    /// Between callers and verification
    CallersToVerification,
    /// Between accounts and Postgres
    AccountsToPostgres,
    /// Between verification and Postgres
    VerificationToPostgres,
    /// Between mailer and Postgres
    MailerToPostgres,
    /// Between accounts and the broker
    AccountsToNats,
    /// Between verification and the broker
    VerificationToNats,
    /// Between verification and mailer
    VerificationToMailer,
    /// Between mailer and its mail server
    MailerToSink,
    /// Under the SQLite file of accounts
    AccountsDisk,
    /// Under the SQLite file of verification
    VerificationDisk,
    /// Under the SQLite file of mailer
    MailerDisk,
    /// Under the broker's store
    NatsDisk,
    /// Under Postgres
    PostgresDisk,
}

/// Those of a system that are services of ours.
pub(crate) const SERVICES: [Place; 3] = [Place::Accounts, Place::Verification, Place::Mailer];

/// What kind of place it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    Process,
    Connection,
    Disk,
}

/// How a system is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ground {
    /// Each service by itself on its SQLite file
    Sqlite,
    /// Each service by itself on Postgres, two replicas of each
    Postgres,
    /// All as children of `usher up`, on SQLite
    Up,
}

/// One of the places of this kind: with replicas there are several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot {
    /// Where.
    pub place: Place,
    /// Of which replica, from 0.
    pub replica: usize,
}

impl Place {
    /// As it is written on the command line, and as `usher up` calls its children.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Verification => "verification",
            Self::Mailer => "mailer",
            Self::NatsServer => "nats-server",
            Self::Postgres => "postgres",
            Self::Up => "up",
            Self::CallersToAccounts => "callers-to-accounts",
            Self::CallersToVerification => "callers-to-verification",
            Self::AccountsToPostgres => "accounts-to-postgres",
            Self::VerificationToPostgres => "verification-to-postgres",
            Self::MailerToPostgres => "mailer-to-postgres",
            Self::AccountsToNats => "accounts-to-nats",
            Self::VerificationToNats => "verification-to-nats",
            Self::VerificationToMailer => "verification-to-mailer",
            Self::MailerToSink => "mailer-to-sink",
            Self::AccountsDisk => "accounts-disk",
            Self::VerificationDisk => "verification-disk",
            Self::MailerDisk => "mailer-disk",
            Self::NatsDisk => "nats-disk",
            Self::PostgresDisk => "postgres-disk",
        }
    }

    pub(crate) fn nature(self) -> Nature {
        match self {
            Self::Accounts
            | Self::Verification
            | Self::Mailer
            | Self::NatsServer
            | Self::Postgres
            | Self::Up => Nature::Process,
            Self::CallersToAccounts
            | Self::CallersToVerification
            | Self::AccountsToPostgres
            | Self::VerificationToPostgres
            | Self::MailerToPostgres
            | Self::AccountsToNats
            | Self::VerificationToNats
            | Self::VerificationToMailer
            | Self::MailerToSink => Nature::Connection,
            Self::AccountsDisk
            | Self::VerificationDisk
            | Self::MailerDisk
            | Self::NatsDisk
            | Self::PostgresDisk => Nature::Disk,
        }
    }

    /// Whether each replica of a service has one of its own.
    fn is_replicated(self) -> bool {
        let is_server = matches!(self, Self::NatsServer | Self::Postgres | Self::Up);
        !is_server && self.nature() != Nature::Disk
    }
}

impl Ground {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Up => "up",
        }
    }

    /// Replicas of each service: with SQLite there can be only one.
    pub fn replicas(self) -> usize {
        match self {
            Self::Sqlite | Self::Up => 1,
            Self::Postgres => 2,
        }
    }

    /// What can be befallen.
    pub fn places(self) -> Vec<Place> {
        let mut places = Place::value_variants().to_vec();
        places.retain(|place| self.has(*place));
        places
    }

    fn has(self, place: Place) -> bool {
        match place {
            Place::Accounts | Place::Verification | Place::Mailer | Place::NatsServer => true,
            Place::Up => self == Self::Up,
            Place::CallersToAccounts
            | Place::CallersToVerification
            | Place::AccountsToNats
            | Place::VerificationToNats
            | Place::VerificationToMailer
            | Place::NatsDisk => self != Self::Up,
            Place::MailerToSink => true,
            Place::Postgres
            | Place::AccountsToPostgres
            | Place::VerificationToPostgres
            | Place::MailerToPostgres
            | Place::PostgresDisk => self == Self::Postgres,
            Place::AccountsDisk | Place::VerificationDisk | Place::MailerDisk => {
                self == Self::Sqlite
            }
        }
    }

    /// Every spot at which one of these places is.
    pub(crate) fn spots(self, places: &[Place]) -> Vec<Spot> {
        let each = places.iter().filter(|place| self.has(**place));
        let spots = each.flat_map(|place| {
            let replicas = match place.is_replicated() {
                true => self.replicas(),
                false => 1,
            };
            (0..replicas).map(|replica| Spot {
                place: *place,
                replica,
            })
        });
        spots.collect()
    }
}

impl From<Place> for Spot {
    fn from(place: Place) -> Self {
        Self { place, replica: 0 }
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.place.name();
        match self.replica {
            0 => write!(f, "{name}"),
            more => write!(f, "{name} {}", more + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::builder::PossibleValue;

    use super::*;

    #[test]
    fn a_place_is_named_as_on_the_command_line() {
        for place in Place::value_variants() {
            let value = place.to_possible_value();
            assert_eq!(
                value.as_ref().map(PossibleValue::get_name),
                Some(place.name())
            );
        }
    }

    #[test]
    fn every_place_is_somewhere_and_only_services_and_their_connections_have_replicas() {
        for place in Place::value_variants() {
            let grounds = Ground::value_variants().iter();
            assert!(
                grounds.clone().any(|ground| ground.has(*place)),
                "{place:?}"
            );
        }
        let spots =
            Ground::Postgres.spots(&[Place::Accounts, Place::Postgres, Place::AccountsDisk]);
        let told: Vec<_> = spots.iter().map(Spot::to_string).collect();
        assert_eq!(told, ["accounts", "accounts 2", "postgres"]);
    }
}
