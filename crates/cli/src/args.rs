//! What can be typed: the command line exactly as the user sees it, validated no further than its syntax.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// Train, sample, evaluate and measure generative flows.
#[derive(Debug, Parser)]
#[command(name = "thalweg", version, about, arg_required_else_help = true, propagate_version = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// Print one JSON document on standard output and nothing else.
    #[arg(long, global = true)]
    pub json: bool,

    /// Threads for tensor work [default: all cores].
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<usize>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a flow from a recipe, score it and write its report.
    Train(Train),
    /// Draw samples from a trained flow.
    Sample(Sample),
    /// Score a trained flow again: every metric of its recipe, with floors and intervals.
    Evaluate(Evaluate),
    /// Log-likelihood of data under a trained flow.
    Likelihood(Likelihood),
    /// The error of inference by a few steps, and what bounds it.
    Bound(Bound),
    /// Prove what can be proved of a run's second stage, or check a certificate.
    Certify(Certify),
    /// Compare methods on data sets with the same budget for each: all trainings, one table.
    Compare(Compare),
    /// One cell of a comparison; typed by `compare` alone.
    #[command(hide = true)]
    Cell(Cell),
    /// List the recipes and comparisons inside this program, or show one.
    Recipes(Recipes),
    /// Look into a data file: members, shapes, types, ranges.
    Data(Data),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// Arguments of `thalweg train`.
#[derive(Debug, Args)]
pub struct Train {
    /// A recipe file, or the name of an embedded recipe (`thalweg recipes` lists them) [default: two-moons].
    pub recipe: Option<String>,

    /// Folder of the run [default: runs/NAME, by the name of the recipe].
    #[arg(long, short, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Change one value of the recipe, for example `--set train.steps=100`.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Go on from the newest checkpoint of the run folder.
    #[arg(long)]
    pub resume: bool,
}

/// Arguments of `thalweg sample`.
#[derive(Debug, Args)]
pub struct Sample {
    /// The run folder.
    pub run: PathBuf,

    /// How many samples.
    #[arg(short, long, default_value_t = 1000, value_name = "N")]
    pub number: usize,

    /// Where to write them: .npy, .npz, .csv, .png or .gif (the last two for flows in the plane)
    /// [default: samples.npy in the run folder].
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// The seed of the draw.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,

    /// Draw for this class label (flows conditioned on labels) [default: labels as in the data].
    #[arg(long, value_name = "LABEL", conflicts_with = "condition")]
    pub label: Option<usize>,

    /// Draw for this condition (flows conditioned on vectors): numbers separated by commas.
    #[arg(long, value_name = "A,B,..", value_delimiter = ',', allow_negative_numbers = true)]
    pub condition: Option<Vec<f64>>,

    /// Strength of classifier-free guidance: 1 is none, more follows the condition more closely.
    #[arg(long, value_name = "W", allow_negative_numbers = true)]
    pub guidance: Option<f64>,

    /// By which equation to sample.
    #[command(flatten)]
    pub sampler: SamplerArguments,

    /// How to solve the differential equation.
    #[command(flatten)]
    pub solver: SolverArguments,
}

/// Changes to `evaluate.sampler` of a recipe.
#[derive(Debug, Args)]
pub struct SamplerArguments {
    /// Sample by the stochastic equation with this much noise instead of the deterministic one
    /// (needs a one-sided path from a Gaussian source; `--steps` sets its steps).
    #[arg(long, value_name = "ETA", allow_negative_numbers = true)]
    pub stochastic: Option<f64>,

    /// Sample in the steps of a diffusion model, with this share of fresh noise: 0 is DDIM, 1 is DDPM
    /// (needs a one-sided path from a Gaussian source; `--steps` sets its steps).
    #[arg(long, value_name = "ETA", allow_negative_numbers = true, conflicts_with = "stochastic")]
    pub ancestral: Option<f64>,

