//! Attempts to send mails, read page by page and shaped for `--output json`.

use proto::mailer::{ListMailsRequest, MailAttempt};
use serde::Serialize;

use crate::{
    account::view::{time, word},
    exit::Failure,
    service::Service,
    session::Session,
};

/// One attempt to send one mail.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Attempt {
    pub(crate) code_id: String,
    pub(crate) account_id: String,
    pub(crate) attempt: u32,
    pub(crate) outcome: String,
    pub(crate) reply: String,
    pub(crate) at: Option<String>,
    pub(crate) trace_id: String,
}

impl From<MailAttempt> for Attempt {
    fn from(attempt: MailAttempt) -> Self {
        Self {
            outcome: word(attempt.outcome().as_str_name(), "OUTCOME_"),
            at: time(attempt.at.as_ref()),
            code_id: attempt.code_id,
            account_id: attempt.account_id,
            attempt: attempt.attempt,
            reply: attempt.reply,
            trace_id: attempt.trace_id,
        }
    }
}

/// Attempts, newest first, `limit` at most; `code_id` empty means those of all mails.
pub(crate) async fn read(
    session: &Session,
    code_id: &str,
    limit: usize,
) -> Result<Vec<Attempt>, Failure> {
    let mut client = session.mailer_admin()?;
    let mut attempts = Vec::new();
    let mut page_token = String::new();
    while attempts.len() < limit {
        let page_size = u32::try_from((limit - attempts.len()).min(500)).unwrap_or(500);
        let request = ListMailsRequest {
            page_size,
            page_token,
            code_id: code_id.to_owned(),
        };
        let answer = client.list_mails(request).await;
        let page = session.admin_reply(Service::Mailer, answer)?;
        attempts.extend(page.attempts.into_iter().map(Attempt::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    Ok(attempts)
}
