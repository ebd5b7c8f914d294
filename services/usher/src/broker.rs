//! The broker as a command meets it: connected, or a failure that says what to do.

use std::path::Path;

use kit::{
    bus::{self, BrokerSettings, Bus, Sight},
    words,
};
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    time::{Duration, Instant, sleep, timeout},
};

use crate::exit::{Exit, Failure, sentence};

/// Where NATS listens when a URL does not say.
const USUAL_PORT: u16 = 4222;

/// Connects, and says so if nobody answers or the login is not taken. `log` is that of a broker
/// which a running `usher up` keeps.
pub(crate) async fn connect(broker: &BrokerSettings, log: Option<&Path>) -> Result<Bus, Failure> {
    let connected = Bus::connect(broker, "usher").await;
    let bus = connected.map_err(|error| Failure::new(Exit::Usage, sentence(&error)))?;
    let servers = broker.nats_url.servers();
    let deadline = Instant::now() + Duration::from_secs(3);
    while !bus.is_connected() {
        if let Some(trouble) = bus.trouble().filter(|_| bus.is_refused()) {
            let what = format!("nats-server at {} {}.", servers.join(", "), trouble.reason);
            return Err(Failure::new(Exit::Refused, what).hint(trouble.advice));
        }
        if Instant::now() > deadline {
            return Err(away(servers, log).await);
        }
        sleep(Duration::from_millis(10)).await;
    }
    Ok(bus)
}

async fn away(servers: &[String], log: Option<&Path>) -> Failure {
    let mut reasons = Vec::new();
    for server in servers {
        reasons.push(format!("{server}: {}", why(server).await));
    }
    let reasons = reasons.join("; ");
    let what = format!("nats-server does not answer at {reasons}.");
    let hint = match log {
        Some(log) => format!(
            "`usher up` starts it again by itself within a minute; if it does not stay, its log says why: {}.",
            log.display()
        ),
        None => "Start it again where it runs (on this machine `usher up` runs one), or name another one with --nats-url \
                 or USHER_NATS_URL."
            .to_owned(),
    };
    Failure::new(Exit::Unavailable, what).hint(hint)
}

/// What happens at the address of a server that does not answer.
async fn why(server: &str) -> String {
    const WITHIN: Duration = Duration::from_secs(1);
    let host = server.split_once("://").map_or(server, |(_, host)| host);
    let host = match host.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => host.to_owned(),
        _ => format!("{host}:{USUAL_PORT}"),
    };
    let mut stream = match timeout(WITHIN, TcpStream::connect(&host)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return words::of_io(&error),
        Err(_) => return "nothing takes the connection".to_owned(),
    };
    // A nats-server speaks first.
    let mut first = [0; 5];
    let read = timeout(WITHIN, stream.read_exact(&mut first)).await;
    let words = match read {
        Err(_) => "it takes the connection and says nothing: it hangs, or is another program",
        Ok(Err(_)) => "it takes the connection and closes it",
        Ok(Ok(_)) if first == *b"INFO " => "it answers, but no login came about in time",
        Ok(Ok(_)) => "what answers there is no nats-server",
    };
    words.to_owned()
}

/// Why the streams could not be made, and what to do: never what was just tried.
pub(crate) async fn not_provisioned(bus: &Bus, error: &anyhow::Error) -> Failure {
    let hint = match bus::look(bus).await {
        None | Some(Sight::Missing(_)) => {
            "nats-server's log says why; its disk may be full, or its limits too small for the streams.".to_owned()
        }
        Some(sight) => sight.told().advice,
    };
    Failure::new(Exit::Failed, sentence(error)).hint(hint)
}
