//! What happens in the demo, told with what the system itself says: replies, mails, history, spans.

use std::time::Duration;

use kit::telemetry::span;
use opentelemetry::{
    Context,
    trace::{FutureExt as _, SpanKind, TraceContextExt as _},
};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::{
    letter,
    mailbox::Mailbox,
    person::{PATIENCE, Person, code, in_time},
    scene::Scene,
};
use crate::{
    account::{timeline, view::Account},
    exit::Failure,
    local::{run_file::RunFile, supervise::State, system::System},
    otlp::{OtlpReceiver, Span},
    output::Format,
    session::Session,
    target::{Places, Service},
    terminal::{CODE, DIM, STRONG, called_for, width},
    trace::{render, short},
};

/// Who is killed in the second sign-up.
const KILLED: Service = Service::Verification;

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
    run: &'a RunFile,
    person: Person,
    receiver: &'a OtlpReceiver,
    scene: &'a Scene,
}

impl<'a> Story<'a> {
    pub(super) fn new(
        system: &'a System,
        run: &'a RunFile,
        mailbox: Mailbox,
        receiver: &'a OtlpReceiver,
        scene: &'a Scene,
    ) -> Self {
        let session = Session {
            places: Places::of(run),
            format: Format::Table,
            usher: called_for(system.data().root()),
        };
        let person = Person {
            session,
            mailbox,
            progress: scene.progress(),
        };
        Self {
            system,
            run,
            person,
            receiver,
            scene,
        }
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
        Ok(Told {
            account,
            trace_id,
            spans: spans.len(),
            account_after_kill,
            mails_after_kill,
        })
    }

    async fn journey(&self) -> Result<Account, Failure> {
        let scene = self.scene;
        scene.chapter("Ada signs up");
        let started = Instant::now();
        let account = self
            .person
            .sign_up("ada@example.com", "Ada Lovelace")
            .await?;
        let (id, answered) = (&account.account_id, short(started.elapsed()));
        scene.fact(&format!(
            "CreateAccount: {} after {answered}  {DIM}{id}{DIM:#}",
            account.status
        ));
        let letter = self.person.letter("ada@example.com").await?;
        scene.fact(&format!(
            "the mail arrived {} after the sign-up began\n",
            short(started.elapsed())
        ));
        scene.say(letter::render(&letter));

        let code = code(&letter)?;
        scene.chapter("Ada types the code");
        let typed = Instant::now();
        self.person.confirm(id, &code).await?;
        scene.fact(&format!(
            "ConfirmCode({CODE}{code}{CODE:#}) answered OK in {}",
            short(typed.elapsed())
        ));
        self.person.wait_until_verified(id).await?;
        scene.fact(&format!(
            "the account is {STRONG}VERIFIED{STRONG:#} {} after the code",
            short(typed.elapsed())
        ));
        Ok(account)
    }

    /// Outside of the journey's trace: reading it is no part of it.
    async fn timeline(&self, account_id: &str) -> Result<Account, Failure> {
        let shown = self.person.settled(account_id).await?;
        self.scene.say("");
        self.scene
            .say(timeline::render(&shown.account, shown.verification.as_ref()).trim_end());
        Ok(shown.account)
    }

    async fn whole_trace(&self, trace_id: &str) -> Vec<Span> {
        self.scene
            .chapter("The whole journey is one trace, through the outbox, the broker and the mail");
        let step = self.scene.progress().step("waiting for the last spans");
        let spans = self
            .receiver
            .wait_for_trace(trace_id, is_whole, Duration::from_secs(10))
            .await;
        drop(step);
        let spans = spans.unwrap_or_else(|incomplete| incomplete);
        self.scene.say(render(&spans, width()).trim_end());
        spans
    }

    async fn crash(&self) -> Result<(Account, usize), Failure> {
        let scene = self.scene;
        scene.chapter("Grace signs up, and verification is killed in the middle of it");
        let before = self.system.state(KILLED.name());
        let started = Instant::now();
        let account = self
            .person
            .sign_up("grace@example.com", "Grace Hopper")
            .await?;
        let killed = self.system.kill(KILLED.name()).unwrap_or_default();
        let after = short(started.elapsed());
        let arrived = self.person.count_mails("grace@example.com")?;
        scene.fact(&format!(
            "CreateAccount: {}  {DIM}{}{DIM:#}",
            account.status, account.account_id
        ));
        let mails = if arrived == 0 {
            "no mail yet"
        } else {
            "the mail was already out"
        };
        scene.blow(&format!(
            "kill -9 {killed} (verification), {after} after the sign-up began; {mails}"
        ));
        let arrival = async {
            let letter = self.person.letter("grace@example.com").await?;
            Ok((letter, short(started.elapsed())))
        };
        let (pid, (letter, arrived)) = tokio::try_join!(self.started_again(before), arrival)?;
        scene.fact(&format!(
            "verification was started again by itself {DIM}(process {pid}){DIM:#}"
        ));
        scene.fact(&format!(
            "the mail arrived {arrived} after the sign-up began"
        ));
        self.person
            .confirm(&account.account_id, &code(&letter)?)
            .await?;
        self.person.wait_until_verified(&account.account_id).await?;
        scene.fact("its code confirms the account");
        let shown = self.person.settled(&account.account_id).await?;
        let mails = self.person.count_mails("grace@example.com")?;
        let times = if mails == 1 {
            "once".to_owned()
        } else {
            format!("{mails} times, with one Message-ID")
        };
        scene.fact(&format!(
            "mails for Grace: {STRONG}{mails}{STRONG:#}. The mail arrived {times}"
        ));
        Ok((shown.account, mails))
    }

    /// Waits until the supervisor has started verification again and it answers: a person would simply try again,
    /// but the demo types faster than that.
    async fn started_again(&self, before: State) -> Result<u32, Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.system.state(KILLED.name()) {
                State {
                    pid: Some(pid),
                    starts,
                } if starts > before.starts => {
                    self.system.wait_until_ready(KILLED, self.run).await?;
                    return Ok(pid);
                }
                _ => in_time(deadline, "Verification was not started again.")?,
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Whether every span's cause is there, from the sign-up to the account's second change.
fn is_whole(spans: &[Span]) -> bool {
    let has = |id: &String| spans.iter().any(|span| span.span_id == *id);
    let handled = |service: Service| {
        spans
            .iter()
            .any(|span| span.service == service.name() && span.kind == SpanKind::Consumer)
    };
    let root = spans.iter().any(|span| span.parent_span_id.is_none());
    let mailed = spans
        .iter()
        .any(|span| span.service == Service::Mailer.name());
    let caused = spans
        .iter()
        .filter_map(|span| span.parent_span_id.as_ref())
        .all(has);
    root && mailed && caused && handled(Service::Verification) && handled(Service::Accounts)
}
