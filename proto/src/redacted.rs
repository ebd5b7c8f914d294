//! `Debug` of the messages that name a person or hold a code: their type and id, and nothing else
//! of them.

use std::fmt;

use crate::{
    accounts::{
        Account, AccountCreated, CreateAccountRequest, CreateAccountsRequest,
        CreateAccountsResponse, ListAccountsRequest, create_accounts_response,
    },
    letters::GetDeadLetterResponse,
    mailer::Mail,
    verification::{
        ConfirmCodeRequest, IssueCodeRequest, ResendCodeRequest, confirm_code_request,
        resend_code_request,
    },
};

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({}, {:?})", self.account_id, self.status())
    }
}

impl fmt::Debug for AccountCreated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountCreated({})", self.account_id)
    }
}

impl fmt::Debug for CreateAccountRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CreateAccountRequest(<redacted>)")
    }
}

impl fmt::Debug for CreateAccountsRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CreateAccountsRequest(<redacted>)")
    }
}

// A caller may name its items by their addresses.
impl fmt::Debug for CreateAccountsResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CreateAccountsResponse({:?})", self.result)
    }
}

impl fmt::Debug for create_accounts_response::Result {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created(created) => write!(f, "Created({:?})", created.account),
            Self::Refused(status) => write!(f, "Refused({})", status.code),
        }
    }
}

impl fmt::Debug for ListAccountsRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (size, status) = (self.page_size, self.status());
        write!(f, "ListAccountsRequest({size}, {status:?})")
    }
}

impl fmt::Debug for GetDeadLetterResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GetDeadLetterResponse({:?})", self.letter)
    }
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mail({}, attempt {})", self.code_id, self.attempt)
    }
}

impl fmt::Debug for ConfirmCodeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfirmCodeRequest({:?})", self.target)
    }
}

impl fmt::Debug for confirm_code_request::Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccountId(id) => write!(f, "AccountId({id})"),
            Self::CodeId(id) => write!(f, "CodeId({id})"),
        }
    }
}

impl fmt::Debug for IssueCodeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssueCodeRequest({})", self.account_id)
    }
}

impl fmt::Debug for ResendCodeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResendCodeRequest({:?})", self.target)
    }
}

impl fmt::Debug for resend_code_request::Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccountId(id) => write!(f, "AccountId({id})"),
            Self::Email(_) => f.write_str("Email(<redacted>)"),
        }
    }
}
