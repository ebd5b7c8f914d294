//! Where NATS is and who we are there. The library takes neither from a URL: `connection` is given
//! addresses without secrets, and asks here for the login of each connection.

use std::{path::PathBuf, str::FromStr};

use anyhow::{Context as _, bail};
use async_nats::Auth;
use nkeys::KeyPair;
use url::Url;

use crate::{
    Private,
    config::{RefusedSetting, decoded, refused_url},
    files,
};

/// Where a nats-server of this machine usually listens.
const USUAL: &str = "nats://127.0.0.1:4222";

/// The settings of everything that speaks to the broker. Doc comments are the help and the
/// reference in `docs/settings.md`.
#[derive(clap::Args, Debug, Clone)]
#[group(skip)] // else clap takes it and any other flattened `BrokerSettings` for the same group
pub struct BrokerSettings {
    /// NATS servers, separated by commas: `nats://[USER:PASSWORD@]HOST[:PORT]`,
    /// `nats://TOKEN@HOST[:PORT]`, or the same with `tls://`; what is special in user, password or
    /// token is percent-encoded
    #[arg(
        long,
        env = "USHER_NATS_URL",
        hide_env_values = true,
        default_value = USUAL
    )]
    pub nats_url: NatsUrl,

    /// File with credentials for NATS (`.creds`: JWT and nkey; or the seed of an nkey alone), for
    /// its owner's eyes only; read anew for each connection, so that it can be renewed
    #[arg(long, env = "USHER_NATS_CREDENTIALS", value_name = "FILE")]
    pub nats_credentials: Option<PathBuf>,
}

impl Default for BrokerSettings {
    fn default() -> Self {
        NatsUrl {
            servers: vec![USUAL.to_owned()],
            login: None,
        }
        .into()
    }
}

impl BrokerSettings {
    /// Looks whether the login can be made now, as each connection makes it anew.
    ///
    /// # Errors
    /// When there are two, or the file of credentials cannot be used.
    pub fn look_for_login(&self) -> anyhow::Result<()> {
        Login::of(self).map(drop)
    }
}

impl From<NatsUrl> for BrokerSettings {
    fn from(nats_url: NatsUrl) -> Self {
        Self {
            nats_url,
            nats_credentials: None,
        }
    }
}

/// The addresses of NATS servers, and the login that stands in them. Printed without the login.
#[derive(Debug, Clone)]
pub struct NatsUrl {
    servers: Vec<String>,
    login: Option<InUrl>,
}

/// A login that stands in a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
enum InUrl {
    User(Private<(String, String)>),
    Token(Private<String>),
}

const EXPECTED: &str = "nats://[USER:PASSWORD@]HOST[:PORT] or nats://TOKEN@HOST[:PORT], or tls://…, several separated by \
                        commas, all with the same login, percent-encoded";

impl FromStr for NatsUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (mut servers, mut login) = (Vec::new(), None);
        for one in text.split(',').map(str::trim) {
            let (server, found) = server(one).ok_or_else(|| refusal(one))?;
            servers.push(server);
            // The library knows one login for all servers.
            if found.is_some() && login.is_some() && login != found {
                return Err(format!("there are two logins; expected {EXPECTED}"));
            }
            login = login.or(found);
        }
        Ok(Self { servers, login })
    }
}

fn refusal(one: &str) -> String {
    // The second half of a login with a comma in it.
    if one.contains('@') && !one.contains("://") {
        return format!("percent-encode `,` as %2C in its user or password; expected {EXPECTED}");
    }
    refused_url(one, EXPECTED)
}

impl NatsUrl {
    /// The addresses, without a secret.
    pub fn servers(&self) -> &[String] {
        &self.servers
    }
}

/// An address without its login, and the login; nothing where it is none.
fn server(text: &str) -> Option<(String, Option<InUrl>)> {
    let mut url = match text.contains("://") {
        true => Url::parse(text).ok()?,
        // With a login it may be the second half of one that has a comma in it.
        false if text.contains('@') => return None,
        false => Url::parse(&format!("nats://{text}")).ok()?,
    };
    // A password that is not percent-encoded ends where one of these begins, and the rest would be
    // ignored.
    let is_bare =
        url.query().is_none() && url.fragment().is_none() && matches!(url.path(), "" | "/");
    let has_host = url.host_str().is_some_and(|host| !host.is_empty());
    if !is_bare || !has_host || !matches!(url.scheme(), "nats" | "tls") {
        return None;
    }
    let login = match (decoded(url.username())?, url.password()) {
        (user, None) if user.is_empty() => None,
        (token, None) => Some(InUrl::Token(token.into())),
        (user, Some(password)) => Some(InUrl::User((user, decoded(password)?).into())),
    };
    url.set_password(None).ok()?;
    url.set_username("").ok()?;
    url.set_path("");
    Some((url.into(), login))
}

/// What we show a server.
#[derive(Debug, Clone)]
pub(super) enum Login {
    Nothing,
    User(Private<(String, String)>),
    Token(Private<String>),
    File(PathBuf),
}

impl Login {
    /// # Errors
    /// When there are two, or the file cannot be used.
    pub(super) fn of(settings: &BrokerSettings) -> anyhow::Result<Self> {
        let login = match (&settings.nats_url.login, &settings.nats_credentials) {
            (Some(_), Some(_)) => {
                return Err(RefusedSetting(
                    "There is a login in USHER_NATS_URL, and USHER_NATS_CREDENTIALS names another one. Keep one of them."
                        .to_owned(),
                )
                .into());
            }
            (None, Some(file)) => Self::File(file.clone()),
            (Some(InUrl::User(user)), None) => Self::User(user.clone()),
            (Some(InUrl::Token(token)), None) => Self::Token(token.clone()),
            (None, None) => Self::Nothing,
        };
        login.answer(b"")?;
        Ok(login)
    }

