//! Points that were moved, kept in the run folder under the fingerprint of what moved them.

use thalweg_run::{Checkpoint, CheckpointState, RunDir, Tensors};

use super::pushed::Pushed;
use crate::error::TrainError;
use crate::recipe::Recipe;
use crate::summary::DataSummary;

/// What the run keeps.
pub(crate) struct Kept<'a> {
    pub run: &'a RunDir,
    pub recipe: &'a Recipe,
    pub summary: &'a DataSummary,
}

impl Kept<'_> {
    /// Takes over the points that were kept under one of these names, and says under which; and what the user should know
    /// where something was kept that cannot be used.
    pub fn load(&self, names: &[String], points: &mut [Pushed]) -> (Option<usize>, Option<String>) {
        let made = match self.run.read_made() {
            Ok(Some(made)) => made,
            Ok(None) => return (None, None),
            Err(error) => return (None, Some(format!("the points that were kept are moved again: {error}"))),
        };
        let found: Option<Vec<Pushed>> =
            points.iter().enumerate().map(|(index, points)| points.kept(index, &made.model)).collect();
        match (names.iter().rposition(|name| *name == made.state.architecture), found) {
            (Some(known), Some(found)) => {
                points.clone_from_slice(&found);
                (Some(known), None)
            }
            // Those of the block before, which were right when they were kept.
            _ if self.is_earlier(&made, names) => (None, None),
            _ => {
                let message = "the points that were kept were moved by other weights: they are moved again";
                (None, Some(message.to_string()))
            }
        }
    }

    /// Keeps points in the place of what was kept before.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn save(&self, name: &str, points: &[Pushed]) -> Result<(), TrainError> {
        let (recipe, summary) = (self.recipe, self.summary);
        let state = CheckpointState::new(0, recipe.seed, summary.fingerprint.clone(), name.to_string());
        let mut model = Tensors::new();
        points.iter().enumerate().for_each(|(index, points)| points.keep(index, &mut model));
        let made = Checkpoint { model, average: Tensors::new(), optimizer: Tensors::new(), state };
        Ok(self.run.save_made(&made)?)
    }

    /// Whether what is kept is for fewer blocks than is asked for, of one network that has learned since.
    fn is_earlier(&self, made: &Checkpoint, names: &[String]) -> bool {
        let head = |name: &str| name.split(',').next().map(str::to_string);
        self.recipe.shares_weights() && names.iter().all(|name| head(name) != head(&made.state.architecture))
    }
}
