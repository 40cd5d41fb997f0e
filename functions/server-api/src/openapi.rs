//! The OpenAPI document, generated from the code. The types here only describe: what they say, the
//! functions beside them do.
#![expect(dead_code, reason = "describes requests and answers")]

use std::borrow::Cow;
use std::marker::PhantomData;

use serde_json::Value;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, OpenApi as Document, Ref, RefOr, Schema};
use utoipa::{IntoParams, IntoResponses, Modify, OpenApi, PartialSchema, ToSchema};

use crate::messages::BATCH_MAX;
use crate::problem::Problem;
use crate::{history, members, messages, tokens};

/// The document that `docs/openapi.json` holds.
pub fn document() -> Document {
    Hermes::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Hermes, the server API",
        description = "What a backend does with Hermes where it has no AWS SDK: publish to rooms, read their history, \
            see and close their connections, issue and revoke tokens. Each request is signed with AWS Signature Version 4 for \
            the service `execute-api`, by whom IAM allows `execute-api:Invoke`. The limits: a body has at most 2 MiB, a \
            batch 100 messages, a notification 120 KiB."
    ),
    paths(
        messages::publish,
        history::history,
        members::members,
        members::close,
        tokens::issue,
        tokens::revoke
    ),
    components(schemas(Problem, Gateway)),
    security(("sigv4" = [])),
    modifiers(&SignatureVersion4)
)]
struct Hermes;

struct SignatureVersion4;

impl Modify for SignatureVersion4 {
    fn modify(&self, document: &mut Document) {
        let mut header = ApiKeyValue::with_description(
            "Authorization",
            "AWS Signature Version 4 of the request, for the service `execute-api`",
        );
        header.extensions = Some(
            ExtensionsBuilder::new()
                .add("x-amazon-apigateway-authtype", "awsSigv4")
                .build(),
        );
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("sigv4", SecurityScheme::ApiKey(ApiKey::Header(header)));
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct RoomPath {
    /// The room: as it is, or `~` and its base64url. The second form is for ids with other characters than
    /// letters, digits and `-_.~:@=`, because API Gateway decodes a path before Hermes sees it; and for those that
    /// begin with `.`, `~` or `=`. A backend may write all ids so
    #[param(
        max_length = 343,
        pattern = "^([A-Za-z0-9_:@-][A-Za-z0-9._~:@=-]*|~[A-Za-z0-9_-]+)$",
        example = "demo"
    )]
    room: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct UserPath {
    /// The user, written like the room
    #[param(
        max_length = 343,
        pattern = "^([A-Za-z0-9_:@-][A-Za-z0-9._~:@=-]*|~[A-Za-z0-9_-]+)$",
        example = "alice"
    )]
    user: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct ConnectionPath {
    /// The connection, written like the room
    #[param(
        max_length = 172,
        pattern = "^([A-Za-z0-9_:@-][A-Za-z0-9._~:@=-]*|~[A-Za-z0-9_-]+)$",
        example = "Zk3fGd2HliACE0w="
    )]
    connection: String,
}

/// A message, or an array of at most 100.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum MessageBody {
    /// One message.
    One(Posted),
    /// Several, which are enqueued in this order, all or, where one is wrong, none.
    Batch(PostedBatch),
}

/// A message to a room.
#[derive(ToSchema)]
pub(crate) struct Posted {
    /// Any JSON, null included. Clients look for subscribers by its `type`.
    #[schema(required, example = json!({"type": "backup.finished", "data": {"seconds": 17}}))]
    data: Value,
    /// Names the message among those of its sender in the room, so that it may be sent again; made by
    /// Hermes where it is missing.
    #[schema(
        required = false,
        min_length = 1,
        max_length = 128,
        pattern = "^[ -~]+$"
    )]
    id: String,
    /// Who sends it, as clients see it; `system` where it is missing.
    #[schema(required = false)]
    user_id: Name,
    /// The one user in the room who receives it; everybody where it is missing.
    #[schema(required = false)]
    to: Name,
}

/// The name of a user or a room. An integer stands for its digits.
pub(crate) struct Name;

impl PartialSchema for Name {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Integer]))
            .description(Some(
                "The name of a user or a room. An integer stands for its digits.",
            ))
            .min_length(Some(1))
            .max_length(Some(256))
            .into()
    }
}

impl ToSchema for Name {}

/// A CloudEvent 1.0 in its JSON format; other attributes pass as they are.
#[derive(ToSchema)]
pub(crate) struct CloudEventBody {
    #[schema(pattern = "^1\\.0$")]
    specversion: String,
    /// The message's id.
    #[schema(min_length = 1, max_length = 128, pattern = "^[ -~]+$")]
    id: String,
    /// The message's sender.
    #[schema(min_length = 1, max_length = 256, example = "/backups/nightly")]
    source: String,
    #[serde(rename = "type")]
    #[schema(min_length = 1, example = "backup.finished")]
    kind: String,
    /// The one user in the room who receives it.
    #[schema(required = false, min_length = 1, max_length = 256)]
    to: Option<String>,
    /// Any JSON.
    #[schema(required = false)]
    data: Value,
}

/// A name without parameters, for which `utoipa` looks no further.
pub(crate) type PostedBatch = Batch<Posted>;
/// The same.
pub(crate) type CloudEventBatch = Batch<CloudEventBody>;

/// 1 to [`BATCH_MAX`] of them.
pub(crate) struct Batch<T>(PhantomData<T>);

impl<T: ToSchema> PartialSchema for Batch<T> {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new()
            .items(Ref::from_schema_name(T::name()))
            .min_items(Some(1))
            .max_items(Some(BATCH_MAX))
            .into()
    }
}

impl<T: ToSchema> ToSchema for Batch<T> {
    fn name() -> Cow<'static, str> {
        format!("{}Batch", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

/// A message as members receive it.
#[derive(ToSchema)]
pub(crate) struct Notification {
    /// Who sent it.
    user_id: String,
    /// What was sent.
    data: Value,
    /// The room.
    room_id: String,
    /// Unique per sender in its stream.
    id: String,
    /// When it was accepted.
    #[schema(format = DateTime)]
    sent_at: String,
    /// The one user who received it.
    #[schema(required = false)]
    to: String,
    /// `room`, or `user` for messages `to` one.
    #[schema(pattern = "^(room|user)$")]
    stream: String,
    /// The life of the stream.
    epoch: String,
    /// Where it stands in its epoch, from 1 on.
    #[schema(minimum = 1)]
    offset: u64,
}

/// What API Gateway answers by itself.
#[derive(ToSchema)]
pub(crate) struct Gateway {
    /// What was wrong.
    message: String,
}

#[derive(IntoResponses)]
pub(crate) enum Refused {
    /// The request is wrong
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(Problem),
    /// API Gateway refuses the signature or IAM the caller
    #[response(status = 403)]
    Forbidden(Gateway),
    /// There is no such path, member or history: `code` says which
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
    /// API Gateway throttles
    #[response(status = 429)]
    Throttled(Gateway),
    /// A service behind Hermes failed: send the request again, with the same ids. `accepted` has the ids of the
    /// messages that were enqueued
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

#[derive(IntoResponses)]
pub(crate) enum BodyRefused {
    /// The body, or a notification, is too large
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// The body's `Content-Type` is none that the operation reads
    #[response(status = 415, content_type = "application/problem+json")]
    MediaType(Problem),
}
