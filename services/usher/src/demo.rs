//! `usher demo`: somebody's first five minutes. Starts a system of its own, tells a sign-up's story
//! on it, kills a service in the middle of a second one, and leaves nothing running.

mod scene;
mod story;

use std::{
    fs,
    path::{Path, PathBuf},
};

use accounts::config::Dispatcher;
use clap::Args;
use kit::{
    serve::StopSignals,
    telemetry::{self, TelemetrySettings},
};

use crate::{
    exit::{Exit, Failure},
    local::{
        data::{self, DataFolder},
        exports::Exports,
        ports::PortChoice,
        system::System,
        told::ToldServices,
    },
    otlp::OtlpReceiver,
    output::{Format, json},
    person::{Inbox, MailFolders},
    root_span,
    terminal::say,
};
use scene::Scene;
use story::{Story, Told};

/// See everything work, in ten seconds
///
/// Starts nats-server and the three services on free ports in DATA/demo, signs a person up, shows
/// the mail, confirms its code, draws the whole journey, then kills verification with −9 in the
/// middle of a second sign-up: the mail still arrives, once. Everything is stopped at the end.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  usher demo
  usher demo --keep                          # leaves it running until Ctrl-C, to look around
  USHER_MAIL_URL=smtp://127.0.0.1:2525 usher demo --mailbox /tmp/maildir    # by SMTP")]
pub(crate) struct DemoArguments {
    /// Leave everything running until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Maildir in which mails arrive when USHER_MAIL_URL names a mail server
    #[arg(long, value_name = "DIR")]
    mailbox: Option<PathBuf>,
}

pub(crate) async fn run(
    arguments: DemoArguments,
    root: &Path,
    format: Format,
) -> Result<(), Failure> {
    let mut signals = StopSignals::listen()?;
    let mut told = ToldServices::find(Vec::new())?;
    // The story has a crash in the middle, which no other kind survives.
    told.dispatcher = Some(Dispatcher::Jetstream);
    // Whose folder this is decides before anything is looked at in it.
    let folder = data::make(root)?.path().join("demo");
    if holds_something_else(&folder) {
        let message = format!(
            "{} holds files that are not Usher's, and the demo empties its folder.",
            folder.display()
        );
        return Err(Failure::new(Exit::Refused, message).hint("Choose another folder with --data."));
    }
    let folders = MailFolders::choose(arguments.mailbox, told.mail_url(), &folder)?;
    let inbox = Inbox::Folders(folders);
    // Notices stay unread: a crash is part of the story, and a failure quotes the log.
    let (mut system, _notices) = System::open(&folder, told)?;
    let outcome = tell(&mut system, inbox, arguments.keep, format, &mut signals).await;
    // However the story ended: nothing is left running.
    system.stop().await;
    outcome
}

async fn tell(
    system: &mut System,
    inbox: Inbox,
    keep: bool,
    format: Format,
    signals: &mut StopSignals,
) -> Result<(), Failure> {
    let told = tokio::select! {
        told = story(system, inbox, format) => told?,
        () = signals.next() => return Err(Failure::new(Exit::Interrupted, "Interrupted; everything was stopped.")),
    };
    if format == Format::Json {
        say(json(&told));
    }
    if keep {
        Scene::new(format).kept(system.data().root());
        signals.next().await;
    }
    Ok(())
}

async fn story(system: &mut System, inbox: Inbox, format: Format) -> Result<Told, Failure> {
    let scene = Scene::new(format);
    scene.opening();
    scene.chapter("Everything starts: a broker, three services, each with a database of its own");
    system.begin_anew().await?;
    let receiver = OtlpReceiver::bind(([127, 0, 0, 1], 0).into()).await?;
    let telemetry = telemetry::init_command("usher", &quiet(), Some(&receiver.endpoint()))?;
    let exports = Exports::traces_to(&receiver);
    let run = system
        .start(PortChoice::Auto, exports, scene.progress())
        .await?;
    let story = Story::new(system, &run, inbox, &receiver, &scene);
    let told = story.tell().await;
    telemetry.shutdown().await;
    told
}

fn holds_something_else(folder: &Path) -> bool {
    let Ok(mut entries) = fs::read_dir(folder) else {
        return false;
    };
    // The demo empties its folder: a typing error must not cost anybody a folder of their own.
    entries.next().is_some() && !DataFolder::is_ours(folder)
}

fn quiet() -> TelemetrySettings {
    // Spans only: the crash that the story is about would fill the screen with warnings.
    let mut settings = root_span::settings();
    if kit::config::environment("RUST_LOG").is_none() {
        settings.log_filter = "off".to_owned();
    }
    settings
}
