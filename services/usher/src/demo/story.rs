//! What happens in the demo, told with what the system itself says: replies, mails, history, spans.

use std::time::Duration;

use futures::StreamExt as _;
use kit::{
    otlp::{OtlpReceiver, Span},
    telemetry::span,
};
use opentelemetry::{
    Context,
    trace::{FutureExt as _, SpanKind, TraceContextExt as _},
};
use proto::{
    accounts::{CreateAccountRequest, WatchAccountRequest},
    verification::{ConfirmCodeRequest, ConfirmOutcome, confirm_code_request::Target},
};
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout};

use super::{
    letter,
    mailbox::{Letter, Mailbox},
    scene::Scene,
};
use crate::{
    account::{show, timeline, view::Account},
    exit::{Exit, Failure},
    local::{run_file::RunFile, system::System},
    output::Format,
    session::Session,
    target::{Places, Service},
    terminal::{CODE, DIM, STRONG, width},
    trace::{render, short},
};

/// What nobody should have to wait for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The demo's outcome for `--output json`.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    account: Account,
    trace_id: String,
    spans: usize,
    account_after_kill: Account,
    /// Mails that arrived for the account whose sign-up was interrupted.
    mails_after_kill: usize,
}

/// Everything that the story needs.
#[derive(Debug)]
pub(super) struct Story<'a> {
    system: &'a System,
    session: Session,
    mailbox: Mailbox,
    receiver: &'a OtlpReceiver,
    scene: &'a Scene,
}

impl<'a> Story<'a> {
    pub(super) fn new(
        system: &'a System,
        run: &RunFile,
        mailbox: Mailbox,
        receiver: &'a OtlpReceiver,
        scene: &'a Scene,
    ) -> Self {
        let session = Session { places: Places::of(run), format: Format::Table };
        Self { system, session, mailbox, receiver, scene }
    }

    /// Tells it.
    pub(super) async fn tell(self) -> Result<Told, Failure> {
        let root = span::internal("sign up and confirm", &Context::new(), []);
        let trace_id = root.span().span_context().trace_id().to_string();
        let account = self.journey().with_context(root.clone()).await;
        span::end(&root);
        let account = self.timeline(&account?.account_id).await?;
        let spans = self.whole_trace(&trace_id).await;
        let (account_after_kill, mails_after_kill) = self.crash().await?;
        self.scene.try_next();
        Ok(Told { account, trace_id, spans: spans.len(), account_after_kill, mails_after_kill })
    }

    async fn journey(&self) -> Result<Account, Failure> {
        let scene = self.scene;
        scene.chapter("Ada signs up");
        let started = Instant::now();
        let account = self.sign_up("ada@example.com", "Ada Lovelace").await?;
        let (id, answered) = (&account.account_id, short(started.elapsed()));
        scene.fact(&format!("CreateAccount answered in {answered}: {} {DIM}{id}{DIM:#}", account.status));
        let letter = self.letter("ada@example.com").await?;
        scene.fact(&format!("the mail arrived {} after the sign-up began\n", short(started.elapsed())));
        scene.say(letter::render(&letter));

        let code = code(&letter)?;
        scene.chapter("Ada types the code");
        let typed = Instant::now();
        self.confirm(id, &code).await?;
        scene.fact(&format!("ConfirmCode({CODE}{code}{CODE:#}) answered OK in {}", short(typed.elapsed())));
        self.wait_until_verified(id).await?;
        scene.fact(&format!(
            "the account is {STRONG}VERIFIED{STRONG:#} {} after the code",
            short(typed.elapsed())
        ));
        Ok(account)
    }

    /// Outside of the journey's trace: reading it is no part of it.
    async fn timeline(&self, account_id: &str) -> Result<Account, Failure> {
        let shown = show::read(account_id, &self.session).await?;
        self.scene.say("");
        self.scene.say(timeline::render(&shown.account, shown.verification.as_ref()).trim_end());
        Ok(shown.account)
    }

    async fn whole_trace(&self, trace_id: &str) -> Vec<Span> {
        self.scene.chapter("The whole journey is one trace, through the outbox, the broker and the mail");
        let step = self.scene.progress().step("waiting for the last spans");
        let spans = self.receiver.wait_for_trace(trace_id, is_whole, Duration::from_secs(10)).await;
        drop(step);
        let spans = spans.unwrap_or_else(|incomplete| incomplete);
        self.scene.say(render(&spans, width()).trim_end());
        spans
    }

