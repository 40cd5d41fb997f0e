//! What is shown, whatever comes in which order.

use proptest::prelude::*;

use super::*;

fn at(epoch: &str, offset: u64) -> Position {
    let epoch = epoch.parse().unwrap();
    Position { epoch, offset }
}

fn answer(head: Option<Position>, messages: impl IntoIterator<Item = u64>) -> Recovered<u64> {
    Recovered {
        head,
        messages: messages.into_iter().map(|n| (n, n)).collect(),
        more: false,
        complete: true,
    }
}

fn gone(head: Option<Position>) -> Recovered<u64> {
    Recovered {
        complete: false,
        ..answer(head, [])
    }
}

fn next(items: impl IntoIterator<Item = u64>) -> Vec<Shown<u64>> {
    items.into_iter().map(Shown::Next).collect()
}

const ROOM: StreamKind = StreamKind::Room;

/// A listener to whose user nothing was ever sent, and the question about its room.
fn connected() -> (Order<u64>, Request) {
    let mut order = Order::new();
    let room = reconnect(&mut order);
    (order, room)
}

fn reconnect(order: &mut Order<u64>) -> Request {
    order.connected();
    assert_eq!(order.need(), Some(Need::Now));
    let [room, user] = order.requests().try_into().unwrap();
    assert_eq!((room.kind, user.kind), (ROOM, StreamKind::User));
    assert_eq!(
        order.recovered(user.number, answer(Some(at("u", 0)), [])),
        []
    );
    room
}

/// The one question that there is to ask.
fn question(order: &mut Order<u64>, need: Need) -> Request {
    assert_eq!(order.need(), Some(need));
    let [request] = order.requests().try_into().unwrap();
    assert_eq!(order.need(), None, "it is asked once");
    request
}

/// A listener that has seen room message `offset` of the epoch `e`, or begins behind it.
fn behind(offset: u64) -> Order<u64> {
    let (mut order, room) = connected();
    assert_eq!(room.seen, None);
    assert_eq!(
        order.recovered(room.number, answer(Some(at("e", offset)), [])),
        []
    );
    order
}

#[test]
fn what_was_published_while_connecting_is_shown_first() {
    let (mut order, room) = connected();
    assert_eq!(order.take(ROOM, at("e", 9), 9), [] as [u64; 0]);
    let shown = order.recovered(room.number, answer(Some(at("e", 8)), [7, 8]));
    assert_eq!(shown, next([7, 8, 9]));
    assert_eq!(order.need(), None);
    assert_eq!(order.has_log(), Some(true));
}

#[test]
fn a_notification_that_comes_twice_is_shown_once() {
    let mut order = behind(4);
    assert_eq!(order.take(ROOM, at("e", 5), 5), [5]);
    for old in [5, 4, 1] {
        assert_eq!(order.take(ROOM, at("e", old), old), [] as [u64; 0]);
    }
    assert_eq!(order.need(), None);
}

#[test]
fn one_that_overtook_another_waits_for_it() {
    let mut order = behind(4);
    assert_eq!(order.take(ROOM, at("e", 6), 6), [] as [u64; 0]);
    assert_eq!(order.need(), Some(Need::Soon));
    assert_eq!(order.take(ROOM, at("e", 5), 5), [5, 6]);
    assert_eq!(order.need(), None);
}

#[test]
fn a_missing_one_is_asked_for() {
    let mut order = behind(4);
    order.take(ROOM, at("e", 7), 7);
    let request = question(&mut order, Need::Soon);
    assert_eq!(request.seen, Some(at("e", 4)));
    // Meanwhile one more comes, which the answer does not have.
    assert_eq!(order.take(ROOM, at("e", 8), 8), [] as [u64; 0]);
    let shown = order.recovered(request.number, answer(Some(at("e", 7)), [5, 6, 7]));
    assert_eq!(shown, next([5, 6, 7, 8]));
    assert_eq!(order.need(), None);
}

#[test]
fn a_pong_tells_of_a_missing_one_and_of_nothing_new() {
    let mut order = behind(4);
    order.heads((Some(at("e", 4)), None));
    assert_eq!(order.need(), None);
    order.heads((Some(at("e", 5)), None));
    assert_eq!(question(&mut order, Need::Soon).seen, Some(at("e", 4)));
    // The other stream is asked for by itself.
    order.heads((None, Some(at("u", 1))));
    let request = question(&mut order, Need::Soon);
    let seen = Some(at("u", 0));
    assert_eq!((request.kind, request.seen), (StreamKind::User, seen));
    let shown = order.recovered(request.number, answer(Some(at("u", 1)), [1]));
    assert_eq!(shown, next([1]));
}

