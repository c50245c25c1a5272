//! From a recipe to a run: objectives, loop, optimiser, average, checkpoints, evaluation, report.

mod ahead;
mod animation;
mod average;
mod base;
mod bound;
mod certify;
mod chain;
mod compare;
mod error;
mod evaluate;
mod field;
mod finetune;
mod gradients;
mod guard;
mod inference;
mod known_law;
mod learning_rate;
mod legs;
mod objective;
mod optimizer;
mod own_pairs;
mod parameters;
mod prepare;
mod recipe;
mod recipes;
mod reflow;
mod report;
mod residual;
mod sampler;
mod session;
mod stages;
mod state;
mod steepness;
mod summary;
mod trained;
mod trainer;
mod view;

pub use animation::animation;
pub use average::AverageConfig;
pub use base::{FromConfig, ReadRecipe, read_recipe};
pub use bound::{BoundReport, BoundRequest, Spread, TruthChoice};
pub use certify::{CertifyFiles, CertifyReport, CertifyRequest, Comparison, Measured, MeasuredCurve};
pub use chain::{DistillationConfig, LocalConfig, Weights};
pub use compare::{
    Budget, CellId, CellPlan, CellRecord, CellResult, CellScores, CheckedData, ComparisonPlan,
    ComparisonRecipe, ComparisonSummary, CurveConfig, CurveEstimate, Estimate, FailedCell, Mark,
    MethodConfig, MethodSummary, Pace, SetConfig, SetSummary, StageConfig, StageMean, StagePlan, StageRecord,
    Trial,
};
pub use error::TrainError;
pub use evaluate::{
    Baseline, BlockScores, CurvePoint, EvaluateOptions, Evaluation, Protocol, ScoreFile, Truth, evaluate,
    write_scores,
};
pub use field::{FlowField, Reading};
pub use finetune::{GuardConfig, PairsConfig, Penalties, ReconstructionConfig};
pub use guard::{Best, Look, Watch};
pub use learning_rate::LearningRate;
pub use objective::{LikelihoodConfig, ObjectiveConfig, TapeMemory};
pub use optimizer::{OptimizerConfig, OptimizerKind};
pub use recipe::{EvaluateConfig, FlowConfig, Recipe, TrainConfig};
pub use recipes::{COMPARISONS, EmbeddedRecipe, RECIPES, find_comparison, find_recipe};
pub use reflow::ReflowConfig;
pub use report::write_report;
pub use residual::{FirstStage, ResidualConfig};
pub use sampler::SamplerConfig;
pub use session::Session;
pub use stages::Stages;
pub use state::TrainState;
pub use summary::{DataSummary, Scaling};
pub use trained::{
    ConditionRequest, Equation, LogDensities, SampleRequest, Samples, TrainedFlow, Trajectories,
};
pub use trainer::{Ending, Progress};
