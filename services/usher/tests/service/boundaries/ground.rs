//! The three services as processes, the broker and a mail server, with a network between them that
//! stops at a word.

use std::{cell::Cell, net::SocketAddr, path::Path};

use futures::future::join_all;
use kit::{
    bus::Bus,
    testing::{
        NatsServer, Pipelining, Process, Proxy, SOON, Setup, SmtpServer, World, channel, eventually,
    },
};
use proto::streams;
use tokio::process::Command;
use tonic::transport::Channel;
use uuid::Uuid;

use super::{
    person::{Found, Person},
    steps::{ADDRESS, At, Boundary, Part, Wire},
};

/// A service between two of its deaths.
struct Service {
    world: World,
    process: Cell<Option<Process<Channel>>>,
    addr: Cell<SocketAddr>,
}

/// A running system.
pub(super) struct Ground {
    program: &'static Path,
    _nats: NatsServer,
    bus: Bus,
    pub(super) smtp: SmtpServer,
    wires: [Proxy; 4],
    services: [Service; 3],
}

impl Ground {
    /// Starts it.
    pub(super) async fn start(program: &'static Path) -> Self {
        let nats = NatsServer::start().await;
        let bus = nats.provision().await;
        // One command after the other, and a login: so each is a step of its own.
        let smtp = SmtpServer::with(Setup {
            login: Some(("usher".to_owned(), "secret".to_owned())),
            pipelining: Pipelining::Missing,
            ..Setup::default()
        });
        let smtp = smtp.await;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let wires = [
            Proxy::before(nats.url(), 1).await,
            Proxy::before(nats.url(), 1).await,
            Proxy::before(nowhere, 1).await, // led to each mailer in turn
            Proxy::before(smtp.url(), 1).await,
        ];
        let [accounts_to_nats, verification_to_nats, to_mailer, to_smtp] = &wires;
        let mail_url = to_smtp.url(&smtp.url());
        let mail_url = mail_url.replace("://", "://usher:secret@") + "?tls=off";
        let (accounts, verification, mailer) =
            (World::on_sqlite(), World::on_sqlite(), World::on_sqlite());
        let services = [
            accounts
                .with_file("USHER_FINGERPRINT_KEY_FILE", "fingerprint-key")
                .with(&[("USHER_NATS_URL", &accounts_to_nats.url(&nats.url()))]),
            verification
                .with_file("USHER_CODE_KEYS_FILE", "code-keys")
                .with(&[
                    ("USHER_NATS_URL", &verification_to_nats.url(&nats.url())),
                    ("USHER_MAILER_URL", &format!("http://{}", to_mailer.addr())),
                ]),
            mailer
                .with_file("USHER_ADDRESS_KEY_FILE", "address-keys")
                .with(&[("USHER_MAIL_URL", &mail_url)]),
        ];
        let services = services.map(|world| Service {
            world,
            process: Cell::default(),
            addr: Cell::new(nowhere),
        });
        let ground = Self {
            program,
            _nats: nats,
            bus,
            smtp,
            wires,
            services,
        };
        join_all(Part::ALL.map(|part| ground.launch(part, ""))).await;
        ground
    }

    /// A connection to a service as it runs now.
    pub(super) fn channel(&self, part: Part) -> Channel {
        channel(self.service(part).addr.get())
    }

    /// Starts a service anew, to die at this place.
    pub(super) async fn arm(&self, part: Part, at: Option<At>, person: &Person) {
        if let Some(process) = self.service(part).process.take() {
            process.kill().await;
        }
        match at {
            Some(At::Point(name)) => self.launch(part, &format!("{name}=return")).await,
            Some(At::Wire(wire, way, octets)) => {
                self.launch(part, "").await;
                let octets = octets.replace(ADDRESS, &person.address);
                self.wire(wire).trap(way, octets);
            }
            None => self.launch(part, "").await,
        }
    }

    /// Waits for a death at each of its places, and starts the service again after each.
    pub(super) async fn befall(&self, boundary: &Boundary, person: &Person) {
        let service = self.service(boundary.dies);
        let mut places = boundary.places().peekable();
        while let Some(at) = places.next() {
            let process = service.process.take().expect("it was started");
            match at {
                At::Point(_) => process.is_killed(boundary.what).await,
                At::Wire(wire, ..) => {
                    self.wire(wire).sprung(boundary.what).await;
                    process.kill().await;
                }
            }
            self.arm(boundary.dies, places.peek().copied(), person)
                .await;
        }
    }

