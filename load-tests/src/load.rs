//! Open-loop load: each request is due at a time of its own and is sent then, however slow the
//! answers before it are. Latency counts from that time, so that a system that stands still is seen
//! to. Whoever repeats a request does so under one idempotency key, as a client does that must know.
//! What was asked goes to `check`.

use std::{
    thread,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use kit::serve::{self, Channel};
use proto::accounts::{
    CreateAccountRequest, MailOutcome, accounts_service_client::AccountsServiceClient,
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status, transport::Endpoint};

use crate::people::People;

/// Whoever waits longer for an answer gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whoever repeats a request waits for one answer only so long: what it waits for may be gone.
const IMPATIENCE: Duration = Duration::from_secs(2);
/// Between two times of one request.
const AGAIN: Duration = Duration::from_millis(200);

const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// How much, for how long, and by how many connections.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Requests a second.
    pub rate: f64,
    /// How long requests become due.
    pub lasting: Duration,
    /// Connections that they are spread over.
    pub connections: usize,
    /// For how long a request that was not answered is repeated; zero: it is sent once.
    pub repeating: Duration,
}

/// One request and its answer.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The address that signed up.
    pub address: String,
    /// When it was to be sent.
    pub due: Instant,
    /// From then to the answer.
    pub latency: Duration,
    /// How often it was sent.
    pub times: usize,
    /// What the last answer was.
    pub answer: Answer,
}

/// What a caller knows after the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The account exists and its mail is owed.
    Acknowledged {
        /// UUID of the account.
        account_id: String,
        /// What was known of the mail by then.
        mail: MailOutcome,
    },
    /// By contract, nothing was written.
    Refused(Code),
    /// It may exist or not.
    Unknown(Code),
}

impl Load {
    /// How many requests become due.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of requests is small and no less than 0"
    )]
    pub fn requests(&self) -> u64 {
        (self.rate * self.lasting.as_secs_f64()).round() as u64
    }

    /// Sends everything that is due before it is `over`, and returns when the last answer is there
    /// or given up. `answered` is called at each.
    ///
    /// # Errors
    /// When one of `urls` is none.
    pub async fn run(
        &self,
        urls: &[String],
        people: &People,
        over: &CancellationToken,
        mut answered: impl FnMut(&Asked),
    ) -> anyhow::Result<Vec<Asked>> {
        let each = urls.iter().cycle();
        let channels = each.take(self.connections.max(1)).map(|url| channel(url));
        let channels = channels.collect::<anyhow::Result<Vec<_>>>()?;
        let mut due = pace(self.rate, self.requests());
        let mut calls = FuturesUnordered::new();
        let mut asked = Vec::new();
        let mut paced = true;
        while paced || !calls.is_empty() {
            tokio::select! {
                () = over.cancelled(), if paced => paced = false,
                next = due.recv(), if paced => match next {
                    None => paced = false,
                    // No room is asked for: whoever waited for a slow answer here would measure the
                    // system at the pace that the system chose.
                    Some((number, due)) => calls.push(self.call(&channels, people, number, due)),
                },
                Some(one) = calls.next(), if !calls.is_empty() => {
                    answered(&one);
                    asked.push(one);
                }
            }
        }
        Ok(asked)
    }

    async fn call(
        &self,
        channels: &[Channel],
        people: &People,
        number: u64,
        due: Instant,
    ) -> Asked {
        let sign_up = people.sign_up(number);
        let key = (!self.repeating.is_zero()).then(|| people.idempotency_key(number));
        let until = due + self.repeating;
        let (mut times, mut is_unknown) = (0, false);
        let answer = loop {
            let patience = match key {
                Some(_) => IMPATIENCE.min(until.saturating_duration_since(Instant::now())),
                None => PATIENCE,
            };
            let mut request = Request::new(sign_up.clone());
            // The service is told, so that it may refuse what it cannot store in time.
            request.set_timeout(patience);
            if let Some(key) = &key {
                request
                    .metadata_mut()
                    .insert("idempotency-key", key.clone());
            }
            // By another connection each time, as whatever broke may be what this one leads to.
            let channel = &channels[place(number, times, channels.len())];
            let answer = ask(channel.clone(), request, patience).await;
            times += 1;
            if answer.is_final() || Instant::now() + AGAIN >= until {
                // A time before may have written what the last one was refused.
                break match answer {
                    Answer::Refused(code) if is_unknown && !answer.is_final() => {
                        Answer::Unknown(code)
                    }
                    answer => answer,
                };
            }
            is_unknown |= matches!(answer, Answer::Unknown(_));
            sleep(AGAIN).await;
        };
        Asked {
            address: sign_up.email,
            due,
            // From when it was due, not from when it was sent: what waited before that waited for us.
            latency: due.elapsed(),
            times,
            answer,
        }
    }
}

