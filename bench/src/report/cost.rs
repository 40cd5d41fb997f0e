//! The report's part on cost.

use std::fmt::Write as _;

use hermes_cost::{Bill, Measured, Prices, Workload, billed_ms, bills, fanout_ms};

use super::{capital, table};
use crate::results::{Results, thousands};
use crate::units::Event;

/// Three deployments, each with what it is called.
const EXAMPLES: [(&str, Workload); 3] = [
    (
        "an internal tool: 200 people for 8 hours a day, rooms of 20, 5,000 messages a day",
        Workload {
            connections: 200.0,
            hours: 8.0,
            members: 20.0,
            messages_per_day: 5_000.0,
            message_bytes: 500.0,
            history_days: 7.0,
            pings_per_hour: 12.0,
            fifo: false,
        },
    ),
    (
        "a shop: 10,000 customers at any time, each in a room of two tabs, 200,000 messages a day",
        Workload {
            connections: 10_000.0,
            hours: 24.0,
            members: 2.0,
            messages_per_day: 200_000.0,
            message_bytes: 500.0,
            history_days: 7.0,
            pings_per_hour: 12.0,
            fifo: false,
        },
    ),
    (
        "a live event: 100,000 spectators for 3 hours a day in rooms of 10,000, 500 messages a day",
        Workload {
            connections: 100_000.0,
            hours: 3.0,
            members: 10_000.0,
            messages_per_day: 500.0,
            message_bytes: 500.0,
            history_days: 7.0,
            pings_per_hour: 12.0,
            fifo: false,
        },
    ),
];

pub(super) fn units(text: &mut String, results: &Results) {
    line!(text, "## Cost");
    line!(text);
    line!(text, "### Units, counted at the engine");
    line!(text);
    line!(
        text,
        "Requests to DynamoDB and SQS for one event. A message to more members than fit one page leaves delivery jobs, one request each to send"
    );
    line!(text, "(and two more to receive and delete it).");
    line!(text);
    table(
        text,
        &[
            "event",
            "by",
            "rows in the table",
            "calls",
            "read units",
            "write units",
            "SQS messages sent",
            "read units per delivered message",
        ],
    );
    for units in &results.units {
        let calls = units.calls;
        let (event, per) = match units.event {
            Event::Call(handler) => (handler.name().to_owned(), String::new()),
            Event::Message {
                members,
                uuids,
                history,
            } => {
                let uuids = if uuids { ", UUIDs" } else { "" };
                let history = if history { ", with history" } else { "" };
                #[expect(clippy::cast_precision_loss, reason = "rooms are below 2^52")]
                let per = calls.read_units / members as f64;
                (
                    format!("message to {}{uuids}{history}", thousands(members)),
                    format!("{per:.4}"),
                )
            }
        };
        line!(
            text,
            "| {event} | {} | {} | {} | {} | {} | {} | {per} |",
            units.contender.name(),
            thousands(units.rows),
            calls.dynamo,
            calls.read_units,
            calls.write_units,
            calls.sqs,
        );
    }
    line!(text);
}

pub(super) fn memory(text: &mut String, measured: &Measured) {
    let prices = Prices::list();
    let sizes = [128.0, 256.0, 512.0, 1024.0, 1769.0];
    let figures = &measured.hermes;
    line!(text, "### Memory sizes");
    line!(text);
    line!(
        text,
        "What a million calls cost on arm64, requests included, and how long one takes: the measured CPU time at the share of a CPU that goes with the"
    );
    line!(
        text,
        "memory, 5 ms for each call to another service, and 15 ms for a post, of which 64 are under way. CPU times are this machine's."
    );
    line!(text);
    table(
        text,
        &[
            "function", "128 MB", "256 MB", "512 MB", "1,024 MB", "1,769 MB",
        ],
    );
    let call = |cpu_us| move |mb| billed_ms(mb, cpu_us, 1.0);
    let rows: [(&str, &dyn Fn(f64) -> f64); 6] = [
        ("authorizer, first time", &call(figures.authorizer_us)),
        ("connect", &call(figures.connect_us)),
        ("disconnect", &call(figures.disconnect_us)),
        ("ping", &call(figures.ping_us)),
        ("send-message to 100", &|mb| {
            fanout_ms(mb, figures, 100.0, 3.0)
        }),
        ("deliver to 1,000", &|mb| {
            fanout_ms(mb, figures, 1000.0, 2.0)
        }),
    ];
    for (name, billed) in rows {
        let cells = sizes.map(|mb| {
            let ms = billed(mb);
            let gb_seconds = mb / 1024.0 * ms / 1000.0 * 1e6;
            let usd = prices.lambda_requests.of(1e6) + prices.lambda_arm_gb_seconds.of(gb_seconds);
            format!("${usd:.2}, {ms:.0} ms")
        });
        line!(text, "| {name} | {} |", cells.join(" | "));
    }
    line!(text);
}

