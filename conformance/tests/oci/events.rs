//! `events` and `update`: what a container uses, when it runs out of memory, and other limits for it.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use fixtures::bundle::Bundle;
use fixtures::command::{run_with_input, wait_until};
use fixtures::container::Container;
use rstest::rstest;
use serde_json::{Value, json};

fn running(resources: Value, script: &str) -> Container {
    let bundle = Bundle::busybox(&["sh", "-c", script])
        .unwrap()
        .set("/linux/resources", resources);
    let container = Container::new(bundle).unwrap();
    container.run_detached(&[]).unwrap().success().unwrap();
    container
}

fn stats(container: &Container) -> Value {
    let output = container
        .call(&["events", "--stats", &container.id])
        .unwrap();
    let output = output.success().unwrap();
    assert_eq!(output.stdout.lines().count(), 1, "{output:?}");
    serde_json::from_str(&output.stdout).unwrap()
}

#[rstest]
fn one_sample() {
    let resources = json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 30}});
    let container = running(resources, "sleep 1000 & sleep 1001 & wait");
    let processes = || stats(&container)["data"]["pids"]["current"].as_u64();
    wait_until("three processes", Duration::from_secs(10), || {
        processes() == Some(3)
    })
    .unwrap();
    let sample = stats(&container);
    assert_eq!(
        (&sample["type"], &sample["id"]),
        (&json!("stats"), &json!(container.id))
    );
    let data = &sample["data"];
    assert_eq!(data["pids"]["limit"], 30);
    assert_eq!(data["memory"]["usage"]["limit"], 64 << 20);
    assert!(data["memory"]["usage"]["usage"].as_u64().unwrap() > 0);
    let usage = &data["cpu"]["usage"];
    assert!(usage["total"].as_u64().unwrap() > 0, "{usage}");
    assert!(
        usage["kernel"].is_u64() && usage["user"].is_u64(),
        "{usage}"
    );
}

#[rstest]
fn processor_time_is_that_of_the_application() {
    let container = running(json!({}), "while :; do :; done");
    let total = || {
        stats(&container)["data"]["cpu"]["usage"]["total"]
            .as_u64()
            .unwrap()
    };
    let first = total();
    std::thread::sleep(Duration::from_secs(1));
    // Of one second; the machine may be busy.
    assert!(total() - first > 100_000_000);
}

#[rstest]
fn samples_come_until_the_container_is_gone() {
    let container = running(json!({}), "sleep 1000");
    let mut command = container.command(&["events", "--interval", "1s", &container.id]);
    let mut events = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(events.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(line["type"], "stats");
    }
    container.kill("KILL").unwrap().success().unwrap();
    // runc goes on until the control groups are gone.
    container.wait_for_status("stopped").unwrap();
    container.delete(&[]).unwrap().success().unwrap();
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert!(rest.len() < 10, "{rest:?}");
    events.wait().unwrap();
}

#[rstest]
fn each_time_that_memory_runs_out_is_told() {
    let hog = "head -c 100000000 /dev/zero | tail >/dev/null";
    let script = &format!("sleep 2; {hog}; sleep 2; {hog}; sleep 1000");
    let limit = json!({"memory": {"limit": 32 << 20, "swap": 32 << 20}});
    let container = running(limit, script);
    let mut command = container.command(&["events", "--interval", "60s", &container.id]);
    let mut events = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let lines = BufReader::new(events.stdout.take().unwrap()).lines();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    for _ in 0..2 {
        let line = receiver.recv_timeout(Duration::from_secs(30)).unwrap();
        let event: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&event["type"], &event["id"]),
            (&json!("oom"), &json!(container.id))
        );
    }
    events.kill().unwrap();
    events.wait().unwrap();
}

#[rstest]
fn limits_are_changed_while_it_runs() {
    let container = running(json!({"pids": {"limit": 100}}), "sleep 1000");
    let new = json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 30}}).to_string();
    let mut command = container.command(&["update", "--resources=-", &container.id]);
    run_with_input(&mut command, new.as_bytes(), Duration::from_secs(30))
        .unwrap()
        .success()
        .unwrap();
    let data = stats(&container)["data"].clone();
    assert_eq!(data["pids"]["limit"], 30);
    assert_eq!(data["memory"]["usage"]["limit"], 64 << 20);
    let script = "for i in $(seq 40); do sleep 1 & done; wait";
    let output = container.exec(&[], &["sh", "-c", script]).unwrap();
    assert!(output.stderr.contains("fork"), "{output:?}");
    container
        .call(&["update", "--pids-limit", "90", &container.id])
        .unwrap()
        .success()
        .unwrap();
    let output = container.exec(&[], &["sh", "-c", script]).unwrap();
    assert_eq!(output.stderr, "");
}

/// The threads of a sandbox that runs already are not the application's.
#[rstest]
fn a_limit_on_processes_is_set_while_it_runs() {
    let container = running(json!({}), "sleep 1000");
    let update = |limit: &str| {
        let output = container.call(&["update", "--pids-limit", limit, &container.id]);
        output.unwrap().success().unwrap();
    };
    let script = "for i in $(seq 40); do sleep 1 & done; wait";
    update("30");
    let output = container.exec(&[], &["sh", "-c", script]).unwrap();
    assert!(output.stderr.contains("fork"), "{output:?}");
    update("90");
    let output = container.exec(&[], &["sh", "-c", script]).unwrap();
    assert_eq!(output.stderr, "");
    assert_eq!(stats(&container)["data"]["pids"]["limit"], 90);
}
