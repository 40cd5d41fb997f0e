//! The pictures of the report, as SVG.

use std::path::Path;

use anyhow::{Result, anyhow};
use hermes_cost::{Measured, Prices};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::contender::{CONNECT, Contender, EMPTY};
use crate::fanout::Behaviour;
use crate::report::per_million;
use crate::results::Results;

const SIZE: (u32, u32) = (800, 420);
const FONT: &str = "sans-serif";

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A line of a picture: its name and its points.
type Series = (&'static str, RGBColor, Vec<(f64, f64)>);

fn colour(contender: Contender) -> RGBColor {
    match contender {
        Contender::Hermes => RGBColor(0xd5, 0x5e, 0x00),
        Contender::Tutorial => RGBColor(0x00, 0x72, 0xb2),
        Contender::Improved => RGBColor(0x00, 0x9e, 0x73),
        Contender::Floor => RGBColor(0x70, 0x70, 0x70),
    }
}

/// Writes all pictures into a folder.
pub(crate) fn write(results: &Results, folder: &Path) -> Result<()> {
    draw(&folder.join("cold-start.svg"), |area| cold(area, results))?;
    draw(&folder.join("fan-out.svg"), |area| fanout(area, results))?;
    if let Some(measured) = results.measured() {
        draw(&folder.join("cost-room.svg"), |area| {
            cost_by_room(area, &measured)
        })?;
        draw(&folder.join("cost-table.svg"), |area| {
            cost_by_table(area, &measured)
        })?;
    }
    Ok(())
}

fn draw(file: &Path, picture: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<()> {
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    picture(&area).map_err(|error| anyhow!("{}: {error}", file.display()))?;
    area.present()?;
    Ok(())
}

/// Bars on a logarithmic scale: each start of connect, and of the empty bootstrap.
fn cold(area: &Area<'_>, results: &Results) -> Result<()> {
    let contenders = [
        (Contender::Floor, EMPTY),
        (Contender::Hermes, CONNECT),
        (Contender::Improved, CONNECT),
        (Contender::Tutorial, CONNECT),
    ];
    let settings: Vec<Option<u32>> = [None, Some(512), Some(128)]
        .into_iter()
        .filter(|setting| results.cold.iter().any(|cold| cold.memory_mb == *setting))
        .collect();
    let medians: Vec<f64> = results.cold.iter().map(|cold| cold.ms.median()).collect();
    let most = medians.iter().copied().fold(10.0, f64::max) * 3.0;
    let groups = i32::try_from(settings.len())?;
    let mut chart = ChartBuilder::on(area)
        .caption(
            "Cold start of connect, with its DynamoDB write (ms)",
            (FONT, 20),
        )
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..f64::from(groups), (1.0..most).log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .y_label_formatter(&|ms| format!("{ms}"))
        .label_style((FONT, 14))
        .draw()?;
    for (i, (contender, handler)) in (0_u8..).zip(contenders) {
        let style = colour(contender).filled();
        let name = if contender == Contender::Floor {
            "empty bootstrap"
        } else {
            contender.name()
        };
        let mut bars = Vec::new();
        let mut numbers = Vec::new();
        for (group, setting) in (0_u8..).zip(&settings) {
            let Some(cold) = results.cold(contender, handler, *setting) else {
                continue;
            };
            let ms = cold.ms.median();
            let left = f64::from(group) + 0.08 + f64::from(i) * 0.21;
            bars.push(Rectangle::new([(left, 1.0), (left + 0.19, ms)], style));
            let label = if ms < 10.0 {
                format!("{ms:.1}")
            } else {
                format!("{ms:.0}")
            };
            numbers.push(Text::new(label, (left + 0.03, ms * 1.45), (FONT, 14)));
        }
        chart
            .draw_series(bars)?
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 14, y + 5)], style));
        chart.draw_series(numbers)?;
    }
    let (width, height) = area.dim_in_pixel();
    let plot = (i32::try_from(width)? - 84) / groups;
    for (group, setting) in (0..).zip(&settings) {
        let text = setting.map_or("full speed".to_owned(), |mb| {
            format!("CPU share of {mb} MB")
        });
        let x = 72 + plot * group + plot / 3;
        area.draw(&Text::new(
            text,
            (x, i32::try_from(height)? - 32),
            (FONT, 15),
        ))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.3))
        .label_font((FONT, 14))
        .draw()?;
    Ok(())
}

