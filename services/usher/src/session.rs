//! What every client command needs: where the services are, how to print, and failures that name
//! who failed.

use std::path::Path;

use kit::serve::Client;
use proto::{
    accounts::{
        accounts_admin_client::AccountsAdminClient, accounts_service_client::AccountsServiceClient,
    },
    mailer::{mailer_admin_client::MailerAdminClient, mailer_service_client::MailerServiceClient},
    verification::{
        verification_admin_client::VerificationAdminClient,
        verification_service_client::VerificationServiceClient,
    },
};
use tonic::{Response, Status, service::interceptor::InterceptedService};

use crate::{
    exit::{Exit, Failure},
    output::Format,
    service::Service,
    target::{Places, Target, Token},
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
    /// # Errors
    /// When it cannot be told where the services are.
    pub(crate) fn new(target: Target, data: &Path, format: Format) -> Result<Self, Failure> {
        Ok(Self {
            places: target.places(data)?,
            format,
            usher: called_for(data),
        })
    }

    pub(crate) fn accounts(&self) -> Result<AccountsServiceClient<Client>, Failure> {
        let channel = self.places.channel(Service::Accounts)?;
        Ok(AccountsServiceClient::new(channel))
    }

    pub(crate) fn accounts_admin(&self) -> Result<AccountsAdminClient<WithToken>, Failure> {
        let (channel, token) = self.places.admin(Service::Accounts)?;
        Ok(AccountsAdminClient::with_interceptor(channel, token))
    }

    pub(crate) fn verification(&self) -> Result<VerificationServiceClient<Client>, Failure> {
        let channel = self.places.channel(Service::Verification)?;
        Ok(VerificationServiceClient::new(channel))
    }

    pub(crate) fn verification_admin(&self) -> Result<VerificationAdminClient<WithToken>, Failure> {
        let (channel, token) = self.places.admin(Service::Verification)?;
        Ok(VerificationAdminClient::with_interceptor(channel, token))
    }

    pub(crate) fn mailer(&self) -> Result<MailerServiceClient<Client>, Failure> {
        let channel = self.places.channel(Service::Mailer)?;
        Ok(MailerServiceClient::new(channel))
    }

    pub(crate) fn mailer_admin(&self) -> Result<MailerAdminClient<WithToken>, Failure> {
        let (channel, token) = self.places.admin(Service::Mailer)?;
        Ok(MailerAdminClient::with_interceptor(channel, token))
    }

    /// Where this command's spans go: as the environment says, else where the running `usher up`
    /// sends its own.
    pub(crate) fn otlp_endpoint(&self) -> Option<String> {
        if kit::config::environment("OTEL_EXPORTER_OTLP_ENDPOINT").is_some() {
            return None;
        }
        let run = self.places.run.as_ref()?;
        Some(run.otlp_endpoint.clone())
    }

    /// What `service` answered, or its refusal in words.
    pub(crate) fn reply<T>(
        &self,
        service: Service,
        answer: Result<Response<T>, Status>,
    ) -> Result<T, Failure> {
        match answer {
            Ok(response) => Ok(response.into_inner()),
            Err(status) => Err(self.refusal(service, &status)),
        }
    }

    /// The same of the service's admin listener.
    pub(crate) fn admin_reply<T>(
        &self,
        service: Service,
        answer: Result<Response<T>, Status>,
    ) -> Result<T, Failure> {
        let url = self.places.admin_url(service);
        match answer {
            Ok(response) => Ok(response.into_inner()),
            Err(status) => Err(self.located(Failure::from_status(service.name(), url, &status))),
        }
    }

    pub(crate) fn refusal(&self, service: Service, status: &Status) -> Failure {
        let url = self.places.url(service);
        self.located(Failure::from_status(service.name(), url, status))
    }

    /// Nobody answers: perhaps because the folder is not the one that was meant.
    fn located(&self, failure: Failure) -> Failure {
        let places = &self.places;
        if failure.exit != Exit::Unavailable || places.are_named {
            return failure;
        }
        let usher = &self.usher;
        if let Some(run) = &places.run {
            // Not: start it. It is there, and one of its parts is not.
            let pid = run.pid;
            return failure.hint(format!(
                "`usher up` runs (process {pid}) and starts again what ends; `{usher} doctor` says what is wrong."
            ));
        }
        match places.lack() {
            Some(lack) if places.is_data_chosen() => {
                let way = places.way_to_data();
                failure.hint(format!(
                    "The usual places were asked, because {lack}. {way}"
                ))
            }
            _ => failure,
        }
    }
}