    async fn crash(&self) -> Result<(Account, usize), Failure> {
        const NAME: &str = Service::Verification.name();
        let scene = self.scene;
        scene.chapter("Grace signs up, and verification is killed in the middle of it");
        let before = self.system.state(NAME);
        let started = Instant::now();
        let account = self.sign_up("grace@example.com", "Grace Hopper").await?;
        let killed = self.system.kill(NAME).unwrap_or_default();
        let after = short(started.elapsed());
        let arrived = self.mailbox.letters_to("grace@example.com").len();
        scene.fact(&format!("CreateAccount answered: {} {DIM}{}{DIM:#}", account.status, account.account_id));
        let mails = if arrived == 0 { "no mail yet" } else { "the mail was already out" };
        scene.blow(&format!("kill -9 {killed} (verification), {after} after the sign-up began; {mails}"));
        let step = scene.progress().step("verification is started again");
        let deadline = Instant::now() + PATIENCE;
        while self.system.state(NAME).starts == before.starts || self.system.state(NAME).pid.is_none() {
            in_time(deadline, "Verification was not started again.")?;
            sleep(Duration::from_millis(10)).await;
        }
        drop(step);
        let pid = self.system.state(NAME).pid.unwrap_or_default();
        scene.fact(&format!("verification was started again by itself {DIM}(process {pid}){DIM:#}"));
        let letter = self.letter("grace@example.com").await?;
        scene.fact(&format!("the mail arrived {} after the sign-up began", short(started.elapsed())));
        self.confirm(&account.account_id, &code(&letter)?).await?;
        self.wait_until_verified(&account.account_id).await?;
        scene.fact("its code confirms the account");
        let mails = self.settled_mails(&account.account_id).await?;
        let times =
            if mails == 1 { "once".to_owned() } else { format!("{mails} times, with one Message-ID") };
        scene.fact(&format!("mails for Grace: {STRONG}{mails}{STRONG:#}. The mail arrived {times}"));
        let shown = show::read(&account.account_id, &self.session).await?;
        Ok((shown.account, mails))
    }

    /// Counts the mails once verification knows that its own is accepted: then none follows.
    async fn settled_mails(&self, account_id: &str) -> Result<usize, Failure> {
        let step = self.scene.progress().step("counting mails");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = show::read(account_id, &self.session).await?;
            let codes = shown.verification.map(|verification| verification.codes).unwrap_or_default();
            if codes.iter().any(|code| code.mail_state != "PENDING") {
                break;
            }
            in_time(deadline, "Verification never heard that the mail was accepted.")?;
            sleep(Duration::from_millis(50)).await;
        }
        drop(step);
        let letters = self.mailbox.letters_to("grace@example.com");
        match letters.iter().all(|letter| letter.message_id == letters[0].message_id) {
            true => Ok(letters.len()),
            false => Err(Failure::new(Exit::Failed, "Two different mails arrived for one sign-up.")),
        }
    }

    async fn sign_up(&self, email: &str, name: &str) -> Result<Account, Failure> {
        let request = CreateAccountRequest {
            email: email.to_owned(),
            display_name: name.to_owned(),
            locale: "en".to_owned(),
        };
        let reply = self.session.accounts()?.create_account(request).await;
        let reply = reply.map_err(self.session.refused(Service::Accounts))?.into_inner();
        Ok(reply.account.unwrap_or_default().into())
    }

    async fn letter(&self, address: &str) -> Result<Letter, Failure> {
        let step = self.scene.progress().step("the mail is on its way");
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(letter) = self.mailbox.letters_to(address).into_iter().next() {
                drop(step);
                return Ok(letter);
            }
            in_time(deadline, "The mail did not arrive.")?;
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn confirm(&self, account_id: &str, code: &str) -> Result<(), Failure> {
        let target = Some(Target::AccountId(account_id.to_owned()));
        let request = ConfirmCodeRequest { target, code: code.to_owned() };
        let reply = self.session.verification()?.confirm_code(request).await;
        match reply.map_err(self.session.refused(Service::Verification))?.into_inner().outcome() {
            ConfirmOutcome::Ok => Ok(()),
            other => Err(Failure::new(
                Exit::Failed,
                format!("The code was answered with {}.", other.as_str_name()),
            )),
        }
    }

    async fn wait_until_verified(&self, account_id: &str) -> Result<(), Failure> {
        let request = WatchAccountRequest { account_id: account_id.to_owned() };
        let versions = self.session.accounts()?.watch_account(request).await;
        let mut versions = versions.map_err(self.session.refused(Service::Accounts))?.into_inner();
        let verified = timeout(PATIENCE, async {
            while let Some(version) = versions.next().await {
                let version = version.map_err(self.session.refused(Service::Accounts))?;
                if Account::from(version.account.unwrap_or_default()).is_verified() {
                    return Ok(());
                }
            }
            Err(Failure::new(Exit::Failed, "accounts ended the watch before the account was verified."))
        });
        verified.await.map_err(|_| Failure::new(Exit::Failed, "The account was not verified in time."))?
    }
}

/// Whether every span's cause is there, from the sign-up to the account's second change.
fn is_whole(spans: &[Span]) -> bool {
    let has = |id: &String| spans.iter().any(|span| span.span_id == *id);
    let handled = |service: Service| {
        spans.iter().any(|span| span.service == service.name() && span.kind == SpanKind::Consumer)
    };
    let root = spans.iter().any(|span| span.parent_span_id.is_none());
    let mailed = spans.iter().any(|span| span.service == Service::Mailer.name());
    let caused = spans.iter().filter_map(|span| span.parent_span_id.as_ref()).all(has);
    root && mailed && caused && handled(Service::Verification) && handled(Service::Accounts)
}

fn code(letter: &Letter) -> Result<String, Failure> {
    letter.code().ok_or_else(|| Failure::new(Exit::Failed, "There is no code in the mail."))
}

fn in_time(deadline: Instant, otherwise: &str) -> Result<(), Failure> {
    match Instant::now() > deadline {
        true => Err(Failure::new(Exit::Failed, otherwise)),
        false => Ok(()),
    }
}
