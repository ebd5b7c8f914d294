//! The file of a mail: what a mail server adds at final delivery (RFC 5321 §4.4), which holds the
//! envelope, and then the message as it came. Any mail program opens it.

use std::{
    fs::File,
    io::{self, Write as _},
};

use kit::clock::Timestamp;
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use uuid::Uuid;

use crate::{api::Mail, letter::Head};

const FROM: &str = "Return-Path: <";
const TO: &str = "Delivered-To: ";
/// The last line that is ours.
const RECEIVED: &str = "Received: by usher mailbox with ESMTP;";

/// From whom and to whom, as SMTP was told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
}

impl Envelope {
    /// What a list shows.
    pub(super) fn to_mail(&self, id: Uuid, size: usize, head: Head) -> Mail {
        Mail {
            id,
            received_at: received_at(id).to_string(),
            from: self.from.clone(),
            to: self.to.clone(),
            subject: head.subject,
            message_id: head.message_id,
            size: size as u64,
        }
    }
}

pub(super) fn name(id: Uuid) -> String {
    format!("{id}.eml")
}

/// The id in a name; nothing where it is no mail's.
pub(super) fn id(name: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(name.strip_suffix(".eml")?).ok()?;
    // Any other way to write it would be a second file of the same mail.
    (name == self::name(id)).then_some(id)
}

/// Writes it and brings it to the disk.
pub(super) fn write(
    mut file: File,
    envelope: &Envelope,
    message: &[u8],
    at: Timestamp,
) -> io::Result<()> {
    let mut head = format!("{FROM}{}>\r\n", envelope.from);
    for to in &envelope.to {
        head.push_str(&format!("{TO}{to}\r\n"));
    }
    head.push_str(&format!("{RECEIVED} {}\r\n", date(at)));
    file.write_all(head.as_bytes())?;
    file.write_all(message)?;
    file.sync_all()
}

/// Takes what `write` wrote apart.
pub(super) fn read(mut octets: Vec<u8>) -> (Envelope, Vec<u8>) {
    let mut envelope = Envelope::default();
    let mut read = 0;
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        read += line.len();
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end();
        if let Some(from) = line.strip_prefix(FROM) {
            envelope.from = from.trim_end_matches('>').to_owned();
        } else if let Some(to) = line.strip_prefix(TO) {
            envelope.to.push(to.to_owned());
        } else if line.starts_with(RECEIVED) {
            return (envelope, octets.split_off(read));
        } else {
            break;
        }
    }
    // Somebody else's file: then all of it is the message.
    (Envelope::default(), octets)
}

/// When an id was made, to the millisecond.
fn received_at(id: Uuid) -> Timestamp {
    let (seconds, nanos) = id.get_timestamp().map_or((0, 0), |at| at.to_unix());
    let micros = seconds.saturating_mul(1_000_000) + u64::from(nanos / 1_000);
    Timestamp(i64::try_from(micros).unwrap_or(i64::MAX))
}

fn date(at: Timestamp) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000);
    let text = at.ok().and_then(|at| at.format(&Rfc2822).ok());
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_comes_back_from_its_file_as_it_came() {
        let envelope = Envelope {
            from: "ada@example.com".to_owned(),
            to: vec!["eve@example.com".to_owned(), "zoë@example.com".to_owned()],
        };
        // What another server wrote of a way before is a part of the message.
        let message = b"Return-Path: <x@y>\r\nDelivered-To: x\r\n\r\n\xff\r\n".to_vec();
        let mut octets = tempfile::tempfile().unwrap();
        let file = octets.try_clone().unwrap();
        write(file, &envelope, &message, Timestamp(0)).unwrap();
        let mut written = Vec::new();
        io::Seek::rewind(&mut octets).unwrap();
        io::Read::read_to_end(&mut octets, &mut written).unwrap();
        assert_eq!(read(written), (envelope, message.clone()));
        assert_eq!(read(message.clone()), (Envelope::default(), message));
    }

    #[test]
    fn a_mail_has_one_name() {
        let mail = Uuid::from_u128(7);
        assert_eq!(id(&name(mail)), Some(mail));
        let upper = format!("{{{mail}}}.eml");
        for other in [&*upper, "new-7", "7.eml", "x", ".eml"] {
            assert_eq!(id(other), None, "{other}");
        }
    }
}
