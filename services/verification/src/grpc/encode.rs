//! Answers of commands as messages.

use std::time::Duration;

use proto::verification::{
    self as messages, CodeKey, CodeKeyState, CodeState as CodeStateMessage, ConfirmCodeResponse,
    ConfirmOutcome, HistoryEntry, IssueCodeResponse, MailState as MailStateMessage, Verification,
};

use crate::commands::{
    Code, CodeState, MailState,
    await_mail::NewestCode,
    confirm_code::Confirmed,
    count_codes::{KeyState, KeyUse},
    get_verification::{Happened, ShownVerification},
};

pub(super) fn issued(newest: NewestCode) -> IssueCodeResponse {
    IssueCodeResponse {
        code_id: newest.id.to_string(),
        mail_state: mail_state(newest.mail_state).into(),
    }
}

pub(super) fn confirmed(confirmed: Confirmed) -> ConfirmCodeResponse {
    let (outcome, attempts_left, retry_after) = match confirmed {
        Confirmed::Ok => (ConfirmOutcome::Ok, 0, None),
        Confirmed::Wrong(left) => (ConfirmOutcome::Wrong, left, None),
        Confirmed::Expired => (ConfirmOutcome::Expired, 0, None),
        Confirmed::Superseded(left) => (ConfirmOutcome::Superseded, left, None),
        Confirmed::Burnt(wait) => (ConfirmOutcome::Burnt, 0, Some(duration(wait))),
        Confirmed::AlreadyVerified => (ConfirmOutcome::AlreadyVerified, 0, None),
    };
    ConfirmCodeResponse {
        outcome: outcome.into(),
        attempts_left,
        retry_after,
    }
}

pub(super) fn verification(shown: ShownVerification) -> Verification {
    Verification {
        account_id: shown.account_id.to_string(),
        created_at: Some(shown.created_at.into()),
        verified_at: shown.verified_at.map(Into::into),
        codes: shown.codes.iter().map(code).collect(),
        history: shown.history.into_iter().map(happened).collect(),
    }
}

pub(super) fn duration(duration: Duration) -> prost_types::Duration {
    duration.try_into().unwrap_or_default() // out of range only beyond 10,000 years
}

pub(super) fn code_key(key: KeyUse) -> CodeKey {
    let state = match key.state {
        KeyState::InUse => CodeKeyState::InUse,
        KeyState::New => CodeKeyState::New,
        KeyState::Old => CodeKeyState::Old,
        KeyState::Retired => CodeKeyState::Retired,
        KeyState::Unknown => CodeKeyState::Unknown,
    };
    CodeKey {
        key_id: key.id,
        state: state.into(),
        live_codes: key.live_codes,
        pending_mails: key.pending_mails,
        live_until: key.live_until.map(Into::into),
    }
}

fn code(code: &Code) -> messages::Code {
    let is_pending = code.mail_state == MailState::Pending;
    let count = |number: i32| u32::try_from(number).unwrap_or(0);
    messages::Code {
        code_id: code.id.to_string(),
        number: count(code.number),
        state: code_state(code.state).into(),
        mail_state: mail_state(code.mail_state).into(),
        created_at: Some(code.created_at.into()),
        expires_at: Some(code.expiry().into()),
        // The right one is counted before it is compared.
        wrong_guesses: count(code.guesses - i32::from(code.state == CodeState::Used)),
        mail_attempts: count(code.mail_attempts),
        next_attempt_at: is_pending.then(|| code.next_attempt_at.into()),
    }
}

fn code_state(state: CodeState) -> CodeStateMessage {
    match state {
        CodeState::Live => CodeStateMessage::Live,
        CodeState::Used => CodeStateMessage::Used,
        CodeState::Superseded => CodeStateMessage::Superseded,
        CodeState::Burnt => CodeStateMessage::Burnt,
    }
}

fn mail_state(state: MailState) -> MailStateMessage {
    match state {
        MailState::Pending => MailStateMessage::Pending,
        MailState::Accepted => MailStateMessage::Accepted,
        MailState::Rejected => MailStateMessage::Rejected,
        MailState::Undelivered => MailStateMessage::Undelivered,
        MailState::Obsolete => MailStateMessage::Obsolete,
    }
}

fn happened(happened: Happened) -> HistoryEntry {
    HistoryEntry {
        at: Some(happened.at.into()),
        code_id: happened
            .code_id
            .map(|id| id.to_string())
            .unwrap_or_default(),
        what: happened.what,
        detail: happened.detail,
    }
}
