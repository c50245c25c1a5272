//! Changes to a recipe's equation of sampling from the command line.

use thalweg_flow::StepVariance;
use thalweg_solve::Solver;
use thalweg_train::{EvaluateConfig, SamplerConfig};

use crate::args::{SamplerArguments, SolverArguments, VarianceName};
use crate::failure::Failure;
use crate::solver;

/// The recipe's equation and solver with what was asked for on the command line.
///
/// A method or a tolerance asks for the flow; a number of steps alone is one of whatever equation the recipe has.
pub fn changed(
    settings: &EvaluateConfig,
    sampler: &SamplerArguments,
    solver: &SolverArguments,
) -> Result<(SamplerConfig, Solver), Failure> {
    if solver.steps == Some(0) {
        return Err(Failure::request(solver::NO_STEPS));
    }
    let names_solver = solver.solver.is_some() || solver.rtol.is_some() || solver.atol.is_some();
    let name = match (sampler.stochastic, sampler.ancestral) {
        (Some(_), _) => Some("--stochastic"),
        (None, Some(_)) => Some("--ancestral"),
        (None, None) => None,
    };
    if let (Some(name), true) = (name, names_solver) {
        return Err(Failure::request(format!("{name} has a solver of its own: only --steps goes with it")));
    }
    let of_recipe = if names_solver { SamplerConfig::default() } else { settings.sampler.clone() };
    let steps = |of_recipe: Option<usize>| {
        solver.steps.or(of_recipe).ok_or_else(|| {
            let name = name.unwrap_or_default();
            Failure::request(format!("{name} takes fixed steps: say how many with --steps, some hundreds"))
        })
    };
    let found = match (sampler.stochastic, sampler.ancestral, of_recipe) {
        (Some(strength), _, SamplerConfig::Stochastic { steps: own, .. }) => {
            SamplerConfig::Stochastic { strength, steps: steps(Some(own))? }
        }
        (Some(strength), ..) => SamplerConfig::Stochastic { strength, steps: steps(None)? },
        (None, asked, SamplerConfig::Ancestral { freshness, steps: own, variance, clip }) => {
            let freshness = asked.unwrap_or(freshness);
            SamplerConfig::Ancestral { freshness, steps: steps(Some(own))?, variance, clip }
        }
        (None, Some(freshness), _) => {
            let variance = StepVariance::default();
            SamplerConfig::Ancestral { freshness, steps: steps(None)?, variance, clip: None }
        }
        (None, None, SamplerConfig::Stochastic { strength, steps: own }) => {
            SamplerConfig::Stochastic { strength, steps: steps(Some(own))? }
        }
        (None, None, SamplerConfig::Blocks { .. }) if solver.steps.is_some() => SamplerConfig::Flow {},
        (None, None, ordinary) => ordinary,
    };
    let found = of_steps(found, sampler)?;
    let solver =
        if found.is_flow() { solver::changed(&settings.solver, solver)? } else { settings.solver.clone() };
    Ok((found, solver))
}

/// With what only the steps of a diffusion model have.
fn of_steps(found: SamplerConfig, arguments: &SamplerArguments) -> Result<SamplerConfig, Failure> {
    let flag = match (arguments.clip, arguments.variance) {
        (None, None) => return Ok(found),
        (Some(_), _) => "--clip",
        (None, Some(_)) => "--variance",
    };
    let SamplerConfig::Ancestral { freshness, steps, variance, clip } = found else {
        let message = format!("{flag} is for the steps of a diffusion model: ask for them with --ancestral");
        return Err(Failure::request(message));
    };
    let variance = match arguments.variance {
        None => variance,
        Some(VarianceName::Small) => StepVariance::Small,
        Some(VarianceName::Large) => StepVariance::Large,
    };
    Ok(SamplerConfig::Ancestral { freshness, steps, variance, clip: arguments.clip.or(clip) })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use thalweg_solve::Steps;

    use super::*;
    use crate::args::{Arguments, Command};

    /// What the flags make of a recipe with this sampler.
    fn asked(sampler: SamplerConfig, flags: &str) -> Result<(SamplerConfig, Solver), Failure> {
        let words = "thalweg evaluate run".split(' ').chain(flags.split_whitespace());
        let Command::Evaluate(found) = Arguments::try_parse_from(words).unwrap().command else {
            unreachable!()
        };
        let settings = EvaluateConfig { sampler, ..EvaluateConfig::default() };
        changed(&settings, &found.sampler, &found.solver)
    }

    #[test]
    fn flags_change_what_they_name_and_keep_the_rest() {
        let ancestral =
            |freshness, steps, variance, clip| SamplerConfig::Ancestral { freshness, steps, variance, clip };
        let stochastic = |strength, steps| SamplerConfig::Stochastic { strength, steps };
        let (small, large) = (StepVariance::Small, StepVariance::Large);
        let own = ancestral(0.5, 40, large, Some(3.0));
        let check = |of_recipe: &SamplerConfig, flags: &str, expected: SamplerConfig| {
            let (sampler, solver) = asked(of_recipe.clone(), flags).ok().unwrap();
            assert_eq!(sampler, expected, "{flags}");
            // The steps of other equations are not those of paths.
            assert!(sampler.is_flow() || solver == Solver::default(), "{flags}: {solver:?}");
        };
        check(&own, "", own.clone());
        check(&own, "--steps 7", ancestral(0.5, 7, large, Some(3.0)));
        check(&own, "--ancestral 0", ancestral(0.0, 40, large, Some(3.0)));
        check(&own, "--clip 2 --variance small", ancestral(0.5, 40, small, Some(2.0)));
        check(&own, "--stochastic 1 --steps 9", stochastic(1.0, 9));
        check(&own, "--solver euler --steps 9", SamplerConfig::Flow {});
        check(&own, "--rtol 1e-4", SamplerConfig::Flow {});
        check(&stochastic(0.3, 60), "--steps 9", stochastic(0.3, 9));
        check(&stochastic(0.3, 60), "--stochastic 2", stochastic(2.0, 60));
        check(&SamplerConfig::Flow {}, "--ancestral 1 --steps 9", ancestral(1.0, 9, small, None));
        check(&SamplerConfig::Flow {}, "--steps 9", SamplerConfig::Flow {});
        let blocks = SamplerConfig::Blocks { solvers: vec![Solver::default()] };
        check(&blocks, "", blocks.clone());
        check(&blocks, "--steps 9", SamplerConfig::Flow {});
        assert_eq!(asked(SamplerConfig::Flow {}, "--steps 9").ok().unwrap().1.steps, Steps::Fixed(9));
        for flags in ["--stochastic 1", "--stochastic 1 --rtol 1e-3", "--steps 0", "--solver euler --clip 2"]
        {
            assert!(asked(own.clone(), flags).is_err(), "{flags}");
        }
    }
}
