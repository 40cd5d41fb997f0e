//! The functions, wired as their `main.rs` wire them, but to the ports of the simulation.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use aws_lambda_events::encodings::Body;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use hermes::fanout::Fanout;
use hermes::log::History;
use hermes::publish::Publisher;
use send_message::{Event, Response};

use super::invocation::Invocation;
use super::ports::Ports;
use super::variant::Variant;
use super::world::World;

type Request = ApiGatewayWebsocketProxyRequest;

/// Of `send-message`, as the template has it.
const SEND_MESSAGE: Duration = Duration::from_secs(25);

/// Of all other functions.
const TIMEOUT: Duration = Duration::from_secs(10);

fn fanout(world: &World, ports: &Ports) -> Fanout<Ports, Ports, Ports, Ports> {
    let schedule = &world.schedule;
    Fanout::new(
        ports.clone(),
        ports.clone(),
        ports.clone(),
        ports.clone(),
        schedule.sharding.clone(),
        schedule.concurrency,
    )
    .with_members_per_job(schedule.members_per_job)
}

fn history(world: &World, ports: &Ports) -> History<Ports> {
    History::new(ports.clone(), world.schedule.keep)
}

async fn send_message(world: &Arc<World>, name: &'static str, event: Event) -> Option<Response> {
    let invocation = Invocation::new(world, name, SEND_MESSAGE);
    let ports = Ports::of(&invocation);
    let publisher = Publisher::new(Some(history(world, &ports)), fanout(world, &ports));
    let handler = send_message::handle(&publisher, &ports, event, invocation.deadline());
    invocation.run(handler).await
}

fn failures(response: SqsBatchResponse) -> BTreeSet<String> {
    let failures = response.batch_item_failures.into_iter();
    failures.map(|failure| failure.item_identifier).collect()
}

/// A batch of `MessageQueue`: what failed of it.
pub(crate) async fn messages(world: Arc<World>, mut event: SqsEvent) -> Option<BTreeSet<String>> {
    if world.variant == Variant::FifoWithoutStop {
        for record in &mut event.records {
            record.event_source_arn = None;
        }
    }
    match send_message(&world, "send-message (batch)", Event::Queue(event)).await? {
        Response::Queue(response) => Some(failures(response)),
        Response::Route(_) => unreachable!("a batch is answered as one"),
    }
}

/// A batch of `DeliveryQueue`: what failed of it.
pub(crate) async fn jobs(world: Arc<World>, event: SqsEvent) -> Option<BTreeSet<String>> {
    let invocation = Invocation::new(&world, "deliver", TIMEOUT);
    let fanout = fanout(&world, &Ports::of(&invocation));
    let handler = deliver::handle(&fanout, event, invocation.deadline());
    invocation.run(handler).await.map(failures)
}

/// `$connect`: whether the handshake succeeds.
pub(crate) async fn connect(world: &Arc<World>, event: Request) -> bool {
    let invocation = Invocation::new(world, "connect", TIMEOUT);
    let ports = Ports::of(&invocation);
    let handler = connect::handle(&ports, &world.schedule.sharding, event);
    matches!(invocation.run(handler).await, Some(Ok(response)) if response.status_code == 200)
}

/// `$disconnect`.
pub(crate) async fn disconnect(world: &Arc<World>, event: Request) {
    let invocation = Invocation::new(world, "disconnect", TIMEOUT);
    let ports = Ports::of(&invocation);
    let handler = disconnect::handle(&ports, &world.schedule.sharding, event);
    invocation.run(handler).await;
}

/// The route of a frame: the answer frame, unless the invocation died.
pub(crate) async fn route(world: &Arc<World>, action: &str, event: Request) -> Option<String> {
    let response = match action {
        "sendMessage" => {
            let event = Event::Route(Box::new(event));
            match send_message(world, "send-message", event).await? {
                Response::Route(response) => *response,
                Response::Queue(_) => unreachable!("a frame is answered as one"),
            }
        }
        "sendMessageToSQS" => {
            let invocation = Invocation::new(world, "send-message-to-sqs", TIMEOUT);
            let ports = Ports::of(&invocation);
            let handler = send_message_to_sqs::handle(&ports, event);
            invocation.run(handler).await?
        }
        "recover" => {
            let invocation = Invocation::new(world, "recover", TIMEOUT);
            let history = history(world, &Ports::of(&invocation));
            let handler = recover::handle(Some(&history), &event);
            invocation.run(handler).await?
        }
        _ => {
            let invocation = Invocation::new(world, "default", TIMEOUT);
            let log = Ports::of(&invocation);
            let log = Some(&log).filter(|_| world.variant != Variant::PongWithoutHeads);
            invocation.run(default::handle(log, &event)).await?
        }
    };
    body(response)
}

fn body(response: ApiGatewayProxyResponse) -> Option<String> {
    match response.body? {
        Body::Text(text) => Some(text),
        _ => None,
    }
}
