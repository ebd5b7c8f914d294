//! Phases of a run, named by whoever does something to the system meanwhile: each line of standard
//! input begins one, its end ends the load. What happened is told by the phase in which a sign-up was
//! due.

use std::{
    collections::{HashMap, HashSet},
    io::BufRead,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Instant,
};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{check::Verdict, load::Asked, sink::Accepted};

/// Before the first line.
const FIRST: &str = "undisturbed";

/// The phases that began so far.
#[derive(Debug, Clone)]
pub(crate) struct Phases(Arc<Mutex<Vec<(Instant, String)>>>);

/// What happened to those who signed up in one phase.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Phase {
    /// As it was named.
    pub name: String,
    /// Sign-ups that were due.
    pub requests: usize,
    /// Of those, sent more than once.
    pub repeated: usize,
    /// Of those, not acknowledged in the end.
    pub failed: usize,
    /// Findings of the check that say that somebody is lost.
    pub lost: usize,
    /// Mails beyond a person's first under the same Message-ID.
    pub doubled: usize,
}

impl Phases {
    /// One, until `begin` says more.
    pub(crate) fn new(start: Instant) -> Self {
        Self(Arc::new(Mutex::new(vec![(start, FIRST.to_owned())])))
    }

    /// Begins a phase at each line of `lines`; `over` is cancelled at their end.
    pub(crate) fn begin(&self, lines: impl BufRead + Send + 'static, over: CancellationToken) {
        let phases = self.clone();
        // A thread: nothing else can wait for standard input and still let the program end.
        thread::spawn(move || {
            for name in lines.lines().map_while(Result::ok) {
                phases.locked().push((Instant::now(), name));
            }
            over.cancel();
        });
    }

    /// What happened in each.
    pub(crate) fn tell(
        &self,
        asked: &[Asked],
        verdict: &Verdict,
        mails: &[Accepted],
    ) -> Vec<Phase> {
        let begun = self.locked().clone();
        let named = begun.iter().map(|(_, name)| Phase {
            name: name.clone(),
            ..Phase::default()
        });
        let mut phases: Vec<_> = named.collect();
        let lost = counted(verdict.lost.iter().map(|one| one.address.as_str()));
        let doubled = doubled(mails);
        for one in asked {
            let later = begun.partition_point(|(begin, _)| *begin <= one.due);
            let phase = &mut phases[later.saturating_sub(1)];
            phase.requests += 1;
            phase.repeated += usize::from(one.times > 1);
            phase.failed += usize::from(!one.answer.is_acknowledged());
            phase.lost += lost.get(one.address.as_str()).unwrap_or(&0);
            phase.doubled += doubled.get(one.address.as_str()).unwrap_or(&0);
        }
        phases
    }

    fn locked(&self) -> MutexGuard<'_, Vec<(Instant, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Mails beyond the first under the same Message-ID, by recipient.
fn doubled(mails: &[Accepted]) -> HashMap<&str, usize> {
    let mut first = HashSet::new();
    let again = mails.iter().filter(|mail| !first.insert(mail.code_id()));
    counted(again.map(|mail| mail.recipient.as_str()))
}

fn counted<'a>(addresses: impl Iterator<Item = &'a str>) -> HashMap<&'a str, usize> {
    let mut counts = HashMap::new();
    for address in addresses {
        *counts.entry(address).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use std::{io::Cursor, time::Duration};

    use proto::accounts::MailOutcome;

    use super::*;
    use crate::{check::Finding, load::Answer};

    #[tokio::test]
    async fn lines_begin_phases_and_their_end_ends_the_load() {
        let (phases, over) = (Phases::new(Instant::now()), CancellationToken::new());
        phases.begin(Cursor::new("drain\nrollback\n"), over.clone());
        over.cancelled().await;
        let told = phases.tell(&[], &Verdict::default(), &[]);
        let names: Vec<_> = told.iter().map(|phase| phase.name.as_str()).collect();
        assert_eq!(names, [FIRST, "drain", "rollback"]);
    }

    #[test]
    fn what_happened_to_somebody_is_told_by_the_phase_of_the_sign_up() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let phases = Phases(Arc::new(Mutex::new(vec![
            (start, FIRST.to_owned()),
            (after(5), "drain".to_owned()),
        ])));
        let asked = |address: &str, due, times, answer| Asked {
            address: address.to_owned(),
            due: after(due),
            latency: Duration::ZERO,
            times,
            answer,
        };
        let mail = |recipient: &str| Accepted {
            recipient: recipient.to_owned(),
            message_id: format!("{recipient}@localhost"),
            code: String::new(),
            at: start,
            is_answer_lost: false,
        };
        let acknowledged = Answer::Acknowledged {
            account_id: "a1".to_owned(),
            mail: MailOutcome::Unspecified,
        };
        let unknown = Answer::Unknown(tonic::Code::Unavailable);
        let verdict = Verdict {
            lost: vec![Finding {
                whose: "a2".to_owned(),
                address: "zoe".to_owned(),
                what: "no mail arrived".to_owned(),
            }],
            ..Verdict::default()
        };
        let asked = [
            asked("ada", 4, 1, acknowledged),
            asked("zoe", 5, 3, unknown),
        ];
        let told = phases.tell(&asked, &verdict, &[mail("ada"), mail("ada")]);
        let rows: Vec<_> = told.iter().map(row).collect();
        assert_eq!(rows, [[1, 0, 0, 0, 1], [1, 1, 1, 1, 0]]);
    }

    fn row(phase: &Phase) -> [usize; 5] {
        let Phase {
            requests,
            repeated,
            failed,
            lost,
            doubled,
            ..
        } = phase;
        [*requests, *repeated, *failed, *lost, *doubled]
    }
}
