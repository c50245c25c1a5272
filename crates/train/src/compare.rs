//! Comparisons: all methods on all data sets with all seeds, each with the same budget, in one table.
//!
//! Here is what a comparison is made of and what is made of it. Which processes train its cells, and when, is not
//! known here; nothing reads a clock.

mod budget;
mod marks;
mod page;
mod plan;
mod recipe;
mod record;
mod summary;
mod table;

pub use budget::{Budget, Pace};
pub use marks::Mark;
pub use plan::{CellId, CheckedData, ComparisonPlan, StagePlan};
pub use recipe::{ComparisonRecipe, CurveConfig, MethodConfig, SetConfig, StageConfig};
pub use record::{CellPlan, CellRecord, CellResult, CellScores, StageRecord, Trial};
pub use summary::{
    ComparisonSummary, CurveEstimate, Estimate, FailedCell, MethodSummary, SetSummary, StageMean,
};
