//! Flow matching: train, sample, evaluate and measure generative flows.
//!
//! A flow carries noise to data along a differential equation whose right-hand side is a network. This library is what
//! the program `thalweg` is made of. Each module below names the public items of one crate; they stand from the most
//! to the least of what they know: [`train`] uses all others, [`noise`] and [`files`] none.
//!
//! # From a recipe to samples
//!
//! A recipe is the text that determines a run. This one is tiny, so that it trains in a moment:
//!
//! ```
//! use std::ops::ControlFlow;
//! use std::path::Path;
//! use thalweg::run::Document;
//! use thalweg::solve::{Method, Solver};
//! use thalweg::train::{
//!     ConditionRequest, Equation, Recipe, SampleRequest, Session,
//! };
//!
//! let text = r#"
//!     name = "tiny"
//!     [data.target]
//!     kind = "two-moons"
//!     [model]
//!     width = 32
//!     [train]
//!     steps = 100
//!     learning_rate = { kind = "constant", rate = 0.01 }
//!     average = { decay = 0.9 }
//! "#;
//! let recipe = Recipe::read(&Document::new(text, "tiny.toml", &[])?)?;
//! let folder = tempfile::tempdir()?;
//! let mut session = Session::begin(recipe, Path::new("."), &folder.path().join("tiny"))?;
//! let mut sinks = session.sinks()?;
//! session.train(&mut sinks, |_| ControlFlow::Continue(()))?;
//!
//! let flow = session.flow();
//! let samples = flow.sample(&SampleRequest {
//!     number: 500,
//!     seed: 1,
//!     condition: ConditionRequest::AsInData,
//!     guidance: 1.0,
//!     equation: Equation::Flow(Solver::fixed(Method::Midpoint, 8)),
//! })?;
//! // The moons have their middle near (1/2, 1/4) before they are tripled and shifted by -1.
//! let mean_x = samples.points.iter().step_by(2).sum::<f64>() / 500.0;
//! assert!((0.0..2.0).contains(&mean_x), "{mean_x}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A field of your own
//!
//! [`solve`] and [`flow`] need neither a recipe nor a network. Any closure is a velocity field; here the exact field of a
//! Gaussian carries noise to data, and back again:
//!
//! ```
//! use thalweg::flow::{GaussianFlow, PathConfig, Schedule, sample};
//! use thalweg::noise::Noise;
//! use thalweg::solve::{Method, Placement, Save, Solver, solve_field, to_host};
//!
//! let schedule = Schedule::Cosine {};
//! let placement = Placement::cpu_double();
//! let field = GaussianFlow::new(schedule, &[2.0, -1.0], &[1.0, 0.6, 0.6, 1.0], &placement)?;
//! let interval = PathConfig::OneSided { schedule }.interval();
//! let solver = Solver::adaptive(Method::Dopri5, 1e-9);
//! let x0 = placement.normal(&mut Noise::new(1), [1000, 2]);
//!
//! let samples = sample(&field, x0.clone(), &solver, interval)?;
//! let points = to_host(&samples.state);
//! let mean_x = points.iter().step_by(2).sum::<f64>() / 1000.0;
//! assert!((mean_x - 2.0).abs() < 4.0 / 1000_f64.sqrt());
//!
//! let back = solve_field(&solver, interval.span().reversed(), samples.state, &Save::End, &field)?;
//! let error = to_host(&(back.state - x0).abs().max())[0];
//! assert!(error < 1e-6, "{error}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Conventions
//!
//! Time runs from noise or source, `t = 0`, to data, `t = 1`. Shapes stand in backticks: `[batch, ..]` is a batch of points
//! of any shape. Numbers on the host are `f64`; tensors are those of [`burn`], at the version that is named here, in single
//! precision unless yours are double. All randomness comes from [`noise::Noise`].

pub use burn;

