//! A brief comparison with a runtime that does not work: the JSON is complete, and the page shows what is in it.

#![expect(clippy::unwrap_used, reason = "test code")]

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use roxmltree::{Document, Node};
use serde_json::Value;

/// The JSON and the page of a brief run.
fn compare() -> (Value, String) {
    let out = tempfile::tempdir().unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_report"))
        .args(["compare", "--quick", "--vs", "broken=/bin/false", "--out"])
        .arg(out.path())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{stderr}");
    let json = fs::read(out.path().join("compare.json")).unwrap();
    let html = fs::read_to_string(out.path().join("compare.html")).unwrap();
    (serde_json::from_slice(&json).unwrap(), html)
}

#[test]
fn brief_run_has_every_section_and_shows_it() {
    let (json, html) = compare();
    sections_are_filled(&json);
    working_subjects_have_values(&json);
    broken_runtime_says_why(&json);
    let body = html.strip_prefix("<!DOCTYPE html>\n").unwrap();
    let page = Document::parse(body).unwrap();
    numbers_are_on_the_page(&json, &page);
    charts_have_marks(&json, &page);
}

fn sections_are_filled(json: &Value) {
    for section in ["platforms", "subjects", "classes", "rows"] {
        assert!(!json[section].as_array().unwrap().is_empty(), "{section}");
    }
    for fact in ["cpu_model", "kernel", "clocksource"] {
        assert_ne!(json["machine"][fact], "", "{fact}");
    }
    assert!(!json["reading"].as_str().unwrap().is_empty());
    assert!(json["run"]["date"].as_str().unwrap().ends_with('Z'));
    let places = json["tests"]["places"].as_array().unwrap();
    assert!(places.len() >= 3, "host, a platform and runc: {places:?}");
}

fn cells(json: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let rows = json["rows"].as_array().unwrap().iter();
    rows.flat_map(|row| {
        let cells = row["cells"].as_array().unwrap().iter();
        cells.map(|cell| (row["key"].as_str().unwrap(), cell))
    })
}

fn working_subjects_have_values(json: &Value) {
    for (row, cell) in cells(json).filter(|(_, cell)| cell["subject"] != "broken") {
        assert!(cell["value"]["median"].is_number(), "{row}: {cell}");
        assert_eq!(cell["failure"], Value::Null, "{row}");
    }
}

fn broken_runtime_says_why(json: &Value) {
    let broken: Vec<_> = cells(json)
        .filter(|(_, cell)| cell["subject"] == "broken")
        .collect();
    assert!(broken.len() > 20);
    for (row, cell) in broken {
        assert_eq!(cell["value"], Value::Null, "{row}");
        let why = cell["failure"].as_str().unwrap();
        assert!(why.contains('1'), "the exit code is told: {row}: {why}");
    }
}

fn numbers_are_on_the_page(json: &Value, page: &Document<'_>) {
    let data = page.descendants().filter(|node| node.has_tag_name("data"));
    let shown: BTreeSet<&str> = data.filter_map(|node| node.attribute("value")).collect();
    for (row, cell) in cells(json) {
        if let Some(median) = cell["value"]["median"].as_number() {
            assert!(shown.contains(median.to_string().as_str()), "{row}: {cell}");
        }
    }
}

fn charts_have_marks(json: &Value, page: &Document<'_>) {
    let mut wanted: BTreeSet<(String, String)> = cells(json)
        .filter(|(_, cell)| !cell["value"].is_null())
        .map(|(row, cell)| {
            let subject = cell["subject"].as_str().unwrap();
            (format!("row-{row}"), subject.to_owned())
        })
        .collect();
    let charts = page
        .descendants()
        .filter(|node| node.attribute("class") == Some("chart"));
    for chart in charts {
        let marks: Vec<_> = chart.descendants().filter(is_mark).collect();
        assert!(!marks.is_empty(), "an empty chart");
        for mark in marks {
            let of = |name| mark.attribute(name).unwrap().to_owned();
            wanted.remove(&(of("data-chart"), of("data-subject")));
            assert!(mark.children().any(|shape| is_visible(&shape)));
        }
    }
    assert!(wanted.is_empty(), "without a mark: {wanted:?}");
}

fn is_mark(node: &Node<'_, '_>) -> bool {
    let class = node.attribute("class").unwrap_or_default();
    class.split(' ').any(|name| name == "mark")
}

/// A bar or a dot within the chart.
fn is_visible(shape: &Node<'_, '_>) -> bool {
    let number = |name| -> f64 { shape.attribute(name).unwrap().parse().unwrap() };
    match shape.tag_name().name() {
        "rect" => number("width") >= 1.0 && number("x") >= 0.0,
        "circle" => number("r") > 0.0 && (0.0..=340.0).contains(&number("cx")),
        _ => false,
    }
}
