//! `usher cluster smoke`: one person signs up in an installation and what she would notice is looked
//! at, up to the trace of it. What `helm test` runs.

use std::{path::Path, time::Duration};

use clap::Args;
use kit::{config::duration, random};
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    exit::{Exit, Failure},
    mailbox::client::MailboxClient,
    output::Format,
    person::{Fate, Inbox, Person, SignedUp, fate},
    session::Session,
    target::Target,
    terminal::{DIM, GOOD, called_for},
    trace::{jaeger::Jaeger, jaeger::JaegerArguments, missing_of_sign_up, short},
    web::WebUrl,
};

/// Before a sign-up that nobody answered is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(250);

/// Sign a person up and see that everything works
///
/// What `helm test` runs, by gRPC and HTTP only: a sign-up with an address of its own, the mail as it
/// arrives in the mailbox, its code typed, the account verified, and every step from the request to
/// the mail server in Jaeger. Without --mailbox-url it is content when the mail server has accepted
/// the mail; without --jaeger-url no trace is looked for. The account stays.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher cluster smoke --mailbox-url http://127.0.0.1:8025 --jaeger-url http://127.0.0.1:16686
  usher cluster smoke --domain mail-test.example.com      # a real mail server takes the mail
  helm test usher                                         # the same, in a pod of the release")]
pub(crate) struct SmokeArguments {
    /// The mailbox in which mails arrive, where there is one, http://HOST:PORT
    #[arg(
        long,
        env = "USHER_MAILBOX_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    mailbox_url: Option<WebUrl>,
    #[command(flatten)]
    jaeger: JaegerArguments,
    /// Domain of the address that signs up: smoke-…@DOMAIN
    #[arg(long, value_name = "DOMAIN", default_value = "example.com")]
    domain: String,
    /// How long everything may take
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    wait: Duration,
    #[command(flatten)]
    target: Target,
}

/// For `--output json`: what was seen, in milliseconds after the sign-up began.
#[derive(Debug, Default, Serialize)]
struct Seen {
    account_id: String,
    trace_id: Option<String>,
    answered_ms: u128,
    #[serde(skip_serializing_if = "Option::is_none")]
    mail_ms: Option<u128>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_ms: Option<u128>,
    /// Where the trace is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<String>,
}

pub(super) async fn run(
    arguments: SmokeArguments,
    data: &Path,
    format: Format,
) -> Result<(), Failure> {
    let session = Session {
        places: arguments.target.places(data)?,
        format,
        usher: called_for(data),
    };
    let smoke = Smoke {
        person: Person {
            session,
            progress: format.progress(),
            // Then there is time left to find out what became of it.
            patience: arguments.wait / 2,
        },
        inbox: arguments
            .mailbox_url
            .map(|url| Inbox::Mailbox(MailboxClient::at(url))),
        jaeger: arguments.jaeger.jaeger_url.map(Jaeger::at),
        began: Instant::now(),
        deadline: Instant::now() + arguments.wait,
    };
    let looking = timeout(arguments.wait, smoke.look(&arguments.domain));
    let seen = looking.await.unwrap_or_else(|_| {
        let wait = humantime::format_duration(arguments.wait);
        let what = format!("Not everything was seen within {wait}; what was is listed above.");
        Err(Failure::new(Exit::Failed, what)
            .hint("`usher doctor` looks at every part; `--wait 2m` gives it more time."))
    })?;
    format.print_named(&seen, [&*seen.account_id], |_| {
        let took = short(smoke.began.elapsed());
        format!("{GOOD}Everything works.{GOOD:#} {DIM}It took {took}.{DIM:#}")
    });
    Ok(())
}

struct Smoke {
    person: Person,
    inbox: Option<Inbox>,
    jaeger: Option<Jaeger>,
    began: Instant,
    deadline: Instant,
}

