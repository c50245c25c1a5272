//! A picture as a density: every pixel weighs as much as it has ink.
//!
//! The flat texture is uniform within each pixel. The smooth one is the published sampler of the `tree` and `rose`
//! sets (JKO-iFlow, Local Flow Matching): pixel centres spread from edge to edge of the box, and Gaussian noise of
//! half a pixel. Both have an exact density.

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

use ::image::{DynamicImage, ImageReader};
use serde::{Deserialize, Serialize};
use thalweg_noise::Noise;

use super::{Sampler, positive};
use crate::array::{Array, DType};
use crate::error::{DataError, Place};

/// How to read a picture as a density.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageConfig {
    /// The PNG file, relative to the recipe's folder.
    pub path: PathBuf,
    /// Whether dark or light places are ink.
    #[serde(default)]
    pub ink: Ink,
    /// Half the side of the square box, centred on the origin, that the picture fills.
    #[serde(default = "default_half_width")]
    pub half_width: f64,
    /// How a picture that is not square fills the box.
    #[serde(default)]
    pub aspect: Aspect,
    /// How mass is spread around a pixel's centre.
    #[serde(default)]
    pub texture: Texture,
}

fn default_half_width() -> f64 {
    4.0
}

/// What counts as ink. Transparent places never do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ink {
    /// White is paper.
    #[default]
    Dark,
    /// Black is paper.
    Light,
}

/// How a picture fills the square box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aspect {
    /// Pixels stay square; the longer side of the picture spans the box.
    #[default]
    Keep,
    /// Both sides span the box.
    Stretch,
}

/// How the mass of a pixel is spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Texture {
    /// Evenly within the pixel.
    #[default]
    Flat,
    /// As a Gaussian whose deviation is half a pixel.
    Smooth,
}

impl ImageConfig {
    pub(super) fn validate(&self, field: &str) -> Result<(), DataError> {
        positive(field, "half_width", self.half_width)
    }
}

/// Beyond this many pixels, ten deviations and more, a smooth pixel's mass is below 1e-21 of its peak.
const SMOOTH_REACH: i64 = 5;

/// Pixel weights and the map from pixels to the plane.
#[derive(Debug)]
pub(super) struct ImageDensity {
    width: usize,
    height: usize,
    /// Sums of the weights up to and including each pixel, row by row from the *bottom*; the last one is 1.
    cumulative: Vec<f64>,
    /// Shares of the whole, in the same order.
    shares: Vec<f64>,
    /// The centre of the lowest, leftmost pixel.
    origin: [f64; 2],
    /// Distance between neighbouring centres.
    spacing: [f64; 2],
    /// Deviations of a smooth pixel; none for flat ones.
    deviation: Option<[f64; 2]>,
}

impl ImageDensity {
    pub(super) fn load(config: &ImageConfig, base: &Path) -> Result<Self, DataError> {
        let path = base.join(&config.path);
        let picture = decode(&path)?;
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let shares = ink_from_the_bottom(&picture, config.ink);
        let total: f64 = shares.iter().sum();
        if total <= 0.0 {
            let (ink, other) = match config.ink {
                Ink::Dark => ("dark", "light"),
                Ink::Light => ("light", "dark"),
            };
            let reason = format!("it has no {ink} ink at all; should `ink` be \"{other}\"?");
            return Err(DataError::unsupported(&Place::file(&path), reason));
        }
        let shares: Vec<f64> = shares.iter().map(|share| share / total).collect();
        let mut sum = 0.0;
        let cumulative = shares.iter().map(|share| {
            sum += share;
            sum
        });
        let cumulative = cumulative.collect();
        let sides = [width as f64, height as f64];
        let longest = sides[0].max(sides[1]);
        let extent = sides.map(|side| match config.aspect {
            Aspect::Keep => 2.0 * config.half_width * side / longest,
            Aspect::Stretch => 2.0 * config.half_width,
        });
        let pixel = [extent[0] / sides[0], extent[1] / sides[1]];
        let per_axis =
            |f: fn(f64, f64, f64) -> f64| [0, 1].map(|axis| f(extent[axis], sides[axis], pixel[axis]));
        let (origin, spacing, deviation) = match config.texture {
            Texture::Flat => (per_axis(|extent, _, pixel| (pixel - extent) / 2.0), pixel, None),
            Texture::Smooth => {
                let spacing = per_axis(|extent, side, _| extent / (side - 1.0).max(1.0));
                (per_axis(|extent, _, _| -extent / 2.0), spacing, Some(per_axis(|_, _, pixel| pixel / 2.0)))
            }
        };
        Ok(Self { width, height, cumulative, shares, origin, spacing, deviation })
    }

    /// A point in units of pixels: the centre of pixel (column, row) has these coordinates.
    fn in_pixels(&self, point: &[f64]) -> [f64; 2] {
        [0, 1].map(|axis| (point[axis] - self.origin[axis]) / self.spacing[axis])
    }