    /// Cut predicted data off at this size of a coordinate, in units of the model, in every step of a
    /// diffusion model.
    #[arg(long, value_name = "R", allow_negative_numbers = true, conflicts_with = "stochastic")]
    pub clip: Option<f64>,

    /// How much fresh noise a step of a diffusion model has.
    #[arg(long, value_enum, conflicts_with = "stochastic")]
    pub variance: Option<VarianceName>,
}

/// Variances of the steps of diffusion models by the names of the recipe.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum VarianceName {
    /// That of the step given the data.
    Small,
    /// That of the step for unit normal data.
    Large,
}

/// Changes to the solver of a recipe.
#[derive(Debug, Args)]
pub struct SolverArguments {
    /// The method [default: as in the recipe].
    #[arg(long, value_enum)]
    pub solver: Option<MethodName>,

    /// Number of equal steps, of whichever equation; turns adaptive steps off.
    #[arg(long, value_name = "N", conflicts_with_all = ["rtol", "atol"])]
    pub steps: Option<usize>,

    /// Relative tolerance of adaptive steps.
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    pub rtol: Option<f64>,

    /// Absolute tolerance of adaptive steps [default: the relative one].
    #[arg(long, value_name = "A", allow_negative_numbers = true)]
    pub atol: Option<f64>,
}

/// The methods by the names of the recipe.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum MethodName {
    /// First order.
    Euler,
    /// Second order, two evaluations.
    Midpoint,
    /// Second order, two evaluations; adaptive.
    Heun,
    /// Fourth order, four evaluations.
    Rk4,
    /// Third order, adaptive.
    Bosh3,
    /// Fifth order, adaptive.
    Dopri5,
    /// Fifth order, adaptive.
    Tsit5,
}

/// Arguments of `thalweg evaluate`.
#[derive(Debug, Args)]
pub struct Evaluate {
    /// The run folder.
    pub run: PathBuf,

    /// The seed of the fresh samples.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,

    /// By which equation to sample; paths are always those of the ordinary one.
    #[command(flatten)]
    pub sampler: SamplerArguments,

    /// How to solve the differential equation.
    #[command(flatten)]
    pub solver: SolverArguments,
}

/// Arguments of `thalweg bound`.
#[derive(Debug, Args)]
pub struct Bound {
    /// The run folder.
    pub run: PathBuf,

    /// The method, always with equal steps [default: the recipe's, where its number of steps is fixed; else euler].
    #[arg(long, value_enum)]
    pub solver: Option<MethodName>,

    /// Number of equal steps [default: those of the recipe, where it has some of this method; else 16].
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,

    /// Number of trajectories.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub points: usize,

    /// The seed of their noise.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,

    /// What the flow is held against.
    #[arg(long, value_enum, default_value_t = TruthName::Known)]
    pub truth: TruthName,

    /// The time to end at [default: the end of the path, and 0.9 against the exact velocity of a table].
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    pub until: Option<f64>,
}

/// Arguments of `thalweg certify`.
#[derive(Debug, Args)]
pub struct Certify {
    /// The run folder; with `--check`, the run that the certificate should be of.
    pub run: Option<PathBuf>,

    /// Check this certificate instead of making one: all proofs are verified again, without a search.
    #[arg(long, value_name = "FILE")]
    pub check: Option<PathBuf>,

    /// The largest condition number of a metric.
    #[arg(long, conflicts_with = "check", value_name = "NUMBER", default_value_t = 1e3)]
    pub condition_number: f64,

    /// Stages of more coordinates and units than this, taken together, are not searched for proofs.
    #[arg(long, conflicts_with = "check", value_name = "N", default_value_t = 192)]
    pub largest: usize,

    /// Number of pairs of points that are followed beside the claims.
    #[arg(long, conflicts_with = "check", value_name = "N", default_value_t = 256)]
    pub points: usize,

    /// The seed of those.
    #[arg(long, conflicts_with = "check", default_value_t = 0)]
    pub seed: u64,
}

