//! Every name that spans, metrics and resources of Usher bear: OpenTelemetry's semantic
//! conventions, and under `messaging.nats` and `usher` what they have no word for. No other place
//! spells a name out.

pub use opentelemetry_semantic_conventions::{
    SCHEMA_URL,
    attribute::{
        DB_OPERATION_BATCH_SIZE, DB_OPERATION_NAME, DB_SYSTEM_NAME, ERROR_TYPE,
        MESSAGING_BATCH_MESSAGE_COUNT, MESSAGING_CONSUMER_GROUP_NAME, MESSAGING_DESTINATION_NAME,
        MESSAGING_MESSAGE_BODY_SIZE, MESSAGING_MESSAGE_ID, MESSAGING_OPERATION_NAME,
        MESSAGING_OPERATION_TYPE, MESSAGING_SYSTEM, RPC_METHOD, RPC_RESPONSE_STATUS_CODE,
        RPC_SYSTEM_NAME, SERVER_ADDRESS, SERVER_PORT, SERVICE_INSTANCE_ID, SERVICE_NAME,
        SERVICE_VERSION,
    },
    metric::{
        DB_CLIENT_OPERATION_DURATION, MESSAGING_CLIENT_CONSUMED_MESSAGES,
        MESSAGING_CLIENT_OPERATION_DURATION, MESSAGING_CLIENT_SENT_MESSAGES,
        MESSAGING_PROCESS_DURATION, RPC_CLIENT_CALL_DURATION, RPC_SERVER_CALL_DURATION,
    },
};

/// Bounds of every histogram of durations, in seconds, as the conventions advise.
pub const DURATION_BOUNDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Value of [`MESSAGING_SYSTEM`].
pub const NATS: &str = "nats";
/// Value of [`RPC_SYSTEM_NAME`].
pub const GRPC: &str = "grpc";

/// [`MESSAGING_OPERATION_TYPE`] of the span whose context a message carries; kind PRODUCER.
pub const CREATE: &str = "create";
/// [`MESSAGING_OPERATION_TYPE`] of handing a created message to the broker; kind CLIENT.
pub const SEND: &str = "send";
/// [`MESSAGING_OPERATION_TYPE`] of handling one message; kind CONSUMER.
pub const PROCESS: &str = "process";

/// [`MESSAGING_OPERATION_NAME`] of [`SEND`]: what NATS calls it.
pub const PUBLISH: &str = "publish";

/// Name of the span of one mail on its way over the delivery stream: CLIENT in verification, SERVER
/// in mailer.
pub const DELIVER: &str = "deliver";
/// Name of the CLIENT span of one mail's conversation with the mail server.
pub const SMTP_SEND: &str = "smtp send";
/// Name of the INTERNAL span of one mail written into a folder.
pub const FILE_WRITE: &str = "file write";

/// Attribute: the JetStream stream.
pub const MESSAGING_NATS_STREAM: &str = "messaging.nats.stream";
/// Attribute: the message's sequence in its stream.
pub const MESSAGING_NATS_STREAM_SEQUENCE: &str = "messaging.nats.stream.sequence";
/// Attribute: how many times the message was delivered, this time included.
pub const MESSAGING_NATS_DELIVERY_COUNT: &str = "messaging.nats.delivery_count";

/// Attribute: the account's id.
pub const USHER_ACCOUNT_ID: &str = "usher.account.id";
/// Attribute: the event's id, the same over all its deliveries and replays.
pub const USHER_EVENT_ID: &str = "usher.event.id";
/// Attribute: the code's id, which is also the mail's key; never its digits.
pub const USHER_CODE_ID: &str = "usher.code.id";
/// Attribute: which attempt this is, from 1.
pub const USHER_ATTEMPT: &str = "usher.attempt";
/// Attribute: seconds between the commit of an outbox row and its publishing.
pub const USHER_OUTBOX_LAG: &str = "usher.outbox.lag";
/// Attribute: the mail template.
pub const USHER_MAIL_TEMPLATE: &str = "usher.mail.template";
/// Attribute of spans and metrics: how a mail's attempt ended.
pub const USHER_MAIL_OUTCOME: &str = "usher.mail.outcome";
/// Attribute: the mail server's three-digit reply.
pub const USHER_SMTP_REPLY_CODE: &str = "usher.smtp.reply_code";
/// Attribute of [`USHER_DEPENDENCY_DEGRADED`]: which dependency.
pub const USHER_DEPENDENCY: &str = "usher.dependency";

/// Histogram, seconds: from the account's commit to the mail server's acceptance. The service level
/// indicator.
pub const USHER_COMMIT_TO_ACCEPTED: &str = "usher.commit_to_accepted";
/// Gauge, `{event}`: outbox rows that wait to be published.
pub const USHER_OUTBOX_PENDING: &str = "usher.outbox.pending";
/// Gauge, seconds: age of the oldest outbox row that waits.
pub const USHER_OUTBOX_AGE: &str = "usher.outbox.age";
/// Gauge, `{message}`: messages that a durable has not acknowledged.
pub const USHER_CONSUMER_LAG: &str = "usher.consumer.lag";
/// Counter, `{message}`: messages that came more than once.
pub const USHER_CONSUMER_REDELIVERIES: &str = "usher.consumer.redeliveries";
/// Counter, `{message}`: messages that became dead letters.
pub const USHER_DEAD_LETTERS: &str = "usher.dead_letters";
/// Gauge, `{mail}`: mails whose time has come.
pub const USHER_MAILS_DUE: &str = "usher.mails.due";
/// Gauge, seconds: how long the mail that waits longest has been due.
pub const USHER_MAILS_AGE: &str = "usher.mails.age";
/// Counter, `{attempt}`: attempts to send a mail, by outcome.
pub const USHER_MAIL_ATTEMPTS: &str = "usher.mail.attempts";
/// Gauge: 1 while the circuit before the mail server is open, else 0.
pub const USHER_CIRCUIT_OPEN: &str = "usher.circuit.open";
/// Histogram, seconds: one mail's conversation with the mail server.
pub const USHER_SMTP_DURATION: &str = "usher.smtp.duration";
/// Gauge: 1 while a dependency is out of reach, else 0.
pub const USHER_DEPENDENCY_DEGRADED: &str = "usher.dependency.degraded";
/// Counter, `{event}`: events that were given up before anybody took them, and are stored nowhere.
pub const USHER_DISPATCH_DROPPED: &str = "usher.dispatch.dropped";
/// Counter, `{line}`: log lines that were dropped because nobody read standard error.
pub const USHER_LOG_DROPPED: &str = "usher.log.dropped";

/// The name of a messaging span, `{operation} {destination}`; the destination must be of few
/// values.
pub fn messaging_span(operation: &str, destination: &str) -> String {
    format!("{operation} {destination}")
}

/// Whose instruments and spans these are.
pub(super) fn scope() -> opentelemetry::InstrumentationScope {
    opentelemetry::InstrumentationScope::builder("usher")
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(SCHEMA_URL)
        .build()
}
