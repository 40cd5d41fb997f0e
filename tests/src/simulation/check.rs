//! The promise, checked after every schedule.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hermes::log::Stream;
use tokio::time::{Instant, sleep, sleep_until};

use super::backend::Backend;
use super::client::{Client, PING};
use super::ledger::{Ack, Via};
use super::world::World;

/// How long everything may take to come to rest when nothing fails any more: as often as a message is
/// delivered at most, with the visibility timeout in between, and a client's way back.
const REST: Duration = Duration::from_secs(400);

/// How long a client may take to catch up after that: a ping, and pages of answers.
const CATCH_UP: Duration = Duration::from_secs(PING.as_secs() + 10);

/// Lets everything come to rest, and checks it.
///
/// # Errors
///
/// What is broken, in words.
pub(crate) async fn check(
    world: &Arc<World>,
    clients: &mut Vec<Arc<Client>>,
    backends: &[Arc<Backend>],
) -> Result<(), String> {
    sleep_until(world.end_of_faults()).await;
    let is_at_rest = || {
        world.is_idle()
            && clients.iter().all(|client| client.is_done())
            && backends.iter().all(|backend| backend.is_done())
    };
    within(REST, 500, || {
        (!is_at_rest()).then(|| "it does not come to rest".to_owned())
    })
    .await?;
    let lacking = || clients.iter().find_map(|client| client.lacks(world));
    within(CATCH_UP, 500, lacking).await?;
    acknowledged(world)?;
    buried(world)?;
    in_order(world)?;
    reaches_everybody(world, clients).await?;
    let lacking = || clients.iter().find_map(|client| client.lacks(world));
    within(CATCH_UP, 500, lacking).await?;
    world.ledger().violation().cloned().map_or(Ok(()), Err)
}

/// Waits until nothing is wrong any more; or something else is, or time is over.
async fn within(
    limit: Duration,
    every_ms: u64,
    wrong: impl Fn() -> Option<String>,
) -> Result<(), String> {
    let end = Instant::now() + limit;
    while let Some(wrong) = wrong() {
        if Instant::now() >= end {
            return Err(wrong);
        }
        sleep(Duration::from_millis(every_ms)).await;
    }
    Ok(())
}

/// What was acknowledged is in the log, where the ack said; what was enqueued at least among the dead
/// letters.
fn acknowledged(world: &World) -> Result<(), String> {
    let ledger = world.ledger();
    for ack in &ledger.acks {
        let Ack {
            stream, sender, id, ..
        } = ack;
        let accepted = ledger.find(stream, sender, id);
        let what = || format!("{id} of {sender} to {}", stream.key());
        match (&ack.via, accepted) {
            (Via::Log(Some(position)), Some(accepted)) => {
                // Where the log began anew meanwhile, it may be there twice.
                if accepted.position != *position && !world.schedule.expires() {
                    return Err(format!("{} is not at {position:?}", what()));
                }
            }
            (_, Some(_)) => {}
            (Via::Log(_), None) => {
                return Err(format!(
                    "{} was acknowledged, and is not in the log",
                    what()
                ));
            }
            (Via::Queue, None) => {
                if !world.messages.has_given_up(id, stream.room.as_str()) {
                    return Err(format!("{} was enqueued, and is nowhere", what()));
                }
            }
        }
    }
    Ok(())
}

/// What can never be published is in the dead-letter queue.
fn buried(world: &World) -> Result<(), String> {
    let letters = world.dead_letters.letters();
    let ledger = world.ledger();
    let lost = ledger.rubbish.iter().find(|body| {
        letters.iter().all(|(letter, _)| letter != *body) && !world.messages.has_given_up(body, "")
    });
    lost.map_or(Ok(()), |body| Err(format!("nobody buried {body}")))
}

/// What a backend sent to a room through a FIFO queue is in the log in its order.
fn in_order(world: &World) -> Result<(), String> {
    if !world.schedule.fifo {
        return Ok(());
    }
    let ledger = world.ledger();
    for (key, accepted) in ledger.streams() {
        let mut numbers: BTreeMap<&String, Vec<u64>> = BTreeMap::new();
        for accepted in accepted {
            let number = accepted
                .id
                .strip_prefix("m-")
                .and_then(|id| id.parse().ok());
            let (Some(number), true) = (number, accepted.sender.starts_with("backend")) else {
                continue;
            };
            let numbers = numbers.entry(&accepted.sender).or_default();
            if numbers.contains(&number) {
                continue; // it came again after the log had forgotten it
            }
            if numbers.last().is_some_and(|last| *last > number) {
                let (sender, id) = (&accepted.sender, &accepted.id);
                return Err(format!("{key}: {id} of {sender} is behind a later one"));
            }
            numbers.push(number);
        }
    }
    Ok(())
}

/// While nothing fails, a push reaches every member: whoever is connected, and whoever has just come,
/// although a message met its row before its socket was open.
async fn reaches_everybody(
    world: &Arc<World>,
    clients: &mut Vec<Arc<Client>>,
) -> Result<(), String> {
    world.gateway.watch();
    let prober = Backend::new(world, Some("prober".parse().expect("a user")));
    let mut expected = Vec::new();
    for (i, room) in world.schedule.rooms.iter().enumerate() {
        let stream = Stream {
            room: room.clone(),
            user: None,
        };
        let newcomer = Client::new(
            world,
            room,
            &"newcomer".parse().expect("a user"),
            Vec::new(),
        );
        world.spawn(Arc::clone(&newcomer).live());
        world.pause(0, 600).await;
        prober
            .publish(stream.clone(), Some(format!("early-{i}")))
            .await;
        newcomer.opened.notified().await;
        let probe = format!("probe-{i}");
        let open = world.gateway.open().into_iter();
        let members = open.filter(|(_, connection)| connection.room == *room);
        expected.extend(members.map(|(id, connection)| (id, connection.user, probe.clone())));
        prober.publish(stream, Some(probe)).await;
        clients.push(newcomer);
    }
    within(REST, 50, || {
        (!world.is_idle()).then(|| "the probes do not come to rest".to_owned())
    })
    .await?;
    for (id, user, probe) in expected {
        if !world.gateway.was_pushed(&id, &format!(r#""id":"{probe}""#)) {
            return Err(format!(
                "{probe} was not pushed to {id} of {user}, which is open"
            ));
        }
    }
    Ok(())
}
