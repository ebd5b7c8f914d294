//! Each way to lose, invent or double somebody, on a run of one or two people.

use std::time::{Duration, Instant};

use proto::{accounts::MailOutcome, verification::Verification};

use super::*;

const ADA: &str = "s000001.t@example.com";
const GONE: &str = "gone000002.t@example.com";

/// Ada signed up, was mailed, and confirmed.
struct World {
    asked: Vec<Asked>,
    seen: Seen,
    mails: Vec<Accepted>,
}

impl World {
    fn of(address: &str, mail_state: MailState) -> Self {
        let asked = Asked {
            address: address.to_owned(),
            due: Instant::now(),
            latency: Duration::ZERO,
            times: 1,
            answer: Answer::Acknowledged {
                account_id: "a1".to_owned(),
                mail: MailOutcome::Unspecified,
            },
        };
        let stored = Stored {
            address: address.to_owned(),
            verified: true,
        };
        let mut seen = Seen::default();
        seen.accounts.insert("a1".to_owned(), stored);
        let verification = Verification {
            codes: vec![code("c1", CodeState::Used, mail_state)],
            ..Verification::default()
        };
        seen.verifications.insert("a1".to_owned(), verification);
        Self {
            asked: vec![asked],
            seen,
            mails: Vec::new(),
        }
    }

    fn ada() -> Self {
        let mut world = Self::of(ADA, MailState::Accepted);
        world.mails.push(mail(ADA, "c1", "12345678"));
        world.seen.guesses.insert("a1".to_owned(), Guess::Right);
        world
    }

    fn codes(&mut self) -> &mut Vec<Code> {
        let verification = self.seen.verifications.get_mut("a1");
        &mut verification.expect("she has one").codes
    }

    fn verdict(&self) -> Verdict {
        judge(&self.asked, &self.seen, &self.mails, |_| true)
    }

    fn lost(&self) -> String {
        let verdict = self.verdict();
        assert!(!verdict.is_conserved());
        assert_eq!(verdict.lost.len(), 1, "{:?}", verdict.lost);
        verdict.lost[0].what.clone()
    }

    fn phantom(&self) -> String {
        let verdict = self.verdict();
        assert!(!verdict.is_conserved());
        assert_eq!(verdict.phantom.len(), 1, "{:?}", verdict.phantom);
        verdict.phantom[0].what.clone()
    }
}

fn code(id: &str, state: CodeState, mail_state: MailState) -> Code {
    Code {
        code_id: id.to_owned(),
        state: state.into(),
        mail_state: mail_state.into(),
        ..Code::default()
    }
}

fn mail(recipient: &str, code_id: &str, code: &str) -> Accepted {
    Accepted {
        recipient: recipient.to_owned(),
        message_id: format!("{code_id}@localhost"),
        code: code.to_owned(),
        at: Instant::now(),
        is_answer_lost: false,
    }
}

#[test]
fn whoever_was_mailed_and_confirmed_is_conserved() {
    let verdict = World::ada().verdict();
    assert!(verdict.is_conserved(), "{verdict:?}");
    assert_eq!((verdict.acknowledged, verdict.mailed), (1, 1));
}

#[test]
fn whoever_confirms_before_the_outcome_of_the_mail_is_known_is_conserved() {
    let mut world = World::ada();
    world.codes()[0].set_mail_state(MailState::Obsolete);
    assert!(world.verdict().is_conserved(), "{:?}", world.verdict());
    world.codes()[0].set_state(CodeState::Live);
    assert!(world.lost().ends_with("is MAIL_STATE_OBSOLETE"));
}

#[test]
fn an_acknowledged_account_that_is_not_there_is_lost() {
    let mut world = World::ada();
    world.seen.accounts.clear();
    world.mails.clear();
    assert_eq!(world.lost(), "acknowledged, but there is no such account");
}

#[test]
fn an_account_without_a_verification_a_code_or_a_mail_is_lost() {
    let mut world = World::ada();
    world.mails.clear();
    assert!(
        world
            .lost()
            .starts_with("no mail arrived; MAIL_STATE_ACCEPTED")
    );
    world.codes().clear();
    assert_eq!(world.lost(), "has no code that is live or used");
    world.seen.verifications.clear();
    assert_eq!(world.lost(), "never reached verification");
}

#[test]
fn whom_a_dispatcher_may_forget_is_counted_by_what_the_caller_was_told() {
    let mut world = World::ada();
    world.mails.clear();
    world.seen.guesses.clear();
    world.seen.verifications.clear();
    world.seen.forgotten.insert("a1".to_owned());
    let forgotten = |world: &World| {
        let verdict = world.verdict();
        assert!(verdict.is_conserved(), "{verdict:?}");
        let Forgotten {
            lost,
            told,
            unanswered,
        } = verdict.forgotten;
        [lost, told, unanswered]
    };
    assert_eq!(forgotten(&world), [1, 0, 0]);
    world.asked[0].answer = Answer::Acknowledged {
        account_id: "a1".to_owned(),
        mail: MailOutcome::Unknown,
    };
    assert_eq!(forgotten(&world), [0, 1, 0]);
    world.asked[0].answer = Answer::Unknown(tonic::Code::Unavailable);
    assert_eq!(forgotten(&world), [0, 0, 1]);
    world.mails.push(mail(ADA, "c1", "12345678"));
    let code_of_nobody = "was mailed under c1@localhost, which is no code of it";
    assert_eq!(world.phantom(), code_of_nobody);
}

