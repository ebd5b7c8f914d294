//! One run, the same for everything that is measured: load, and faults meanwhile; healing; the
//! conservation check.

use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
    io::{self, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::ensure;
use hdrhistogram::Histogram;
use tokio_util::sync::CancellationToken;

use crate::{
    befall::befall,
    check::Check,
    dispatcher::Dispatcher,
    faults::Plan,
    load::{Asked, Load},
    mailbox::Mailbox,
    mails::Mails,
    people::People,
    phases::Phases,
    place::Ground,
    report::{Outcome, Report},
    sink::{Accepted, Moods, Sink},
    system::{Apart, System},
    target::{Elsewhere, RunFile, Target},
    terminal::{bar, tell, unless_interrupted},
    typing::Typing,
};

/// What a store takes in megabytes: empty, and for a thousand sign-ups.
const SMALL: u64 = 160;
const EACH: u64 = 6;

/// What is measured.
#[derive(Debug, Clone)]
pub enum Subject {
    /// A system of the run's own, started by this program.
    Own {
        /// The command `usher`.
        usher: PathBuf,
        /// How it is run.
        ground: Ground,
        /// How its accounts hands its news on; `usher up` has its default.
        dispatcher: Dispatcher,
    },
    /// A system that runs already.
    Running {
        /// The data folder of its `usher up`.
        data: PathBuf,
        /// Where it sends its mails: the sink listens there.
        sink: SocketAddr,
    },
    /// A system that runs elsewhere, as on a cluster, with a mailbox of its own.
    Elsewhere(Elsewhere),
}

impl Subject {
    fn is_forgetful(&self) -> bool {
        let Self::Own { dispatcher, .. } = self else {
            return false;
        };
        dispatcher.is_forgetful()
    }

    /// Whether a second mail needs a reason that the sink knows. Of what befell a system that others
    /// run, the mailer knows more.
    fn is_faultless(&self, plan: &Plan) -> bool {
        plan.0.is_empty() && !matches!(self, Self::Elsewhere(_))
    }
}

/// Everything that decides about a run.
#[derive(Debug, Clone)]
pub struct Run {
    /// What is measured.
    pub subject: Subject,
    /// How many sign up, and when.
    pub load: Load,
    /// Who signs up; its seed is the run's.
    pub people: People,
    /// What befalls the system; only with a system of its own.
    pub plan: Plan,
    /// Whether standard input names phases, and ends the load.
    pub phased: bool,
    /// How the mail server behaves meanwhile.
    pub moods: Moods,
    /// Who types the code of the mail at once.
    pub typing: Typing,
    /// Acknowledged sign-ups without which the run shows nothing.
    pub at_least: usize,
    /// Codes that are tried at most.
    pub guesses: usize,
    /// How long nothing may get better while something is owed.
    pub patience: Duration,
    /// How long a mail that is tried again later is waited for.
    pub limit: Duration,
}

impl Run {
    /// Does it; nothing is reported of what Ctrl-C ended.
    ///
    /// # Errors
    /// When the system cannot be started, does not answer after the healing, or does not stop in
    /// order.
    pub async fn start(&self) -> anyhow::Result<Option<Report>> {
        match &self.subject {
            Subject::Own {
                usher,
                ground,
                dispatcher,
            } => self.on_own(usher, *ground, *dispatcher).await,
            Subject::Running { data, sink } => {
                let run = RunFile::read(data)?;
                ensure!(
                    run.mail == format!("smtp://{sink}"),
                    "The system sends its mails to {}, where this program cannot see them: \
                     start it with USHER_MAIL_URL=smtp://{sink}",
                    run.mail
                );
                let sink = Sink::listen(*sink, self.moods.clone()).await?;
                let (target, mails) = (Target::of(&run)?, Mails::Sink(sink));
                unless_interrupted(self.measure(&target, &mails, None)).await
            }
            Subject::Elsewhere(elsewhere) => {
                let mailbox = Mailbox::new(&elsewhere.mailbox_url, &self.people, self.patience)?;
                let (target, mails) = (elsewhere.target()?, Mails::Mailbox(Box::new(mailbox)));
                unless_interrupted(self.measure(&target, &mails, None)).await
            }
        }
    }

    async fn on_own(
        &self,
        usher: &Path,
        ground: Ground,
        dispatcher: Dispatcher,
    ) -> anyhow::Result<Option<Report>> {
        let sink = Sink::listen(([127, 0, 0, 1], 0).into(), self.moods.clone()).await?;
        let (seed, mail_url) = (self.people.seed, sink.url());
        let apart = Apart {
            usher,
            ground,
            dispatcher,
            seed,
            megabytes: SMALL + self.load.requests() * EACH / 1_000,
            mail_url: &mail_url,
        };
        let started = unless_interrupted(async {
            match ground {
                Ground::Up => {
                    let is_soaked = !self.plan.0.is_empty();
                    System::up(usher, &mail_url, is_soaked.then_some(seed), &[]).await
                }
                Ground::Sqlite | Ground::Postgres => System::apart(&apart).await,
            }
        });
        let Some(mut system) = started.await? else {
            return Ok(None);
        };
        let mails = Mails::Sink(sink);
        let measured = self.measure(system.target(), &mails, Some(&system));
        let measured = unless_interrupted(measured).await;
        let stopped = system.stop().await;
        let is_broken = match &measured {
            Ok(Some(report)) => report.outcome() == Outcome::Broken,
            Ok(None) => false,
            Err(_) => true,
        };
        if stopped.is_err() || is_broken {
            // Its databases and logs say more than this program can.
            tell(&format!("kept: {}", system.keep().display()));
        }
        let report = measured?;
        stopped?;
        Ok(report)
    }

    async fn measure(
        &self,
        target: &Target,
        mails: &Mails,
        system: Option<&System>,
    ) -> anyhow::Result<Report> {
        let bar = bar(self.load.requests());
        let (acknowledged, befell) = (Cell::new(0), Cell::new(0));
        let (phases, enough) = (Phases::new(Instant::now()), CancellationToken::new());
        if self.phased {
            phases.begin(BufReader::new(io::stdin()), enough.clone());
        }
        let urls = &target.accounts_urls;
        let load = self.load.run(urls, &self.people, &enough, |asked| {
            let is_acknowledged = asked.answer.is_acknowledged();
            acknowledged.update(|count| count + usize::from(is_acknowledged));
            bar.inc(1);
            let (acknowledged, mailed, befell) = (acknowledged.get(), mails.count(), befell.get());
            bar.set_message(format!(
                "{acknowledged} acknowledged, {mailed} mailed, {befell} faults"
            ));
        });
        let faults = async {
            let Some(system) = system else {
                return BTreeMap::new();
            };
            let met = befall(system, &self.plan, Instant::now(), |fault| {
                bar.println(fault.to_string());
                befell.update(|count| count + 1);
            });
            met.await
        };
        let over = CancellationToken::new();
        let load_and_faults = async {
            let both = tokio::join!(load, faults);
            over.cancel();
            both
        };
        let typing = self.typing.run(&target.verification_urls, mails, &over);
        let ((asked, faults), typed, ()) =
            tokio::join!(load_and_faults, typing, mails.follow(&over));
        let (asked, typed) = (asked?, typed?);
        // Before anything is judged: from here on whatever is owed can be paid.
        mails.heal();
        bar.set_message("faults are over; waiting until nothing is owed");
        let check = Check {
            target,
            people: &self.people,
            whole: system.is_some(),
            faultless: self.subject.is_faultless(&self.plan),
            forgetful: self.subject.is_forgetful(),
            patience: self.patience,
            limit: self.limit,
            guesses: self.guesses,
            typed: &typed,
        };
        let verdict = check.run(&asked, mails).await?;
        bar.finish_and_clear();
        let moods = mails.moods_met();
        let mails = mails.accepted().await?;
        Ok(Report {
            seed: self.people.seed,
            ground: match self.subject {
                Subject::Own { ground, .. } => Some(ground),
                Subject::Running { .. } | Subject::Elsewhere(_) => None,
            },
            rate: self.load.rate,
            seconds: lasted(&asked, &self.load),
            asked: asked.len(),
            at_least: self.at_least,
            faults_planned: self.plan.0.len(),
            faults,
            surprises: system.map(System::surprises).unwrap_or_default(),
            slowest_stop: system.map(System::slowest_stop).unwrap_or_default(),
            moods,
            answers: answers(&asked),
            mails: arrivals(&asked, &mails),
            repeated: asked.iter().filter(|one| one.times > 1).count(),
            phases: match self.phased {
                true => phases.tell(&asked, &verdict, &mails),
                false => Vec::new(),
            },
            verdict,
        })
    }
}

/// How long requests became due: whoever names phases ends them early.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 requests")]
fn lasted(asked: &[Asked], load: &Load) -> f64 {
    (asked.len() as f64 / load.rate).round()
}

/// From the time a request was due to its answer, in microseconds.
fn answers(asked: &[Asked]) -> Histogram<u64> {
    let acknowledged = |one: &&Asked| one.answer.is_acknowledged();
    histogram(asked.iter().filter(acknowledged).map(|one| one.latency))
}

/// From the time a request was due to its first mail, in microseconds.
fn arrivals(asked: &[Asked], mails: &[Accepted]) -> Histogram<u64> {
    let due: HashMap<_, _> = asked
        .iter()
        .map(|one| (one.address.as_str(), one.due))
        .collect();
    let mut first: HashMap<&str, Instant> = HashMap::new();
    for mail in mails {
        // A second mail came later; it has a judgement of its own.
        first.entry(&mail.recipient).or_insert(mail.at);
    }
    let taken = first
        .iter()
        .filter_map(|(address, at)| Some(at.duration_since(*due.get(address)?)));
    histogram(taken)
}

pub(crate) fn histogram(durations: impl Iterator<Item = Duration>) -> Histogram<u64> {
    const HIGHEST: u64 = 60 * 60 * 1_000_000;
    let histogram = Histogram::new_with_bounds(1, HIGHEST, 3);
    let mut histogram = histogram.expect("these bounds make a histogram");
    for duration in durations {
        histogram.saturating_record(u64::try_from(duration.as_micros()).unwrap_or(HIGHEST));
    }
    histogram
}
