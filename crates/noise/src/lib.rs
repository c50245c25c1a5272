//! Random numbers that are a pure function of where they are drawn.
//!
//! [`Noise`] is addressed by `(seed, stream, step)`. Two programs that ask for the same address get the same numbers,
//! on any machine and whatever happened before, so a run can be resumed from three integers and data can be prepared
//! out of order. Streams are named, not numbered: `Noise::at(seed, "batch", step)` never meets
//! `Noise::at(seed, "evaluate", step)`.
//!
//! ```
//! use thalweg_noise::Noise;
//! let mut noise = Noise::at(7, "batch", 1000);
//! let x = noise.normal();
//! assert_eq!(x, Noise::at(7, "batch", 1000).normal());
//! ```

mod normal;
mod philox;

use normal::unit;

/// A sequence of random numbers at one address; see the crate's documentation.
///
/// Cheap to make, cheap to clone. A sequence holds 2³² blocks of four words, far more than one step ever draws.
#[derive(Debug, Clone)]
pub struct Noise {
    key: [u32; 2],
    stream: u32,
    step: u64,
    block: u32,
    words: [u32; 4],
    /// How many of `words` are used up; 4 when the next draw needs a new block.
    used: usize,
    /// The second normal of a Box–Muller pair.
    spare: Option<f64>,
}

impl Noise {
    /// The sequence of the unnamed stream at step 0, for programs that need one source only.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::at(seed, "", 0)
    }

    /// The sequence at the address `(seed, stream, step)`.
    #[must_use]
    pub fn at(seed: u64, stream: &str, step: u64) -> Self {
        let key = [seed as u32, (seed >> 32) as u32];
        Self { key, stream: fnv1a(stream), step, block: 0, words: [0; 4], used: 4, spare: None }
    }

    /// An independent sequence whose seed is drawn from this one.
    pub fn split(&mut self) -> Self {
        let seed = self.next_u64();
        Self::at(seed, "split", 0)
    }

    fn next_block(&mut self) -> [u32; 4] {
        let counter = self.counter();
        self.block = self.block.wrapping_add(1);
        philox::block(counter, self.key)
    }

    /// Where the next block is.
    fn counter(&self) -> [u32; 4] {
        [self.block, self.stream, self.step as u32, (self.step >> 32) as u32]
    }

    /// 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.words = self.next_block();
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let low = u64::from(self.next_u32());
        low | u64::from(self.next_u32()) << 32
    }

    /// Uniform in `[0, 1)` on the grid of 2⁻⁵³.
    pub fn uniform(&mut self) -> f64 {
        unit(self.next_u64())
    }

    /// Uniform in `0..n` without bias (Lemire's multiplication with rejection).
    ///
    /// # Panics
    /// When `n` is zero.
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "below(0): there is no number below zero to draw");
        let n = n as u64;
        // The lowest 2^64 mod n products would make some results more likely than others.
        let reject_below = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= reject_below {
                return (product >> 64) as usize;
            }
        }
    }

    /// Standard normal, by Box and Muller.
    pub fn normal(&mut self) -> f64 {
        if let Some(second) = self.spare.take() {
            return second;
        }
        let (first, second) = normal::pair(self.next_block());
        self.spare = Some(second);
        first
    }

    /// `n` standard normals: those that [`normal`](Self::normal) would give, several times faster.
    #[must_use]
    pub fn normals(&mut self, n: usize) -> Vec<f64> {
        let mut all = Vec::with_capacity(n);
        if n > 0 {
            all.extend(self.spare.take());
        }
        let pairs = (n - all.len()) / 2;
        let mut drawn = vec![[0.0; 2]; pairs];
        normal::fill(&mut drawn, self.counter(), self.key);
        self.block = self.block.wrapping_add(pairs as u32);
        all.extend_from_slice(drawn.as_flattened());
        if all.len() < n {
            all.push(self.normal());
        }
        all
    }

    /// +1 or -1 with equal chance.
    pub fn sign(&mut self) -> f64 {
        if self.next_u32() & 1 == 0 { 1.0 } else { -1.0 }
    }

    /// Gamma with shape `shape` and scale 1, by Marsaglia and Tsang (ACM TOMS 26, 2000).
    ///
    /// # Panics
    /// When `shape` is not positive and finite.
    pub fn gamma(&mut self, shape: f64) -> f64 {
        assert!(shape > 0.0 && shape.is_finite(), "gamma needs a positive finite shape, not {shape}");
        if shape < 1.0 {
            // Gamma(a) = Gamma(a + 1) · U^(1/a).
            let boost = self.positive_uniform().powf(1.0 / shape);
            return self.gamma(shape + 1.0) * boost;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && self.positive_uniform().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }

    /// Beta with parameters `a` and `b`.
    pub fn beta(&mut self, a: f64, b: f64) -> f64 {
        let x = self.gamma(a);
        let y = self.gamma(b);
        x / (x + y)
    }

    /// A random order of `0..n`.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }

    /// Puts a slice into random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.below(i + 1);
            items.swap(i, j);
        }
    }

    /// An index drawn with probability proportional to `weights`, which are non-negative and not all zero.
    pub fn choose(&mut self, weights: &[f64]) -> usize {
        let total: f64 = weights.iter().sum();
        assert!(
            total > 0.0 && total.is_finite(),
            "choose needs weights with a positive finite sum, not {total}"
        );
        let mut left = self.uniform() * total;
        let mut last = 0;
        for (i, &weight) in weights.iter().enumerate().filter(|(_, w)| **w > 0.0) {
            if left < weight {
                return i;
            }
            left -= weight;
            last = i;
        }
        // Rounding may leave a crumb beyond the last weight.
        last
    }

    fn positive_uniform(&mut self) -> f64 {
        1.0 - self.uniform()
    }
}

