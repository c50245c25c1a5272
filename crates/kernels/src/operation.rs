//! The perceptron as an operation on tensors, with its place on the tape of automatic differentiation.

use std::fmt::Debug;
use std::sync::Arc;

use burn::backend::Autodiff;
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients as Tape;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Tensor};

use crate::Real;
use crate::perceptron::{self, Architecture, Inputs, Moving, Net, Wanted};
use crate::pool::Buffer;
use crate::tensor::{Host, is_known, primitive, tensor};

/// A tensor of the CPU that automatic differentiation follows.
pub(crate) type Recorded = FloatTensor<Autodiff<Flex>>;

/// A multilayer perceptron with at least one hidden layer, given by its tensors.
///
/// Its methods return nothing when the tensors are not on the CPU in one of the precisions `f32` and `f64`, or when one is
/// empty; then do the same with ordinary operations. They panic when the shapes do not go together.
#[derive(Debug, Clone)]
pub struct Perceptron {
    /// Activation and kind.
    pub architecture: Architecture,
    /// `[in, out]` of each layer. The first one may have more rows than there are numbers in a point and its features;
    /// what the others stand for is in the shift.
    pub weights: Vec<Tensor<2>>,
    /// What is added to the first layer before its activation, `[1, width]` or `[batch, width]`.
    pub shift: Tensor<2>,
    /// The biases of all layers but the first.
    pub biases: Vec<Tensor<1>>,
}

/// How the first features of a row move with the point: the derivative of feature `j` in coordinate `i` is the product of a
/// slope of the point and a rate that is the same for all points, as it is for functions of `rates·x`.
#[derive(Debug, Clone)]
pub struct MovingFeatures {
    /// `[batch, moving features]`.
    pub slopes: Tensor<2>,
    /// `[dim, moving features]`.
    pub rates: Tensor<2>,
}

impl Perceptron {
    /// The outputs for points `[batch, dim]` beside features `[batch, features]`; differentiable in everything.
    #[must_use]
    pub fn forward(&self, point: &Tensor<2>, features: &Tensor<2>) -> Option<Tensor<2>> {
        if !self.suits(&[point, features]) {
            return None;
        }
        let recorded = point.is_autodiff()
            || features.is_autodiff()
            || self.shift.is_autodiff()
            || self.weights.iter().any(Tensor::is_autodiff)
            || self.biases.iter().any(Tensor::is_autodiff);
        match (point.dtype(), recorded) {
            (DType::F32, false) => self.unrecorded::<f32>(point, features),
            (DType::F64, false) => self.unrecorded::<f64>(point, features),
            (DType::F32, true) => self.recorded::<f32>(point, features),
            (DType::F64, true) => self.recorded::<f64>(point, features),
            _ => None,
        }
    }

    /// The outputs and their tangent along `direction`, point and features; nothing when anything is recorded.
    #[must_use]
    pub fn with_tangent(
        &self,
        [point, features]: [&Tensor<2>; 2],
        direction: [&Tensor<2>; 2],
    ) -> Option<(Tensor<2>, Tensor<2>)> {
        if !self.suits(&[point, features, direction[0], direction[1]]) {
            return None;
        }
        match point.dtype() {
            DType::F32 => self.tangent_in::<f32>([point, features], direction),
            DType::F64 => self.tangent_in::<f64>([point, features], direction),
            _ => None,
        }
    }

    /// The outputs and their divergence in the point, `[batch]`, where some features may move with it; nothing when anything
    /// is recorded.
    #[must_use]
    pub fn with_divergence(
        &self,
        [point, features]: [&Tensor<2>; 2],
        moving: Option<&MovingFeatures>,
    ) -> Option<(Tensor<2>, Tensor<1>)> {
        if !self.suits(&[point, features]) {
            return None;
        }
        if let Some(MovingFeatures { slopes, rates }) = moving {
            let ([batch, dim], [_, features]) = (point.dims(), features.dims());
            let ([rows, of_slopes], [coordinates, of_rates]) = (slopes.dims(), rates.dims());
            assert!(
                rows == batch && coordinates == dim && of_slopes == of_rates && of_rates <= features,
                "slopes of {rows} × {of_slopes} and rates of {coordinates} × {of_rates} are none of {batch} points of {dim} \
                 coordinates with {features} features"
            );
            if of_rates == 0 || slopes.dtype() != point.dtype() || rates.dtype() != point.dtype() {
                return None;
            }
        }
        match point.dtype() {
            DType::F32 => self.divergence_in::<f32>([point, features], moving),
            DType::F64 => self.divergence_in::<f64>([point, features], moving),
            _ => None,
        }
    }