#[test]
fn no_dispatcher_may_forget_whom_verification_had_by_what_the_caller_was_told() {
    let mut world = World::ada();
    world.mails.clear();
    world.seen.guesses.clear();
    world.seen.verifications.clear();
    world.seen.forgotten.insert("a1".to_owned());
    world.asked[0].answer = Answer::Acknowledged {
        account_id: "a1".to_owned(),
        mail: MailOutcome::Accepted,
    };
    assert_eq!(world.lost(), "never reached verification");
}

#[test]
fn two_live_codes_are_a_loss() {
    let mut world = World::ada();
    let second = code("c2", CodeState::Live, MailState::Pending);
    world.codes().push(second);
    assert_eq!(world.lost(), "has 2 codes that are live or used");
}

#[test]
fn a_code_that_does_not_confirm_is_a_loss_and_so_is_news_that_does_not_arrive() {
    let mut world = World::ada();
    let wrong = Guess::Answered("CONFIRM_OUTCOME_WRONG".to_owned());
    world.seen.guesses.insert("a1".to_owned(), wrong);
    assert!(world.lost().ends_with("was answered CONFIRM_OUTCOME_WRONG"));

    let mut world = World::ada();
    let ada = world.seen.accounts.get_mut("a1");
    ada.expect("she has one").verified = false;
    assert_eq!(world.lost(), "its code was right, but it is not VERIFIED");
}

#[test]
fn a_rejection_is_an_end_only_where_the_mailbox_is_gone() {
    let verdict = World::of(GONE, MailState::Rejected).verdict();
    assert!(verdict.is_conserved(), "{verdict:?}");
    assert_eq!(verdict.rejected, 1);
    let world = World::of(ADA, MailState::Rejected);
    assert!(
        world
            .lost()
            .starts_with("no mail arrived; MAIL_STATE_REJECTED")
    );
}

#[test]
fn an_account_without_an_answer_may_be_there_or_not_but_then_is_owed_everything() {
    let mut world = World::ada();
    world.asked[0].answer = Answer::Unknown(tonic::Code::Unavailable);
    assert!(world.verdict().is_conserved());
    world.mails.clear();
    assert!(world.lost().starts_with("no mail arrived"));
    world.seen.accounts.clear();
    assert!(world.verdict().is_conserved());
}

#[test]
fn accounts_and_mails_that_nobody_asked_for_are_phantoms() {
    let mut world = World::ada();
    world.asked[0].answer = Answer::Refused(tonic::Code::ResourceExhausted);
    assert_eq!(world.phantom(), "exists, but its sign-up was refused");
    world.asked.clear();
    assert_eq!(world.phantom(), "exists, but nobody signed up");

    let mut world = World::ada();
    world.mails.push(mail("s9.t@example.com", "c9", "1234567"));
    assert_eq!(world.phantom(), "was mailed to, but has no account");

    let mut world = World::ada();
    world.mails[0].message_id = "c9@localhost".to_owned();
    let verdict = world.verdict();
    assert_eq!((verdict.phantom.len(), verdict.lost.len()), (1, 1));
}

#[test]
fn a_second_mail_is_counted_and_needs_an_unknown_outcome() {
    let mut world = World::ada();
    world.mails.push(mail(ADA, "c1", "12345678"));
    let verdict = world.verdict();
    assert_eq!(verdict.doubled, 1);
    assert_eq!(verdict.doubled_without_reason.len(), 1);
    assert!(!verdict.is_conserved());
    world.seen.unknowable.insert("c1".to_owned(), 1);
    let verdict = world.verdict();
    assert_eq!((verdict.doubled, verdict.doubled_unknowable), (1, 1));
    assert!(verdict.is_conserved());
}

#[test]
fn a_mail_under_another_message_id_is_counted_apart() {
    let mut world = World::ada();
    world.mails.push(mail(ADA, "c0", "87654321"));
    let old = code("c0", CodeState::Superseded, MailState::Accepted);
    world.codes().push(old);
    let verdict = world.verdict();
    assert_eq!(
        (verdict.doubled, verdict.doubled_under_another_id.len()),
        (0, 1)
    );
    assert!(!verdict.is_conserved());
}

#[test]
fn two_codes_under_one_message_id_are_a_loss() {
    let mut world = World::ada();
    world.mails.push(mail(ADA, "c1", "87654321"));
    world.seen.unknowable.insert("c1".to_owned(), 1);
    assert_eq!(
        world.lost(),
        "two mails under one Message-ID show two codes"
    );
}

#[test]
fn codes_are_tried_as_the_first_mail_shows_them() {
    let mut world = World::ada();
    world.mails.push(mail(ADA, "c1", "87654321"));
    let tried = codes(&world.seen, &world.mails);
    let tried: Vec<_> = tried.iter().map(|choice| choice.code.as_str()).collect();
    assert_eq!(tried, ["12345678"]);
}
