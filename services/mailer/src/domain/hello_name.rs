//! What we call ourselves in EHLO (RFC 5321 §4.1.1.1): a full name, or an address literal where
//! there is none.

use std::{net::IpAddr, str::FromStr};

/// `mailer.example.com`, `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HelloName(String);

/// A text is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a full host name (`mailer.example.com`) or an address literal (`[192.0.2.1]`)")]
pub(crate) struct InvalidHelloName;

impl HelloName {
    /// For a machine without a full name.
    pub(crate) fn literal(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(format!("[{address}]")),
            IpAddr::V6(address) => Self(format!("[IPv6:{address}]")),
        }
    }

    /// The machine's full name: its host name if that has a dot, else the one that the hosts file
    /// (hosts(5)) gives it first, as `hostname -f` finds it.
    pub(crate) fn of_machine(host: &str, hosts_file: &str) -> Option<Self> {
        let host = host.trim().trim_end_matches('.');
        let lines = hosts_file.lines().filter_map(|line| {
            let names = line.split('#').next().unwrap_or_default();
            let names: Vec<&str> = names.split_whitespace().skip(1).collect();
            names.contains(&host).then(|| names[0].to_owned())
        });
        let candidates = std::iter::once(host.to_owned()).chain(lines);
        candidates
            // What every machine is called tells a mail server nothing, and many refuse it.
            .filter(|name| !name.starts_with('[') && !name.starts_with("localhost"))
            .find_map(|name| name.parse().ok())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HelloName {
    type Err = InvalidHelloName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(literal) = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
        {
            let address = literal.strip_prefix("IPv6:").unwrap_or(literal);
            let address = address.parse().map_err(|_| InvalidHelloName)?;
            return Ok(Self::literal(address));
        }
        let name = idna::domain_to_ascii_strict(text.trim_end_matches('.'))
            .map_err(|_| InvalidHelloName)?;
        match name.contains('.') && name.len() <= 253 && name.parse::<IpAddr>().is_err() {
            true => Ok(Self(name)),
            false => Err(InvalidHelloName),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_names_and_address_literals_are_taken_and_nothing_else() {
        for (text, name) in [
            ("mailer.example.com", "mailer.example.com"),
            ("mailer.example.com.", "mailer.example.com"),
            ("m\u{fc}ller.example", "xn--mller-kva.example"),
            ("[192.0.2.1]", "[192.0.2.1]"),
            ("[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"),
        ] {
            assert_eq!(text.parse::<HelloName>().unwrap().as_str(), name);
        }
        for text in [
            "",
            "vm",
            "192.0.2.1",
            "[vm]",
            "a b.example",
            "a.example\r\nMAIL FROM:<>",
            "-.example",
        ] {
            assert!(text.parse::<HelloName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_machines_name_is_full_or_none() {
        let hosts = "127.0.0.1 localhost\n10.0.0.7 mail.example.com mail # ours\n10.0.0.8 vm\n";
        let name = |host| HelloName::of_machine(host, hosts).map(|name| name.0);
        assert_eq!(
            name("web.example.com\n").as_deref(),
            Some("web.example.com")
        );
        assert_eq!(name("mail").as_deref(), Some("mail.example.com"));
        assert_eq!(name("vm"), None);
        assert_eq!(name("localhost.localdomain"), None);
        assert_eq!(name(""), None);
    }
}