impl Smoke {
    async fn look(&self, domain: &str) -> Result<Seen, Failure> {
        let step = self.person.progress.step("signing up");
        let SignedUp { account, trace_id } = self.sign_up(domain).await?;
        let mut seen = Seen {
            account_id: account.account_id.clone(),
            trace_id,
            answered_ms: self.passed(),
            ..Seen::default()
        };
        let answered = short(self.began.elapsed());
        step.done("signed up", &format!("{} after {answered}", account.status));
        match &self.inbox {
            Some(inbox) => {
                let letter = self.person.letter(inbox, &account).await?;
                seen.mail_ms = Some(self.passed());
                self.fact("the mail is in the mailbox");
                self.person
                    .confirm(&account.account_id, &letter.code()?)
                    .await?;
                self.fact("its code was taken");
                self.person.wait_until_verified(&account.account_id).await?;
                seen.verified_ms = Some(self.passed());
                self.fact("the account is VERIFIED");
            }
            None => {
                let shown = self
                    .person
                    .shown_after_its_mail(&account.account_id)
                    .await?;
                if let Fate::Otherwise(why) = fate(&shown) {
                    let what = "The mail server did not accept the mail.";
                    return Err(Failure::new(Exit::Failed, what).hint(why));
                }
                seen.mail_ms = Some(self.passed());
                self.fact("the mail server accepted the mail");
            }
        }
        if let Some(jaeger) = &self.jaeger {
            seen.page = Some(self.trace(jaeger, seen.trace_id.as_deref()).await?);
        }
        Ok(seen)
    }

    /// Signs up as soon as somebody answers: where network policies are enforced, a pod is without a
    /// network for its first moments. Each try has an address of its own, as one that was not
    /// answered may have been stored.
    async fn sign_up(&self, domain: &str) -> Result<SignedUp, Failure> {
        let deadline = Instant::now() + self.person.patience;
        loop {
            let address = format!("smoke-{}@{domain}", hex::encode(random::bytes::<6>()));
            match self.person.sign_up(&address, "Smoke Test").await {
                Err(failure) if failure.exit == Exit::Unavailable && Instant::now() < deadline => {
                    sleep(TRY_AGAIN).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Waits for the trace, and says where it is shown.
    async fn trace(&self, jaeger: &Jaeger, id: Option<&str>) -> Result<String, Failure> {
        let Some(id) = id else {
            let what = "accounts does not say to which trace its answer belongs.";
            return Err(Failure::new(Exit::Failed, what)
                .hint("It sends no traces: set OTEL_EXPORTER_OTLP_ENDPOINT of the services."));
        };
        let step = self.person.progress.step("waiting for the trace");
        // Sooner than all is over: then it can be said which spans did not come.
        let within = self
            .deadline
            .saturating_duration_since(Instant::now())
            .mul_f64(0.9);
        let complete = |spans: &[_]| missing_of_sign_up(spans).is_empty();
        let spans = jaeger.wait_for(id, complete, within).await?;
        let (missing, page) = (missing_of_sign_up(&spans), jaeger.page(id));
        if !missing.is_empty() {
            let what = format!(
                "The trace in Jaeger is not whole: {} of its spans came, and these steps are missing: {}.",
                spans.len(),
                missing.join("; ")
            );
            return Err(Failure::new(Exit::Failed, what).hint(format!(
                "Does OTEL_EXPORTER_OTLP_ENDPOINT of every service lead to the Jaeger at {}? A sampling ratio below 1 leaves \
                 traces out, too. {page}",
                jaeger.url()
            )));
        }
        step.done(
            "the trace is whole",
            &format!("{} spans: {page}", spans.len()),
        );
        Ok(page)
    }

    fn fact(&self, what: &str) {
        let step = self.person.progress.step(what);
        step.done(what, &format!("after {}", short(self.began.elapsed())));
    }

    fn passed(&self) -> u128 {
        self.began.elapsed().as_millis()
    }
}