    /// Whether all is in one precision and nothing is empty.
    ///
    /// # Panics
    /// When the shapes do not go together.
    fn suits(&self, inputs: &[&Tensor<2>]) -> bool {
        let Self { weights, shift, biases, .. } = self;
        assert!(
            weights.len() >= 2 && biases.len() + 1 == weights.len(),
            "{} weights and {} biases are no perceptron with a hidden layer",
            weights.len(),
            biases.len()
        );
        let (batch, numbers) = (inputs[0].dims()[0], inputs[0].dims()[1] + inputs[1].dims()[1]);
        for pair in inputs.chunks(2) {
            let [point, features] = [pair[0].dims(), pair[1].dims()];
            assert!(
                point[0] == batch && features[0] == batch && point[1] + features[1] == numbers,
                "points of {point:?} and features of {features:?} are not {batch} of {numbers} numbers"
            );
        }
        let [rows, width] = weights[0].dims();
        assert!(rows >= numbers, "a first layer of {rows} × {width} takes no {numbers} numbers");
        let shifted = shift.dims();
        assert!(
            shifted[1] == width && (shifted[0] == 1 || shifted[0] == batch),
            "a shift of {shifted:?} is none for {batch} rows of {width}"
        );
        for ((layer, next), bias) in weights.iter().zip(&weights[1..]).zip(biases) {
            let ([_, outputs], [inputs, after], [biased]) = (layer.dims(), next.dims(), bias.dims());
            assert!(
                inputs == outputs && biased == after,
                "a layer of {inputs} × {after} with {biased} biases does not follow one of {outputs} outputs"
            );
        }
        let dtype = inputs[0].dtype();
        let one_precision = inputs.iter().all(|tensor| tensor.dtype() == dtype)
            && shift.dtype() == dtype
            && weights.iter().all(|tensor| tensor.dtype() == dtype)
            && biases.iter().all(|tensor| tensor.dtype() == dtype);
        let something = batch > 0 && numbers > 0 && weights.iter().all(|tensor| !tensor.dims().contains(&0));
        one_precision && something
    }

    fn unrecorded<T: Real>(&self, point: &Tensor<2>, features: &Tensor<2>) -> Option<Tensor<2>> {
        let hosts = self.hosts(point, features)?;
        let batch = point.dims()[0];
        let parts = Parts::<T>::of(&hosts, self.architecture, batch);
        let mut out = vec![T::default(); batch * parts.net.outputs];
        perceptron::forward(&parts.net, &parts.inputs, None, &mut out);
        Some(tensor(out, [batch, parts.net.outputs]))
    }

    fn tangent_in<T: Real>(
        &self,
        [point, features]: [&Tensor<2>; 2],
        [dx, df]: [&Tensor<2>; 2],
    ) -> Option<(Tensor<2>, Tensor<2>)> {
        let hosts = self.hosts(point, features)?;
        let (dx, df) = (Host::of(dx)?, Host::of(df)?);
        let batch = point.dims()[0];
        let Parts { net, inputs } = Parts::<T>::of(&hosts, self.architecture, batch);
        let direction = Inputs { batch, point: dx.values(), features: df.values() };
        let mut out = vec![T::default(); batch * net.outputs];
        let mut tangent = out.clone();
        perceptron::tangent(&net, &inputs, &direction, &mut out, &mut tangent);
        let shape = [batch, net.outputs];
        Some((tensor(out, shape), tensor(tangent, shape)))
    }

    fn divergence_in<T: Real>(
        &self,
        [point, features]: [&Tensor<2>; 2],
        moving: Option<&MovingFeatures>,
    ) -> Option<(Tensor<2>, Tensor<1>)> {
        let hosts = self.hosts(point, features)?;
        let of_moving = match moving {
            Some(MovingFeatures { slopes, rates }) => Some([Host::of(slopes)?, Host::of(rates)?]),
            None => None,
        };
        let moving = of_moving
            .as_ref()
            .map(|[slopes, rates]| Moving { slopes: slopes.values(), rates: rates.values() });
        let batch = point.dims()[0];
        let Parts { net, inputs } = Parts::<T>::of(&hosts, self.architecture, batch);
        let mut out = vec![T::default(); batch * net.outputs];
        let mut divergence = vec![T::default(); batch];
        perceptron::divergence(&net, &inputs, moving, &mut out, &mut divergence);
        Some((tensor(out, [batch, net.outputs]), tensor(divergence, [batch])))
    }

    /// Point, features, shift, weights, biases.
    fn hosts(&self, point: &Tensor<2>, features: &Tensor<2>) -> Option<Vec<Host>> {
        let fixed = [point, features, &self.shift];
        let mut hosts = Vec::with_capacity(3 + self.weights.len() + self.biases.len());
        for tensor in fixed.into_iter().chain(&self.weights) {
            hosts.push(Host::of(tensor)?);
        }
        for bias in &self.biases {
            hosts.push(Host::of(bias)?);
        }
        Some(hosts)
    }

    /// The number of parents of the operation is a constant of its type, so there is one type for each depth.
    fn recorded<T: Real>(&self, point: &Tensor<2>, features: &Tensor<2>) -> Option<Tensor<2>> {
        match self.weights.len() {
            2 => self.record::<T, 6>(point, features),
            3 => self.record::<T, 8>(point, features),
            4 => self.record::<T, 10>(point, features),
            5 => self.record::<T, 12>(point, features),
            6 => self.record::<T, 14>(point, features),
            7 => self.record::<T, 16>(point, features),
            8 => self.record::<T, 18>(point, features),
            9 => self.record::<T, 20>(point, features),
            _ => None,
        }
    }

