//! The mails: a file each, in a folder of ours alone, and an index in memory of what lists show.
//! A mail that `take` has answered is on the disk, and there after any crash.

mod file;
mod index;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Context as _;
use kit::{clock::Clock, files::PrivateFolder, words};
use tokio::task::spawn_blocking;
use uuid::Uuid;

pub(crate) use file::Envelope;
pub(crate) use index::{Filter, Found, From};

use self::index::Index;
use crate::{
    api::Mail,
    letter::{Content, Head},
};

/// The folder in the one that the operator names: that may be a volume, in which others write, too.
const FOLDER: &str = "mails";
/// A mail whose sending has not ended begins so.
const UNFINISHED: &str = "new-";

/// All mails. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Store(Arc<Shelf>);

#[derive(Debug)]
struct Shelf {
    folder: PrivateFolder,
    keep: usize,
    clock: Clock,
    index: Mutex<Index>,
    /// Held while a mail gets its id and its name: whoever reads on after the newest must not meet
    /// an older one later.
    naming: Mutex<()>,
    /// Held while a mail is taken apart, which takes several times its size of memory.
    opening: Mutex<()>,
}

impl Store {
    /// Opens the folder and reads what is there.
    ///
    /// # Errors
    /// When it cannot be made or read, or is not ours alone.
    pub(crate) fn open(folder: &Path, keep: usize, clock: Clock) -> anyhow::Result<Self> {
        let folder = PrivateFolder::make_in(folder, FOLDER)?;
        let shelf = Shelf {
            index: Mutex::new(read_all(&folder)?),
            folder,
            keep,
            clock,
            naming: Mutex::default(),
            opening: Mutex::default(),
        };
        shelf.make_room();
        Ok(Self(Arc::new(shelf)))
    }

    /// Brings a mail to the disk.
    ///
    /// # Errors
    /// The disk's; then it is not kept.
    pub(crate) async fn take(&self, envelope: Envelope, message: Vec<u8>) -> io::Result<Uuid> {
        let taken = self.off_thread(move |shelf| shelf.take(&envelope, &message));
        let taken = taken.await.and_then(|taken| taken);
        taken.inspect_err(|error| {
            let why = words::of_io(error);
            tracing::warn!("A mail could not be kept: {why}. Its sender was told to try again.");
        })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.index().count()
    }

    /// Those that are asked for, in the order of `from`, `limit` at most.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn find(&self, filter: Filter, from: From, limit: usize) -> io::Result<Found> {
        self.off_thread(move |shelf| shelf.find(&filter, from, limit))
            .await?
    }

    /// One mail as a list shows it, and its message.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn read(&self, id: Uuid) -> io::Result<Option<(Arc<Mail>, Vec<u8>)>> {
        self.off_thread(move |shelf| shelf.read(id)).await?
    }

    /// The same with what is in it.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn open_mail(&self, id: Uuid) -> io::Result<Option<(Arc<Mail>, Content)>> {
        self.off_thread(move |shelf| shelf.open_mail(id)).await?
    }

    /// Deletes those that are asked for, and says how many there were.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn delete(&self, filter: Filter) -> io::Result<usize> {
        self.off_thread(move |shelf| {
            let found = shelf.find(&filter, From::Oldest(None), usize::MAX)?;
            let ids = found.mails.iter().map(|mail| mail.id);
            shelf.delete(ids)
        })
        .await?
    }

    /// Deletes one, and says whether it was there.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn delete_one(&self, id: Uuid) -> io::Result<bool> {
        self.off_thread(move |shelf| Ok(shelf.delete([id].into_iter())? == 1))
            .await?
    }

    /// Blocking calls, which would stop all tasks: there is one thread.
    async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shelf) -> T + Send + 'static,
    ) -> io::Result<T> {
        let shelf = self.0.clone();
        let worked = spawn_blocking(move || work(&shelf)).await;
        worked.map_err(io::Error::other)
    }
}

impl Shelf {
    fn take(&self, envelope: &Envelope, message: &[u8]) -> io::Result<Uuid> {
        // First: a message that the parser could not stand would end each start, too.
        let head = Head::read(message);
        let unfinished = format!("{UNFINISHED}{}", self.clock.uuid_v7());
        let kept = self
            .write(&unfinished, envelope, message)
            .and_then(|()| self.name(&unfinished, envelope, message.len(), head));
        if kept.is_err() {
            let _ = self.folder.remove(&unfinished);
        }
        kept
    }

