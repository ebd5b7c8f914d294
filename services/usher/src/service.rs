//! The three services that `usher` runs and talks to, and what each of them has one of.

use std::ops::{Index, IndexMut};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    Accounts,
    Verification,
    Mailer,
}

impl Service {
    /// In the order of the journey.
    pub(crate) const ALL: [Self; 3] = [Self::Accounts, Self::Verification, Self::Mailer];

    /// What its command, its process and its spans are called.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Verification => "verification",
            Self::Mailer => "mailer",
        }
    }

    /// Its usual gRPC port; the admin listener is 100 above.
    pub(crate) const fn port(self) -> u16 {
        match self {
            Self::Accounts => 50051,
            Self::Verification => 50052,
            Self::Mailer => 50053,
        }
    }
}

/// A value of each service, as `values[service]`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct PerService<T> {
    pub(crate) accounts: T,
    pub(crate) verification: T,
    pub(crate) mailer: T,
}

impl<T> PerService<T> {
    /// Makes the values in the order of the journey.
    pub(crate) fn of(mut value_of: impl FnMut(Service) -> T) -> Self {
        Self {
            accounts: value_of(Service::Accounts),
            verification: value_of(Service::Verification),
            mailer: value_of(Service::Mailer),
        }
    }
}

impl<T> IndexMut<Service> for PerService<T> {
    fn index_mut(&mut self, service: Service) -> &mut T {
        match service {
            Service::Accounts => &mut self.accounts,
            Service::Verification => &mut self.verification,
            Service::Mailer => &mut self.mailer,
        }
    }
}

impl<T> Index<Service> for PerService<T> {
    type Output = T;

    fn index(&self, service: Service) -> &T {
        match service {
            Service::Accounts => &self.accounts,
            Service::Verification => &self.verification,
            Service::Mailer => &self.mailer,
        }
    }
}
