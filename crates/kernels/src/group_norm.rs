//! Group normalisation with all that usually follows it, as one operation.
//!
//! `φ(((x - μ)/σ·γ + β)·(1 + s) + b)`: mean and deviation are those of a group of channels of one sample, `γ` and `β`
//! belong to the channel, `s` and `b` to the channel of the sample (feature-wise modulation, Perez et al., 2018). As
//! ordinary operations these are ten passes over memory; here they are two, of which the second finds its numbers in the
//! cache. Only mean and inverse deviation are kept for the way back; all else is cheaper to compute again than to fetch.

mod lines;
mod operation;
mod plain;
#[cfg(test)]
mod tests;

pub use operation::{GroupNormOptions, group_norm};

use crate::curve::{Curve, CurveLoop, along};
use crate::perceptron::share;
use crate::simd::{self, Loop, SIDE_BY_SIDE, sum, total};
use crate::{Activation, Real};
use lines::Lines;

/// Sizes, and the numbers that do not belong to a position.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Norm<'a, T> {
    pub channels: usize,
    pub positions: usize,
    pub groups: usize,
    pub epsilon: f64,
    pub activation: Option<Activation>,
    /// `γ` and `β`, `[channels]`.
    pub affine: Option<[&'a [T]; 2]>,
    /// `s` and `b`, `[batch, channels]`.
    pub film: Option<[&'a [T]; 2]>,
}

/// Mean and inverse deviation of a group.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moments<T> {
    mean: T,
    inverse: T,
}

/// Sums over the positions of a channel of one sample: of the gradient before the activation, and of its product with
/// the normalised value. All gradients of parameters are made of them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ChannelSums<T> {
    plain: T,
    normalised: T,
}

/// Positions below which a loop over one channel does not fill vectors.
const SHORT: usize = 32;
/// Numbers that a thread takes at once.
const JOB: usize = 1 << 14;
/// What a number costs, in multiplications.
const COST: usize = 32;

