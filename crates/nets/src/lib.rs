//! Networks that are velocity fields, with forward-mode tangents.
//!
//! A [`MlpConfig`] describes a network, [`MlpConfig::init`] draws one, and [`Mlp::given`] fixes its condition, which
//! makes it a [`VelocityField`](thalweg_solve::VelocityField) and a [`Tangent`](thalweg_solve::Tangent): solvers,
//! likelihoods and losses ask for nothing else. [`Guided`] mixes two fields by classifier-free guidance. A [`HeadConfig`]
//! describes a second stage, [`Residual`], whose structure can be certified.
//!
//! The crate knows layers, but no training, no files and no flow paths.
//!
//! ```
//! use thalweg_nets::{Condition, ConditionSpec, MlpConfig};
//! use thalweg_noise::Noise;
//! use thalweg_solve::{Placement, Tangent, VelocityField};
//!
//! let placement = Placement::cpu();
//! let mut noise = Noise::new(1);
//! let mlp = MlpConfig::default().init(2, ConditionSpec::Labels { classes: 3 }, &mut noise, &placement);
//! let field = mlp.given(&Condition::labels(&[0, 2]));
//! let (t, x) = (placement.full(0.5, [2]), placement.normal(&mut noise, [2, 2]));
//! let (velocity, divergence) = field.velocity_and_divergence(t, x);
//! assert_eq!((velocity.dims(), divergence.dims()), ([2, 2], [2]));
//! ```

mod cast;
mod condition;
mod config;
mod divergence;
mod error;
mod given;
mod guided;
mod linear;
mod mlp;
mod point;
mod residual;
mod steepness;
mod time;
mod waves;

pub use condition::{Condition, ConditionSpec};
pub use config::MlpConfig;
pub use error::NetError;
pub use given::Given;
pub use guided::Guided;
pub use mlp::Mlp;
pub use point::PointEmbedding;
pub use residual::{
    Anchoring, Dominance, DominanceOf, HeadConfig, MetricConfig, OffsetConfig, Proof, Residual,
    ResidualField, Structure, StructureTerm, TermsConfig,
};
pub use thalweg_kernels::Activation;
pub use time::TimeEmbedding;
