//! A cloud of points that moves: the same frames become a GIF ([`crate::gif`]) or a player in a report
//! ([`crate::player`]).

use std::path::Path;

use thalweg_files::write_atomically;

use crate::error::PlotError;
use crate::gif;
use crate::layers::Bounds;

/// A cloud of points that moves, perhaps over a still cloud it should end in.
#[derive(Debug, Clone)]
pub struct ScatterAnimation {
    pub(crate) title: String,
    pub(crate) caption: String,
    pub(crate) frames: Vec<Vec<[f64; 2]>>,
    pub(crate) times: Vec<f64>,
    pub(crate) target: Vec<[f64; 2]>,
    bounds: Option<Bounds>,
}

impl ScatterAnimation {
    /// `frames[k][i]` is where point `i` is at `times[k]`. Points that are not finite are not drawn in that
    /// frame.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without frames; [`PlotError::Mismatch`] if there is not one time for each frame,
    /// or frames do not hold the same number of points.
    pub fn new(
        title: impl Into<String>,
        frames: Vec<Vec<[f64; 2]>>,
        times: Vec<f64>,
    ) -> Result<Self, PlotError> {
        let first = frames.first().ok_or(PlotError::Empty { what: "an animation" })?;
        if times.len() != frames.len() {
            return Err(PlotError::Mismatch {
                what: "times of an animation",
                expected: frames.len(),
                got: times.len(),
            });
        }
        if let Some(odd) = frames.iter().find(|frame| frame.len() != first.len()) {
            return Err(PlotError::Mismatch {
                what: "points in a frame of an animation",
                expected: first.len(),
                got: odd.len(),
            });
        }
        Ok(Self {
            title: title.into(),
            caption: String::new(),
            frames,
            times,
            target: Vec::new(),
            bounds: None,
        })
    }

    /// A sentence or two below the player.
    #[must_use]
    pub fn caption(mut self, caption: impl Into<String>) -> Self {
        self.caption = caption.into();
        self
    }

    /// A still cloud in grey behind the moving one: the data it should arrive at.
    #[must_use]
    pub fn target(mut self, points: Vec<[f64; 2]>) -> Self {
        self.target = points;
        self
    }

    /// Shows this part of the plane instead of all that ever moves; made square about its middle.
    #[must_use]
    pub fn bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = Some(bounds);
        self
    }

    /// Writes a GIF of `size × size` pixels that loops, resting on its last frame. About four seconds long;
    /// size and time grow with frames × points.
    ///
    /// # Errors
    /// [`PlotError::Size`] if `size` is not between 64 and 2048, [`PlotError::Io`] if the file cannot be
    /// written.
    pub fn to_gif(&self, path: &Path, size: usize) -> Result<(), PlotError> {
        write_atomically(path, &self.gif_bytes(size)?).map_err(PlotError::io(path))
    }

    /// The GIF of [`ScatterAnimation::to_gif`] as bytes.
    ///
    /// # Errors
    /// [`PlotError::Size`] if `size` is not between 64 and 2048.
    pub fn gif_bytes(&self, size: usize) -> Result<Vec<u8>, PlotError> {
        gif::encode(self, size)
    }

    /// What to show: the bounds set, else all that is finite.
    pub(crate) fn extent(&self) -> Option<Bounds> {
        self.bounds.or_else(|| Bounds::around(self.frames.iter().flatten().chain(&self.target)))
    }
}
