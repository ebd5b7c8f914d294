//! An operator of NATS, one account of its and that one's users: who lets whom in by JWT, without
//! `nsc`.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use serde_json::{Value, json};

/// Signs accounts and users.
#[derive(Debug)]
pub struct NatsOperator {
    operator: KeyPair,
    system: KeyPair,
    account: KeyPair,
}

impl Default for NatsOperator {
    fn default() -> Self {
        Self {
            operator: KeyPair::new_operator(),
            system: KeyPair::new_account(),
            account: KeyPair::new_account(),
        }
    }
}

impl NatsOperator {
    /// What makes a server trust it, for `NatsServer::start_with`.
    pub fn configuration(&self) -> String {
        let operator = claims("operator", json!({}));
        let unlimited = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
            "conn": -1, "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1,
            "consumer": -1,
        });
        let account = |key| {
            let limited = claims("account", json!({ "limits": unlimited }));
            jwt(&self.operator, key, limited)
        };
        let mut system = claims("account", json!({}));
        system["nats"]["limits"] = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
            "conn": -1, "leaf": -1,
        });
        format!(
            "operator: {}\nsystem_account: {system_key}\nresolver: MEMORY\n\
             resolver_preload: {{ {system_key}: {}, {}: {} }}\n",
            jwt(&self.operator, &self.operator, operator),
            jwt(&self.operator, &self.system, system),
            self.account.public_key(),
            account(&self.account),
            system_key = self.system.public_key(),
        )
    }

    /// Writes the credentials of a new user to a file that only its owner may read.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_credentials(&self, path: &Path) {
        let user = KeyPair::new_user();
        let limits = json!({ "subs": -1, "data": -1, "payload": -1 });
        let jwt = jwt(&self.account, &user, claims("user", limits));
        let seed = user.seed().expect("a new key has a seed");
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        let mut options = fs::File::options();
        let file = options.write(true).create(true).truncate(true).mode(0o600);
        let written = file
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()));
        written.expect("the folder can be written");
    }
}

fn claims(kind: &str, mut nats: Value) -> Value {
    nats["type"] = kind.into();
    nats["version"] = 2.into();
    json!({ "jti": "of a test", "iat": 1_700_000_000, "name": kind, "nats": nats })
}

fn jwt(issuer: &KeyPair, subject: &KeyPair, mut claims: Value) -> String {
    claims["iss"] = issuer.public_key().into();
    claims["sub"] = subject.public_key().into();
    let header = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = format!("{header}.{claims}");
    let signature = issuer.sign(signed.as_bytes());
    let signature = signature.expect("a new key signs");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
