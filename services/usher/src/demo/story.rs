//! What happens in the demo, told with what the system itself says: replies, mails, history, spans.

use std::time::Duration;

use kit::telemetry::span;
use opentelemetry::{
    Context,
    trace::{FutureExt as _, SpanKind, TraceContextExt as _},
};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::scene::Scene;
use crate::{
    account::{timeline, view::Account},
    exit::Failure,
    local::{run_file::RunFile, supervise::ChildState, system::System},
    otlp::{OtlpReceiver, Span},
    output::Format,
    person::{Inbox, PATIENCE, Person, SignedUp, in_time},
    service::Service,
    session::Session,
    target::Places,
    terminal::{CODE, DIM, STRONG, called_for, width},
    trace::{is_rooted, missing_of_sign_up, render, short},
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
    inbox: Inbox,
    receiver: &'a OtlpReceiver,
    scene: &'a Scene,
}

impl<'a> Story<'a> {
    pub(super) fn new(
        system: &'a System,
        run: &'a RunFile,
        inbox: Inbox,
        receiver: &'a OtlpReceiver,
        scene: &'a Scene,
    ) -> Self {
        let session = Session {
            places: Places::of(run, system.data().root()),
            format: Format::Table,
            usher: called_for(system.data().root()),
        };
        let person = Person {
            session,
            progress: scene.progress(),
            patience: PATIENCE,
        };
        Self {
            system,
            run,
            person,
            inbox,
            receiver,
            scene,
        }
    }

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
        let (scene, person) = (self.scene, &self.person);
        let address = "ada@example.com";
        scene.chapter("Ada signs up");
        let started = Instant::now();
        let SignedUp { account, .. } = person.sign_up(address, "Ada Lovelace").await?;
        let (status, id) = (&account.status, &account.account_id);
        let answered = short(started.elapsed());
        scene.fact(&format!(
            "CreateAccount: {status} after {answered}  {DIM}{id}{DIM:#}"
        ));
        let letter = person.letter(&self.inbox, &account).await?;
        let arrived = short(started.elapsed());
        scene.fact(&format!(
            "the mail arrived {arrived} after the sign-up began\n"
        ));
        scene.say(letter.drawn());

        let code = letter.code()?;
        scene.chapter("Ada types the code");
        let typed = Instant::now();
        person.confirm(id, &code).await?;
        let answered = short(typed.elapsed());
        scene.fact(&format!(
            "ConfirmCode({CODE}{code}{CODE:#}) answered OK in {answered}"
        ));
        person.wait_until_verified(id).await?;
        let verified = short(typed.elapsed());
        scene.fact(&format!(
            "the account is {STRONG}VERIFIED{STRONG:#} {verified} after the code"
        ));
        Ok(account)
    }

    async fn timeline(&self, account_id: &str) -> Result<Account, Failure> {
        // Outside of the journey's trace: reading it is no part of it.
        let shown = self.person.shown_after_its_mail(account_id).await?;
        let timeline = timeline::render(&shown.account, shown.verification.as_ref());
        self.scene.say("");
        self.scene.say(timeline.trim_end());
        Ok(shown.account)
    }

    async fn whole_trace(&self, trace_id: &str) -> Vec<Span> {
        self.scene
            .chapter("The whole journey is one trace, through the outbox, the broker and the mail");
        let step = self.scene.progress().step("waiting for the last spans");
        let deadline = Duration::from_secs(10);
        let waited = self.receiver.wait_for_trace(trace_id, is_whole, deadline);
        // What is there is shown, even if something is missing.
        let (Ok(spans) | Err(spans)) = waited.await;
        drop(step);
        self.scene.say(render(&spans, width()).trim_end());
        spans
    }

    async fn crash(&self) -> Result<(Account, usize), Failure> {
        let (scene, person) = (self.scene, &self.person);
        let address = "grace@example.com";
        scene.chapter("Grace signs up, and verification is killed in the middle of it");
        let before = self.system.state(KILLED.name());
        let started = Instant::now();
        let SignedUp { account, .. } = person.sign_up(address, "Grace Hopper").await?;
        let killed = self.system.kill(KILLED.name()).unwrap_or_default();
        let after = short(started.elapsed());
        let was_out = person.count_mails(&self.inbox, address).await? > 0;
        let (status, id) = (&account.status, &account.account_id);
        scene.fact(&format!("CreateAccount: {status}  {DIM}{id}{DIM:#}"));
        let mails = match was_out {
            true => "the mail was already out",
            false => "no mail yet",
        };
        scene.blow(&format!(
            "kill -9 {killed} (verification), {after} after the sign-up began; {mails}"
        ));

        // Both at once: the mail may arrive before verification answers again.
        let arrival = async {
            let letter = person.letter(&self.inbox, &account).await?;
            Ok((letter, short(started.elapsed())))
        };
        let (pid, (letter, arrived)) = tokio::try_join!(self.started_again(before), arrival)?;
        scene.fact(&format!(
            "verification was started again by itself {DIM}(process {pid}){DIM:#}"
        ));
        scene.fact(&format!(
            "the mail arrived {arrived} after the sign-up began"
        ));
        person.confirm(id, &letter.code()?).await?;
        person.wait_until_verified(id).await?;
        scene.fact("its code confirms the account");

        // Not before its mail is known as accepted: from then on no second one can follow.
        let shown = person.shown_after_its_mail(id).await?;
        let mails = person.count_mails(&self.inbox, address).await?;
        let times = match mails {
            1 => "once".to_owned(),
            more => format!("{more} times, with one Message-ID"),
        };
        scene.fact(&format!(
            "mails for Grace: {STRONG}{mails}{STRONG:#}. The mail arrived {times}"
        ));
        Ok((shown.account, mails))
    }

    /// Waits until the supervisor has started verification again and it answers.
    async fn started_again(&self, before: ChildState) -> Result<u32, Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.system.state(KILLED.name());
            if let Some(pid) = now.pid
                // By the count: the dead process's id stays for a moment, and may even come again.
                && now.starts > before.starts
            {
                // A person would simply try again, but the demo types faster than that.
                self.system.wait_until_ready(KILLED, self.run).await?;
                return Ok(pid);
            }
            in_time(deadline, "Verification was not started again.")?;
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Whether every span's cause is there, from the sign-up to the account's second change.
fn is_whole(spans: &[Span]) -> bool {
    let is_confirmed =
        |span: &Span| span.service == Service::Accounts.name() && span.kind == SpanKind::Consumer;
    is_rooted(spans) && missing_of_sign_up(spans).is_empty() && spans.iter().any(is_confirmed)
}
