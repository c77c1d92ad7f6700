//! Bundles whose `config.json` is damaged: whatever it holds, `run` ends in time, says what it has to say without a
//! panic, and leaves nothing behind.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use fixtures::build;
use fixtures::bundle::Bundle;
use fixtures::command;
use fixtures::container::Container;
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::finding::{self, Finding};
use crate::session::{GUEST, Outcome, Scene};
use crate::watch;

/// How many bundles a session has.
const NR_BUNDLES: u32 = 20;
/// How long `run` of a program that ends at once may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

impl Scene {
    /// Runs some damaged bundles that a seed decides, after a whole one, which must run.
    ///
    /// # Errors
    /// They can't be prepared.
    pub(crate) fn specs(&self, seed: u64) -> anyhow::Result<Outcome> {
        let mut dice = Dice::new(seed);
        let platform = self.runtime.platform.as_deref().unwrap_or("").to_owned();
        let (mut nr_ran, mut all) = (0, Vec::new());
        for number in 0..=NR_BUNDLES {
            let text = match number {
                0 => whole().to_string().into_bytes(),
                _ => damaged(&mut dice),
            };
            let trial = Trial::of(self, &text)?;
            let (ran, mut findings) = trial.run()?;
            if number == 0 && !ran {
                findings.push(Finding::new("start", "a whole bundle does not run"));
            }
            nr_ran += u32::from(ran);
            if !findings.is_empty() {
                let place = self.out.join(format!("{platform}-spec-{seed}-{number}"));
                finding::keep(&place, "", &findings, &trial.files(), u64::MAX)?;
            }
            all.extend(findings);
        }
        let summary =
            format!("{platform} seed {seed}: {NR_BUNDLES} damaged specs, {nr_ran} of them ran");
        Ok(Outcome {
            summary,
            findings: all,
        })
    }
}

/// One bundle.
struct Trial {
    container: Container,
    logs: tempfile::TempDir,
}

impl Trial {
    fn of(scene: &Scene, text: &[u8]) -> anyhow::Result<Trial> {
        let logs = tempfile::Builder::new().prefix("fuzz-").tempdir()?;
        let bundle = Bundle::empty()?;
        build::install(&scene.guest, bundle.rootfs(), GUEST)?;
        let runtime = scene.runtime(logs.path(), &[]);
        let container = Container::of(runtime, bundle)?;
        fs::write(container.bundle.path().join("config.json"), text)?;
        Ok(Trial { container, logs })
    }

    /// Whether the program ran, and what must not be.
    fn run(&self) -> anyhow::Result<(bool, Vec<Finding>)> {
        let mut findings = Vec::new();
        let output = command::run(&mut self.container.run_command(&[]), LIMIT);
        let deleted = self.container.delete(&["--force"]);
        match &output {
            Err(error) => findings.push(Finding::new("hang", error.to_string())),
            Ok(output) => {
                findings.extend(finding::in_text("stderr", &output.stderr));
                if output.code == 101 || (output.code != 0 && output.stderr.trim().is_empty()) {
                    let text = format!("exit code {} without a word", output.code);
                    findings.push(Finding::new("silent", text));
                }
            }
        }
        if let Err(error) = deleted {
            findings.push(Finding::new("delete", error.to_string()));
        }
        findings.extend(finding::in_logs(&self.logs()));
        findings.extend(self.left());
        let ran = output.is_ok_and(|output| output.stdout.contains("pong"));
        Ok((ran, findings))
    }

    /// What of it is still on the host.
    fn left(&self) -> Option<Finding> {
        let id = &self.container.id;
        let beneath = fs::canonicalize(self.container.bundle.path()).unwrap_or_default();
        let list = || {
            let mut list = watch::groups(id);
            list.extend(watch::mounts(&beneath));
            list.extend(watch::named(self.container.root()));
            list
        };
        // A process that was killed may need a moment to be reaped.
        let nothing = command::wait_until("nothing", Duration::from_secs(10), || list().is_empty());
        nothing
            .is_err()
            .then(|| Finding::new("left", format!("{:?}", list())))
    }

    fn logs(&self) -> Vec<PathBuf> {
        finding::logs(self.logs.path())
    }

    /// What a finding keeps.
    fn files(&self) -> Vec<PathBuf> {
        let config = self.container.bundle.path().join("config.json");
        self.logs().into_iter().chain([config]).collect()
    }
}

/// A configuration with something of everything, damaged in one to three places.
fn damaged(dice: &mut Dice) -> Vec<u8> {
    let mut config = whole();
    for _ in 0..=dice.roll(3) {
        damage(dice, &mut config);
    }
    let mut text = config.to_string().into_bytes();
    if dice.roll(10) == 0 {
        let at = dice.roll(text.len());
        match dice.roll(3) {
            0 => text.truncate(at),
            1 => text[at] ^= 1 << dice.roll(8),
            _ => text.extend_from_within(at..),
        }
    }
    text
}

