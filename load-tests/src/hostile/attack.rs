//! The kinds of attack, and how fast one client carries each of them out.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::{
    bodies, bombs,
    front::{Front, Pace},
    headers, resets, silent, streams, watches, windows,
};

/// What a hostile client does to a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attack {
    /// Connections that say nothing, a preface only, or a byte now and then
    Silent,
    /// Streams that are opened without an end, whatever number the listener allows
    Streams,
    /// Calls whose answers nobody takes: window 0
    Windows,
    /// Watches that never end; where there are none, the streams that there are
    Watches,
    /// Requests whose bodies come byte by byte
    Bodies,
    /// Streams that are opened and reset at once
    Resets,
    /// 64 KiB of headers
    Headers,
    /// What is small on the wire and large in memory: gzip and HPACK
    Bombs,
}

impl Attack {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Streams => "streams",
            Self::Windows => "windows",
            Self::Watches => "watches",
            Self::Bodies => "bodies",
            Self::Resets => "resets",
            Self::Headers => "headers",
            Self::Bombs => "bombs",
        }
    }

    /// As fast as one client is let. What it holds is bounded by its descriptors: a few thousand
    /// for all that it does. What costs a listener time is bounded, too, because all six stand on
    /// one machine here and share it with those who sign up.
    pub(crate) fn pace(self) -> Pace {
        let (a_second, connections) = match self {
            Self::Silent => (25.0, 2_000),
            Self::Streams => (30.0, 1),
            Self::Windows | Self::Watches => (20.0, 20),
            Self::Bodies => (10.0, 20),
            Self::Resets => (50.0, 1),
            Self::Headers => (3.0, 4),
            Self::Bombs => (1.0, 2),
        };
        Pace {
            a_second,
            connections,
        }
    }

    /// Goes on until it is dropped.
    pub(super) async fn run(self, front: &Front) {
        match self {
            Self::Silent => silent::run(front).await,
            Self::Streams => streams::run(front).await,
            Self::Windows => windows::run(front).await,
            Self::Watches => watches::run(front).await,
            Self::Bodies => bodies::run(front).await,
            Self::Resets => resets::run(front).await,
            Self::Headers => headers::run(front).await,
            Self::Bombs => bombs::run(front).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::builder::PossibleValue;

    use super::*;

    #[test]
    fn an_attack_is_named_as_on_the_command_line() {
        for attack in Attack::value_variants() {
            let value = attack.to_possible_value();
            let name = value.as_ref().map(PossibleValue::get_name);
            assert_eq!(name, Some(attack.name()));
        }
    }
}
