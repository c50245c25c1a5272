//! The program `thalweg`: trains, samples, evaluates and measures generative flows.
//!
//! Thin: every command parses, calls the library, and prints. Exit code 0 is done, 1 the work failed, 2 the request was
//! wrong.

mod args;
mod bound;
mod certify;
mod compare;
mod data;
mod evaluate;
mod failure;
mod interrupt;
mod likelihood;
mod print;
mod progress;
mod recipes;
mod sample;
mod sampler;
mod scores;
mod solver;
mod train;

use std::num::NonZero;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Arguments, Command};
use failure::Failure;
use thalweg_kernels::{keep_freed_memory, on_the_pool};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&error),
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(arguments.json);
            failure.exit_code().into()
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    keep_freed_memory();
    start_threads(arguments.threads)?;
    on_the_pool(|| command(arguments))
}

fn command(arguments: &Arguments) -> Result<(), Failure> {
    let json = arguments.json;
    match &arguments.command {
        Command::Train(train) => train::run(train, json),
        Command::Sample(sample) => sample::run(sample, json),
        Command::Evaluate(evaluate) => evaluate::run(evaluate, json),
        Command::Likelihood(likelihood) => likelihood::run(likelihood, json),
        Command::Bound(bound) => bound::run(bound, json),
        Command::Certify(arguments) => certify::run(arguments, json),
        Command::Compare(compare) => compare::run(compare, arguments.threads, json),
        Command::Cell(cell) => compare::cell::run(cell),
        Command::Recipes(recipes) => recipes::run(recipes, json),
        Command::Data(data) => data::run(data, json),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "thalweg", &mut script);
            print::print_line(String::from_utf8_lossy(&script).trim_end())
        }
    }
}

/// Answers what is no command line, or asks for help: in the words of clap, and where `--json` was typed also as JSON.
fn refuse(error: &clap::Error) -> ExitCode {
    let typed_json = std::env::args_os().take_while(|argument| argument != "--").any(|a| a == "--json");
    if error.use_stderr() && typed_json {
        let text = error.to_string();
        let failure = Failure::request(text.strip_prefix("error: ").unwrap_or(&text).trim_end());
        failure.report(true);
        return failure.exit_code().into();
    }
    // A reader that went away is no reason to complain.
    let _ = error.print();
    u8::try_from(error.exit_code()).unwrap_or(2).into()
}

/// More threads than this for each core do not help, and starting them can take forever.
const MOST_THREADS_FOR_A_CORE: usize = 4;

/// The work is done on these threads, so they have the stack of a main thread.
const STACK: usize = 8 << 20;

/// As many threads as asked for, or as there are cores.
fn start_threads(wanted: Option<usize>) -> Result<(), Failure> {
    if wanted == Some(0) {
        return Err(Failure::request("--threads must be at least 1"));
    }
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let most = MOST_THREADS_FOR_A_CORE * cores;
    if let Some(threads) = wanted.filter(|threads| *threads > most) {
        let message =
            format!("--threads {threads} is too many for the {cores} cores here: take at most {most}");
        return Err(Failure::request(message));
    }
    // Zero is the library's word for what the environment says, or else the cores.
    rayon::ThreadPoolBuilder::new()
        .num_threads(wanted.unwrap_or(0))
        .stack_size(STACK)
        .build_global()
        .map_err(|error| Failure::work(format!("cannot start threads: {error}")))
}
