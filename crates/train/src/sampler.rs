//! By which equation samples are drawn: the ordinary one of the flow, the stochastic one, or a diffusion model's steps.

use serde::{Deserialize, Serialize};
use thalweg_flow::{AncestralSampler, CouplingConfig, StepVariance, StochasticSampler};
use thalweg_run::Invalid;
use thalweg_solve::{Solver, Steps};

use crate::evaluate::words;
use crate::objective::ObjectiveConfig;
use crate::recipe::Recipe;
use crate::trained::Equation;

/// How an evaluation, and `thalweg sample`, draws samples: `evaluate.sampler`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SamplerConfig {
    /// The ordinary equation, by `evaluate.solver`.
    Flow {},
    /// The same of a local chain, with a solver for each block.
    Blocks {
        /// The solvers, from the data.
        solvers: Vec<Solver>,
    },
    /// The stochastic equation with the same marginals, by Euler and Maruyama's method.
    Stochastic {
        /// Strength `η` of its noise; default 1.
        #[serde(default = "one")]
        strength: f64,
        /// Its steps; default 200.
        #[serde(default = "steps")]
        steps: usize,
    },
    /// The steps of a diffusion model.
    Ancestral {
        /// The share of noise that is fresh: 0 is DDIM, 1 is DDPM; default 1.
        #[serde(default = "one")]
        freshness: f64,
        /// How many; default 200.
        #[serde(default = "steps")]
        steps: usize,
        /// How much fresh noise there is; default small.
        #[serde(default)]
        variance: StepVariance,
        /// The largest coordinate of predicted data, in model units; left out, there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clip: Option<f64>,
    },
}

fn one() -> f64 {
    1.0
}
fn steps() -> usize {
    200
}

impl Default for SamplerConfig {
    /// The flow.
    fn default() -> Self {
        Self::Flow {}
    }
}

impl SamplerConfig {
    /// Whether samples are drawn by the ordinary equation with one solver.
    #[must_use]
    pub fn is_flow(&self) -> bool {
        matches!(self, Self::Flow {})
    }

    /// Whether samples are the ends of the flow's own paths.
    #[must_use]
    pub fn is_ordinary(&self) -> bool {
        matches!(self, Self::Flow {} | Self::Blocks { .. })
    }

    /// The same equation by another number of steps; that of the flow has a solver of its own.
    #[must_use]
    pub fn with_steps(&self, number: usize) -> Self {
        match *self {
            Self::Flow {} | Self::Blocks { .. } => Self::Flow {},
            Self::Stochastic { strength, .. } => Self::Stochastic { strength, steps: number },
            Self::Ancestral { freshness, variance, clip, .. } => {
                Self::Ancestral { freshness, steps: number, variance, clip }
            }
        }
    }

    /// The equation, with this solver where it is the ordinary one.
    #[must_use]
    pub fn equation(&self, solver: &Solver) -> Equation {
        match *self {
            Self::Flow {} => Equation::Flow(solver.clone()),
            Self::Blocks { ref solvers } => Equation::Blocks(solvers.clone()),
            Self::Stochastic { strength, steps } => Equation::Stochastic { strength, steps },
            Self::Ancestral { freshness, steps, variance, clip } => {
                Equation::Ancestral { freshness, steps, variance, clip }
            }
        }
    }

    /// Checks that samples of this recipe's flow can be drawn so: the network must know the score.
    ///
    /// # Errors
    /// Why they cannot.
    pub fn validate(&self, recipe: &Recipe) -> Result<(), Invalid> {
        let refuse = |message: String| Err(Invalid::new("evaluate.sampler", message));
        if self.is_flow() {
            return Ok(());
        }
        if let Self::Blocks { solvers } = self {
            return of_blocks(solvers, recipe).or_else(&refuse);
        }
        if recipe.is_chain() {
            let message = "a chain of networks gives no score at every time: take { kind = \"flow\" }";
            return refuse(message.to_string());
        }
        let Some(schedule) = recipe.schedule() else {
            return refuse(format!(
                "needs the score, which a velocity gives on one-sided paths from a Gaussian source, not on the {} \
                 path: take {{ kind = \"flow\" }}",
                recipe.flow.path.name()
            ));
        };
        if recipe.flow.coupling != (CouplingConfig::Independent {}) {
            return refuse(format!(
                "needs the score, which a velocity gives where source and data are paired at random, not by the {} \
                 coupling: take {{ kind = \"flow\" }}",
                recipe.flow.coupling.name()
            ));
        }
        if recipe.flow.objective != ObjectiveConfig::FlowMatching {
            let message = "needs the score, which the velocity of flow matching gives, not that of another \
                           objective: take { kind = \"flow\" }";
            return refuse(message.to_string());
        }
        if recipe.residual.is_some() {
            let message = "the second stage has learned from ends of the flow: take { kind = \"flow\" }";
            return refuse(message.to_string());
        }
        let checked = match *self {
            Self::Flow {} | Self::Blocks { .. } => Ok(()),
            Self::Stochastic { strength, steps } => {
                StochasticSampler { schedule, strength, steps }.validate()
            }
            Self::Ancestral { freshness, steps, variance, clip } => {
                AncestralSampler { schedule, freshness, steps, variance, clip }.validate()
            }
        };
        checked.or_else(|error| refuse(error.to_string()))
    }

