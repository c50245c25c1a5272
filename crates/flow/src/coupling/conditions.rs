//! What conditions do to a coupling.
//!
//! With conditions attached to the data, plain optimal transport inside a batch makes the source depend on the
//! condition during training, though at sampling time it does not: the model then starts from the wrong law (Cheng and
//! Schwing, "The Curse of Conditions", 2025; their cure is C²OT). Two cures: pair only inside groups of equal conditions,
//! or give each source the condition of a data point beforehand and charge for pairs whose conditions differ.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thalweg_ot::{Cost, Points};

use crate::FlowError;
use crate::error::require;

/// The conditions of a batch of data points, one for each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Conditions<'a> {
    /// The data is unconditional.
    None,
    /// A class each.
    Labels(&'a [usize]),
    /// A vector each.
    Vectors(Points<'a>),
}

/// How a coupling treats conditions. Without conditions all rules are the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ConditionRule {
    /// Pairs only points of equal condition. With vectors that all differ nothing is left to choose, and the coupling
    /// is the independent one.
    WithinGroups {},
    /// Adds `weight` times the distance between conditions to the squared distance: 0 or 1 for labels, one minus the
    /// cosine for vectors (C²OT).
    Weighted {
        /// In units of the squared distance, not negative; default 1. The squared distance of unit normals is about
        /// twice their dimension.
        #[serde(default = "default_weight")]
        weight: f64,
    },
    /// Pairs as if there were no conditions. Skews the source of every condition; for comparisons.
    Ignore {},
}

fn default_weight() -> f64 {
    1.0
}

impl Default for ConditionRule {
    /// Within groups.
    fn default() -> Self {
        ConditionRule::WithinGroups {}
    }
}

/// Points to be paired among themselves.
pub(super) struct Group {
    pub(super) sources: Vec<usize>,
    pub(super) targets: Vec<usize>,
}

impl Conditions<'_> {
    /// An error unless there is one condition for each of the data points.
    pub(super) fn check(self, targets: usize) -> Result<(), FlowError> {
        let conditions = match self {
            Conditions::None => return Ok(()),
            Conditions::Labels(labels) => labels.len(),
            Conditions::Vectors(vectors) => vectors.len(),
        };
        if conditions == targets { Ok(()) } else { Err(FlowError::Conditions { conditions, targets }) }
    }

    /// The distance between the conditions of two data points.
    fn distance(self, i: usize, j: usize) -> f64 {
        match self {
            Conditions::None => 0.0,
            Conditions::Labels(labels) => f64::from(u8::from(labels[i] != labels[j])),
            Conditions::Vectors(vectors) => cosine_distance(vectors.row(i), vectors.row(j)),
        }
    }
}

impl ConditionRule {
    pub(super) fn validate(self) -> Result<(), FlowError> {
        match self {
            ConditionRule::Weighted { weight } => {
                let accepted = weight >= 0.0 && weight.is_finite();
                require(
                    accepted,
                    "weight of the conditions in the coupling",
                    weight,
                    "finite and not negative",
                )
            }
            ConditionRule::WithinGroups {} | ConditionRule::Ignore {} => Ok(()),
        }
    }

    /// Whether conditions change the pairing.
    pub(super) fn heeds(self, conditions: Conditions) -> bool {
        self != (ConditionRule::Ignore {}) && conditions != Conditions::None
    }

    /// The groups that are paired apart from each other, in the order of their conditions. Where conditions are
    /// heeded, each source takes that of the data point of the same index.
    pub(super) fn groups(self, sources: usize, conditions: Conditions, targets: usize) -> Vec<Group> {
        let members = match (self, conditions) {
            (ConditionRule::WithinGroups {}, Conditions::Labels(labels)) => group_by(targets, |i| labels[i]),
            (ConditionRule::WithinGroups {}, Conditions::Vectors(vectors)) => {
                // Adding zero makes -0 and 0 the same condition.
                group_by(targets, |i| vectors.row(i).iter().map(|x| (x + 0.0).to_bits()).collect::<Vec<_>>())
            }
            _ => return vec![Group { sources: (0..sources).collect(), targets: (0..targets).collect() }],
        };
        members.into_iter().map(|m| Group { sources: m.clone(), targets: m }).collect()
    }

    /// The cost of each pair inside a group.
    pub(super) fn cost(self, x0: Points, x1: Points, conditions: Conditions, group: &Group) -> Cost {
        let everything = group.sources.len() == x0.len() && group.targets.len() == x1.len();
        let cost = if everything {
            Cost::squared_euclidean(x0, x1)
        } else {
            let (sources, targets) = (gather(x0, &group.sources), gather(x1, &group.targets));
            Cost::squared_euclidean(Points::new(&sources, x0.dim()), Points::new(&targets, x1.dim()))
        };
        let ConditionRule::Weighted { weight } = self else { return cost };
        let (rows, cols) = (cost.rows(), cost.cols());
        let charge =
            |k: usize| weight * conditions.distance(group.sources[k / cols], group.targets[k % cols]);
        let values = cost.values().iter().enumerate().map(|(k, c)| c + charge(k)).collect();
        Cost::from_values(rows, cols, values)
    }
}

fn group_by<K: Ord>(n: usize, key: impl Fn(usize) -> K) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<K, Vec<usize>> = BTreeMap::new();
    for i in 0..n {
        groups.entry(key(i)).or_default().push(i);
    }
    groups.into_values().collect()
}

fn gather(points: Points, indices: &[usize]) -> Vec<f64> {
    indices.iter().flat_map(|&i| points.row(i)).copied().collect()
}

/// One minus the cosine of the angle; a zero vector is at distance 1 from everything but another zero vector.
fn cosine_distance(a: &[f64], b: &[f64]) -> f64 {
    let dot = |x: &[f64], y: &[f64]| -> f64 { x.iter().zip(y).map(|(x, y)| x * y).sum() };
    let size = (dot(a, a) * dot(b, b)).sqrt();
    if size > 0.0 { (1.0 - dot(a, b) / size).max(0.0) } else { f64::from(u8::from(a != b)) }
}