    /// Share of the pixel, zero outside the picture.
    fn share(&self, column: i64, row: i64) -> f64 {
        match (usize::try_from(column), usize::try_from(row)) {
            (Ok(column), Ok(row)) if column < self.width && row < self.height => {
                self.shares[row * self.width + column]
            }
            _ => 0.0,
        }
    }
}

impl Sampler for ImageDensity {
    fn draw(&self, noise: &mut Noise, point: &mut [f64]) -> usize {
        // Rounding leaves the last sum a little off 1, and a pixel without ink must never be drawn: strictly below
        // the last sum the search always ends at a pixel whose own share is positive.
        let total = self.cumulative[self.cumulative.len() - 1];
        let target = (noise.uniform() * total).min(total.next_down());
        let pixel = self.cumulative.partition_point(|&sum| sum <= target);
        let centre = [pixel % self.width, pixel / self.width];
        for axis in 0..2 {
            let jitter = match self.deviation {
                Some(deviation) => deviation[axis] * noise.normal(),
                None => self.spacing[axis] * (noise.uniform() - 0.5),
            };
            point[axis] = self.origin[axis] + self.spacing[axis] * centre[axis] as f64 + jitter;
        }
        0
    }

    fn log_density(&self, point: &[f64]) -> Option<f64> {
        let at = self.in_pixels(point);
        // Far points, and NaN, must not wrap around as integers.
        if !at.iter().all(|at| at.abs() < 1e9) {
            return Some(f64::NEG_INFINITY);
        }
        let nearest = at.map(|at| (at + 0.5).floor() as i64);
        let Some(deviation) = self.deviation else {
            let area = self.spacing[0] * self.spacing[1];
            return Some((self.share(nearest[0], nearest[1]) / area).ln());
        };
        let kernel = |axis: usize, offset: i64| {
            let distance =
                (at[axis] - (nearest[axis] + offset) as f64) * self.spacing[axis] / deviation[axis];
            (-0.5 * distance * distance).exp()
        };
        let mut density = 0.0;
        for up in -SMOOTH_REACH..=SMOOTH_REACH {
            let along: f64 = (-SMOOTH_REACH..=SMOOTH_REACH)
                .map(|right| self.share(nearest[0] + right, nearest[1] + up) * kernel(0, right))
                .sum();
            density += along * kernel(1, up);
        }
        Some((density / (TAU * deviation[0] * deviation[1])).ln())
    }

    fn file_values(&self) -> &[f64] {
        &self.shares
    }
}

/// Ink of each pixel between 0 and 1, in rows from the bottom up.
fn ink_from_the_bottom(picture: &DynamicImage, ink: Ink) -> Vec<f64> {
    let pixels = picture.to_rgba16();
    let mut amounts = Vec::with_capacity(pixels.width() as usize * pixels.height() as usize);
    for row in (0..pixels.height()).rev() {
        for column in 0..pixels.width() {
            let [red, green, blue, alpha] = pixels.get_pixel(column, row).0.map(|c| f64::from(c) / 65535.0);
            // Luma as in Rec. 601, which image programs use for a grey picture.
            let light = 0.299 * red + 0.587 * green + 0.114 * blue;
            let amount = match ink {
                Ink::Dark => 1.0 - light,
                Ink::Light => light,
            };
            // White paper may come out as 1e-17 of ink.
            let amount = amount * alpha;
            amounts.push(if amount < 1e-9 { 0.0 } else { amount });
        }
    }
    amounts
}

/// The picture's channels as an array `[height, width, channels]`, for a summary.
pub(crate) fn channels(path: &Path) -> Result<Array, DataError> {
    let picture = decode(path)?;
    let channels = usize::from(picture.color().channel_count());
    let shape = vec![picture.height() as usize, picture.width() as usize, channels];
    let sixteen_bit = usize::from(picture.color().bytes_per_pixel()) == 2 * channels;
    let bytes = picture.as_bytes();
    if sixteen_bit {
        let values =
            bytes.chunks_exact(2).map(|pair| f64::from(u16::from_ne_bytes([pair[0], pair[1]]))).collect();
        return Ok(Array::new(shape, values).with_dtype(DType::U16));
    }
    Ok(Array::new(shape, bytes.iter().map(|&byte| f64::from(byte)).collect()).with_dtype(DType::U8))
}

fn decode(path: &Path) -> Result<DynamicImage, DataError> {
    let place = Place::file(path);
    let (file, _) = crate::read::open(path)?;
    let reader = ImageReader::new(std::io::BufReader::new(file))
        .with_guessed_format()
        .map_err(|source| DataError::io("read", path, source))?;
    reader
        .decode()
        .map_err(|error| DataError::malformed(&place, format!("it is not a complete PNG image ({error})")))
}
