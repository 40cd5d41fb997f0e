//! Events of the shape that the files in `events/` have.

use std::sync::LazyLock;

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use serde_json::Value;

type Request = ApiGatewayWebsocketProxyRequest;

static CONNECT: LazyLock<Request> =
    LazyLock::new(|| read(include_str!("../../../events/connect.json")));
static DISCONNECT: LazyLock<Request> =
    LazyLock::new(|| read(include_str!("../../../events/disconnect.json")));
static MESSAGE: LazyLock<Request> =
    LazyLock::new(|| read(include_str!("../../../events/send-message-socket.json")));
static RECORD: LazyLock<SqsMessage> = LazyLock::new(|| {
    let event: SqsEvent = read(include_str!("../../../events/send-message-sqs.json"));
    event.records[0].clone()
});

fn read<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).expect("the event is of the type")
}

/// The connection that an event is of, and when it happened, in milliseconds.
pub(crate) struct Origin<'a> {
    pub(crate) connection: &'a str,
    pub(crate) user: &'a str,
    pub(crate) room: &'a str,
    pub(crate) connected_at: u64,
    pub(crate) time: u64,
}

fn request(template: &Request, origin: &Origin<'_>) -> Request {
    let mut request = template.clone();
    let context = &mut request.request_context;
    context.connection_id = Some(origin.connection.to_owned());
    context.connected_at = i64::try_from(origin.connected_at).expect("not that late");
    context.request_time_epoch = i64::try_from(origin.time).expect("not that late");
    for (name, value) in [("user_id", origin.user), ("room_id", origin.room)] {
        let value = Value::String(value.to_owned());
        context.authorizer.fields.insert(name.to_owned(), value);
    }
    request
}

/// `$connect`.
pub(crate) fn connect(origin: &Origin<'_>) -> Request {
    request(&CONNECT, origin)
}

/// `$disconnect`.
pub(crate) fn disconnect(origin: &Origin<'_>) -> Request {
    request(&DISCONNECT, origin)
}

/// A frame that a client sent.
pub(crate) fn frame(origin: &Origin<'_>, body: String) -> Request {
    let mut request = request(&MESSAGE, origin);
    request.body = Some(body);
    request
}

/// A record of a batch.
pub(crate) fn record(id: &str, body: &str, attributes: [(&str, String); 2]) -> SqsMessage {
    let mut record = RECORD.clone();
    record.message_id = Some(id.to_owned());
    record.body = Some(body.to_owned());
    for (name, value) in attributes {
        record.attributes.insert(name.to_owned(), value);
    }
    record
}
