//! What `doctor` sees with the operators' token: whether it is taken, mails that wait, and dead
//! letters.

use proto::verification::{GetVerificationRequest, MailState};
use tonic::Code;

use super::finding::Finding;
use crate::{
    dlq,
    exit::{Exit, Failure},
    mail::{self, view::Attempt},
    service::Service,
    session::Session,
};

/// Attempts that are looked at, and mails of them that verification is asked about.
const ATTEMPTS: usize = 200;
const ASKED: usize = 100;
/// With fewer attempts, that none was accepted says little.
const FEW: usize = 3;

/// What mails meet, as a fault.
pub(super) const MAILS: &str = "mails";
const TOKEN: &str = "admin token";

/// Asks those that answer; what is said of the others is said already.
pub(super) async fn look(session: &Session, answering: &[Service]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Err(failure) = session.places.admin(Service::Mailer) {
        return vec![refused(TOKEN, failure)];
    }
    let mut letters = 0;
    let mut is_accepted = false;
    for service in answering.iter().copied() {
        let asked = match service {
            Service::Mailer => {
                let attempts = mail::view::read(session, "", ATTEMPTS).await;
                match attempts {
                    Ok(attempts) => {
                        let asks = answering.contains(&Service::Verification);
                        findings.push(of_mails(session, &attempts, asks).await);
                        Ok(())
                    }
                    Err(failure) => Err(failure),
                }
            }
            keeper => match dlq::count(session, keeper, 500).await {
                Ok(number) => {
                    letters += number;
                    Ok(())
                }
                Err(failure) => Err(failure),
            },
        };
        match asked {
            Ok(()) => is_accepted = true,
            Err(failure) if failure.reason.as_deref() == Some("ADMIN_TOKEN_REQUIRED") => {
                findings.insert(0, refused(TOKEN, failure));
                return findings;
            }
            // Its readiness says why it cannot answer.
            Err(failure) if failure.exit == Exit::Unavailable => {}
            Err(failure) => findings.push(refused(service.name(), failure)),
        }
    }
    if is_accepted {
        findings.insert(0, Finding::ok(TOKEN, "is accepted"));
    }
    if letters > 0 {
        let events = if letters == 1 { "event" } else { "events" };
        let finding = Finding::warning(
            "dead letters",
            format!("{letters} {events} that no handler could use"),
            "`usher dlq list` shows why; `usher dlq replay` handles them again, `usher dlq drop` deletes them.",
        );
        findings.push(finding.means(
            "Whoever signed up or confirmed by one of them waits for what comes next until it is replayed.",
        ));
    }
    findings
}

fn refused(part: &'static str, failure: Failure) -> Finding {
    let advice = failure.hint.unwrap_or_default();
    Finding::problem(part, failure.message, advice)
}

/// Mails that wait, and whether any gets through.
async fn of_mails(session: &Session, attempts: &[Attempt], asks: bool) -> Finding {
    let newest = attempts.len();
    let is_accepted = |attempt: &&Attempt| attempt.outcome == "ACCEPTED";
    let accepted = attempts.iter().filter(is_accepted).count();
    let waiting = waiting(session, attempts, asks).await;
    // The newest first.
    let failed = attempts.iter().find(|attempt| !is_accepted(attempt));
    let said = failed.map(|failed| failed.reply.trim_end_matches('.'));
    let said = said.unwrap_or_default();
    const LIST: &str = "`usher mail list` shows each attempt with what the mail server said.";
    if accepted == 0 && newest >= FEW {
        let what =
            format!("none of the newest {newest} attempts was accepted; the last answer: {said}");
        let means = "People can sign up, but none of them has got a mail of late.";
        let advice =
            format!("Mend what the answer says, in USHER_MAIL_URL or at the mail server. {LIST}");
        let since = attempts.last().and_then(|oldest| oldest.at.clone());
        let finding = Finding::problem(MAILS, what, advice).means(means);
        return finding.since(&since.unwrap_or_default());
    }
    let Some(oldest) = waiting.last() else {
        return match newest {
            0 => Finding::ok(MAILS, "none has been attempted yet"),
            _ => Finding::ok(
                MAILS,
                format!("none waits; {accepted} of the newest {newest} attempts were accepted"),
            ),
        };
    };
    let what = match waiting.len() {
        1 => "1 mail waits".to_owned(),
        ASKED.. => format!("{ASKED} mails wait, or more"),
        number => format!("{number} mails wait"),
    };
    let advice = format!("Each is tried again by itself, until its code expires. {LIST}");
    Finding::warning(
        MAILS,
        format!("{what} after a failed attempt; the last answer: {said}"),
        advice,
    )
    .means("Whoever they are for has signed up and cannot confirm yet; nobody is lost.")
    .since(oldest.at.as_deref().unwrap_or_default())
}

/// Of each mail that waits, its newest attempt.
async fn waiting<'a>(
    session: &Session,
    attempts: &'a [Attempt],
    mut asks: bool,
) -> Vec<&'a Attempt> {
    let mut seen = std::collections::BTreeSet::new();
    let waiting: Vec<&Attempt> = attempts
        .iter()
        .filter(|attempt| seen.insert(&attempt.code_id))
        // Those that may be tried again; what was accepted or refused for good is not.
        .filter(|attempt| ["UNAVAILABLE", "UNKNOWN"].contains(&attempt.outcome.as_str()))
        .take(ASKED)
        .collect();
    let Ok(mut verification) = session.verification() else {
        return waiting;
    };
    let mut left = Vec::new();
    for attempt in waiting {
        let request = GetVerificationRequest {
            account_id: attempt.account_id.clone(),
        };
        let waits = match asks {
            true => match verification.get_verification(request).await {
                Ok(answer) => {
                    let known = answer.into_inner().verification.unwrap_or_default();
                    let code = known
                        .codes
                        .iter()
                        .find(|code| code.code_id == attempt.code_id);
                    code.is_some_and(|code| code.mail_state() == MailState::Pending)
                }
                Err(status) => {
                    // Verification that is slow to say no is not asked a hundred times.
                    asks = status.code() == Code::NotFound;
                    !asks
                }
            },
            // Only verification knows; what it does not deny is told.
            false => true,
        };
        if waits {
            left.push(attempt);
        }
    }
    left
}
