//! Dead letters as `--output json` shows them, and the admin clients of the two services that keep
//! them.

use proto::{
    accounts::accounts_admin_client::AccountsAdminClient,
    letters::{
        self, DropDeadLettersRequest, GetDeadLetterRequest, GetDeadLetterResponse,
        ListDeadLettersRequest, ListDeadLettersResponse, ReplayDeadLettersRequest, Replayed,
    },
    verification::verification_admin_client::VerificationAdminClient,
};
use serde::Serialize;

use crate::{
    account::view::time,
    exit::Failure,
    service::Service,
    session::{Session, WithToken},
};

/// Who keeps dead letters, in the order of the journey: those who read events.
pub(super) const KEEPERS: [Service; 2] = [Service::Accounts, Service::Verification];

#[derive(Debug, Clone, Serialize)]
pub(super) struct DeadLetter {
    pub(super) service: &'static str,
    pub(super) id: String,
    pub(super) reason: String,
    pub(super) subject: String,
    pub(super) account_id: String,
    pub(super) event_id: String,
    pub(super) stream: String,
    pub(super) sequence: u64,
    pub(super) attempts: u32,
    pub(super) first_at: Option<String>,
    pub(super) last_at: Option<String>,
}

impl DeadLetter {
    pub(super) fn of(service: Service, letter: letters::DeadLetter) -> Self {
        Self {
            service: service.name(),
            first_at: time(letter.first_at.as_ref()),
            last_at: time(letter.last_at.as_ref()),
            id: letter.id,
            reason: letter.reason,
            subject: letter.subject,
            account_id: letter.account_id,
            event_id: letter.event_id,
            stream: letter.stream,
            sequence: letter.sequence,
            attempts: letter.attempts,
        }
    }
}

/// A service that keeps dead letters, by its admin listener.
pub(super) struct Keeper<'a> {
    session: &'a Session,
    pub(super) service: Service,
    client: AdminClient,
}

enum AdminClient {
    Accounts(AccountsAdminClient<WithToken>),
    Verification(VerificationAdminClient<WithToken>),
}

/// The same call at either service.
macro_rules! call {
    ($keeper:expr, $method:ident, $request:expr) => {{
        let answer = match &mut $keeper.client {
            AdminClient::Accounts(client) => client.$method($request).await,
            AdminClient::Verification(client) => client.$method($request).await,
        };
        $keeper.session.admin_reply($keeper.service, answer)
    }};
}

impl<'a> Keeper<'a> {
    pub(super) fn of(session: &'a Session, service: Service) -> Result<Self, Failure> {
        let client = match service {
            Service::Verification => AdminClient::Verification(session.verification_admin()?),
            _ => AdminClient::Accounts(session.accounts_admin()?),
        };
        Ok(Self {
            session,
            service,
            client,
        })
    }

    pub(super) async fn list(
        &mut self,
        request: ListDeadLettersRequest,
    ) -> Result<ListDeadLettersResponse, Failure> {
        call!(self, list_dead_letters, request)
    }

    pub(super) async fn get(&mut self, id: &str) -> Result<GetDeadLetterResponse, Failure> {
        let request = GetDeadLetterRequest { id: id.to_owned() };
        call!(self, get_dead_letter, request)
    }

    pub(super) async fn replay(&mut self, ids: Vec<String>) -> Result<Vec<Replayed>, Failure> {
        let replayed = call!(self, replay_dead_letters, ReplayDeadLettersRequest { ids })?;
        Ok(replayed.replayed)
    }

    pub(super) async fn drop(&mut self, ids: Vec<String>) -> Result<u32, Failure> {
        let dropped = call!(self, drop_dead_letters, DropDeadLettersRequest { ids })?;
        Ok(dropped.dropped)
    }
}
