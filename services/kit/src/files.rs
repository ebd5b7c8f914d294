//! Folders and files that hold secrets, or what people have told us: made for their owner only, and
//! not used where somebody else could have had a hand in them.
//!
//! The rule, in one place:
//!
//! * **Who counts**: the user who runs the process, and root, who could do anything anyway.
//! * **The way to it**: every folder on the way belongs to one of these two, and is not writable by
//!   everybody unless it is sticky, as `/tmp` is; every link on the way belongs to one of them.
//!   Then nobody else can put something in its place between a look and its use. What the owner of
//!   a folder lets a group do in it is the owner's word.
//! * **A folder of ours** ([`PrivateFolder`]: the data folder, that of an SQLite file, that of
//!   mails) belongs to the user who runs the process and to nobody else. Not even root uses another
//!   user's, who may have prepared it. It is no link, others have no rights in it, and the same
//!   holds for each file in it. What is made is made 0700 and 0600, whatever the umask.
//! * **A volume that an operator names** ([`PrivateFolder::make_in`]: that of the mailbox) may be
//!   everybody's, as Kubernetes makes it in a pod: who else gets it is the operator's word. What is
//!   ours lies in a folder of ours in it.
//! * **A file that an operator names** ([`read`], [`read_or_make`], [`replace`]: token, keys, URLs
//!   with a login, credentials for NATS) may be reached through links, as the files of a Kubernetes
//!   Secret are, and may be root's. Others have no rights in it; where it is root's, a group may read it,
//!   because a Secret for an `fsGroup` is root's with mode 0440.
//! * **A file without a secret** that an operator names (`ca=`, a certificate) is read as it is.
//!
//! What is refused says so in one line, with the command that mends it, and changes nothing. Who
//! makes a secret that is missing is a matter of [`Custody`].

mod custody;
mod draft;
mod facts;
mod folder;
mod follow;
mod named;
mod opened;
mod refused;
mod way;

pub use custody::{Custody, brought, brought_value};
pub use draft::Draft;
pub use folder::PrivateFolder;
pub use follow::follow;
pub use named::{read, read_or_make, replace};
pub use refused::FileRefused;

/// From now on what this process and its children make is for its user only, unless they say
/// otherwise: SQLite, nats-server and others choose no modes of their own that would do. At the
/// beginning of `main`, because all threads share it.
pub fn keep_private() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}
