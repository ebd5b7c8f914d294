//! What is attacked: one listener of one service, and what a stranger can ask there.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use prost::Message as _;
use proto::{accounts::WatchAccountRequest, verification::WatchVerificationRequest};
use serde::{Deserialize, Serialize};

use crate::place::Place;

const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// One listener.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Listener {
    /// Whose it is.
    pub(crate) service: Place,
    /// Whether it is the operators'.
    pub(crate) is_admin: bool,
    pub(crate) addr: SocketAddr,
    /// Somebody who signed up: as easy to have as an address.
    pub(crate) account_id: String,
}

/// What one stream asks.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) request: Request<()>,
    /// What is sent of the body at once.
    pub(super) body: Bytes,
    /// Whether that is all of it.
    pub(super) is_whole: bool,
}

impl Listener {
    /// As it is written in the report.
    pub(crate) fn name(&self) -> String {
        let which = if self.is_admin { " admin" } else { "" };
        format!("{}{which}", self.service.name())
    }

    /// A call that takes one message.
    pub(super) fn call(&self) -> &'static str {
        match (self.service, self.is_admin) {
            (Place::Accounts, false) => "/usher.accounts.v1.AccountsService/CreateAccount",
            (Place::Accounts, true) => "/usher.accounts.v1.AccountsAdmin/ListAccounts",
            (Place::Verification, false) => {
                "/usher.verification.v1.VerificationService/ConfirmCode"
            }
            (Place::Verification, true) => {
                "/usher.verification.v1.VerificationAdmin/ListDeadLetters"
            }
            (_, false) => "/usher.mailer.v1.MailerService/Preview",
            (_, true) => "/usher.mailer.v1.MailerAdmin/ListMails",
        }
    }

    /// A stream that lasts; nothing changes in what it tells of.
    pub(super) fn watch(&self) -> Ask {
        let account_id = self.account_id.clone();
        match (self.service, self.is_admin) {
            (Place::Accounts, false) => {
                let message = WatchAccountRequest { account_id }.encode_to_vec();
                let path = "/usher.accounts.v1.AccountsService/WatchAccount";
                self.grpc(path, &message, true)
            }
            (Place::Verification, false) => {
                let message = WatchVerificationRequest { account_id }.encode_to_vec();
                let path = "/usher.verification.v1.VerificationService/WatchVerification";
                self.grpc(path, &message, true)
            }
            (_, false) => Ask {
                request: self.post("/usher.mailer.v1.MailerService/Deliver"),
                body: Bytes::new(),
                is_whole: false,
            },
            (_, true) => Ask {
                request: self.post(REFLECTION),
                body: Bytes::new(),
                is_whole: false,
            },
        }
    }

    /// A question with a long answer.
    pub(super) fn large(&self) -> Ask {
        if self.is_admin {
            let request = Request::get(self.url("/metrics")).body(());
            return Ask {
                request: request.expect("this is a request"),
                body: Bytes::new(),
                is_whole: true,
            };
        }
        let symbol = self.call().trim_start_matches('/').split('/').next();
        let symbol = symbol.unwrap_or_default();
        // `ServerReflectionRequest.file_containing_symbol`
        let mut message = vec![0x22, u8::try_from(symbol.len()).unwrap_or_default()];
        message.extend(symbol.as_bytes());
        self.grpc(REFLECTION, &message, true)
    }

    pub(super) fn grpc(&self, path: &str, message: &[u8], is_whole: bool) -> Ask {
        Ask {
            request: self.post(path),
            body: framed(0, message.len(), message),
            is_whole,
        }
    }

    pub(super) fn post(&self, path: &str) -> Request<()> {
        let request = Request::post(self.url(path))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(());
        request.expect("this is a request")
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }
}

/// A gRPC message, or the beginning of one that says it is `length` long.
pub(super) fn framed(compressed: u8, length: usize, message: &[u8]) -> Bytes {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let mut body = vec![compressed];
    body.extend(length.to_be_bytes());
    body.extend(message);
    body.into()
}
