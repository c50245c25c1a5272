//! The sets, and the recipes of the methods on them.

use thalweg_nets::{ConditionSpec, MlpConfig, PointEmbedding};

use crate::Arguments;

/// A set with the chain of the Local Flow Matching paper, or of the paper's set that is most like it.
pub struct Set {
    pub name: &'static str,
    pub data: &'static str,
    pub dim: usize,
    /// Blocks, time of the first and quotient of times.
    pub chain: (usize, f64, f64),
    /// What else the chain needs: pictures have so many details that many points must go from block to block.
    pub more: &'static str,
    /// Width and hidden layers of a block.
    pub block: (usize, usize),
    pub activation: &'static str,
    /// Where along the path training looks.
    pub times: &'static str,
    pub batch: usize,
    /// The largest learning rate.
    pub rate: f64,
}

pub const METHODS: [&str; 5] = ["gaussian", "fm", "interflow", "local", "local-trigonometric"];

const fn picture(name: &'static str, data: &'static str) -> Set {
    Set {
        name,
        data,
        dim: 2,
        chain: (9, 0.025, 1.25),
        more: ", points = 300000, solver = { method = 'rk4', steps = { fixed = 4 } }",
        block: (256, 3),
        activation: "{ softplus = { beta = 20 } }",
        // The details of a picture are learned near the data.
        times: "{ kind = 'beta', a = 1, b = 0.5 }",
        batch: 500,
        rate: 0.002,
    }
}

/// A table of the UCI collection.
const fn table(name: &'static str, data: &'static str, dim: usize, width: usize, batch: usize) -> Set {
    Set {
        name,
        data,
        dim,
        chain: (4, 0.15, 1.3),
        more: "",
        block: (width, 4),
        activation: "'silu'",
        times: "{ kind = 'stratified' }",
        batch,
        rate: 0.001,
    }
}

pub const SETS: [Set; 5] = [
    picture(
        "tree",
        "target = { kind = 'image', path = 'toy2d/img_tree.png', texture = 'smooth', aspect = 'stretch' }",
    ),
    picture(
        "rose",
        "target = { kind = 'image', path = 'toy2d/img_rose.png', texture = 'smooth', aspect = 'stretch' }",
    ),
    table(
        "kin8nm",
        "target = { kind = 'file', path = 'kin8nm.npz', member = 'x' }
         split = { kind = 'members', test = 'test_SEED', validation = 'validation_SEED' }",
        9,
        128,
        512,
    ),
    table(
        "protein",
        "target = { kind = 'file', path = 'protein.npz', member = 'x' }
         split = { kind = 'members', test = 'test_SEED', validation = 'validation_SEED' }",
        10,
        256,
        1024,
    ),
    Set {
        name: "patches",
        data: "target = { kind = 'file', path = 'patches.npz', member = 'x' }
               split = { kind = 'members', test = 'test', validation = 'validation' }",
        dim: 63,
        chain: (4, 0.25, 1.0),
        more: "",
        block: (512, 4),
        activation: "'elu'",
        times: "{ kind = 'stratified' }",
        batch: 500,
        rate: 0.001,
    },
];

/// The width at which one network has as many parameters as all blocks.
fn width_of_all(set: &Set, features: usize) -> usize {
    let (width, hidden_layers) = set.block;
    let point = match features {
        0 => PointEmbedding::Coordinates,
        features => PointEmbedding::Fourier { features, scale: 1.0 },
    };
    let of_width = |width| {
        MlpConfig { width, hidden_layers, point, ..MlpConfig::default() }
            .parameters(set.dim, ConditionSpec::None)
    };
    let wanted = set.chain.0 as f64 * of_width(width);
    let above = (width..).find(|width| of_width(*width) > wanted).unwrap_or(width);
    above - 1
}

/// The recipe of a method on a set.
pub fn recipe(
    set: &Set,
    method: &str,
    (seed, batches): (u64, u64),
    arguments: &Arguments,
) -> Result<String, String> {
    let (blocks, first, growth) = set.chain;
    let chain = |interpolant: &str| {
        format!(
            "local = {{ blocks = {blocks}, first = {first}, growth = {growth}, interpolant = '{interpolant}'{} }}",
            set.more
        )
    };
    let all = width_of_all(set, arguments.point_features);
    let point = match arguments.point_features {
        0 => String::new(),
        features => format!(", point = {{ fourier = {{ features = {features} }} }}"),
    };
    let (width, steps, method) = match method {
        "local" => (set.block.0, batches * blocks as u64, chain("linear")),
        "local-trigonometric" => (set.block.0, batches * blocks as u64, chain("trigonometric")),
        "fm" => (all, batches, "flow.path = { kind = 'linear' }".to_string()),
        "interflow" => (all, batches, "flow.path = { kind = 'trigonometric' }".to_string()),
        other => return Err(format!("there is no method {other}")),
    };
    let data = set.data.replace("SEED", &seed.to_string());
    let Set { block: (_, layers), activation, times, batch, rate, .. } = set;
    Ok(format!(
        "name = 'density'
        seed = {seed}
        model = {{ width = {width}, hidden_layers = {layers}, activation = {activation}{point} }}
        {method}
        flow.time = {times}
        [data]
        standardise = true
        {data}
        [train]
        steps = {steps}
        batch = {batch}
        learning_rate = {{ kind = 'warm-up-cosine', rate = {rate}, warm_up = 0.03 }}
        average = {{ decay = 0.999 }}
        clip = 1.0
        checkpoint_every = 2000
        validate_every = 2000
        [evaluate]
        metrics = ['sliced-w2']
        samples = 2000
        likelihood_points = 0
        replicates = 0
        report = false"
    ))
}
