//! A caller of `CreateAccounts`: an open stream, what is sent on it and what comes back.

use std::collections::HashMap;

use kit::{serve, testing::SOON};
use proto::accounts::{
    Account, CreateAccountRequest, CreateAccountsRequest, CreateAccountsResponse,
    create_accounts_response::Result as Answer,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming};

use crate::client::{Client, sign_up};

/// An item without a key.
pub(crate) fn item(item_id: &str, account: CreateAccountRequest) -> CreateAccountsRequest {
    CreateAccountsRequest {
        item_id: item_id.to_owned(),
        idempotency_key: String::new(),
        account: Some(account),
    }
}

/// The item of a number, with an address and a key of its own.
pub(crate) fn numbered(number: usize) -> CreateAccountsRequest {
    CreateAccountsRequest {
        idempotency_key: format!("key-of-item-{number:06}"),
        ..item(
            &number.to_string(),
            sign_up(&format!("ada{number}@example.org")),
        )
    }
}

/// An open stream.
pub(crate) struct Batch {
    items: Option<mpsc::Sender<CreateAccountsRequest>>,
    results: Streaming<CreateAccountsResponse>,
}

/// What became of items, by their names.
pub(crate) type Results = HashMap<String, Vec<Result<Account, Status>>>;

impl Batch {
    pub(crate) async fn open(client: &Client) -> Self {
        Self::try_open(client, |_| ()).await.unwrap()
    }

    pub(crate) async fn try_open(
        client: &Client,
        with: impl FnOnce(&mut Request<ReceiverStream<CreateAccountsRequest>>),
    ) -> Result<Self, Status> {
        let (items, queue) = mpsc::channel(1);
        let mut request = Request::new(ReceiverStream::new(queue));
        with(&mut request);
        let results = client.0.clone().create_accounts(request).await?;
        Ok(Self {
            items: Some(items),
            results: results.into_inner(),
        })
    }

    /// Sends an item; false if the stream takes none any more.
    pub(crate) async fn send(&self, item: CreateAccountsRequest) -> bool {
        let items = self.items.as_ref().unwrap();
        items.send(item).await.is_ok()
    }

    /// Another one who sends on it.
    pub(crate) fn sender(&self) -> mpsc::Sender<CreateAccountsRequest> {
        self.items.clone().unwrap()
    }

    /// Says that there are no more.
    pub(crate) fn end(&mut self) {
        self.items = None;
    }

    /// The next result; nothing at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<CreateAccountsResponse>, Status> {
        let result = timeout(SOON, self.results.message()).await;
        result.expect("a result, or the end of the stream")
    }

    /// All further results, and how the stream ends.
    pub(crate) async fn results(&mut self) -> (Results, Result<(), Status>) {
        let mut results = Results::new();
        loop {
            match self.next().await {
                Ok(Some(result)) => {
                    let (name, answer) = read(result);
                    results.entry(name).or_default().push(answer);
                }
                Ok(None) => return (results, Ok(())),
                Err(status) => return (results, Err(status)),
            }
        }
    }
}

/// An item's name and what became of it.
pub(crate) fn read(result: CreateAccountsResponse) -> (String, Result<Account, Status>) {
    let answer = match result.result.expect("a result says something") {
        Answer::Created(created) => Ok(created.account.unwrap()),
        Answer::Refused(refused) => Err(serve::from_message(&refused)),
    };
    (result.item_id, answer)
}

/// Sends all items on one stream, and hears all results until its end, which is a good one.
pub(crate) async fn all(
    client: &Client,
    items: impl IntoIterator<Item = CreateAccountsRequest, IntoIter: Send + 'static>,
) -> Results {
    let mut batch = Batch::open(client).await;
    let (sender, items) = (batch.sender(), items.into_iter());
    batch.end();
    let sending = tokio::spawn(async move {
        for item in items {
            sender.send(item).await.unwrap();
        }
    });
    let (results, end) = batch.results().await;
    end.unwrap();
    sending.await.unwrap();
    results
}