pub(super) fn cost(text: &mut String, measured: &Measured) {
    let prices = Prices::list();
    line!(text, "### Against room and table size");
    line!(text);
    line!(
        text,
        "US dollars for a million delivered messages, without connection minutes; history off."
    );
    line!(text);
    line!(text, "![cost against room size](cost-room.svg)");
    line!(text);
    line!(text, "![cost against table size](cost-table.svg)");
    line!(text);
    table(
        text,
        &[
            "members",
            "rows in the table",
            "Hermes",
            "tutorial",
            "AppSync Events",
        ],
    );
    for (members, rows) in [
        (10, 10_000),
        (100, 10_000),
        (100, 100_000),
        (100, 1_000_000),
        (1000, 100_000),
        (10_000, 100_000),
        (100_000, 100_000),
    ] {
        #[expect(clippy::cast_precision_loss, reason = "rooms are below 2^52")]
        let [hermes, tutorial, appsync] =
            per_million(measured, &prices, members as f64, rows as f64);
        line!(
            text,
            "| {} | {} | {hermes:.2} | {tutorial:.2} | {appsync:.2} |",
            thousands(members),
            thousands(rows)
        );
    }
    line!(text);
    line!(text, "### Three months' bills");
    line!(text);
    line!(
        text,
        "US dollars a month. Hermes keeps seven days of history, its clients ping every five minutes, and its rooms are what is read;"
    );
    line!(
        text,
        "the tutorial keeps nothing, and its clients send no pings, so that API Gateway ends a connection after ten silent minutes; AppSync Events keeps nothing, and its keep-alives cost nothing. No free tier is deducted; logs and data transfer are in none. `hermes cost` does the"
    );
    line!(
        text,
        "same sum for other numbers. A post is assumed to take 15 ms, a call within AWS 5 ms; compute time is the measured one."
    );
    for (example, workload) in &EXAMPLES {
        line!(text);
        line!(text, "**{}.**", capital(example));
        line!(text);
        let bare = Workload {
            history_days: 0.0,
            pings_per_hour: 0.0,
            ..*workload
        };
        let [hermes, tutorial, appsync] = bills(workload, measured, &prices);
        let [without, ..] = bills(&bare, measured, &prices);
        let bills = [&hermes, &without, &tutorial, &appsync];
        let without = "Hermes without history and pings";
        table(
            text,
            &["", hermes.design, without, tutorial.design, appsync.design],
        );
        for service in ["API Gateway", "Lambda", "DynamoDB", "SQS", "AppSync"] {
            let cells = bills.map(|bill: &Bill| format!("{:.2}", bill.of(service)));
            line!(text, "| {service} | {} |", cells.join(" | "));
        }
        let totals = bills.map(|bill| format!("**{:.2}**", bill.usd));
        line!(text, "| all | {} |", totals.join(" | "));
        let ratios = bills.map(|bill| format!("{:.2}", bill.usd / hermes.usd));
        line!(text, "| × Hermes | {} |", ratios.join(" | "));
        let deliveries = workload.deliveries();
        let each = bills.map(|bill| format!("{:.2}", bill.usd / deliveries * 1e6));
        line!(text, "| for a million delivered | {} |", each.join(" | "));
    }
    line!(text);
    line!(text, "### Prices");
    line!(text);
    line!(
        text,
        "{}, list prices, from `cost/prices.json`.",
        prices.region
    );
    line!(text);
    table(text, &["price", "US dollars", "for", "source", "checked"]);
    for (name, price) in prices.all() {
        let per = if price.per > 1.0 { "a million " } else { "" };
        line!(
            text,
            "| {name} | {} | {per}{} | {} | {} |",
            price.usd,
            price.unit,
            price.source,
            price.checked
        );
    }
}

/// US dollars for a million delivered messages, without what connections cost.
pub(crate) fn per_million(
    measured: &Measured,
    prices: &Prices,
    members: f64,
    rows: f64,
) -> [f64; 3] {
    let workload = |messages_per_day| Workload {
        connections: rows,
        hours: 24.0,
        members,
        messages_per_day,
        message_bytes: 500.0,
        history_days: 0.0,
        pings_per_hour: 0.0,
        fifo: false,
    };
    // What a day with messages costs more than one without.
    let messages = 1e6;
    let with = bills(&workload(messages), measured, prices);
    let without = bills(&workload(0.0), measured, prices);
    let deliveries = workload(messages).deliveries();
    let each = |i: usize| (with[i].usd - without[i].usd) / deliveries * 1e6;
    [each(0), each(1), each(2)]
}