    /// Whether verification knows that an account's mail was accepted.
    pub(super) async fn knows_of_the_mail(&self, account: Uuid) -> bool {
        let [_, verification, _] = self.worlds();
        let accepted = codes_of(account, " AND mail_state = 'accepted'");
        verification.count(&accepted).await == 1
    }

    /// Waits until nobody owes anything to anybody.
    pub(super) async fn is_quiet(&self) {
        let [accounts, verification, mailer] = self.worlds();
        for (world, rows) in [
            (accounts, "outbox WHERE published_at IS NULL"),
            (verification, "outbox WHERE published_at IS NULL"),
            (verification, "codes WHERE mail_state = 'pending'"),
            (mailer, "mails WHERE state = 'sending'"),
        ] {
            world.until_none(rows).await;
        }
        for (stream, durable) in [
            (streams::ACCOUNTS, "verification"),
            (streams::VERIFICATION, "accounts"),
        ] {
            eventually("every event to be acked", SOON, async || {
                let stream = self.bus.jetstream().get_stream(stream.name).await.ok()?;
                let read = stream.consumer_info(durable).await.ok()?;
                (read.num_ack_pending == 0 && read.num_pending == 0).then_some(())
            })
            .await;
        }
    }

    /// What there is of somebody.
    pub(super) async fn found(&self, person: &Person, account: Uuid) -> Found {
        let [_, verification, mailer] = self.worlds();
        let codes = async |more: &str| verification.count(&codes_of(account, more)).await;
        let theirs = theirs(account);
        let unknown = format!("SELECT unknown_attempts FROM mails WHERE {theirs}");
        Found {
            codes: codes("").await,
            used: codes(" AND state = 'used'").await,
            accepted: codes(" AND mail_state = 'accepted'").await,
            letters: person.letters(self),
            unknown: mailer.number(&unknown).await,
        }
    }

    /// I1 to I8, I13: so many people, and of each what there should be and nothing else.
    pub(super) async fn is_conserved(&self, people: i64) {
        let [accounts, verification, mailer] = self.worlds();
        for (world, rows, expected) in [
            (accounts, "accounts", people),
            (accounts, "accounts WHERE status = 'verified'", people),
            (accounts, "outbox", people),
            (accounts, "dead_letters", 0),
            (accounts, "trials", 0),
            (verification, "verifications", people),
            (
                verification,
                "verifications WHERE verified_at IS NOT NULL",
                people,
            ),
            (verification, "codes", people),
            (
                verification,
                "codes WHERE state = 'used' AND mail_state = 'accepted'",
                people,
            ),
            (verification, "outbox", people),
            (verification, "dead_letters", 0),
            (verification, "trials", 0),
            (mailer, "mails", people),
            (mailer, "mails WHERE state = 'accepted'", people),
        ] {
            assert_eq!(world.count(rows).await, expected, "{rows}");
        }
        for stream in streams::ALL {
            let stream = self.bus.jetstream().get_stream(stream.name).await;
            let state = stream
                .expect("the stream is there")
                .cached_info()
                .state
                .clone();
            assert_eq!(
                i64::try_from(state.messages),
                Ok(people),
                "events published twice"
            );
        }
    }

    async fn launch(&self, part: Part, failpoints: &str) {
        let service = self.service(part);
        let mut command = Command::new(self.program);
        command.arg(part.name()).current_dir(service.world.folder());
        let settings = service.world.settings().with(&[("FAILPOINTS", failpoints)]);
        let process = Process::start(command, &settings).await;
        service.addr.set(process.addr());
        if part == Part::Mailer {
            self.wire(Wire::VerificationToMailer)
                .lead_to(process.addr());
        }
        service.process.set(Some(process));
    }

    fn service(&self, part: Part) -> &Service {
        &self.services[part as usize]
    }

    fn wire(&self, wire: Wire) -> &Proxy {
        &self.wires[wire as usize]
    }

    fn worlds(&self) -> [&World; 3] {
        self.services.each_ref().map(|service| &service.world)
    }
}

fn codes_of(account: Uuid, more: &str) -> String {
    format!("codes WHERE {}{more}", theirs(account))
}

fn theirs(account: Uuid) -> String {
    let id = account.simple().to_string().to_uppercase();
    format!("hex(account_id) = '{id}'")
}
