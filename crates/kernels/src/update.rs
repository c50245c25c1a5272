//! What an optimiser does to each parameter, in one pass over memory and in place.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Tensor};

use crate::Real;
use crate::perceptron::share;
use crate::simd::{self, Loop};
use crate::tensor::{Host, fills_its_memory, is_known};

/// One update of Adam or AdamW, its constants already put together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamUpdate {
    /// Decay rates of the two moments.
    pub betas: [f64; 2],
    /// The learning rate over the correction of the first moment.
    pub step_size: f64,
    /// Root of the correction of the second moment.
    pub root_of_correction: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Times the parameter, added to the gradient: L2 regularisation.
    pub pull: f64,
    /// What the parameter is multiplied by first: decoupled weight decay.
    pub shrink: f64,
}

/// Numbers that a thread updates in one go.
const PART: usize = 1 << 15;
/// What the update of a number costs, in multiplications: it is the way to memory that takes the time.
const COST: usize = 64;

impl AdamUpdate {
    /// Moves `[value, first moment, second moment]` along `gradient`, all of one length.
    ///
    /// # Panics
    /// When the lengths differ.
    ///
    /// # Errors
    /// Gives the three back as they were when they are not all on the CPU in one precision; do the same with ordinary
    /// operations then.
    #[expect(clippy::result_large_err, reason = "the tensors are given back")]
    pub fn apply(
        &self,
        state: [Tensor<1>; 3],
        gradient: &Tensor<1>,
    ) -> Result<[Tensor<1>; 3], [Tensor<1>; 3]> {
        let dtype = gradient.dtype();
        let lengths = [&state[0], &state[1], &state[2], gradient].map(|tensor| tensor.dims()[0]);
        assert!(lengths.iter().all(|len| *len == lengths[0]), "an update of unequal lengths {lengths:?}");
        let suits =
            is_known(dtype) && state.iter().all(|tensor| tensor.dtype() == dtype && !tensor.is_autodiff());
        let Some(gradient) = Host::of(gradient).filter(|_| suits) else { return Err(state) };
        Ok(match dtype {
            DType::F32 => self.apply_in::<f32>(state, &gradient),
            _ => self.apply_in::<f64>(state, &gradient),
        })
    }

    fn apply_in<T: Real>(&self, state: [Tensor<1>; 3], gradient: &Host) -> [Tensor<1>; 3] {
        let mut state = state.map(owned);
        let [value, first, second] = &mut state;
        let gradient = gradient.values();
        let moments =
            first.storage_mut::<T>().chunks_mut(PART).zip(second.storage_mut::<T>().chunks_mut(PART));
        let parts = value.storage_mut::<T>().chunks_mut(PART).zip(moments).zip(gradient.chunks(PART));
        share(parts.collect(), COST * gradient.len(), |((value, (first, second)), gradient)| {
            simd::widest(Adam { update: *self, value, first, second, gradient });
        });
        state.map(Tensor::from_primitive::<Flex>)
    }
}

/// `average = decay·average + (1 - decay)·value`, in place.
///
/// # Panics
/// When the lengths differ.
///
/// # Errors
/// Gives the average back as it was when the two are not on the CPU in one precision.
#[expect(clippy::result_large_err, reason = "the tensor is given back")]
pub fn follow(average: Tensor<1>, value: &Tensor<1>, decay: f64) -> Result<Tensor<1>, Tensor<1>> {
    let dtype = value.dtype();
    let lengths = [average.dims()[0], value.dims()[0]];
    assert!(lengths[0] == lengths[1], "an average of {} numbers cannot follow {}", lengths[0], lengths[1]);
    let suits = is_known(dtype) && average.dtype() == dtype && !average.is_autodiff();
    let Some(value) = Host::of(value).filter(|_| suits) else { return Err(average) };
    let mut average = owned(average);
    if dtype == DType::F32 {
        simd::widest(Follow { average: average.storage_mut::<f32>(), value: value.values(), decay });
    } else {
        simd::widest(Follow { average: average.storage_mut::<f64>(), value: value.values(), decay });
    }
    Ok(Tensor::from_primitive::<Flex>(average))
}

/// The sum of the squares, in double precision; nothing when the tensor is not on the CPU.
#[must_use]
pub fn sum_of_squares(tensor: &Tensor<1>) -> Option<f64> {
    let host = Host::of(tensor)?;
    match tensor.dtype() {
        DType::F32 => Some(simd::widest(Squares(host.values::<f32>()))),
        DType::F64 => Some(simd::widest(Squares(host.values::<f64>()))),
        _ => None,
    }
}

/// The tensor with values in order from the start of a memory of its own. A tensor that nobody else holds is not
/// copied.
fn owned(tensor: Tensor<1>) -> FlexTensor {
    let Ok(tensor) = tensor.try_into_primitive::<Flex>() else {
        panic!("a tensor moved off the CPU between two looks at it");
    };
    if fills_its_memory(&tensor) { tensor } else { tensor.to_contiguous() }
}

/// Gradients and moments below these sizes are taken for zero: beside `epsilon` they move nothing. Units that have died leave
/// moments that fade for ever, and once these are subnormal, processors compute a hundred times slower with them.
const GRADIENT: f64 = 1e-17;
const FIRST: f64 = 1e-30;
const SECOND: f64 = 1e-36;

#[inline(always)]
fn none_below<T: Real>(size: f64, value: T) -> T {
    if value.magnitude() < T::of(size) { T::of(0.0) } else { value }
}

struct Adam<'a, T> {
    update: AdamUpdate,
    value: &'a mut [T],
    first: &'a mut [T],
    second: &'a mut [T],
    gradient: &'a [T],
}

impl<T: Real> Loop for Adam<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let AdamUpdate { betas: [beta1, beta2], step_size, root_of_correction, epsilon, pull, shrink } =
            self.update;
        let [beta1, news1, beta2, news2] = [beta1, 1.0 - beta1, beta2, 1.0 - beta2].map(T::of);
        let [step_size, correction, epsilon, pull, shrink] =
            [step_size, 1.0 / root_of_correction, epsilon, pull, shrink].map(T::of);
        let moments = self.first.iter_mut().zip(self.second.iter_mut());
        for ((value, (first, second)), gradient) in self.value.iter_mut().zip(moments).zip(self.gradient) {
            let gradient = none_below(GRADIENT, *gradient + pull * *value);
            *first = none_below(FIRST, beta1 * *first + news1 * gradient);
            *second = none_below(SECOND, beta2 * *second + news2 * gradient * gradient);
            *value = shrink * *value - step_size * *first / (second.root() * correction + epsilon);
        }
    }
}

struct Follow<'a, T> {
    average: &'a mut [T],
    value: &'a [T],
    decay: f64,
}

impl<T: Real> Loop for Follow<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let [decay, news] = [self.decay, 1.0 - self.decay].map(T::of);
        for (average, value) in self.average.iter_mut().zip(self.value) {
            *average = decay * *average + news * *value;
        }
    }
}

struct Squares<'a, T>(&'a [T]);

impl<T: Real> Loop for Squares<'_, T> {
    type Output = f64;

    /// Eight sums side by side: one running sum does not vectorise.
    #[inline(always)]
    fn run(self) -> f64 {
        let mut sums = [0.0; 8];
        let (whole, rest) = self.0.as_chunks::<8>();
        for values in whole {
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += value.to_double() * value.to_double();
            }
        }
        for value in rest {
            sums[0] += value.to_double() * value.to_double();
        }
        sums.iter().sum()
    }
}
