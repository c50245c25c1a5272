//! A kernel that slides over images, which is what a convolution and its gradient in the input both are.
//!
//! Each image is laid into a frame of zeros that is just large enough for the kernel never to leave it. Forwards the frame
//! is the padding. For the gradient in the input, the gradient of the output is laid in with gaps as wide as the stride,
//! and the kernel, turned by half a circle, slides over it one by one.

use super::Geometry;
use super::job::{Job, Source};
use super::tile::{COLS, PIECE, ROWS, Run};
use crate::lanes::Lanes;
use crate::perceptron::share;
use crate::pool::Buffer;

/// What slides over what.
#[derive(Debug, Clone)]
pub(super) struct Slide {
    pub images: usize,
    pub channels: usize,
    /// Height and width of an image, and so on below.
    pub image: [usize; 2],
    pub frame: [usize; 2],
    /// Distance in the frame of neighbours in the image.
    pub spread: [usize; 2],
    /// Where in the frame the first number of the image is; it may be outside.
    pub shift: [isize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub output: [usize; 2],
}

/// Positions of a piece of work: enough to fill tiles, few enough to stay in the cache with all their channels.
const POSITIONS: usize = 256;
/// Pieces of work to cut a small batch into, for as many threads.
pub(super) const JOBS: usize = 8;

impl Slide {
    /// Forwards.
    pub fn forward(geometry: &Geometry) -> Self {
        let Geometry { images, inputs, input, kernel, output, stride, padding, .. } = *geometry;
        Self {
            images,
            channels: inputs,
            image: input,
            frame: [0, 1].map(|axis| (output[axis] - 1) * stride[axis] + kernel[axis]),
            spread: [1, 1],
            shift: padding.map(|padding| padding as isize),
            kernel,
            stride,
            output,
        }
    }

    /// From the gradient of the output to that of the input.
    pub fn backward(geometry: &Geometry) -> Self {
        let Geometry { images, outputs, input, kernel, output, stride, padding, .. } = *geometry;
        Self {
            images,
            channels: outputs,
            image: output,
            frame: [0, 1].map(|axis| input[axis] + kernel[axis] - 1),
            spread: stride,
            shift: [0, 1].map(|axis| kernel[axis] as isize - 1 - padding[axis] as isize),
            kernel,
            stride: [1, 1],
            output: input,
        }
    }

    /// Positions of the output.
    pub fn positions(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Numbers of an image.
    pub fn image_len(&self) -> usize {
        self.channels * self.image[0] * self.image[1]
    }

    fn frame_len(&self) -> usize {
        self.channels * self.frame[0] * self.frame[1]
    }

    /// Terms of the sum that an output is.
    pub fn terms(&self) -> usize {
        self.channels * self.kernel[0] * self.kernel[1]
    }

    /// Where the number for each term is, seen from the corner of the kernel.
    pub fn offsets(&self) -> Vec<usize> {
        let [high, wide] = self.kernel;
        let place = |term: usize| {
            let (channel, y, x) = (term / (high * wide), term / wide % high, term % wide);
            (channel * self.frame[0] + y) * self.frame[1] + x
        };
        (0..self.terms()).map(place).collect()
    }

    /// Images that are worked on together.
    pub fn images_together(&self) -> usize {
        let positions = self.positions();
        let (least, most) = (COLS.div_ceil(positions), POSITIONS.div_ceil(positions));
        self.images.div_ceil(JOBS).clamp(least, most.max(least)).min(self.images)
    }

    /// Whether a [`PIECE`] of positions reads neighbours in the frame, so that nothing need be gathered.
    pub fn in_place(&self) -> bool {
        self.stride[1] == 1 && self.output[1].is_multiple_of(PIECE)
    }

    /// Rows of the output of `images` framed images.
    pub fn runs(&self, images: usize) -> Vec<Run> {
        let [high, wide] = self.output;
        let run = |row: usize| {
            let (image, y) = (row / high, row % high);
            Run { data: self.corner(image, y, 0), position: row * wide, len: wide }
        };
        (0..images * high).map(run).collect()
    }

    /// The corner of the kernel for an output.
    fn corner(&self, image: usize, y: usize, x: usize) -> usize {
        image * self.frame_len() + y * self.stride[0] * self.frame[1] + x * self.stride[1]
    }

    /// The corner for a position counted through all images.
    pub fn corner_at(&self, position: usize) -> usize {
        let (image, place) = (position / self.positions(), position % self.positions());
        self.corner(image, place / self.output[1], place % self.output[1])
    }

    /// Copies the numbers for some positions into `[terms, positions]`.
    pub fn gather<T: Lanes>(
        &self,
        data: &[T],
        offsets: &[usize],
        positions: impl Iterator<Item = usize>,
        panel: &mut [T],
    ) {
        let corners: Vec<usize> = positions.map(|position| self.corner_at(position)).collect();
        let together = |count: usize| {
            let whole = corners.len().is_multiple_of(count);
            whole && corners.chunks_exact(count).all(|run| run[count - 1] - run[0] == count - 1)
        };
        if together(8) {
            gather_runs::<T, 8>(data, offsets, &corners, panel);
        } else if together(4) {
            gather_runs::<T, 4>(data, offsets, &corners, panel);
        } else {
            gather_runs::<T, 1>(data, offsets, &corners, panel);
        }
    }

    /// Lays images into frames, or leaves them where they are if they fit.
    pub fn framed<'a, T: Lanes>(&self, images: &'a [T]) -> Framed<'a, T> {
        if self.frame == self.image && self.spread == [1, 1] && self.shift == [0, 0] {
            return Framed::AsTheyAre(images);
        }
        let [high, wide] = self.image;
        let planes = images.len() / (high * wide);
        let mut frames = Buffer::stale(planes * self.frame[0] * self.frame[1]);
        frames.fill(T::of(0.0));
        let frame_planes = frames.chunks_exact_mut(self.frame[0] * self.frame[1]);
        for (image, frame) in images.chunks_exact(high * wide).zip(frame_planes) {
            for (y, row) in image.chunks_exact(wide).enumerate() {
                if let Some(y) = self.place(0, y) {
                    self.lay(row, &mut frame[y * self.frame[1]..(y + 1) * self.frame[1]]);
                }
            }
        }
        Framed::Copied(frames)
    }