    fn record<T: Real, const N: usize>(&self, point: &Tensor<2>, features: &Tensor<2>) -> Option<Tensor<2>> {
        let batch = point.dims()[0];
        let fixed = [point, features, &self.shift];
        let mut parents = Vec::with_capacity(N);
        for tensor in fixed.into_iter().chain(&self.weights) {
            parents.push(lifted(tensor)?);
        }
        for bias in &self.biases {
            parents.push(lifted(bias)?);
        }
        let (tensors, guards): (Vec<_>, Vec<_>) = parents.into_iter().map(Recorded::into_parts).unzip();
        let Ok(guards) = <[_; N]>::try_from(guards) else { return None };
        let hosts: Vec<Host> = tensors.into_iter().map(Host::new).collect();

        let architecture = self.architecture;
        let Parts { net, inputs } = Parts::<T>::of(&hosts, architecture, batch);
        let mut out = vec![T::default(); batch * net.outputs];
        let shape = [batch, net.outputs];
        let step = Step::<T>(std::marker::PhantomData);
        let out =
            match Backward::<Flex, N>::prepare::<NoCheckpointing>(step, guards).compute_bound().stateful() {
                OpsKind::Tracked(prepared) => {
                    let mut saved = Buffer::snug(batch * net.width * (net.weights.len() - 1));
                    perceptron::forward(&net, &inputs, Some(&mut saved), &mut out);
                    let state = Saved { hosts, architecture, batch, before: Arc::new(saved) };
                    prepared.finish(state, primitive(out, &shape))
                }
                OpsKind::UnTracked(prepared) => {
                    perceptron::forward(&net, &inputs, None, &mut out);
                    prepared.finish(primitive(out, &shape))
                }
            };
        Some(Tensor::from_primitive::<Autodiff<Flex>>(out))
    }
}

/// The tensor as automatic differentiation sees it; what is not recorded is a constant.
pub(crate) fn lifted<const D: usize>(tensor: &Tensor<D>) -> Option<Recorded> {
    if !is_known(tensor.dtype()) {
        return None;
    }
    if tensor.is_autodiff() {
        return tensor.clone().try_into_primitive::<Autodiff<Flex>>().ok();
    }
    tensor.clone().try_into_primitive::<Flex>().ok().map(Recorded::new)
}

/// The slices of a list of hosts: point, features, shift, weights, biases.
struct Parts<'a, T> {
    net: Net<'a, T>,
    inputs: Inputs<'a, T>,
}

impl<'a, T: Real> Parts<'a, T> {
    fn of(hosts: &'a [Host], architecture: Architecture, batch: usize) -> Self {
        // One weight more than there are biases.
        let layers = (hosts.len() - 2) / 2;
        let weights: Vec<&[T]> = hosts[3..3 + layers].iter().map(Host::values).collect();
        let biases: Vec<&[T]> = hosts[3 + layers..].iter().map(Host::values).collect();
        let outputs = biases[layers - 2].len();
        let width = weights[layers - 1].len() / outputs;
        let net = Net { architecture, width, outputs, weights, shift: hosts[2].values(), biases };
        Self { net, inputs: Inputs { batch, point: hosts[0].values(), features: hosts[1].values() } }
    }
}

/// What the way back needs.
#[derive(Debug)]
struct Saved<T: Real> {
    hosts: Vec<Host>,
    architecture: Architecture,
    batch: usize,
    before: Arc<Buffer<T>>,
}

impl<T: Real> Clone for Saved<T> {
    fn clone(&self) -> Self {
        let Self { hosts, architecture, batch, before } = self;
        Self { hosts: hosts.clone(), architecture: *architecture, batch: *batch, before: Arc::clone(before) }
    }
}

#[derive(Debug)]
struct Step<T>(std::marker::PhantomData<T>);

impl<T: Real, const N: usize> Backward<Flex, N> for Step<T> {
    type State = Saved<T>;

    fn backward(self, ops: Ops<Saved<T>, N>, tape: &mut Tape, _checkpointer: &mut Checkpointer) {
        let Saved { hosts, architecture, batch, before } = ops.state;
        let out_gradient = Host::new(tape.consume::<Flex>(&ops.node));
        let Parts { net, inputs } = Parts::<T>::of(&hosts, architecture, batch);
        let wanted = Wanted {
            point: ops.parents[0].is_some(),
            features: ops.parents[1].is_some(),
            shift: ops.parents[2].is_some(),
            parameters: ops.parents[3..].iter().any(Option::is_some),
        };
        let found = perceptron::backward(&net, &inputs, &before, out_gradient.values(), wanted);
        let lists = [found.point, found.features, found.shift].into_iter();
        let all = lists.chain(found.weights).chain(found.biases);
        for ((parent, values), host) in ops.parents.into_iter().zip(all).zip(&hosts) {
            if let Some(parent) = parent {
                tape.register::<Flex>(parent.id, shaped_like(values, host));
            }
        }
    }
}

fn shaped_like<T: Real>(values: Vec<T>, host: &Host) -> FlexTensor {
    primitive(values, &host.shape())
}