    /// In a few words, such as `DDPM, 100 steps`.
    pub(crate) fn words(&self, solver: &Solver) -> String {
        match *self {
            Self::Flow {} => words(solver),
            Self::Blocks { ref solvers } => {
                let each: Vec<String> = solvers.iter().map(words).collect();
                format!("from the data: {}", each.join("; "))
            }
            Self::Stochastic { strength, steps } => {
                format!("the stochastic equation of strength {strength}, {steps} equal steps")
            }
            Self::Ancestral { freshness, steps, variance, clip } => {
                let name = match freshness {
                    0.0 => "DDIM".to_string(),
                    1.0 => "DDPM".to_string(),
                    _ => format!("ancestral steps with a share {freshness} of fresh noise"),
                };
                let large = if variance == StepVariance::Large { " of large variance" } else { "" };
                let clip =
                    clip.map_or_else(String::new, |clip| format!(", data clipped to [-{clip}, {clip}]"));
                format!("{name}, {steps} steps{large}{clip}")
            }
        }
    }

    /// The flags of the command line; none for the ordinary equation.
    pub(crate) fn flags(&self) -> String {
        match *self {
            Self::Flow {} | Self::Blocks { .. } => String::new(),
            Self::Stochastic { strength, steps } => format!(" --stochastic {strength} --steps {steps}"),
            Self::Ancestral { freshness, steps, variance, clip } => {
                let variance = match variance {
                    StepVariance::Small => "small",
                    StepVariance::Large => "large",
                };
                let clip = clip.map_or_else(String::new, |clip| format!(" --clip {clip}"));
                format!(" --ancestral {freshness} --steps {steps} --variance {variance}{clip}")
            }
        }
    }
}

/// Why a chain cannot be sampled by these solvers.
fn of_blocks(solvers: &[Solver], recipe: &Recipe) -> Result<(), String> {
    let Some(local) = &recipe.local else {
        return Err("a solver for each block is for local chains: take { kind = \"flow\" }".to_string());
    };
    if solvers.len() != local.blocks {
        return Err(format!(
            "there are {} solvers for {} blocks: give one for each",
            solvers.len(),
            local.blocks
        ));
    }
    for solver in solvers {
        solver.validate().map_err(|error| error.to_string())?;
        if let Steps::Grid(nodes) = &solver.steps
            && nodes.first().zip(nodes.last()) != Some((&0.0, &1.0))
        {
            return Err("a grid must run from 0 to 1, the ends of a block".to_string());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_in_words_and_flags() {
        let check = |sampler: SamplerConfig, words: &str, flags: &str| {
            assert_eq!(sampler.words(&Solver::default()), words);
            assert_eq!(sampler.flags(), flags);
        };
        let solver = words(&Solver::default());
        check(SamplerConfig::default(), &solver, "");
        let stochastic = SamplerConfig::Stochastic { strength: 0.5, steps: 30 };
        check(
            stochastic,
            "the stochastic equation of strength 0.5, 30 equal steps",
            " --stochastic 0.5 --steps 30",
        );
        let ancestral =
            |freshness, variance, clip| SamplerConfig::Ancestral { freshness, steps: 9, variance, clip };
        check(
            ancestral(0.0, StepVariance::Small, None),
            "DDIM, 9 steps",
            " --ancestral 0 --steps 9 --variance small",
        );
        check(
            ancestral(1.0, StepVariance::Large, Some(3.5)),
            "DDPM, 9 steps of large variance, data clipped to [-3.5, 3.5]",
            " --ancestral 1 --steps 9 --variance large --clip 3.5",
        );
        let words = ancestral(0.2, StepVariance::Small, None).words(&Solver::default());
        assert_eq!(words, "ancestral steps with a share 0.2 of fresh noise, 9 steps");
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let read = serde_json::from_str::<SamplerConfig>;
        let found = read(r#"{"kind": "ancestral"}"#).unwrap();
        let small = StepVariance::Small;
        assert_eq!(
            found,
            SamplerConfig::Ancestral { freshness: 1.0, steps: 200, variance: small, clip: None }
        );
        assert_eq!(
            read(r#"{"kind": "stochastic"}"#).unwrap(),
            SamplerConfig::Stochastic { strength: 1.0, steps: 200 }
        );
        assert!(read(r#"{"kind": "flow", "steps": 3}"#).is_err());
        assert!(read(r#"{"kind": "ancestral", "variance": "medium"}"#).is_err());
    }
}
