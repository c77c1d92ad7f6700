//! Device rules: they would bind the gofer, the one process of a container that could open the host's devices, and
//! opens none. So where they can't be set (a user without privileges builds an image), nothing is lost.

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

use crate::cgroups::setting::{Missing, Setting, Step};

/// What every container may reach, as other runtimes have it: making any node, and the devices that
/// are in every `/dev`. `10:232` is the sandbox's own, for the platform KVM.
const ALWAYS: [&str; 11] = [
    "c *:* m",
    "b *:* m",
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:2 rwm",
    "c 136:* rwm",
    "c 10:232 rw",
];

/// The writes for control groups version 1, in the order of the rules.
pub(super) fn steps(rules: &[LinuxDeviceCgroup]) -> Vec<Step> {
    let step = |allow: bool, value: String| {
        let file = if allow {
            "devices.allow"
        } else {
            "devices.deny"
        };
        Step::One(Setting::new("devices", file, value).if_missing(Missing::Ignore))
    };
    let mut steps: Vec<Step> = rules
        .iter()
        .map(|rule| step(rule.allow(), value(rule)))
        .collect();
    let everything = rules.iter().rposition(is_everything);
    if everything.is_some_and(|last| rules.get(last).is_some_and(|rule| !rule.allow())) {
        steps.extend(ALWAYS.map(|rule| step(true, rule.to_owned())));
    }
    steps
}

/// Whether a rule is about all devices, and thus replaces those before it.
fn is_everything(rule: &LinuxDeviceCgroup) -> bool {
    let any = |number: Option<i64>| number.is_none_or(|n| n < 0);
    let all = matches!(rule.typ(), None | Some(LinuxDeviceType::A));
    all && any(rule.major()) && any(rule.minor())
}

fn value(rule: &LinuxDeviceCgroup) -> String {
    if is_everything(rule) {
        return "a".to_owned();
    }
    let kind = match rule.typ() {
        Some(LinuxDeviceType::B) => 'b',
        Some(LinuxDeviceType::C | LinuxDeviceType::U | LinuxDeviceType::P) => 'c',
        None | Some(LinuxDeviceType::A) => 'a',
    };
    let number = |number: Option<i64>| match number.filter(|n| *n >= 0) {
        Some(number) => number.to_string(),
        None => "*".to_owned(),
    };
    let access = rule.access().as_deref().filter(|access| !access.is_empty());
    format!(
        "{kind} {}:{} {}",
        number(rule.major()),
        number(rule.minor()),
        access.unwrap_or("rwm")
    )
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::LinuxDeviceCgroup;
    use serde_json::json;

    use super::{ALWAYS, steps};
    use crate::cgroups::setting::Step;

    fn written(rules: serde_json::Value) -> Vec<String> {
        let rules: Vec<LinuxDeviceCgroup> = serde_json::from_value(rules).unwrap();
        let text = |step: &Step| match step {
            Step::One(setting) => format!("{} {}", setting.file, setting.value),
            Step::Either(..) => unreachable!(),
        };
        steps(&rules).iter().map(text).collect()
    }

    #[test]
    fn a_closed_list_keeps_the_devices_of_every_container() {
        let all = written(json!([
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"},
            {"allow": true, "type": "b", "major": 8, "access": "r"},
        ]));
        assert_eq!(all.len(), 3 + ALWAYS.len());
        assert_eq!(
            all[..3],
            [
                "devices.deny a",
                "devices.allow c 10:229 rw",
                "devices.allow b 8:* r"
            ]
        );
    }

    #[test]
    fn an_open_list_is_left_as_it_is() {
        let rules = json!([{"allow": false, "access": "rwm"}, {"allow": true, "access": "rwm"}]);
        assert_eq!(written(rules), ["devices.deny a", "devices.allow a"]);
        assert_eq!(written(json!([])), [""; 0]);
    }
}