impl<T: Real> Norm<'_, T> {
    /// Numbers of a group.
    fn group_len(&self) -> usize {
        self.group_channels() * self.positions
    }

    fn group_channels(&self) -> usize {
        self.channels / self.groups
    }

    /// Numbers that a loop goes along: those of a channel, or of a group where channels are too short for that.
    fn stretch(&self) -> usize {
        if self.positions < SHORT { self.group_len() } else { self.positions }
    }

    fn groups_of_a_job(&self) -> usize {
        JOB.div_ceil(self.group_len())
    }

    /// Factor and summand of a normalised value; `channel` counts through all samples.
    #[inline(always)]
    fn line(&self, channel: usize) -> (T, T) {
        let [gamma, beta] = self
            .affine
            .map_or([T::of(1.0), T::of(0.0)], |affine| affine.map(|of| of[channel % self.channels]));
        let [scale, shift] = self.film.map_or([T::of(0.0); 2], |film| film.map(|of| of[channel]));
        let scale = T::of(1.0) + scale;
        (gamma * scale, beta * scale + shift)
    }

    /// Writes the outputs for `x` of `[batch, channels, positions]`, and returns the moments of all groups.
    pub fn forward(&self, x: &[T], out: &mut [T]) -> Vec<Moments<T>> {
        let mut moments = vec![Moments::default(); x.len() / self.group_len()];
        let size = self.groups_of_a_job();
        let slices = x.chunks(size * self.group_len()).zip(out.chunks_mut(size * self.group_len()));
        let jobs: Vec<_> = slices.zip(moments.chunks_mut(size)).enumerate().collect();
        share(jobs, COST * x.len(), |(index, ((x, out), moments))| {
            self.pass(Forward { norm: self, first: index * size, x, out, moments });
        });
        moments
    }

    /// Writes the gradient in `x`, and returns the sums of all channels of all samples.
    pub fn backward(
        &self,
        x: &[T],
        moments: &[Moments<T>],
        out_gradient: &[T],
        gradient: &mut [T],
    ) -> Vec<ChannelSums<T>> {
        let mut sums = vec![ChannelSums::default(); x.len() / self.positions];
        let size = self.groups_of_a_job();
        let len = size * self.group_len();
        let slices = x.chunks(len).zip(out_gradient.chunks(len)).zip(gradient.chunks_mut(len));
        let all = slices.zip(moments.chunks(size)).zip(sums.chunks_mut(size * self.group_channels()));
        let jobs: Vec<_> = all.enumerate().collect();
        share(jobs, 2 * COST * x.len(), |(index, ((((x, g), gradient), moments), sums))| {
            self.pass(Backward { norm: self, first: index * size, x, g, gradient, moments, sums });
        });
        sums
    }

    fn pass(&self, body: impl CurveLoop<T>) {
        match self.activation {
            Some(activation) => along(activation, body),
            None => simd::widest(Plain(body, std::marker::PhantomData)),
        }
    }

    /// The gradients of `γ` and `β`.
    pub fn affine_gradient(&self, sums: &[ChannelSums<T>]) -> [Vec<T>; 2] {
        let mut gradients = [vec![T::default(); self.channels], vec![T::default(); self.channels]];
        let [gamma, beta] = &mut gradients;
        for (sample, sums) in sums.chunks_exact(self.channels).enumerate() {
            let scales = self.film.map(|[scales, _]| &scales[sample * self.channels..][..self.channels]);
            for (channel, sums) in sums.iter().enumerate() {
                let scale = T::of(1.0) + scales.map_or(T::of(0.0), |scales| scales[channel]);
                gamma[channel] += scale * sums.normalised;
                beta[channel] += scale * sums.plain;
            }
        }
        gradients
    }

    /// The gradients of `s` and `b`.
    pub fn film_gradient(&self, sums: &[ChannelSums<T>]) -> [Vec<T>; 2] {
        let scale = |(channel, sums): (usize, &ChannelSums<T>)| match self.affine {
            Some([gamma, beta]) => {
                let channel = channel % self.channels;
                gamma[channel] * sums.normalised + beta[channel] * sums.plain
            }
            None => sums.normalised,
        };
        [sums.iter().enumerate().map(scale).collect(), sums.iter().map(|sums| sums.plain).collect()]
    }
}

/// Some groups, on their way forwards.
struct Forward<'a, T> {
    norm: &'a Norm<'a, T>,
    /// The number of the first group.
    first: usize,
    x: &'a [T],
    out: &'a mut [T],
    moments: &'a mut [Moments<T>],
}

impl<T: Real> CurveLoop<T> for Forward<'_, T> {
    #[inline(always)]
    fn run<C: Curve<T>>(self, curve: C) {
        let Self { norm, first, x, out, moments } = self;
        let (len, stretch) = (norm.group_len(), norm.stretch());
        let mut lines = Lines::of(norm);
        let groups = x.chunks_exact(len).zip(out.chunks_exact_mut(len)).zip(moments);
        for (group, ((x, out), moments)) in groups.enumerate() {
            *moments = moments_of(x, norm.epsilon);
            lines.set(norm, first + group, moments);
            let stretches = x.chunks_exact(stretch).zip(out.chunks_exact_mut(stretch));
            for (index, (x, out)) in stretches.enumerate() {
                lines.along(index, x, out, moments.mean, |out, _, z, _| *out = curve.value(z));
            }
        }
    }
}

/// Some groups, on their way back.
struct Backward<'a, T> {
    norm: &'a Norm<'a, T>,
    first: usize,
    x: &'a [T],
    g: &'a [T],
    gradient: &'a mut [T],
    moments: &'a [Moments<T>],
    sums: &'a mut [ChannelSums<T>],
}