/// Changes one place.
fn damage(dice: &mut Dice, config: &mut Value) {
    let all = places(config);
    let (place, other) = (dice.pick(&all), dice.pick(&all));
    let value = match dice.roll(3) {
        0 => config.pointer(&other).cloned().unwrap_or_default(),
        _ => dice.pick(&values()),
    };
    let (parent, key) = place.rsplit_once('/').unwrap_or(("", ""));
    match (dice.roll(4), config.pointer_mut(parent)) {
        (0, Some(Value::Object(parent))) => {
            parent.remove(key);
        }
        (0, Some(Value::Array(parent))) => parent.push(value),
        (1, Some(Value::Object(parent))) => {
            parent.insert("unknown".to_owned(), value);
        }
        _ => {
            if let Some(at) = config.pointer_mut(&place) {
                *at = value;
            }
        }
    }
}

/// JSON pointers to all values but the whole.
fn places(value: &Value) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value))
            .collect(),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(index, value)| (index.to_string(), value))
            .collect(),
        _ => Vec::new(),
    };
    let mut all = Vec::new();
    for (key, child) in children {
        all.push(format!("/{key}"));
        all.extend(places(child).iter().map(|rest| format!("/{key}{rest}")));
    }
    all
}

/// Values that nobody expects. No path among them leads out of the bundle: what they name may be made.
fn values() -> Vec<Value> {
    let mut deep = json!([]);
    for _ in 0..200 {
        deep = json!([deep]);
    }
    let strings = [
        "",
        ".",
        "rootfs",
        "none",
        "a\nb",
        "a\0b",
        "%s%n",
        "\u{fffd}",
        "/none/none",
        "CAP_NONE",
        "-1",
        "0-99999",
        "4294967296",
        "=",
        "a=b",
    ];
    let numbers = [
        json!(0),
        json!(-1),
        json!(1),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(u32::MAX),
        json!(1.5),
        json!(1e300),
    ];
    let others = [
        Value::Null,
        json!(true),
        json!(false),
        json!({}),
        json!([]),
        json!([null]),
        json!("x".repeat(5000)),
        json!(vec!["x"; 5000]),
        deep,
    ];
    let strings = strings.map(Value::from);
    strings.into_iter().chain(numbers).chain(others).collect()
}

/// A configuration that uses most of what the specification has, and runs.
fn whole() -> Value {
    let config = Bundle::empty().map(|bundle| bundle.config().clone());
    let mut config = config.unwrap_or_default();
    config["process"]["args"] = json!([format!("/{GUEST}"), "ping"]);
    config["process"]["user"] = json!({"uid": 1, "gid": 2, "umask": 18, "additionalGids": [3, 4]});
    config["process"]["oomScoreAdj"] = json!(100);
    config["process"]["consoleSize"] = json!({"height": 25, "width": 80});
    config["process"]["apparmorProfile"] = json!("");
    config["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_BE", "priority": 4});
    config["process"]["scheduler"] = json!({"policy": "SCHED_OTHER", "nice": 1});
    config["annotations"] = json!({"org.example.key": "value"});
    config["hooks"] = json!({
        "createRuntime": [{"path": "/bin/true", "args": ["true"], "env": ["A=b"], "timeout": 5}],
        "poststop": [{"path": "/bin/true"}],
    });
    let linux = &mut config["linux"];
    linux["sysctl"] = json!({"net.core.somaxconn": "256", "kernel.shmmax": "65536"});
    linux["maskedPaths"] = json!(["/proc/kcore", "/sys/firmware"]);
    linux["readonlyPaths"] = json!(["/proc/sys"]);
    linux["rootfsPropagation"] = json!("rprivate");
    linux["devices"] = json!([
        {"path": "/dev/fuzz", "type": "c", "major": 1, "minor": 3, "fileMode": 438, "uid": 0, "gid": 0},
    ]);
    linux["resources"] = json!({
        "memory": {"limit": 256 << 20, "swap": 512 << 20, "reservation": 64 << 20, "swappiness": 60},
        "pids": {"limit": 100},
        "cpu": {"shares": 512, "quota": 100_000, "period": 100_000, "cpus": "0"},
        "devices": [{"allow": false, "access": "rwm"}],
        "blockIO": {"weight": 500},
        "unified": {},
    });
    linux["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "flags": [],
        "syscalls": [
            {"names": ["mkdirat", "nosuchcall"], "action": "SCMP_ACT_ERRNO", "errnoRet": 2,
             "args": [{"index": 0, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_MASKED_EQ"}]},
        ],
    });
    config
}

#[cfg(test)]
mod tests {
    use super::{damaged, whole};
    use crate::dice::Dice;

    #[test]
    fn every_seed_damages_something_else() {
        let of = |seed| damaged(&mut Dice::new(seed));
        assert_ne!(of(1), of(2));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), whole().to_string().into_bytes());
    }
}