/// From a recipe to a run, and from a run to samples, likelihoods, scores and a report.
pub mod train {
    pub use thalweg_train::{
        AverageConfig, Baseline, Best, BlockScores, BoundReport, BoundRequest, Budget, COMPARISONS, CellId,
        CellPlan, CellRecord, CellResult, CellScores, CertifyFiles, CertifyReport, CertifyRequest,
        CheckedData, Comparison, ComparisonPlan, ComparisonRecipe, ComparisonSummary, ConditionRequest,
        CurveConfig, CurveEstimate, CurvePoint, DataSummary, DistillationConfig, EmbeddedRecipe, Ending,
        Equation, Estimate, EvaluateConfig, EvaluateOptions, Evaluation, FailedCell, FirstStage, FlowConfig,
        FlowField, FromConfig, GuardConfig, LearningRate, LikelihoodConfig, LocalConfig, LogDensities, Look,
        Mark, Measured, MeasuredCurve, MethodConfig, MethodSummary, ObjectiveConfig, OptimizerConfig,
        OptimizerKind, Pace, PairsConfig, Penalties, Progress, Protocol, RECIPES, ReadRecipe, Reading,
        Recipe, ReconstructionConfig, ReflowConfig, ResidualConfig, SampleRequest, SamplerConfig, Samples,
        Scaling, ScoreFile, Session, SetConfig, SetSummary, Spread, StageConfig, StageMean, StagePlan,
        StageRecord, Stages, TapeMemory, TrainConfig, TrainError, TrainState, TrainedFlow, Trajectories,
        Trial, Truth, TruthChoice, Watch, Weights, animation, evaluate, find_comparison, find_recipe,
        read_recipe, write_report, write_scores,
    };
}

/// The run folder, the contract between commands: recipes, checkpoints, events and scores.
pub mod run {
    pub use thalweg_run::{
        COMPARISON_FILE, Checkpoint, CheckpointState, Document, Event, EventLog, FORMAT_VERSION, HostTensor,
        Invalid, Latest, Override, Place, RecipeError, Record, RunDir, RunError, RunLock, Score, Sink,
        SinkFailure, Sinks, Skipped, TIME_CONVENTION, TensorBoard, Tensors, Values, nearest, non_finite,
        parse, read_events, to_toml,
    };
}

/// The method: probability paths, couplings, time samplers, likelihood, flows in closed form.
pub mod flow {
    pub use thalweg_flow::{
        AncestralSampler, AncestralStep, BatchBias, BatchCost, ChangedSchedule, Coefficients, ConditionRule,
        Conditions, Conversion, CouplingConfig, Covariance, Divergence, ExactInference, FiniteDataFlow,
        FixedSteps, FlowError, GaussianFlow, InferenceErrors, Interval, Likelihood, LikelihoodLoss,
        LikelihoodProbes, LocalBlock, LocalInterpolant, LocalSchedule, LogLikelihood, LogitTransform,
        MaximumLikelihood, MixtureComponent, MixtureFlow, Pairing, PathConfig, PathSample, PenaltyScale,
        PixelScale, Preconditioned, Preconditioning, PredictedVelocity, Prediction, ProbeLaw, Probes,
        Reconstructed, Reconstruction, Regularisation, Repeats, Schedule, Source, StepVariance,
        StochasticSampler, TimeSampler, assignment_distance, ddim_step, debiased_distance,
        gaussian_log_density, inference_errors, log_mean_exp, ornstein_uhlenbeck, plan_entropy, sample,
        steepness,
    };
}

/// Fused operations for the CPU.
pub mod kernels {
    pub use thalweg_kernels::{
        Activation, AdamUpdate, Architecture, ConvOptions, GroupNormOptions, MovingFeatures, Perceptron,
        Real, attention, channel_attention, conv_transpose1d, conv1d, conv2d, follow, group_norm,
        keep_freed_memory, on_the_pool, sum_of_squares,
    };
}

/// Proofs of stability and contraction for fields with a known structure.
pub mod certify {
    pub use thalweg_certify::{
        Bounds, CERTIFICATE_FORMAT, Certificate, Cheap, Claim, Claims, Contraction, ContractionClaim, Effort,
        Field, Finding, Form, Function, Input, InputRange, Limits, Method, NoRegion, Origin, Refusal, Region,
        RegionClaim, Solver, Source, Stability, StabilityClaim, StabilityVerdict, StepsClaim, Subject,
        System, Term, TermRecord, Verdict, WeightedMaximum, best_contraction, cheap, contraction, equilibria,
        extremes_of_metric, largest_region, lipschitz, region, stability, stability_of_contraction, verify,
        verify_region, verify_stability,
    };
}