    /// What goes into CONNECT; `nonce` is what the server wants signed.
    ///
    /// # Errors
    /// When the file cannot be used, as a sentence without a secret.
    pub(super) fn answer(&self, nonce: &[u8]) -> anyhow::Result<Auth> {
        let mut auth = Auth::new();
        match self {
            Self::Nothing => {}
            Self::User(both) => {
                let (user, password) = both.expose().clone();
                (auth.username, auth.password) = (Some(user), Some(password));
            }
            Self::Token(token) => auth.token = Some(token.expose().clone()),
            Self::File(path) => {
                let what = "The credentials in USHER_NATS_CREDENTIALS";
                let shown = path.display();
                let text = files::brought(path, what)?;
                let (jwt, seed) = parts(&text).with_context(|| {
                    format!(
                        "{what}: {shown} holds no JWT with its nkey, as `nsc generate creds` writes them, and no \
                         nkey's seed alone."
                    )
                })?;
                // Its error would quote the seed.
                let Ok(key) = KeyPair::from_seed(seed) else {
                    bail!("{what}: the nkey in {shown} is none.");
                };
                auth.signature = Some(key.sign(nonce)?);
                match jwt {
                    Some(jwt) => auth.jwt = Some(jwt.to_owned()),
                    None => auth.nkey = Some(key.public_key()),
                }
            }
        }
        Ok(auth)
    }

    /// What it is, after "refuses".
    pub(super) fn described(&self) -> String {
        match self {
            Self::Nothing => "a connection without a login".to_owned(),
            Self::User(_) => "the user and password in USHER_NATS_URL".to_owned(),
            Self::Token(_) => "the token in USHER_NATS_URL".to_owned(),
            Self::File(path) => format!("the credentials in {}", path.display()),
        }
    }

    /// What to do when it is refused.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Self::Nothing => {
                "Put USER:PASSWORD@ or TOKEN@ before the host in USHER_NATS_URL, or name a .creds file in USHER_NATS_CREDENTIALS."
            }
            Self::User(_) | Self::Token(_) => {
                "Compare it with `authorization` or `accounts` in the server's configuration, percent-encoded in USHER_NATS_URL."
            }
            Self::File(_) => {
                "The server does not know this user, or it has expired: write the file in USHER_NATS_CREDENTIALS anew \
                 (`nsc generate creds`); it is read again for the next connection."
            }
        }
    }
}

/// JWT and seed: the lines between the first and the second pair of `-----…-----`; or the one line
/// of a seed, without a JWT.
fn parts(text: &str) -> Option<(Option<&str>, &str)> {
    let alone = text.trim();
    if alone.starts_with('S') && !alone.contains(char::is_whitespace) {
        return Some((None, alone));
    }
    let mut lines = text.lines().map(str::trim);
    let mut next = || {
        let is_border = |line: &&str| line.starts_with("---") && line.ends_with("---");
        lines.find(is_border)?;
        let inside = lines.next()?;
        lines.find(is_border)?;
        Some(inside)
    };
    Some((Some(next()?), next()?))
}

#[cfg(test)]
mod tests {
    use super::{InUrl, NatsUrl};

    fn login(url: &str) -> Option<InUrl> {
        url.parse::<NatsUrl>().unwrap().login
    }

    #[test]
    fn a_login_is_taken_out_of_the_url_and_decoded() {
        let url: NatsUrl = "nats://u%40x:p%23%2F%2C@one:4222, two".parse().unwrap();
        assert_eq!(url.servers(), ["nats://one:4222", "nats://two"]);
        let user = Some(InUrl::User(("u@x".to_owned(), "p#/,".to_owned()).into()));
        assert_eq!(url.login, user);
        assert_eq!(login("nats://one,nats://u%40x:p%23%2f%2c@two"), user);
        let token = InUrl::Token("to?ken".to_owned().into());
        assert_eq!(login("tls://to%3Fken@[::1]:1"), Some(token));
        assert_eq!(login("127.0.0.1:4222"), None);
    }

    #[test]
    fn what_would_lose_a_part_of_the_login_is_refused() {
        let refused = [
            ("nats://bob:123#4@host", "percent-encode `#` as %23"),
            ("nats://bob:12/4@host", "percent-encode `/` as %2F"),
            ("nats://bob:12?4@host", "percent-encode `?` as %3F"),
            ("nats://bob:12,4@host", "percent-encode `,` as %2C"),
            ("nats://bob:1%2@host", "percent-encode `%` as %25"),
            ("nats://to,ken@host", "percent-encode `,` as %2C"),
            ("nats://a:b@one,nats://c:d@two", "there are two logins"),
            ("nats://host:99999", "its port is no number"),
            ("http://host", "expected nats://"),
            ("nats://", "expected nats://"),
            ("nats://host/path", "expected nats://"),
            ("nats://u%ff:p@host", "expected nats://"),
            ("", "expected nats://"),
        ];
        for (url, start) in refused {
            let error = url.parse::<NatsUrl>().unwrap_err();
            assert!(error.starts_with(start), "{url}: {error}");
        }
    }

    #[test]
    fn a_url_is_printed_without_its_login() {
        let url: NatsUrl = "nats://user:s3cret@one,nats://user:s3cret@two"
            .parse()
            .unwrap();
        let shown = format!("{url:?}");
        assert!(
            !shown.contains("s3cret") && !shown.contains("user"),
            "{shown}"
        );
    }
}