/// What a flow is held against.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum TruthName {
    /// The exact velocity of the data where it is known and was trained on; the flow before it was tuned, where it was;
    /// else the flow itself.
    Known,
    /// The exact velocity of the data.
    Exact,
    /// The flow itself, solved accurately: the error of the steps alone.
    Own,
}

/// Arguments of `thalweg likelihood`.
#[derive(Debug, Args)]
pub struct Likelihood {
    /// The run folder.
    pub run: PathBuf,

    /// The data: .npy, .npz or .csv, a row a point, in the units of the training data.
    pub data: PathBuf,

    /// The member of a .npz file that holds the points [default: its only one].
    #[arg(long, value_name = "NAME")]
    pub member: Option<String>,

    /// The class label of every point (flows conditioned on labels).
    #[arg(long, value_name = "LABEL", conflicts_with = "condition")]
    pub label: Option<usize>,

    /// The class label of each point: a .npy or .csv file with an integer in each row, or a member of the .npz file
    /// that holds the points.
    #[arg(long, value_name = "FILE|MEMBER", conflicts_with_all = ["label", "condition"])]
    pub labels: Option<String>,

    /// The condition of every point (flows conditioned on vectors): numbers separated by commas.
    #[arg(long, value_name = "A,B,..", value_delimiter = ',', allow_negative_numbers = true)]
    pub condition: Option<Vec<f64>>,

    /// Write the log-densities here: .npy, .npz or .csv.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// The exact divergence; this is the default.
    #[arg(long, conflicts_with = "probes")]
    pub exact: bool,

    /// Estimate the divergence with this many random probes instead.
    #[arg(long, value_name = "K")]
    pub probes: Option<usize>,

    /// The seed of the probes.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,

    /// How to solve the differential equation.
    #[command(flatten)]
    pub solver: SolverArguments,
}

/// Arguments of `thalweg compare`.
#[derive(Debug, Args)]
pub struct Compare {
    /// A comparison file, or the name of an embedded comparison (`thalweg recipes` lists them).
    pub recipe: String,

    /// Train each method this often on each data set, instead of as often as the comparison says.
    #[arg(long, value_name = "N")]
    pub seeds: Option<u64>,

    /// Folder of the comparison [default: runs/NAME, by the name of the comparison].
    #[arg(long, short, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Change one value of the comparison, for example `--set recipe.train.batch=128`.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Trainings at a time, each with as many threads as `--threads` says, or one [default: as fit the cores].
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,

    /// Go on with the comparison in the folder: what is finished is kept.
    #[arg(long)]
    pub resume: bool,
}

/// Arguments of `thalweg cell`.
#[derive(Debug, Args)]
pub struct Cell {
    /// The set.
    pub set: String,
    /// The method.
    pub method: String,
    /// The seed.
    #[arg(long)]
    pub seed: u64,
    /// Folder of the comparison.
    #[arg(long)]
    pub out: PathBuf,
    /// The folder that relative paths of its recipe start from.
    #[arg(long)]
    pub base: PathBuf,
}

/// Arguments of `thalweg recipes`.
#[derive(Debug, Args)]
pub struct Recipes {
    /// What to do with them; without it they are listed.
    #[command(subcommand)]
    pub command: Option<RecipesCommand>,
}

/// Subcommands of `thalweg recipes`.
#[derive(Debug, Subcommand)]
pub enum RecipesCommand {
    /// Print a recipe or a comparison as TOML, to be edited.
    Show {
        /// Its name.
        name: String,
        /// Write out every default.
        #[arg(long)]
        complete: bool,
    },
}

/// Arguments of `thalweg data`.
#[derive(Debug, Args)]
pub struct Data {
    /// What to do with it.
    #[command(subcommand)]
    pub command: DataCommand,
}

/// Subcommands of `thalweg data`.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Print what a .npy, .npz, .csv or .png file holds.
    Inspect {
        /// The file.
        path: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