fn fanout(area: &Area<'_>, results: &Results) -> Result<()> {
    let contenders = [
        Contender::Floor,
        Contender::Hermes,
        Contender::Improved,
        Contender::Tutorial,
    ];
    let series = contenders.map(|contender| {
        let name = if contender == Contender::Floor {
            "bare signed client"
        } else {
            contender.name()
        };
        let points = results.fanouts.iter().filter(|fanout| {
            fanout.contender == contender
                && fanout.case.behaviour == Behaviour::After(0)
                && !fanout.case.tls
                && !fanout.rate.is_empty()
        });
        #[expect(clippy::cast_precision_loss, reason = "rooms are below 2^52")]
        let points = points.map(|fanout| {
            (
                fanout.case.members as f64,
                fanout.case.members as f64 / fanout.seconds.median(),
            )
        });
        (name, colour(contender), points.collect())
    });
    lines(
        area,
        "Members reached a second, from the event on (endpoint at once, HTTP)",
        "members of the room",
        &series,
    )
}

fn cost_by_room(area: &Area<'_>, measured: &Measured) -> Result<()> {
    let rooms = [2.0, 5.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4, 1e5];
    let points = rooms.map(|members| (members, (members, 1e5)));
    costs(
        area,
        measured,
        "US dollars for a million delivered, 100,000 rows in the table",
        "members of the room",
        &points,
    )
}

fn cost_by_table(area: &Area<'_>, measured: &Measured) -> Result<()> {
    let tables = [1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e6];
    let points = tables.map(|rows| (rows, (100.0, rows)));
    costs(
        area,
        measured,
        "US dollars for a million delivered, rooms of 100",
        "rows in the table",
        &points,
    )
}

fn costs(
    area: &Area<'_>,
    measured: &Measured,
    caption: &str,
    x: &str,
    points: &[(f64, (f64, f64))],
) -> Result<()> {
    let prices = Prices::list();
    let of = |design: usize| {
        let cost = |(x, (members, rows)): &(f64, (f64, f64))| {
            (*x, per_million(measured, &prices, *members, *rows)[design])
        };
        points.iter().map(cost).collect::<Vec<_>>()
    };
    let series: [Series; 3] = [
        ("Hermes", colour(Contender::Hermes), of(0)),
        ("Node.js, tutorial", colour(Contender::Tutorial), of(1)),
        ("AppSync Events", colour(Contender::Improved), of(2)),
    ];
    lines(area, caption, x, &series)
}

/// Lines on logarithmic scales.
fn lines(area: &Area<'_>, caption: &str, x: &str, series: &[Series]) -> Result<()> {
    let all = || series.iter().flat_map(|(_, _, points)| points);
    let least = |of: fn(&(f64, f64)) -> f64| all().map(of).fold(f64::INFINITY, f64::min);
    let most = |of: fn(&(f64, f64)) -> f64| all().map(of).fold(1.0, f64::max);
    let (left, right) = (least(|point| point.0), most(|point| point.0));
    let (bottom, top) = (least(|point| point.1) / 2.0, most(|point| point.1) * 10.0);
    if !(left < right && bottom < top) {
        return Err(anyhow!("there are too few points"));
    }
    let mut chart = ChartBuilder::on(area)
        .caption(caption, (FONT, 20))
        .margin(12)
        .margin_right(40)
        .x_label_area_size(45)
        .y_label_area_size(70)
        .build_cartesian_2d((left..right).log_scale(), (bottom..top).log_scale())?;
    chart
        .configure_mesh()
        .x_desc(x)
        .x_label_formatter(&|value| format!("{value}"))
        .y_label_formatter(&|value| format!("{value}"))
        .label_style((FONT, 14))
        .light_line_style(BLACK.mix(0.04))
        .draw()?;
    for (name, colour, points) in series {
        let style = colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], style));
        let dots = points
            .iter()
            .map(|point| Circle::new(*point, 3, colour.filled()));
        chart.draw_series(dots)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.3))
        .label_font((FONT, 14))
        .draw()?;
    Ok(())
}
