//! The conditional U-Net over time of diffusion policy (Chi et al., 2023) in a small size.
//!
//! Channels 64, 128, 256, kernel 5, eight groups; 16 actions of two numbers, given 40 numbers of observation. Time and
//! observation scale and shift the channels of every block. As in networks for images, they do so before the activation,
//! which is SiLU; the peer is the same.

use burn::module::Module;
use burn::tensor::{Tensor, activation};
use thalweg_kernels::Activation;

use super::layers::{Conv1d, Double, Init, Linear, Norm, time_features};

/// Actions of a chunk.
pub const HORIZON: usize = 16;
/// Numbers of an action.
pub const ACTION: usize = 2;
/// Numbers of an observation.
pub const OBSERVATION: usize = 40;
const TIME: usize = 64;
const CHANNELS: [usize; 3] = [64, 128, 256];
const KERNEL: usize = 5;
const GROUPS: usize = 8;

/// The network; `forward` takes times, actions and observations to velocities.
#[derive(Module, Debug)]
pub struct ActionUnet {
    time: [Linear; 2],
    down: Vec<[Block; 2]>,
    halve: Vec<Conv1d>,
    middle: [Block; 2],
    up: Vec<[Block; 2]>,
    double: Vec<Double>,
    last_conv: Conv1d,
    last_norm: Norm,
    last: Conv1d,
}

impl ActionUnet {
    /// Draws the network.
    pub fn init(init: &mut Init) -> Self {
        let [low, .., high] = CHANNELS;
        let inputs = [ACTION, CHANNELS[0], CHANNELS[1]];
        let pair = |inputs: usize, outputs: usize, init: &mut Init| {
            [Block::init(inputs, outputs, init), Block::init(outputs, outputs, init)]
        };
        Self {
            time: [Linear::init(TIME, 4 * TIME, init), Linear::init(4 * TIME, TIME, init)],
            down: inputs
                .into_iter()
                .zip(CHANNELS)
                .map(|(inputs, outputs)| pair(inputs, outputs, init))
                .collect(),
            halve: CHANNELS[..2]
                .iter()
                .map(|&channels| Conv1d::init(channels, channels, [3, 2], init))
                .collect(),
            middle: pair(high, high, init),
            up: [1, 0].map(|level| pair(2 * CHANNELS[level + 1], CHANNELS[level], init)).into(),
            double: [1, 0].map(|level| Double::init(CHANNELS[level], init)).into(),
            last_conv: Conv1d::init(low, low, [KERNEL, 1], init),
            last_norm: Norm::init(low, GROUPS, Some(Activation::Silu), init),
            last: Conv1d::init(low, ACTION, [1, 1], init),
        }
    }

    /// Velocities `[batch, action, horizon]`, given observations `[batch, observation]`.
    pub fn forward(&self, times: &[f64], x: &Tensor<3>, observation: &Tensor<2>) -> Tensor<3> {
        let features = time_features(times, TIME, &super::placement_of(x));
        let [first, second] = &self.time;
        let time = second.forward(activation::silu(first.forward(features)));
        // Every block begins with this activation, so it is done once.
        let condition = activation::silu(Tensor::cat(vec![time, observation.clone()], 1));

        let both = |[first, second]: &[Block; 2], x: &Tensor<3>| {
            second.forward(&first.forward(x, &condition), &condition)
        };
        let mut h = x.clone();
        let mut kept = Vec::new();
        for (level, pair) in self.down.iter().enumerate() {
            h = both(pair, &h);
            kept.push(h.clone());
            if let Some(halve) = self.halve.get(level) {
                h = halve.forward(&h);
            }
        }
        h = both(&self.middle, &h);
        for ((pair, double), skipped) in self.up.iter().zip(&self.double).zip(kept.into_iter().rev()) {
            h = double.forward(&both(pair, &Tensor::cat(vec![h, skipped], 1)));
        }
        self.last.forward(&self.last_norm.forward(&self.last_conv.forward(&h), None))
    }
}

#[derive(Module, Debug)]
struct Block {
    convs: [Conv1d; 2],
    norms: [Norm; 2],
    film: Linear,
    skip: Option<Conv1d>,
}

impl Block {
    fn init(inputs: usize, outputs: usize, init: &mut Init) -> Self {
        Self {
            convs: [inputs, outputs].map(|channels| Conv1d::init(channels, outputs, [KERNEL, 1], init)),
            norms: [(); 2].map(|()| Norm::init(outputs, GROUPS, Some(Activation::Silu), init)),
            film: Linear::init(TIME + OBSERVATION, 2 * outputs, init),
            skip: (inputs != outputs).then(|| Conv1d::init(inputs, outputs, [1, 1], init)),
        }
    }

    fn forward(&self, x: &Tensor<3>, condition: &Tensor<2>) -> Tensor<3> {
        let film = self.film.forward(condition.clone());
        let [batch, twice] = film.dims();
        let scale = film.clone().slice([0..batch, 0..twice / 2]);
        let shift = film.slice([0..batch, twice / 2..twice]);
        let h = self.norms[0].forward(&self.convs[0].forward(x), Some([&scale, &shift]));
        let h = self.norms[1].forward(&self.convs[1].forward(&h), None);
        match &self.skip {
            Some(skip) => h + skip.forward(x),
            None => h + x.clone(),
        }
    }
}
