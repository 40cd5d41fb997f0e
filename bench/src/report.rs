//! `RESULTS.md`.

use std::fmt::Write as _;

use crate::contender::{AUTHORIZER, CONNECT, Contender, DELIVER};
use crate::fanout::{Behaviour, Fanout};
use crate::results::{Results, mb, quota_floor, thousands};
use crate::sample::Sample;
use crate::storm::CLIENTS_A_SECOND;
use crate::warm::Kind;

pub(crate) use cost::per_million;

macro_rules! line {
    ($text:expr) => { $text.push('\n') };
    ($text:expr, $($argument:tt)*) => {{
        // Writing to a String cannot fail.
        let _ = writeln!($text, $($argument)*);
    }};
}

mod cost;

/// The report, in Markdown.
pub(crate) fn markdown(results: &Results) -> String {
    let mut text = String::new();
    head(&mut text, results);
    goals(&mut text, results);
    cold(&mut text, results);
    warm(&mut text, results);
    authorizer(&mut text, results);
    fanout(&mut text, results);
    quota(&mut text, results);
    cost::units(&mut text, results);
    if let Some(measured) = results.measured() {
        cost::memory(&mut text, &measured);
        cost::cost(&mut text, &measured);
    }
    text
}

/// A table: its head, and one line under it.
fn table(text: &mut String, columns: &[&str]) {
    line!(text, "| {} |", columns.join(" | "));
    line!(text, "|{}|", vec!["---"; columns.len()].join("|"));
}

/// The median, and the least and the greatest value.
fn spread(sample: &Sample, digits: usize) -> String {
    if sample.is_empty() {
        return "–".to_owned();
    }
    let (median, min, max) = (sample.median(), sample.min(), sample.max());
    format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
}

fn head(text: &mut String, results: &Results) {
    line!(text, "# Speed and cost, measured");
    line!(text);
    let command = if results.quick {
        "cargo xtask bench --quick"
    } else {
        "cargo xtask bench"
    };
    line!(
        text,
        "Written by `{command}` on {}; never by hand. Values are medians, with the least and the greatest in",
        results.date
    );
    line!(
        text,
        "brackets, over rounds in which the contenders take turns."
    );
    line!(text);
    for machine in &results.machine {
        line!(text, "- {machine}");
    }
    line!(text);
    line!(
        text,
        "**What is measured.** Whole release bootstraps, as `sam build` makes them, as processes behind a Lambda Runtime API."
    );
    line!(
        text,
        "DynamoDB is dynoxide, in the bench's process; `@connections` is a process of its own. Nothing here has a network"
    );
    line!(
        text,
        "in between: on AWS each call to DynamoDB takes some milliseconds more, and each post some ten."
    );
    line!(text);
    line!(
        text,
        "**Who.** *Hermes*: the functions of this project, with the template's settings. *Node.js, tutorial*: the design that it grew from"
    );
    line!(
        text,
        "(`bench/peers/node/tutorial`), with the AWS SDK v3: it scans the table of connections and posts to everybody at once. It has what it needs to"
    );
    line!(
        text,
        "run, and to reach all members: it reads all pages. *Node.js, improved*: the same made good (`bench/peers/node/improved`): a"
    );
    line!(
        text,
        "query, bounded posts, kept connections, remembered bcrypt, bundled. *Floor*: an empty Rust bootstrap; and a bare hyper client whose signing"
    );
    line!(
        text,
        "key is derived once, which posts and does nothing else."
    );
    line!(text);
}

fn goals(text: &mut String, results: &Results) {
    line!(text, "## The goals");
    line!(text);
    table(text, &["what", "goal", "measured", ""]);
    for goal in results.goals() {
        let reached = match goal.reached {
            Some(true) => "reached",
            Some(false) => "**not reached**",
            None => "–",
        };
        line!(
            text,
            "| {} | {} | {} | {reached} |",
            goal.what,
            goal.goal,
            goal.measured
        );
    }
    line!(text);
    line!(text, "Bootstraps, stripped:");
    line!(text);
    table(text, &["function", "MB"]);
    for (name, size) in &results.sizes {
        line!(text, "| {name} | {:.2} |", mb(*size));
    }
    line!(text);
}