/// The 32-bit FNV-1a hash: names of streams become numbers in the same way everywhere.
fn fnv1a(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_and_variance(values: &[f64]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        (mean, values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n)
    }

    #[test]
    fn an_address_always_gives_the_same_numbers() {
        let draw = |seed, stream, step| {
            let mut noise = Noise::at(seed, stream, step);
            [noise.next_u64(), noise.next_u64(), noise.next_u64()]
        };
        assert_eq!(draw(1, "batch", 5), draw(1, "batch", 5));
        for other in
            [draw(2, "batch", 5), draw(1, "time", 5), draw(1, "batch", 6), draw(1, "batch", 5 + (1 << 32))]
        {
            assert_ne!(draw(1, "batch", 5), other);
        }
    }

    #[test]
    fn normals_have_the_moments_of_a_normal() {
        let values = Noise::new(3).normals(200_000);
        let (mean, variance) = mean_and_variance(&values);
        // Four standard errors: 1/sqrt(n) for the mean, sqrt(2/n) for the variance, sqrt(96/n) for the fourth moment.
        assert!(mean.abs() < 4.0 / 200_000_f64.sqrt(), "{mean}");
        assert!((variance - 1.0).abs() < 4.0 * (2.0 / 200_000_f64).sqrt(), "{variance}");
        let fourth = values.iter().map(|x| x.powi(4)).sum::<f64>() / 200_000.0;
        assert!((fourth - 3.0).abs() < 4.0 * (96.0 / 200_000_f64).sqrt(), "{fourth}");
        let together = values.chunks(2).map(|p| p[0] * p[1]).sum::<f64>() / 100_000.0;
        assert!(together.abs() < 4.0 / 100_000_f64.sqrt(), "the two of a pair are correlated: {together}");
    }

    #[test]
    fn below_is_uniform_and_in_range() {
        let mut noise = Noise::new(4);
        let mut counts = [0_usize; 7];
        for _ in 0..70_000 {
            counts[noise.below(7)] += 1;
        }
        for count in counts {
            // Standard deviation of a count: sqrt(70000 · 1/7 · 6/7) ≈ 93.
            assert!((count as f64 - 10_000.0).abs() < 4.5 * 93.0, "{counts:?}");
        }
    }

    #[test]
    fn beta_and_gamma_have_their_moments() {
        let mut noise = Noise::new(5);
        for (a, b) in [(1.5, 1.0), (0.5, 0.5), (2.0, 5.0)] {
            let draws: Vec<f64> = (0..50_000).map(|_| noise.beta(a, b)).collect();
            let (mean, variance) = mean_and_variance(&draws);
            let expected = a / (a + b);
            let spread = a * b / ((a + b).powi(2) * (a + b + 1.0));
            assert!((mean - expected).abs() < 4.0 * (spread / 50_000.0).sqrt(), "Beta({a},{b}) mean {mean}");
            assert!((variance / spread - 1.0).abs() < 0.05, "Beta({a},{b}) variance {variance}");
        }
        let draws: Vec<f64> = (0..50_000).map(|_| noise.gamma(0.3)).collect();
        let (mean, _) = mean_and_variance(&draws);
        assert!((mean - 0.3).abs() < 4.0 * (0.3_f64 / 50_000.0).sqrt(), "Gamma(0.3) mean {mean}");
    }

    #[test]
    fn permutations_are_permutations_and_all_equally_likely() {
        let mut counts = std::collections::BTreeMap::new();
        let mut noise = Noise::new(6);
        for _ in 0..12_000 {
            *counts.entry(noise.permutation(4)).or_insert(0_usize) += 1;
        }
        assert_eq!(counts.len(), 24);
        for count in counts.values() {
            assert!((*count as f64 - 500.0).abs() < 4.5 * 500_f64.sqrt(), "{counts:?}");
        }
    }

    #[test]
    fn choose_follows_the_weights() {
        let mut noise = Noise::new(8);
        let mut counts = [0_usize; 4];
        for _ in 0..30_000 {
            counts[noise.choose(&[1.0, 0.0, 2.0, 0.0])] += 1;
        }
        assert_eq!((counts[1], counts[3]), (0, 0));
        assert!((counts[0] as f64 - 10_000.0).abs() < 4.5 * 82.0, "{counts:?}");
    }
}
