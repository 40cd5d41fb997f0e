//! The promise under faults: every accepted message reaches every member of its room, in order, once; or
//! the client is told that it cannot.
//!
//! `HERMES_SCHEDULES` and `HERMES_SEED` choose others than the schedules 0 to 19,999; a single one tells
//! its story. `cargo xtask simulate` sets them.

use std::env;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hermes_tests::simulation::{Variant, play};

/// How many schedules are played when nobody says how many.
const SCHEDULES: u64 = 20_000;

/// Within how many schedules each mistake is found.
const FOUND_WITHIN: u64 = 1_000;

fn variable(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    let number = text
        .parse()
        .unwrap_or_else(|_| panic!("{name} must be a number"));
    Some(number)
}

#[test]
fn every_schedule_keeps_the_promise() {
    let schedules = variable("HERMES_SCHEDULES").unwrap_or(SCHEDULES);
    let first = variable("HERMES_SEED").unwrap_or(0);
    let begun = Instant::now();
    let (next, is_broken) = (AtomicU64::new(0), AtomicBool::new(false));
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(2);
    let broken = thread::scope(|scope| {
        let work = || {
            while !is_broken.load(Ordering::Relaxed) {
                let done = next.fetch_add(1, Ordering::Relaxed);
                if done >= schedules {
                    break;
                }
                if done > 0 && done.is_multiple_of(10_000) {
                    let seconds = begun.elapsed().as_secs_f64();
                    println!("{done} schedules in {seconds:.1} s");
                }
                let seed = first.wrapping_add(done);
                if let Some(violation) = play(seed, Variant::Real, false).violation {
                    is_broken.store(true, Ordering::Relaxed);
                    return Some((seed, violation));
                }
            }
            None
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let found = workers
            .into_iter()
            .map(|worker| worker.join().expect("no panic"));
        found.flatten().min()
    });
    if let Some((seed, violation)) = broken {
        if schedules == 1 {
            play(seed, Variant::Real, true)
                .story
                .iter()
                .for_each(|line| println!("{line}"));
        }
        panic!(
            "seed {seed}: {violation}\n\
             its story: cargo xtask simulate --schedules 1 --seed {seed}"
        );
    }
    println!(
        "{schedules} schedules in {:.1} s",
        begun.elapsed().as_secs_f64()
    );
}

#[test]
fn a_seed_plays_again() {
    for seed in 0..20 {
        let first = play(seed, Variant::Real, false).digest;
        assert_eq!(play(seed, Variant::Real, true).digest, first, "seed {seed}");
    }
    assert_ne!(
        play(1, Variant::Real, false).digest,
        play(2, Variant::Real, false).digest
    );
}

/// What a simulation never meets it does not prove.
#[test]
fn everything_that_can_go_wrong_does() {
    let happens = [
        "died connect",
        "died disconnect",
        "died send-message (batch)",
        "died send-message",
        "died deliver",
        "died recover",
        "timed out send-message (batch)",
        "timed out send-message",
        "timed out deliver",
        "refused append",
        "unanswered append",
        "unanswered enqueue a job",
        "unanswered post",
        "given up",
        "bury",
        "begin",
        "find",
        "reload",
        "forgets",
        "c-0= Gone",
        "c-0= ClientVanished",
        "c-0= Unnoticed",
        r#""more":true"#,
        r#""complete":false"#,
        r#""code":"internal""#,
        "Internal server error",
        r#""shard":1"#,
        r#""after":"#,
        r#""until":"#,
    ];
    let mut missing = happens.to_vec();
    for seed in 0..FOUND_WITHIN {
        let story = play(seed, Variant::Real, true).story;
        missing.retain(|what| !story.iter().any(|line| line.contains(what)));
        if missing.is_empty() {
            println!("everything in {} schedules", seed + 1);
            return;
        }
    }
    panic!("never in {FOUND_WITHIN} schedules: {missing:?}");
}

/// A simulation that finds nothing proves nothing.
#[test]
fn every_mistake_is_found() {
    let begun = Instant::now();
    let found = Variant::MISTAKES.map(|variant| {
        let mut seeds = 0..FOUND_WITHIN;
        let found = seeds.find_map(|seed| Some((seed, play(seed, variant, false).violation?)));
        match &found {
            Some((seed, violation)) => println!("{variant:?}: seed {seed}: {violation}"),
            None => println!("{variant:?}: not found in {FOUND_WITHIN} schedules"),
        }
        found.is_some()
    });
    assert!(begun.elapsed() < Duration::from_secs(600));
    assert_eq!(found, [true; Variant::MISTAKES.len()]);
}