fn cold(text: &mut String, results: &Results) {
    line!(text, "## Cold start");
    line!(text);
    line!(
        text,
        "From the start of the process to its answer to the first event, with the call to DynamoDB (of Hermes's authorizer also to Secrets"
    );
    line!(
        text,
        "Manager, and bcrypt at cost 10), in ms. Files are in memory. A quota is the CPU share of a function with so much memory, held by a"
    );
    line!(
        text,
        "control group from the start on; Lambda itself gives more while a function initializes."
    );
    line!(text);
    line!(text, "![cold start](cold-start.svg)");
    line!(text);
    let settings: Vec<Option<u32>> = [None, Some(512), Some(128)]
        .into_iter()
        .filter(|setting| results.cold.iter().any(|cold| cold.memory_mb == *setting))
        .collect();
    let mut columns = vec!["function".to_owned(), "by".to_owned()];
    columns.extend(settings.iter().map(|setting| match setting {
        None => "full speed, ms".to_owned(),
        Some(mb) => format!("as with {mb} MB, ms"),
    }));
    columns.extend(["× Hermes".to_owned(), "peak memory, MB".to_owned()]);
    table(
        text,
        &columns.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    for cold in results.cold.iter().filter(|cold| cold.memory_mb.is_none()) {
        let times = settings.iter().map(|setting| {
            let found = results.cold(cold.contender, cold.handler, *setting);
            found.map_or_else(|| "–".to_owned(), |found| spread(&found.ms, 1))
        });
        let times = times.collect::<Vec<_>>().join(" | ");
        let of = if cold.contender == Contender::Floor {
            CONNECT
        } else {
            cold.handler
        };
        let ours = results
            .cold(Contender::Hermes, of, None)
            .map_or(f64::NAN, |cold| cold.ms.median());
        let ratio = cold.ms.median() / ours;
        line!(
            text,
            "| {} | {} | {times} | {ratio:.2} | {} |",
            cold.handler.name(),
            cold.contender.name(),
            spread(&cold.peak_mb, 1)
        );
    }
    line!(text);
    if let Some(why) = &results.no_quota {
        line!(
            text,
            "Under a CPU quota nothing was measured, because this machine does not allow it: {why}."
        );
        line!(text);
    }
}

fn warm(text: &mut String, results: &Results) {
    line!(text, "## Warm");
    line!(text);
    line!(
        text,
        "One event after another. CPU is all that the process computes between two events, its part of the Runtime API included."
    );
    line!(
        text,
        "Instructions are counted by callgrind, as the difference between many events and few; of Node.js they would say nothing,"
    );
    line!(
        text,
        "because its compiler's are among them. `send-message` has a room of one, and keeps a history."
    );
    if results.instructions.is_empty() {
        line!(text);
        line!(
            text,
            "Instructions were not counted: valgrind is not installed (Debian, Ubuntu: `apt-get install valgrind`)."
        );
    }
    line!(text);
    table(
        text,
        &[
            "function",
            "event",
            "by",
            "p50, µs",
            "p99, µs",
            "CPU per call, µs",
            "instructions per call",
            "peak memory, MB",
        ],
    );
    for warm in &results.warm {
        let counted = results.instructions.iter().find(|counted| {
            (counted.contender, counted.handler, counted.kind)
                == (warm.contender, warm.handler, warm.kind)
        });
        let counted =
            counted.map_or_else(|| "–".to_owned(), |counted| format!("{:.0}", counted.count));
        let event = match warm.kind {
            Kind::Usual => "",
            Kind::Rejected => "forged token",
            Kind::AcceptedFirst => "accepted, first time",
            Kind::AcceptedAgain => "accepted again",
        };
        line!(
            text,
            "| {} | {event} | {} | {:.0} | {:.0} | {} | {counted} | {} |",
            warm.handler.name(),
            warm.contender.name(),
            warm.us.median(),
            warm.us.quantile(0.99),
            spread(&warm.cpu_us, 0),
            spread(&warm.peak_mb, 1),
        );
    }
    line!(text);
}

fn authorizer(text: &mut String, results: &Results) {
    line!(text, "## Authorizer");
    line!(text);
    table(
        text,
        &[
            "by",
            "forged tokens rejected a second",
            "CPU per rejected token, µs",
            "accepted first, CPU, ms",
            "accepted again, CPU, µs",
        ],
    );
    for contender in [Contender::Hermes, Contender::Tutorial, Contender::Improved] {
        let of = |kind| results.warm(contender, AUTHORIZER, kind);
        let cell = |kind, sample: fn(&crate::warm::Warm) -> &Sample, digits| {
            of(kind).map_or_else(|| "–".to_owned(), |warm| spread(sample(warm), digits))
        };
        let first = of(Kind::AcceptedFirst).map_or(f64::NAN, |warm| warm.cpu_us.median() / 1e3);
        line!(
            text,
            "| {} | {} | {} | {first:.1} | {} |",
            contender.name(),
            cell(Kind::Rejected, |warm| &warm.rate, 0),
            cell(Kind::Rejected, |warm| &warm.cpu_us, 0),
            cell(Kind::AcceptedAgain, |warm| &warm.cpu_us, 0),
        );
    }
    line!(text);
    line!(
        text,
        "A reconnect storm: {CLIENTS_A_SECOND} clients a second, the account's quota, come back to one warm process that has seen them before."
    );
    line!(
        text,
        "*Environments*: how many such processes it takes to serve all of them."
    );
    line!(text);
    table(
        text,
        &[
            "by",
            "served a second",
            "wait and answer p50, ms",
            "p99, ms",
            "of one CPU",
            "environments",
        ],
    );
    for storm in &results.storm {
        line!(
            text,
            "| {} | {} | {:.1} | {:.1} | {:.0} % | {} |",
            storm.contender.name(),
            spread(&storm.served, 0),
            storm.ms.median(),
            storm.ms.quantile(0.99),
            storm.cpu.median() * 100.0,
            spread(&storm.environments, 2),
        );
    }
    line!(text);
}

fn fanout(text: &mut String, results: &Results) {
    line!(text, "## Fan-out");
    line!(text);
    line!(
        text,
        "One message from the queue to a room. *Posts a second*: from the first post's arrival to the last one's answer. *Seconds*: from the event on,"
    );
    line!(
        text,
        "with the reading of the room, and, of Hermes, the writing of the history; the tutorial signs all posts before it sends the first. *CPU per post*: everything that is done for the message, divided"
    );
    line!(
        text,
        "by the members. Hermes posts to 1,000 members in one process, and to larger rooms by delivery jobs, two at a time, as deployed by"
    );
    line!(
        text,
        "default; the others post from one process. The endpoint is a process of its own on the same machine, and at 0 ms can be the limit: the"
    );
    line!(text, "ratio of the CPU times does not depend on it.");
    line!(text);
    line!(text, "![fan-out](fan-out.svg)");
    line!(text);
    table(
        text,
        &[
            "members",
            "endpoint",
            "by",
            "posts a second",
            "× Hermes",
            "seconds",
            "CPU per post, µs",
            "CPU × Hermes",
            "peak memory, MB",
            "lost",
        ],
    );
    let cases = results
        .fanouts
        .iter()
        .filter(|fanout| fanout.case.behaviour != Behaviour::Quota);
    for fanout in cases {
        let ours = results.fanout(Contender::Hermes, fanout.case);
        let ratio = |sample: fn(&Fanout) -> &Sample| {
            ours.map_or(f64::NAN, |ours| {
                sample(fanout).median() / sample(ours).median()
            })
        };
        let Behaviour::After(ms) = fanout.case.behaviour else {
            continue;
        };
        let endpoint = format!("{ms} ms, {}", if fanout.case.tls { "TLS" } else { "HTTP" });
        if fanout.rate.is_empty() {
            let why = fanout.failure.as_deref().unwrap_or_default();
            line!(
                text,
                "| {} | {endpoint} | {} | failed: {why} | | | | | | |",
                thousands(fanout.case.members),
                fanout.contender.name()
            );
            continue;
        }
        line!(
            text,
            "| {} | {endpoint} | {} | {} | {:.2} | {} | {} | {:.2} | {} | {:.0} |",
            thousands(fanout.case.members),
            fanout.contender.name(),
            spread(&fanout.rate, 0),
            ratio(|fanout| &fanout.rate),
            spread(&fanout.seconds, 3),
            spread(&fanout.cpu_us, 1),
            ratio(|fanout| &fanout.cpu_us),
            spread(&fanout.peak_mb, 1),
            fanout.lost.max(),
        );
    }
    line!(text);
    let of_posts: Vec<_> = results
        .instructions
        .iter()
        .filter(|counted| counted.of_a_post)
        .collect();
    if !of_posts.is_empty() {
        line!(
            text,
            "Instructions per post, pages of 1,000 members, a session token of 900 characters, plain HTTP, callgrind:"
        );
        line!(text);
        table(text, &["by", "instructions per post"]);
        for counted in of_posts {
            let name = if counted.handler == DELIVER {
                "deliver, with its query"
            } else {
                "bare signed client"
            };
            line!(
                text,
                "| {}: {name} | {:.0} |",
                counted.contender.name(),
                counted.count
            );
        }
        line!(text);
    }
}

fn quota(text: &mut String, results: &Results) {
    line!(text, "### Under the account's token bucket");
    line!(text);
    line!(
        text,
        "The endpoint takes 10,000 posts a second and 5,000 at once, and answers the others 429. No sender can be faster than"
    );
    line!(text, "(members − 5,000) / 10,000 s.");
    line!(text);
    table(
        text,
        &[
            "members",
            "by",
            "seconds",
            "floor, s",
            "× floor",
            "posts throttled",
            "lost",
        ],
    );
    for fanout in results
        .fanouts
        .iter()
        .filter(|fanout| fanout.case.behaviour == Behaviour::Quota)
    {
        let members = fanout.case.members;
        if fanout.seconds.is_empty() {
            let why = fanout.failure.as_deref().unwrap_or_default();
            line!(
                text,
                "| {} | {} | failed: {why} | | | | |",
                thousands(members),
                fanout.contender.name()
            );
            continue;
        }
        let floor = quota_floor(members);
        line!(
            text,
            "| {} | {} | {} | {floor:.1} | {:.2} | {:.1} % | {:.0} |",
            thousands(members),
            fanout.contender.name(),
            spread(&fanout.seconds, 2),
            fanout.seconds.median() / floor,
            fanout.throttled.median() * 100.0,
            fanout.lost.max(),
        );
    }
    line!(text);
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