impl<T: Real> CurveLoop<T> for Backward<'_, T> {
    #[inline(always)]
    fn run<C: Curve<T>>(self, curve: C) {
        let Self { norm, first, x, g, gradient, moments, sums } = self;
        let (len, stretch, channels) = (norm.group_len(), norm.stretch(), norm.group_channels());
        let mut lines = Lines::of(norm);
        let slices = x.chunks_exact(len).zip(g.chunks_exact(len)).zip(gradient.chunks_exact_mut(len));
        let groups = slices.zip(moments).zip(sums.chunks_exact_mut(channels));
        for (group, ((((x, g), gradient), moments), sums)) in groups.enumerate() {
            let Moments { mean, inverse } = *moments;
            lines.set(norm, first + group, moments);
            // What comes back through the activation.
            gradient.copy_from_slice(g);
            for (index, (x, gradient)) in
                x.chunks_exact(stretch).zip(gradient.chunks_exact_mut(stretch)).enumerate()
            {
                lines.along(index, x, gradient, mean, |g, _, z, _| *g = *g * curve.value_and_slope(z).1);
            }
            // Its sums over each channel, and over the group with the factors of the channels.
            let (mut plain, mut normalised) = (T::of(0.0), T::of(0.0));
            let of_channels = x.chunks_exact(norm.positions).zip(gradient.chunks_exact(norm.positions));
            for (channel, ((x, gradient), sums)) in of_channels.zip(sums).enumerate() {
                let [total, product] = sums_of(gradient, x, mean);
                *sums = ChannelSums { plain: total, normalised: product * inverse };
                let factor = norm.line((first + group) * channels + channel).0;
                plain += factor * sums.plain;
                normalised += factor * sums.normalised;
            }
            // The parts along the mean and along the values themselves are lost in normalising.
            let share = T::of(1.0 / len as f64);
            let (plain, normalised) = (plain * share * inverse, normalised * share * inverse * inverse);
            for (index, (x, gradient)) in
                x.chunks_exact(stretch).zip(gradient.chunks_exact_mut(stretch)).enumerate()
            {
                lines.along(index, x, gradient, mean, |g, x, _, slope| {
                    *g = slope * *g - plain - x * normalised;
                });
            }
        }
    }
}

/// No activation.
#[derive(Clone, Copy)]
struct Identity;

impl<T: Real> Curve<T> for Identity {
    #[inline(always)]
    fn value(self, x: T) -> T {
        x
    }

    #[inline(always)]
    fn value_and_slope(self, x: T) -> (T, T) {
        (x, T::of(1.0))
    }
}

struct Plain<T, L>(L, std::marker::PhantomData<T>);

impl<T: Real, L: CurveLoop<T>> Loop for Plain<T, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.0.run(Identity);
    }
}

#[inline(always)]
fn moments_of<T: Real>(x: &[T], epsilon: f64) -> Moments<T> {
    let share = T::of(1.0 / x.len() as f64);
    let mean = sum(x, |x| x) * share;
    let variance = sum(x, |x| (x - mean) * (x - mean)) * share;
    Moments { mean, inverse: T::of(1.0) / (variance + T::of(epsilon)).root() }
}

/// The sums of `d` and of `d·(x - mean)`.
#[inline(always)]
fn sums_of<T: Real>(d: &[T], x: &[T], mean: T) -> [T; 2] {
    if d.len() <= SIDE_BY_SIDE / 2 {
        let (mut plain, mut product) = (T::of(0.0), T::of(0.0));
        for (d, x) in d.iter().zip(x) {
            plain += *d;
            product += *d * (*x - mean);
        }
        return [plain, product];
    }
    let mut sums = [[T::of(0.0); SIDE_BY_SIDE]; 2];
    let ((d, d_rest), (x, x_rest)) = (d.as_chunks::<SIDE_BY_SIDE>(), x.as_chunks::<SIDE_BY_SIDE>());
    let [plain, product] = &mut sums;
    for (d, x) in d.iter().zip(x) {
        for (((plain, product), d), x) in plain.iter_mut().zip(product.iter_mut()).zip(d).zip(x) {
            *plain += *d;
            *product += *d * (*x - mean);
        }
    }
    for (((plain, product), d), x) in plain.iter_mut().zip(product.iter_mut()).zip(d_rest).zip(x_rest) {
        *plain += *d;
        *product += *d * (*x - mean);
    }
    let [plain, product] = sums;
    [total(plain), total(product)]
}
