//! torchcfm's U-Net for images of 3 × 32 × 32: two residual blocks a level, attention where the side is 16, one head.

use burn::module::Module;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, activation, module};
use thalweg_kernels::{Activation, channel_attention};

use super::layers::{Conv1d, Conv2d, Init, Linear, Norm, time_features};

const COLOURS: usize = 3;
const SIDE: usize = 32;
const GROUPS: usize = 32;
const BLOCKS: usize = 2;
const MULTIPLES: [usize; 4] = [1, 2, 2, 2];
const ATTENTION_SIDE: usize = 16;

/// The network; `forward` takes times and images to velocities.
#[derive(Module, Debug)]
pub struct ImageUnet {
    time: [Linear; 2],
    first: Conv2d,
    down: Vec<Stage>,
    middle: [ResidualBlock; 2],
    middle_attention: AttentionBlock,
    up: Vec<Stage>,
    last_norm: Norm,
    last: Conv2d,
    #[module(skip)]
    channels: usize,
}

/// Sizes of the network, and what it has met so far.
struct Builder<'a> {
    channels: usize,
    init: &'a mut Init,
}

impl ImageUnet {
    /// Draws the network with so many channels at the first level.
    pub fn init(channels: usize, init: &mut Init) -> Self {
        let mut build = Builder { channels, init };
        let (mut now, mut side) = (channels, SIDE);
        let mut kept = vec![now];
        let mut down = Vec::new();
        for (level, multiple) in MULTIPLES.into_iter().enumerate() {
            for _ in 0..BLOCKS {
                down.push(build.stage(now, multiple * channels, side));
                now = multiple * channels;
                kept.push(now);
            }
            if level + 1 < MULTIPLES.len() {
                let resample = Some(Conv2d::init(now, now, [3, 2], build.init));
                down.push(Stage { block: None, attention: None, resample });
                kept.push(now);
                side /= 2;
            }
        }
        let middle = [build.block(now, now), build.block(now, now)];
        let middle_attention = build.attention(now);
        let mut up = Vec::new();
        for (level, multiple) in MULTIPLES.into_iter().enumerate().rev() {
            for index in 0..=BLOCKS {
                let skipped = kept.pop().unwrap_or(0);
                let mut stage = build.stage(now + skipped, multiple * channels, side);
                now = multiple * channels;
                if level > 0 && index == BLOCKS {
                    stage.resample = Some(Conv2d::init(now, now, [3, 1], build.init));
                    side *= 2;
                }
                up.push(stage);
            }
        }
        let init = build.init;
        let features = 4 * channels;
        Self {
            time: [Linear::init(channels, features, init), Linear::init(features, features, init)],
            first: Conv2d::init(COLOURS, channels, [3, 1], init),
            down,
            middle,
            middle_attention,
            up,
            last_norm: Norm::init(now, GROUPS, Some(Activation::Silu), init),
            last: Conv2d::init(now, COLOURS, [3, 1], init),
            channels,
        }
    }

    /// Velocities `[batch, 3, 32, 32]`.
    pub fn forward(&self, times: &[f64], x: &Tensor<4>) -> Tensor<4> {
        let features = time_features(times, self.channels, &super::placement_of(x));
        let [first, second] = &self.time;
        let embedding = second.forward(activation::silu(first.forward(features)));
        // Every block begins with this activation, so it is done once.
        let embedding = activation::silu(embedding);

        let mut h = self.first.forward(x);
        let mut kept = vec![h.clone()];
        for stage in &self.down {
            h = stage.forward(h, &embedding);
            if let Some(conv) = &stage.resample {
                h = conv.forward(&h);
            }
            kept.push(h.clone());
        }
        h = self.middle[0].forward(&h, &embedding);
        h = self.middle_attention.forward(h);
        h = self.middle[1].forward(&h, &embedding);
        for (stage, skipped) in self.up.iter().zip(kept.into_iter().rev()) {
            h = stage.forward(Tensor::cat(vec![h, skipped], 1), &embedding);
            if let Some(conv) = &stage.resample {
                h = conv.forward(&doubled(h));
            }
        }
        self.last.forward(&self.last_norm.forward(&h, None))
    }
}

impl Builder<'_> {
    fn stage(&mut self, inputs: usize, outputs: usize, side: usize) -> Stage {
        let block = Some(self.block(inputs, outputs));
        let attention = (side == ATTENTION_SIDE).then(|| self.attention(outputs));
        Stage { block, attention, resample: None }
    }

    fn block(&mut self, inputs: usize, outputs: usize) -> ResidualBlock {
        let (features, init) = (4 * self.channels, &mut *self.init);
        ResidualBlock {
            norms: [inputs, outputs]
                .map(|channels| Norm::init(channels, GROUPS, Some(Activation::Silu), init)),
            convs: [inputs, outputs].map(|channels| Conv2d::init(channels, outputs, [3, 1], init)),
            embed: Linear::init(features, outputs, init),
            skip: (inputs != outputs).then(|| Conv2d::init(inputs, outputs, [1, 1], init)),
        }
    }

    fn attention(&mut self, channels: usize) -> AttentionBlock {
        AttentionBlock {
            norm: Norm::init(channels, GROUPS, None, self.init),
            ask: Conv1d::init(channels, 3 * channels, [1, 1], self.init),
            out: Conv1d::init(channels, channels, [1, 1], self.init),
        }
    }
}

/// A step down or up. The convolution that changes the size comes last.
#[derive(Module, Debug)]
struct Stage {
    block: Option<ResidualBlock>,
    attention: Option<AttentionBlock>,
    resample: Option<Conv2d>,
}

impl Stage {
    fn forward(&self, mut h: Tensor<4>, embedding: &Tensor<2>) -> Tensor<4> {
        if let Some(block) = &self.block {
            h = block.forward(&h, embedding);
        }
        match &self.attention {
            Some(attention) => attention.forward(h),
            None => h,
        }
    }
}

#[derive(Module, Debug)]
struct ResidualBlock {
    norms: [Norm; 2],
    convs: [Conv2d; 2],
    embed: Linear,
    skip: Option<Conv2d>,
}

impl ResidualBlock {
    fn forward(&self, x: &Tensor<4>, embedding: &Tensor<2>) -> Tensor<4> {
        let h = self.convs[0].forward(&self.norms[0].forward(x, None));
        let h = h + self.embed.forward(embedding.clone()).unsqueeze_dims(&[2, 3]);
        let h = self.convs[1].forward(&self.norms[1].forward(&h, None));
        match &self.skip {
            Some(skip) => skip.forward(x) + h,
            None => x.clone() + h,
        }
    }
}

#[derive(Module, Debug)]
struct AttentionBlock {
    norm: Norm,
    ask: Conv1d,
    out: Conv1d,
}

impl AttentionBlock {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, high, wide] = x.dims();
        let flat = x.reshape([batch, channels, high * wide]);
        let asked = self.ask.forward(&self.norm.forward(&flat, None));
        let found = channel_attention(&asked, 1);
        (flat + self.out.forward(&found)).reshape([batch, channels, high, wide])
    }
}

/// Every pixel four times.
fn doubled(x: Tensor<4>) -> Tensor<4> {
    module::interpolate(x, InterpolateOptions::new(InterpolateMode::Nearest).with_scale_factor([2.0, 2.0]))
}