impl Answer {
    /// Whether the account exists.
    pub fn is_acknowledged(&self) -> bool {
        matches!(self, Self::Acknowledged { .. })
    }

    /// Whether it is about the request, and would be given again.
    fn is_final(&self) -> bool {
        match self {
            Self::Acknowledged { .. } => true,
            Self::Refused(code) => *code != Code::ResourceExhausted,
            Self::Unknown(_) => false,
        }
    }
}

/// A connection of its own, made when it is first used and again whenever it broke; behind a name
/// (`dns:///HOST:PORT`) one to each address.
///
/// # Errors
/// When `url` is none.
pub(crate) fn channel(url: &str) -> anyhow::Result<Channel> {
    if url.starts_with("dns:") {
        return serve::channel(url);
    }
    let endpoint = Endpoint::from_shared(url.to_owned())?;
    let endpoint = endpoint
        .connect_timeout(Duration::from_secs(2))
        // A connection that fell silent is noticed and made again, as any caller's should be.
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .tcp_nodelay(true);
    Ok(Channel::One(endpoint.connect_lazy()))
}

fn place(number: u64, times: usize, of: usize) -> usize {
    usize::try_from(number)
        .unwrap_or_default()
        .wrapping_add(times)
        % of
}

/// Says each number when it is due.
fn pace(rate: f64, requests: u64) -> UnboundedReceiver<(u64, Instant)> {
    let (sender, receiver) = unbounded_channel();
    // A thread: a runtime's timer is a millisecond late, and so is one that answers keep busy.
    thread::spawn(move || {
        let start = Instant::now();
        for number in 0..requests {
            let due = start + due_after(rate, number);
            while let Some(early) = due.checked_duration_since(Instant::now()) {
                if early.is_zero() {
                    break;
                }
                thread::park_timeout(early);
            }
            if sender.send((number, due)).is_err() {
                return; // nobody waits any more
            }
        }
    });
    receiver
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 requests")]
fn due_after(rate: f64, number: u64) -> Duration {
    Duration::from_secs_f64(number as f64 / rate)
}

async fn ask(
    channel: Channel,
    request: Request<CreateAccountRequest>,
    patience: Duration,
) -> Answer {
    let mut accounts = AccountsServiceClient::new(channel);
    match timeout(patience, accounts.create_account(request)).await {
        Ok(Ok(reply)) => {
            let reply = reply.into_inner();
            let mail = reply.mail();
            match reply.account {
                Some(account) => Answer::Acknowledged {
                    account_id: account.account_id,
                    mail,
                },
                None => Answer::Unknown(Code::Ok),
            }
        }
        Ok(Err(status)) => not_acknowledged(&status),
        Err(_) => Answer::Unknown(Code::DeadlineExceeded),
    }
}

fn not_acknowledged(status: &Status) -> Answer {
    match status.code() {
        // `CreateAccount` promises that nothing is written then.
        code @ (Code::InvalidArgument | Code::AlreadyExists | Code::ResourceExhausted) => {
            Answer::Refused(code)
        }
        code => Answer::Unknown(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_at_even_times_whatever_the_rate() {
        let load = Load {
            rate: 40.0,
            lasting: Duration::from_secs(3),
            connections: 1,
            repeating: Duration::ZERO,
        };
        assert_eq!(load.requests(), 120);
        assert_eq!(due_after(40.0, 100), Duration::from_millis(2_500));
    }

    #[test]
    fn only_what_the_contract_calls_unwritten_is_refused() {
        let answer = |code| not_acknowledged(&Status::new(code, ""));
        assert_eq!(
            answer(Code::AlreadyExists),
            Answer::Refused(Code::AlreadyExists)
        );
        assert_eq!(
            answer(Code::Unavailable),
            Answer::Unknown(Code::Unavailable)
        );
        assert_eq!(answer(Code::Cancelled), Answer::Unknown(Code::Cancelled));
    }
}