#[test]
fn an_answer_in_several_frames_is_asked_for_to_its_end() {
    let mut order = behind(4);
    let room = reconnect(&mut order);
    assert_eq!(room.seen, Some(at("e", 4)));
    let page = Recovered {
        more: true,
        ..answer(Some(at("e", 6)), [5, 6])
    };
    assert_eq!(order.recovered(room.number, page), next([5, 6]));
    let request = question(&mut order, Need::Now);
    assert_eq!(request.seen, Some(at("e", 6)));
    let shown = order.recovered(request.number, answer(Some(at("e", 9)), [7, 8, 9]));
    assert_eq!(shown, next([7, 8, 9]));
    assert_eq!(order.need(), None);
}

#[test]
fn history_that_is_gone_is_told_and_the_stream_goes_on() {
    let mut order = behind(4);
    let room = reconnect(&mut order);
    assert_eq!(order.take(ROOM, at("f", 3), 3), [] as [u64; 0]);
    let shown = order.recovered(room.number, gone(Some(at("f", 2))));
    assert_eq!(shown, [Shown::Gone(ROOM)]);
    // It came before the answer, which did not know of it.
    let request = question(&mut order, Need::Now);
    assert_eq!(request.seen, Some(at("f", 2)));
    let shown = order.recovered(request.number, answer(Some(at("f", 3)), [3]));
    assert_eq!(shown, next([3]));
    assert_eq!(order.take(ROOM, at("f", 4), 4), [4]);

    // All of it has expired. Who asks then begins a new one.
    let room = reconnect(&mut order);
    assert_eq!(
        order.recovered(room.number, gone(None)),
        [Shown::Gone(ROOM)]
    );
    assert_eq!(order.take(ROOM, at("g", 1), 1), [] as [u64; 0]);
    let request = question(&mut order, Need::Now);
    assert_eq!(request.seen, None);
    let shown = order.recovered(request.number, answer(Some(at("g", 0)), []));
    assert_eq!(shown, next([1]));
}

#[test]
fn another_epoch_is_believed_when_the_log_says_so() {
    let mut order = behind(4);
    // A notification that was long under way.
    assert_eq!(order.take(ROOM, at("d", 5), 5), [] as [u64; 0]);
    let request = question(&mut order, Need::Soon);
    assert_eq!(
        order.recovered(request.number, answer(Some(at("e", 4)), [])),
        []
    );
    assert_eq!(order.need(), None);
    assert_eq!(order.take(ROOM, at("e", 5), 5), [5]);

    order.take(ROOM, at("f", 1), 1);
    let request = question(&mut order, Need::Soon);
    assert_eq!(request.seen, Some(at("e", 5)));
    assert_eq!(
        order.recovered(request.number, gone(Some(at("f", 1)))),
        [Shown::Gone(ROOM)]
    );
    assert_eq!(order.take(ROOM, at("f", 2), 2), [2]);
}

#[test]
fn of_a_room_where_nothing_was_published_nothing_is_missed() {
    let mut order = behind(0);
    let room = reconnect(&mut order);
    assert_eq!(room.seen, Some(at("e", 0)));
    let shown = order.recovered(room.number, answer(Some(at("e", 2)), [1, 2]));
    assert_eq!(shown, next([1, 2]));
}

#[test]
fn without_a_log_everything_is_shown_as_it_comes() {
    let mut order = Order::new();
    order.connected();
    let [room, user] = order.requests().try_into().unwrap();
    order.take(ROOM, at("e", 2), 2);
    assert_eq!(order.has_none(room.number), [2]);
    assert_eq!(order.has_none(user.number), [] as [u64; 0]);
    assert_eq!((order.need(), order.has_log()), (None, Some(false)));
    assert_eq!(order.take(ROOM, at("e", 2), 2), [2]);
    order.connected();
    assert_eq!(order.need(), Some(Need::Now), "it may have got one");
}

#[test]
fn without_an_answer_it_is_asked_again_later_and_an_old_answer_is_none() {
    let (mut order, first) = connected();
    order.unanswered();
    assert!(!order.is_waiting());
    let second = question(&mut order, Need::Later);
    assert!(order.is_waiting());
    assert_eq!(order.recovered(first.number, gone(None)), []);
    order.failed(second.number);
    let third = question(&mut order, Need::Later);
    assert_eq!(
        order.recovered(third.number, answer(Some(at("e", 1)), [1])),
        next([1])
    );
}

#[test]
fn an_answer_that_does_not_help_is_not_asked_for_all_the_time() {
    let mut order = behind(4);
    order.heads((Some(at("e", 6)), None));
    let request = question(&mut order, Need::Soon);
    assert_eq!(
        order.recovered(request.number, answer(Some(at("e", 6)), [6])),
        []
    );
    question(&mut order, Need::Later);
}

