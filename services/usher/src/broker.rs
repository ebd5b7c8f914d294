//! The broker as a command meets it: connected, or a failure that says what to do.

use kit::bus::{self, BrokerSettings, Bus, Sight};
use tokio::time::{Duration, Instant, sleep};

use crate::exit::{Exit, Failure, sentence};

/// Connects, and says so if nobody answers or the login is not taken.
pub(crate) async fn connect(broker: &BrokerSettings) -> Result<Bus, Failure> {
    let connected = Bus::connect(broker, "usher").await;
    let bus = connected.map_err(|error| Failure::new(Exit::Usage, sentence(&error)))?;
    let servers = broker.nats_url.servers().join(", ");
    let deadline = Instant::now() + Duration::from_secs(3);
    while !bus.is_connected() {
        if let Some(trouble) = bus.trouble().filter(|_| bus.is_refused()) {
            let what = format!("nats-server at {servers} {}.", trouble.reason);
            return Err(Failure::new(Exit::Refused, what).hint(trouble.advice));
        }
        if Instant::now() > deadline {
            let what = format!("nats-server does not answer at {servers}.");
            return Err(Failure::new(Exit::Unavailable, what).hint(
                "`usher up` starts one on this machine; elsewhere name it with --nats-url or USHER_NATS_URL.",
            ));
        }
        sleep(Duration::from_millis(10)).await;
    }
    Ok(bus)
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
