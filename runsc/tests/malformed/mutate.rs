//! Damage done to JSON: to its structure and to its text. The same seed does the same damage.

use serde_json::{Map, Value, json};

/// A linear congruential generator: repeatable everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides.max(1)
    }
}

/// Damages the structure in one to three places.
pub(crate) fn structure(value: &Value, dice: &mut Dice) -> Value {
    let mut damaged = value.clone();
    for _ in 0..=dice.roll(3) {
        let count = count(&damaged);
        let mut at = dice.roll(count);
        visit(&mut damaged, &mut at, dice);
    }
    damaged
}

/// Damages the text in one to four bytes, or cuts it.
pub(crate) fn text(text: &str, dice: &mut Dice) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    if dice.roll(4) == 0 {
        bytes.truncate(dice.roll(bytes.len()));
        return bytes;
    }
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(bytes.len());
        bytes[at] = match dice.roll(3) {
            0 => u8::try_from(dice.roll(256)).unwrap(),
            1 => b"{}[]\",:0-9e"[dice.roll(11)],
            _ => bytes[at] ^ 1 << dice.roll(8),
        };
    }
    bytes
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

fn visit(value: &mut Value, at: &mut usize, dice: &mut Dice) {
    if *at == 0 {
        *at = usize::MAX;
        damage(value, dice);
        return;
    }
    *at = at.saturating_sub(1);
    let children: Vec<&mut Value> = match value {
        Value::Array(list) => list.iter_mut().collect(),
        Value::Object(map) => map.values_mut().collect(),
        _ => Vec::new(),
    };
    for child in children {
        let size = count(child);
        if *at < size {
            visit(child, at, dice);
            return;
        }
        *at -= size;
    }
}

fn damage(value: &mut Value, dice: &mut Dice) {
    match (dice.roll(4), &mut *value) {
        (0, Value::Object(map)) if !map.is_empty() => {
            let key = map.keys().nth(dice.roll(map.len())).cloned().unwrap();
            map.remove(&key);
        }
        (0, Value::Array(list)) if !list.is_empty() => {
            let copy = list[dice.roll(list.len())].clone();
            list.push(copy);
        }
        (1, Value::Object(map)) if !map.is_empty() => {
            let key = map.keys().nth(dice.roll(map.len())).cloned().unwrap();
            let moved = map.remove(&key).unwrap();
            map.insert(format!("{key}x"), moved);
        }
        _ => *value = hostile(dice),
    }
}

fn hostile(dice: &mut Dice) -> Value {
    let values = [
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(4_294_967_296_u64),
        json!(0.5),
        json!(1e300),
        json!(""),
        json!("/"),
        json!("../../../../etc"),
        json!("nul\u{0}byte"),
        json!("\u{202e}ümläut\n\t"),
        json!("x".repeat(5000)),
        json!("/proc/self/fd/0"),
        json!([]),
        json!({}),
        json!([[[[]]]]),
        json!(["a", 1, null]),
        Value::Object(Map::from_iter([("".to_owned(), json!({"": null}))])),
    ];
    values[dice.roll(values.len())].clone()
}