    fn write(&self, name: &str, envelope: &Envelope, message: &[u8]) -> io::Result<()> {
        let file = self.folder.append(name)?;
        file::write(file, envelope, message, self.clock.now())
    }

    fn name(
        &self,
        unfinished: &str,
        envelope: &Envelope,
        size: usize,
        head: Head,
    ) -> io::Result<Uuid> {
        let naming = self.naming.lock().unwrap_or_else(PoisonError::into_inner);
        let id = self.index().next_id(self.clock.uuid_v7());
        let name = file::name(id);
        self.folder.rename(unfinished, &name)?;
        if let Err(error) = self.folder.sync() {
            let _ = self.folder.remove(&name);
            return Err(error);
        }
        self.index().add(envelope.to_mail(id, size, head));
        drop(naming);
        self.make_room();
        Ok(id)
    }

    fn make_room(&self) {
        while let Some(id) = self.index().take_oldest_of_more_than(self.keep) {
            if let Err(error) = self.folder.remove(&file::name(id)) {
                tracing::warn!("A mail could not be removed: {}.", words::of_io(&error));
            }
        }
    }

    fn find(&self, filter: &Filter, from: From, limit: usize) -> io::Result<Found> {
        // Copied, so that no lock is held while files are read.
        let candidates = self.index().candidates(filter, from);
        let mut found = Found::default();
        for mail in candidates {
            if !self.says(&mail, filter)? {
                continue;
            }
            if found.mails.len() == limit {
                found.is_more = true;
                break;
            }
            found.mails.push(mail);
        }
        Ok(found)
    }

    fn says(&self, mail: &Mail, filter: &Filter) -> io::Result<bool> {
        let Some(words) = &filter.words else {
            return Ok(true);
        };
        if index::says(mail, words) {
            return Ok(true);
        }
        let opened = self.open_mail(mail.id)?;
        Ok(opened.is_some_and(|(_, content)| content.says(words)))
    }

    fn open_mail(&self, id: Uuid) -> io::Result<Option<(Arc<Mail>, Content)>> {
        let _one = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let read = self.read(id)?;
        Ok(read.map(|(mail, message)| (mail, Content::read(&message))))
    }

    fn read(&self, id: Uuid) -> io::Result<Option<(Arc<Mail>, Vec<u8>)>> {
        let Some(mail) = self.index().get(id) else {
            return Ok(None);
        };
        // Nothing where it was deleted in between.
        let octets = self.folder.read(&file::name(id))?;
        Ok(octets.map(|octets| (mail, file::read(octets).1)))
    }

    fn delete(&self, ids: impl Iterator<Item = Uuid>) -> io::Result<usize> {
        let mut deleted = 0;
        for id in ids {
            let Some(mail) = self.index().remove(id) else {
                continue;
            };
            if let Err(error) = self.folder.remove(&file::name(id)) {
                self.index().put_back(mail);
                return Err(error);
            }
            deleted += 1;
        }
        // What was deleted is not to come back after a crash.
        self.folder.sync()?;
        Ok(deleted)
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        // Each change is one step, so that a panic cannot leave it half made.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_all(folder: &PrivateFolder) -> anyhow::Result<Index> {
    let mut index = Index::default();
    let path = folder.path();
    let listed = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let listed = listed.with_context(|| format!("{} cannot be listed", path.display()))?;
    for entry in listed {
        let name = PathBuf::from(entry.file_name());
        let Some(name) = name.to_str() else { continue };
        if name.starts_with(UNFINISHED) {
            // Of a process that died before it answered by 250.
            folder.remove(name)?;
        }
        let Some(id) = file::id(name) else { continue };
        match folder.read(name) {
            Ok(Some(octets)) => {
                let (envelope, message) = file::read(octets);
                let head = Head::read(&message);
                index.add(envelope.to_mail(id, message.len(), head));
            }
            Ok(None) => {}
            // One of many: the others are to be seen.
            Err(refused) => tracing::warn!("A mail is passed over: {refused}"),
        }
    }
    Ok(index)
}
