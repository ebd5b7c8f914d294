//! Who may send: the `user:password` lines of a file that is read anew each time, so that a
//! changed one counts at once.

use std::{path::PathBuf, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use kit::{Private, files};
use subtle::ConstantTimeEq as _;

/// The file.
#[derive(Debug, Clone)]
pub(crate) struct Login(Arc<PathBuf>);

impl Login {
    pub(crate) fn new(file: PathBuf) -> Self {
        Self(Arc::new(file))
    }

    /// Whether the file has a line of this user and this password.
    ///
    /// # Errors
    /// Why nobody can log in.
    pub(crate) async fn allows(&self, given: Given) -> anyhow::Result<bool> {
        let lines = self.lines().await?;
        let given = given.0.expose().as_bytes();
        // Each line is compared, in constant time.
        let right = lines.expose().lines().fold(0, |right, line| {
            right | line.trim_end().as_bytes().ct_eq(given).unwrap_u8()
        });
        Ok(right == 1)
    }

    /// What keeps people from logging in, as a sentence.
    ///
    /// # Errors
    /// That.
    pub(crate) async fn check(&self) -> anyhow::Result<()> {
        self.lines().await.map(drop)
    }

    async fn lines(&self) -> anyhow::Result<Private<String>> {
        let file = self.0.clone();
        let text = tokio::task::spawn_blocking(move || files::read(&file)).await??;
        let is_login = |line: &str| {
            line.split_once(':')
                .is_some_and(|(user, _)| !user.is_empty())
        };
        anyhow::ensure!(
            text.lines().any(is_login),
            "{} has no line `user:password`, so that nobody can log in. Write one into it; it is \
             read anew at each login.",
            self.0.display()
        );
        Ok(text.into())
    }
}

/// `user:password` as a client gave it.
#[derive(Debug)]
pub(crate) struct Given(Private<String>);

impl Given {
    /// Of AUTH PLAIN: `authorization NUL user NUL password`, in Base64 (RFC 4616).
    pub(super) fn plain(response: &str) -> Option<Self> {
        let text = decoded(response)?;
        let mut parts = text.split('\0').skip(1);
        Self::new(parts.next()?, parts.next()?)
    }

    /// Of AUTH LOGIN: each in Base64.
    pub(super) fn login(user: &str, password: &str) -> Option<Self> {
        Self::new(&decoded(user)?, &decoded(password)?)
    }

    fn new(user: &str, password: &str) -> Option<Self> {
        // Else a password could begin in the user.
        let is_user = !user.is_empty() && !user.contains(':');
        is_user.then(|| Self(format!("{user}:{password}").into()))
    }
}

fn decoded(base64: &str) -> Option<String> {
    String::from_utf8(BASE64_STANDARD.decode(base64).ok()?).ok()
}
