//! The transport that is in use now: where `USHER_MAIL_URL` stands in a file, mails follow what is
//! written there, from the next connection on.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kit::{files, words};

use super::{Deadlines, Folder, MailUrl, Smtp, Transport};
use crate::domain::HelloName;

/// What transports are made of.
#[derive(Debug, Clone)]
pub(crate) struct Outfit {
    pub(crate) url: MailUrl,
    /// Where the URL stands instead.
    pub(crate) file: Option<PathBuf>,
    pub(crate) hello: Option<HelloName>,
    pub(crate) deadlines: Deadlines,
}

/// Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct CurrentTransport {
    outfit: Arc<Outfit>,
    transport: Arc<Mutex<Arc<Transport>>>,
}

impl CurrentTransport {
    /// By the URL as it stands there now; connects when there is a mail.
    ///
    /// # Errors
    /// What cannot be read, or used.
    pub(crate) fn open(mut outfit: Outfit) -> anyhow::Result<Self> {
        if let Some(file) = &outfit.file {
            outfit.url = MailUrl::read(file)?;
        }
        let transport = outfit.transport(outfit.url.clone())?;
        Ok(Self {
            outfit: Arc::new(outfit),
            transport: Arc::new(Mutex::new(Arc::new(transport))),
        })
    }

    /// The one for the next mail.
    pub(crate) fn now(&self) -> Arc<Transport> {
        Arc::clone(&self.transport())
    }

    /// Reads the URL's file again and again; never returns. Without one there is nothing to do.
    pub(crate) async fn follow(self) {
        let Some(file) = self.outfit.file.clone() else {
            return std::future::pending().await;
        };
        let known = self.outfit.url.clone();
        files::follow(file, known, MailUrl::read, |url| self.renew(url)).await;
    }

    fn renew(&self, url: MailUrl) {
        match self.outfit.transport(url) {
            Ok(renewed) => {
                let before = std::mem::replace(&mut *self.transport(), Arc::new(renewed));
                tracing::info!("The mail URL was read anew; the next mails go by it.");
                // Mails that are under way end where they began.
                tokio::spawn(async move { before.close().await });
            }
            Err(error) => {
                let why = words::of_chain(&error);
                tracing::error!(
                    "The mail URL was read anew and cannot be used: {why}. Mails go as before."
                );
            }
        }
    }

    fn transport(&self) -> MutexGuard<'_, Arc<Transport>> {
        self.transport
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outfit {
    fn transport(&self, url: MailUrl) -> anyhow::Result<Transport> {
        Ok(match url {
            MailUrl::Smtp(server) => {
                let smtp = Smtp::new(server, self.hello.clone(), self.deadlines.clone())?;
                Transport::Smtp(Box::new(smtp))
            }
            MailUrl::Folder(path) => Transport::Folder(Folder::new(path)?),
        })
    }
}
