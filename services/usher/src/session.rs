//! What every client command needs: where the services are, how to print, and failures that name who failed.

use std::path::Path;

use kit::serve::Client;
use opentelemetry::trace::TraceContextExt as _;
use proto::{
    accounts::{
        accounts_admin_client::AccountsAdminClient, accounts_service_client::AccountsServiceClient,
    },
    mailer::{mailer_admin_client::MailerAdminClient, mailer_service_client::MailerServiceClient},
    verification::verification_service_client::VerificationServiceClient,
};
use tonic::{Status, service::interceptor::InterceptedService};

use crate::{
    exit::Failure,
    output::Format,
    target::{Places, Service, Target, Token},
    terminal::called_for,
};

/// A gRPC client that carries the admin token.
pub(crate) type WithToken = InterceptedService<Client, Token>;

/// One run of a client command.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) places: Places,
    pub(crate) format: Format,
    /// How the next command begins, where one is shown.
    pub(crate) usher: String,
}

impl Session {
    /// Decides where everything is.
    pub(crate) fn new(target: Target, data: &Path, format: Format) -> Self {
        Self {
            places: target.places(data),
            format,
            usher: called_for(data),
        }
    }

    /// accounts.
    pub(crate) fn accounts(&self) -> Result<AccountsServiceClient<Client>, Failure> {
        Ok(AccountsServiceClient::new(
            self.places.channel(Service::Accounts)?,
        ))
    }

    /// accounts, for operators.
    pub(crate) fn accounts_admin(&self) -> Result<AccountsAdminClient<WithToken>, Failure> {
        let (channel, token) = self.places.admin(Service::Accounts)?;
        Ok(AccountsAdminClient::with_interceptor(channel, token))
    }

    /// verification.
    pub(crate) fn verification(&self) -> Result<VerificationServiceClient<Client>, Failure> {
        Ok(VerificationServiceClient::new(
            self.places.channel(Service::Verification)?,
        ))
    }

    /// mailer.
    pub(crate) fn mailer(&self) -> Result<MailerServiceClient<Client>, Failure> {
        Ok(MailerServiceClient::new(
            self.places.channel(Service::Mailer)?,
        ))
    }

    /// mailer, for operators.
    pub(crate) fn mailer_admin(&self) -> Result<MailerAdminClient<WithToken>, Failure> {
        let (channel, token) = self.places.admin(Service::Mailer)?;
        Ok(MailerAdminClient::with_interceptor(channel, token))
    }

    /// Where this command's spans go: as the environment says, else where the running `usher up` sends its own.
    pub(crate) fn otlp_endpoint(&self) -> Option<String> {
        let named =
            std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT").is_some_and(|url| !url.is_empty());
        if named {
            None
        } else {
            self.places
                .run
                .as_ref()
                .map(|run| run.otlp_endpoint.clone())
        }
    }

    /// `service`'s refusal in words; for `map_err`.
    pub(crate) fn refused(&self, service: Service) -> impl Fn(Status) -> Failure + '_ {
        move |status| Failure::from_status(service.name(), self.places.url(service), &status)
    }

    /// The refusal of `service`'s admin listener in words; for `map_err`.
    pub(crate) fn refused_by_admin(&self, service: Service) -> impl Fn(Status) -> Failure + '_ {
        move |status| Failure::from_status(service.name(), self.places.admin_url(service), &status)
    }
}

/// Id of the trace that this command's calls belong to; `None` when it is not exported.
pub(crate) fn trace_id() -> Option<String> {
    let context = opentelemetry::Context::current();
    let span = context.span().span_context().clone();
    span.is_valid().then(|| span.trace_id().to_string())
}
