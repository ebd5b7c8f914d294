//! Lines on their way: a window of them on one stream, each told as soon as it has its result. What
//! the service cannot take now goes again, and so does what a broken stream left without a result;
//! their keys make that safe.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use kit::serve::{self, Client};
use proto::accounts::{
    CreateAccountRequest, CreateAccountsRequest, CreateAccountsResponse,
    accounts_service_client::AccountsServiceClient, create_accounts_response::Result as Answer,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::lines::{InputLine, Lines};
use crate::{exit::Failure, service::Service, session::Session};

/// Lines without a result: twice what accounts has under way for one stream, so that it never waits
/// for us.
const WINDOW: usize = 256;
/// Before what was refused for now, or broke off, goes again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long nothing may come of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What has become of a line.
pub(super) struct LineOutcome {
    pub(super) line: InputLine,
    /// The account's id, or the refusal.
    pub(super) answer: Result<String, Status>,
}

/// Signs everybody up. `tell` hears of each line once, in any order.
pub(super) async fn sign_up(
    session: &Session,
    lines: Lines,
    tell: impl FnMut(LineOutcome) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut sending = Sending {
        accounts: session.accounts()?,
        lines,
        are_all_read: false,
        again: VecDeque::new(),
        waiting: HashMap::new(),
        heard: None,
        tell,
    };
    // Opened for a line that there is: a silent stream would be ended.
    while let Some(line) = sending.next().await? {
        sending.again.push_front(line);
        let Err(broken) = sending.stream().await? else {
            continue;
        };
        let is_nothing_lost = sending.waiting.is_empty() && sending.again.is_empty();
        let mut unanswered: Vec<InputLine> =
            sending.waiting.drain().map(|(_, line)| line).collect();
        unanswered.sort_by_key(|line| line.number);
        sending.again.extend(unanswered);
        if is_nothing_lost {
            continue;
        }
        if !is_passing(broken.code()) || sending.is_hopeless() {
            return Err(session.refusal(Service::Accounts, &broken));
        }
        sleep(AGAIN).await;
    }
    Ok(())
}

struct Sending<F> {
    accounts: AccountsServiceClient<Client>,
    lines: Lines,
    are_all_read: bool,
    /// To be sent before further ones.
    again: VecDeque<InputLine>,
    /// Sent, by their names on the stream.
    waiting: HashMap<String, InputLine>,
    /// Since when nothing has come of what was sent; none before the first result.
    heard: Option<Instant>,
    tell: F,
}

impl<F: FnMut(LineOutcome) -> Result<(), Failure>> Sending<F> {
    /// The next line to be sent.
    async fn next(&mut self) -> Result<Option<InputLine>, Failure> {
        if let Some(line) = self.again.pop_front() {
            return Ok(Some(line));
        }
        if self.are_all_read {
            return Ok(None);
        }
        let line = self.lines.next().await?;
        self.are_all_read = line.is_none();
        Ok(line)
    }

    /// Sends lines and hears results until all have theirs, or the stream ends before.
    async fn stream(&mut self) -> Result<Result<(), Status>, Failure> {
        let (requests, queue) = mpsc::channel(WINDOW);
        let opened = self.accounts.create_accounts(ReceiverStream::new(queue));
        let mut results = match opened.await {
            Ok(results) => results.into_inner(),
            Err(status) => return Ok(Err(status)),
        };
        let mut requests = Some(requests);
        let mut pause = None;
        loop {
            while pause.is_none()
                && self.waiting.len() < WINDOW
                && let Some(line) = self.again.pop_front()
            {
                self.send(line, requests.as_ref())?;
            }
            if self.are_all_read && self.again.is_empty() && self.waiting.is_empty() {
                // Our side is done; the end of the other one is waited for.
                requests = None;
            }
            let has_room = pause.is_none() && self.waiting.len() < WINDOW;
            tokio::select! {
                result = results.message() => match result {
                    Ok(Some(result)) => match self.take(result)? {
                        Some(status) if self.is_hopeless() => return Ok(Err(status)),
                        Some(status) => pause = Some(Instant::now() + wait(&status)),
                        None => {}
                    },
                    Ok(None) if self.waiting.is_empty() => return Ok(Ok(())),
                    Ok(None) => return Ok(Err(Status::unavailable(""))),
                    Err(status) => return Ok(Err(status)),
                },
                line = self.lines.next(), if has_room && !self.are_all_read => match line? {
                    Some(line) => self.send(line, requests.as_ref())?,
                    None => self.are_all_read = true,
                },
                () = serve::until(pause) => pause = None,
            }
        }
    }

    fn send(
        &mut self,
        line: InputLine,
        requests: Option<&mpsc::Sender<CreateAccountsRequest>>,
    ) -> Result<(), Failure> {
        let person = match &line.person {
            Ok(person) => person.clone(),
            Err(why) => {
                let answer = Err(unreadable(why));
                return (self.tell)(LineOutcome { line, answer });
            }
        };
        if self.waiting.is_empty() && self.again.is_empty() && self.heard.is_some() {
            self.heard = Some(Instant::now());
        }
        let item_id = line.number.to_string();
        let request = CreateAccountsRequest {
            item_id: item_id.clone(),
            idempotency_key: line.key.clone(),
            account: Some(CreateAccountRequest {
                email: person.email,
                display_name: person.display_name,
                locale: person.locale,
            }),
        };
        self.waiting.insert(item_id, line);
        // There is room for all that wait; where nobody takes it any more, the stream's end says so.
        if let Some(requests) = requests {
            let _ = requests.try_send(request);
        }
        Ok(())
    }

    /// Tells of a result; one that is for now only is returned, and its line goes again.
    fn take(&mut self, result: CreateAccountsResponse) -> Result<Option<Status>, Failure> {
        let Some(line) = self.waiting.remove(&result.item_id) else {
            return Ok(None);
        };
        let answer = match result.result {
            Some(Answer::Created(created)) => Ok(created.account.unwrap_or_default().account_id),
            Some(Answer::Refused(refused)) => Err(serve::from_message(&refused)),
            None => Err(Status::unknown("accounts gave no result")),
        };
        match answer {
            Err(status) if is_passing(status.code()) => {
                self.heard.get_or_insert_with(Instant::now);
                self.again.push_back(line);
                Ok(Some(status))
            }
            answer => {
                self.heard = Some(Instant::now());
                (self.tell)(LineOutcome { line, answer })?;
                Ok(None)
            }
        }
    }

    fn is_hopeless(&self) -> bool {
        self.heard.is_none_or(|heard| heard.elapsed() > PATIENCE)
    }
}

/// Whether the same may succeed in a moment.
fn is_passing(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::ResourceExhausted
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
    )
}

fn wait(status: &Status) -> Duration {
    let details = status.get_error_details();
    let said = details.retry_info().and_then(|retry| retry.retry_delay);
    said.unwrap_or(AGAIN)
}

/// A refusal of a line that was never sent.
fn unreadable(why: &str) -> Status {
    serve::refused(Code::InvalidArgument, why, "LINE_UNREADABLE")
}