    /// Where a row or column of the image is in the frame.
    fn place(&self, axis: usize, index: usize) -> Option<usize> {
        let place = (index * self.spread[axis]).checked_add_signed(self.shift[axis])?;
        (place < self.frame[axis]).then_some(place)
    }

    /// The inverse of [`place`](Self::place): what of the image is here in the frame.
    pub fn index(&self, axis: usize, place: usize) -> Option<usize> {
        let along = place.checked_add_signed(-self.shift[axis])?;
        let index = along / self.spread[axis];
        (along.is_multiple_of(self.spread[axis]) && index < self.image[axis]).then_some(index)
    }

    fn lay<T: Lanes>(&self, row: &[T], into: &mut [T]) {
        if self.spread[1] == 1 && self.shift[1] >= 0 {
            let start = self.shift[1] as usize;
            let count = row.len().min(into.len().saturating_sub(start));
            if count > 0 {
                into[start..start + count].copy_from_slice(&row[..count]);
            }
            return;
        }
        for (x, value) in row.iter().enumerate() {
            if let Some(x) = self.place(1, x) {
                into[x] = *value;
            }
        }
    }

    /// `out[image, row, position] = bias[row] + Σ weights · frame`, with weights from
    /// [`Weights::packed`](super::weights::Weights::packed).
    pub fn apply<T: Lanes>(&self, images: &[T], weights: &[T], bias: Option<&[T]>, out: &mut [T]) {
        if out.is_empty() {
            return;
        }
        let (positions, offsets) = (self.positions(), self.offsets());
        let rows = out.len() / (self.images * positions);
        let together = self.images_together();
        // A single image is shared by rows of the output.
        let parts = match together {
            1 if self.in_place() => JOBS.div_ceil(self.images),
            // Each part gathers for itself.
            1 => 2usize.div_ceil(self.images),
            _ => 1,
        };
        let rows_of_part = rows.div_ceil(parts).next_multiple_of(ROWS);

        // What several jobs need is framed once.
        let frames = (parts > 1).then(|| self.framed(images));
        let mut jobs = Vec::new();
        let image_groups = images.chunks(together * self.image_len());
        for (group, (images, out)) in
            image_groups.zip(out.chunks_mut(together * rows * positions)).enumerate()
        {
            let source = match &frames {
                Some(frames) => {
                    Source::Frame(&frames.values()[group * self.frame_len()..][..self.frame_len()])
                }
                None => Source::Images(images),
            };
            // One part, unless there is a single image in the group.
            let part = if parts == 1 { out.len() } else { rows_of_part * positions };
            for (index, out) in out.chunks_mut(part).enumerate() {
                let first = index * rows_of_part;
                let here = rows_of_part.min(rows - first);
                jobs.push(Job {
                    slide: self,
                    offsets: &offsets,
                    source,
                    weights: &weights[first * offsets.len()..][..here.next_multiple_of(ROWS) * offsets.len()],
                    bias: bias.map(|bias| &bias[first..first + here]),
                    rows: here,
                    out,
                });
            }
        }
        share(jobs, self.images * positions * rows * self.terms(), Job::run);
    }
}

/// Images in their frames.
pub(super) enum Framed<'a, T: Lanes> {
    AsTheyAre(&'a [T]),
    Copied(Buffer<T>),
}

impl<T: Lanes> Framed<'_, T> {
    pub fn values(&self) -> &[T] {
        match self {
            Self::AsTheyAre(values) => values,
            Self::Copied(values) => values,
        }
    }
}

/// Copies runs of `RUN` neighbours: a copy of known length is one or two instructions.
fn gather_runs<T: Lanes, const RUN: usize>(
    data: &[T],
    offsets: &[usize],
    corners: &[usize],
    panel: &mut [T],
) {
    for (offset, row) in offsets.iter().zip(panel.chunks_exact_mut(corners.len())) {
        for (corners, row) in corners.chunks_exact(RUN).zip(row.chunks_exact_mut(RUN)) {
            row.copy_from_slice(&data[offset + corners[0]..][..RUN]);
        }
    }
}