/// Networks that are velocity fields, with forward-mode tangents.
pub mod nets {
    pub use thalweg_nets::{
        Activation, Anchoring, Condition, ConditionSpec, Dominance, DominanceOf, Given, Guided, HeadConfig,
        MetricConfig, Mlp, MlpConfig, NetError, OffsetConfig, PointEmbedding, Proof, Residual, ResidualField,
        Structure, StructureTerm, TermsConfig, TimeEmbedding,
    };
}

/// Differential equations on tensors: one loop for every method, and gradients through it.
pub mod solve {
    pub use thalweg_solve::{
        Augmented, BOSH3, Checkpoints, Control, DOPRI5, Differentiable, EULER, EulerMaruyama, Failure, HEUN,
        InvalidSolve, MIDPOINT, Method, Norms, Placement, RK4, Recorded, Save, Solution, SolveError, Solver,
        Span, State, Steps, TSIT5, Tableau, Tangent, Term, Times, Tolerance, VelocityField, Weight,
        divergence_by_tangents, integrate, integrate_any_rows, per_sample, record, solve_field, to_host,
    };
}

/// Arrays in files, synthetic sets, splits, standardisation, and batches as a function of seed and step.
pub mod data {
    pub use thalweg_data::{
        Angles, Archive, Array, ArraySummary, Aspect, Batch, Checkerboard, Column, Condition,
        ConditionConfig, ConditionKind, DEFAULT_HELD_OUT, DType, DataConfig, DataError, Dataset, Dequantise,
        EightGaussians, FileConfig, Gaussian, GaussianConfig, GaussianMixture, Hdf5, ImageConfig, Ink, Modes,
        Normaliser, Npz, Pinwheel, Place, RandomGaussianConfig, Rings, SetConfig, SourceConfig, Spirals,
        Split, SplitConfig, Summary, SwissRoll, Table, Texture, TwoMoons, inspect, parse_csv, parse_npy,
        read_csv, read_npy, write_csv, write_npy, write_npz,
    };
}

/// Distances and scores between point clouds, with floors and intervals.
pub mod metrics {
    pub use thalweg_metrics::{
        Interval, Kernel, MetricsError, Moments, Resampling, Score, ScoreOptions, Spread, TwoSample,
        block_standard_error, bootstrap, chi_squared_to_standard_normal, distance_on_scale, energy_distance,
        frechet_gaussian, frechet_of_moments, mean_and_covariance, mean_and_standard_error, mmd2_unbiased,
        mode_recall, normal_width, normalised_path_energy, path_energy, precision, score_with_floor,
        score_with_floors, sliced_wasserstein2, straightness, variance_ratio, wasserstein1, wasserstein2,
        wilson,
    };
}

/// Optimal transport between clouds of points: the network simplex, and Sinkhorn.
pub mod ot {
    pub use thalweg_ot::{
        Assignment, Certificate, Cost, EntropicPlan, OtError, PartialAssignment, Points, Shipment, Side,
        Sinkhorn, TransportPlan, assign, network_simplex, partial_assign,
    };
}

/// Figures, animations and the self-contained HTML report.
pub mod plot {
    pub use thalweg_plot::{
        Bounds, Cell, ColorMap, ErrorBars, Figure, HeatMap, Item, Layer, Line, Panels, PlotError, Reference,
        Report, Rgb, RgbImage, Scatter, ScatterAnimation, Section, Stroke, Table, Tick, Tone, Trajectories,
        VectorField, image_grid, linear_ticks, log_ticks, scatter_png, write_png,
    };
}

/// Random numbers that are a pure function of where they are drawn.
pub mod noise {
    pub use thalweg_noise::Noise;
}

/// Files that are complete or absent.
pub mod files {
    pub use thalweg_files::{Fingerprint, create_folder_atomically, stream_atomically, write_atomically};
}

/// The code of the README, tested with the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}