#[test]
fn no_more_than_some_wait() {
    let mut order = behind(0);
    let many = WAITING_MAX as u64 * 2;
    for offset in (2..=many).rev() {
        assert_eq!(order.take(ROOM, at("e", offset), offset), [] as [u64; 0]);
    }
    let shown = order.take(ROOM, at("e", 1), 1);
    assert_eq!(shown.len(), WAITING_MAX);
    assert_eq!(order.need(), Some(Need::Soon), "the others are asked for");
}

/// What happens to a stream of messages on its way.
#[derive(Debug, Clone)]
enum Event {
    /// The next one is published; pushed so many times.
    Publish(usize),
    /// One that was pushed arrives, whichever.
    Arrive(prop::sample::Index),
    /// The connection breaks, with all that is under way.
    Break,
    /// A ping is answered.
    Pong,
    /// What there is to ask is asked.
    Ask,
    /// It is answered, in frames of so many messages.
    Answer(usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (0..3_usize).prop_map(Event::Publish),
        6 => any::<prop::sample::Index>().prop_map(Event::Arrive),
        1 => Just(Event::Break),
        1 => Just(Event::Pong),
        3 => Just(Event::Ask),
        3 => (1..4_usize).prop_map(Event::Answer),
    ];
    prop::collection::vec(event, 0..80)
}

/// A room whose log is never trimmed, and a listener.
#[derive(Default)]
struct World {
    published: u64,
    connected_at: u64,
    pushed: Vec<u64>,
    asked: Vec<Request>,
    shown: Vec<u64>,
}

impl World {
    fn head(&self) -> Option<Position> {
        Some(at("e", self.published))
    }

    fn answer(&mut self, order: &mut Order<u64>, page: usize) {
        for request in std::mem::take(&mut self.asked) {
            let recovered = match request.kind {
                StreamKind::User => answer(Some(at("u", 0)), []),
                ROOM => {
                    let seen = request.seen.map_or(self.connected_at, |seen| seen.offset);
                    answer(self.head(), (seen + 1..=self.published).take(page))
                }
            };
            for shown in order.recovered(request.number, recovered) {
                match shown {
                    Shown::Next(n) => self.shown.push(n),
                    Shown::Gone(_) => panic!("nothing is gone"),
                }
            }
        }
    }

    fn happens(&mut self, order: &mut Order<u64>, event: Event) {
        match event {
            Event::Publish(pushes) => {
                self.published += 1;
                self.pushed.extend([self.published].repeat(pushes));
            }
            Event::Arrive(which) if !self.pushed.is_empty() => {
                let n = self.pushed.swap_remove(which.index(self.pushed.len()));
                self.shown.extend(order.take(ROOM, at("e", n), n));
            }
            Event::Arrive(_) => {}
            Event::Break => {
                self.pushed.clear();
                self.asked.clear();
                self.connected_at = self.published;
                order.connected();
            }
            Event::Pong => order.heads((self.head(), None)),
            Event::Ask => self.asked.extend(order.requests()),
            Event::Answer(page) => self.answer(order, page),
        }
    }
}

proptest! {
    #[test]
    fn from_the_first_one_on_nothing_is_missed_and_nothing_is_repeated(
        before in 0..3_u64,
        events in events(),
    ) {
        let mut world = World { published: before, ..World::default() };
        let mut order = Order::new();
        world.happens(&mut order, Event::Break);
        world.happens(&mut order, Event::Ask);
        world.happens(&mut order, Event::Answer(1));
        for event in events {
            world.happens(&mut order, event);
        }
        world.happens(&mut order, Event::Pong);
        // As long as something is asked, it is answered; more than a page each is never needed.
        for _ in 0..world.published + 3 {
            world.happens(&mut order, Event::Ask);
            world.happens(&mut order, Event::Answer(1));
        }
        prop_assert_eq!(order.need(), None);
        let expected: Vec<u64> = (before + 1..=world.published).collect();
        prop_assert_eq!(world.shown, expected);
    }
}

#[test]
fn what_came_before_the_first_answer_is_shown_also_when_its_connection_was_lost() {
    let (mut order, unanswered) = connected();
    assert!(order.take(ROOM, at("e", 5), 5).is_empty());
    let room = reconnect(&mut order);
    assert_eq!((&room.seen, room.number > unanswered.number), (&None, true));
    // The second connection began later: the answer begins behind what waits.
    let shown = order.recovered(room.number, answer(Some(at("e", 8)), [8]));
    assert_eq!(shown, next([5]));
    let missing = question(&mut order, Need::Now);
    assert_eq!(missing.seen, Some(at("e", 5)));
    let shown = order.recovered(missing.number, answer(Some(at("e", 8)), [6, 7, 8]));
    assert_eq!(shown, next([6, 7, 8]));
    assert_eq!(order.need(), None);
}
