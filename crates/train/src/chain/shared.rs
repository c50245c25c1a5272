//! One network for all blocks of a local chain, which is told the block as a class.

use thalweg_data::Condition;
use thalweg_nets::ConditionSpec;

use crate::recipe::Recipe;

impl Recipe {
    /// Whether all blocks of a local chain are one network.
    #[must_use]
    pub fn shares_weights(&self) -> bool {
        self.local.as_ref().is_some_and(|local| local.weights == super::Weights::Shared)
    }

    /// What the network is told where the data have conditions of this kind.
    pub(crate) fn told_spec(&self, of_data: ConditionSpec) -> ConditionSpec {
        if self.shares_weights() {
            ConditionSpec::Labels { classes: self.parts() * classes(of_data) }
        } else {
            of_data
        }
    }

    /// The conditions of `rows` points of the data as the network of block `number` is told them.
    pub(crate) fn told(
        &self,
        of_data: ConditionSpec,
        condition: &Condition,
        number: usize,
        rows: usize,
    ) -> Condition {
        if !self.shares_weights() {
            return condition.clone();
        }
        let first = (number - 1) * classes(of_data);
        Condition::Labels(match condition {
            Condition::Labels(labels) => labels.iter().map(|label| first + label).collect(),
            Condition::None | Condition::Vectors { .. } => vec![first; rows],
        })
    }
}

/// The block that a row is told, from 1.
pub(crate) fn block_of(of_data: ConditionSpec, label: usize) -> usize {
    label / classes(of_data) + 1
}

fn classes(of_data: ConditionSpec) -> usize {
    match of_data {
        ConditionSpec::Labels { classes } => classes,
        ConditionSpec::None | ConditionSpec::Vectors { .. } => 1,
    }
}
