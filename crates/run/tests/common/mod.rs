//! A small checkpoint and its run.

use thalweg_run::{Checkpoint, CheckpointState, HostTensor, RunDir, Tensors};

/// A checkpoint of a network with three parameters, different for every step.
pub fn checkpoint(step: u64) -> Checkpoint {
    let mut model = Tensors::new();
    model.insert(
        "layers.0.weight",
        HostTensor::new([2, 3], (0..6).map(|i| (i + step) as f32 / 7.0).collect::<Vec<_>>()),
    );
    model.insert("layers.0.bias", HostTensor::new([2], vec![-0.0f32, f32::MIN_POSITIVE / 4.0]));
    model.insert("scale", HostTensor::new([], vec![1.0f32 / 3.0]));
    let mut average = Tensors::new();
    average.insert("layers.0.weight", HostTensor::new([2, 3], vec![0.25f32; 6]));
    let mut optimizer = Tensors::new();
    optimizer.insert("layers.0.weight.second", HostTensor::new([2, 3], vec![std::f64::consts::PI; 6]));
    optimizer.insert("nothing", HostTensor::new([0, 3], Vec::<f64>::new()));
    let mut state = CheckpointState::new(step, u64::MAX - 1, "moons-1234", "{\"kind\":\"mlp\"}");
    state.counters.insert("samples".to_owned(), 256 * step);
    Checkpoint { model, average, optimizer, state }
}

/// A run with checkpoints at the given steps.
pub fn run_with(folder: &std::path::Path, steps: &[u64]) -> RunDir {
    let run = RunDir::create(folder).unwrap();
    for &step in steps {
        run.save_checkpoint(&checkpoint(step)).unwrap();
    }
    run
}
