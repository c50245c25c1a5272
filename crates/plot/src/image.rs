//! Pictures made of pixels: sample grids, and clouds of points as PNG.

use std::path::Path;

use thalweg_files::write_atomically;

use crate::error::PlotError;
use crate::layers::Bounds;
use crate::png;
use crate::raster::{Coverage, Viewport};
use crate::theme;

/// Red, green and blue, eight bits each, rows from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RgbImage {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl RgbImage {
    /// An image of `width × height` pixels, three bytes each.
    ///
    /// # Errors
    /// [`PlotError::Size`] if a side is zero or absurd, [`PlotError::Pixels`] if the buffer does not fit the
    /// shape.
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Result<Self, PlotError> {
        png::checked_size(width, height, png::LIMIT)?;
        let expected = 3 * width * height;
        if pixels.len() != expected {
            return Err(PlotError::Pixels { width, height, expected, got: pixels.len() });
        }
        Ok(Self { width, height, pixels })
    }

    /// An image from values in `[-1, 1]`, channel first, as networks make them: `[3, height, width]`, or
    /// `[1, height, width]` for grey. Values outside are clamped; not-a-number becomes black.
    ///
    /// # Errors
    /// As [`RgbImage::new`]; the number of channels follows from the length.
    pub fn from_channels(values: &[f64], width: usize, height: usize) -> Result<Self, PlotError> {
        png::checked_size(width, height, png::LIMIT)?;
        let plane = width * height;
        let channel = |c: usize| match values.len() / plane {
            1 => 0,
            _ => c * plane,
        };
        if values.len() != plane && values.len() != 3 * plane {
            return Err(PlotError::Pixels { width, height, expected: 3 * plane, got: values.len() });
        }
        let byte = |v: f64| if v.is_nan() { 0 } else { ((v.clamp(-1.0, 1.0) + 1.0) * 127.5).round() as u8 };
        let pixels = (0..plane).flat_map(|i| [0, 1, 2].map(|c| byte(values[channel(c) + i]))).collect();
        Ok(Self { width, height, pixels })
    }

    /// Pixels in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// The bytes, three to a pixel, rows from the top.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The image as a PNG file.
    ///
    /// # Errors
    /// [`PlotError::Encode`] if the encoder refuses, which it does for want of memory.
    pub fn to_png(&self) -> Result<Vec<u8>, PlotError> {
        png::encode_rgb(self.width, self.height, &self.pixels)
    }
}

/// Images of one shape side by side in rows of `columns`, a white line between them, as PNG bytes. Images of
/// fewer than 64 pixels are magnified by a whole factor, so that every pixel stays a square.
///
/// # Errors
/// [`PlotError::Empty`] without images or columns, [`PlotError::Unlike`] if their shapes differ,
/// [`PlotError::Size`] if the grid is too large for a PNG.
pub fn image_grid(images: &[RgbImage], columns: usize) -> Result<Vec<u8>, PlotError> {
    let first = images.first().ok_or(PlotError::Empty { what: "an image grid" })?;
    if columns == 0 {
        return Err(PlotError::Empty { what: "a row of an image grid" });
    }
    let (width, height) = (first.width, first.height);
    if let Some((index, other)) =
        images.iter().enumerate().find(|(_, image)| (image.width, image.height) != (width, height))
    {
        return Err(PlotError::Unlike {
            index,
            width,
            height,
            got_width: other.width,
            got_height: other.height,
        });
    }
    let zoom = (64 / width.max(height)).max(1);
    let gap = 2;
    let columns = columns.min(images.len());
    let rows = images.len().div_ceil(columns);
    let (cell_width, cell_height) = (width * zoom + gap, height * zoom + gap);
    let (grid_width, grid_height) = (columns * cell_width + gap, rows * cell_height + gap);
    png::checked_size(grid_width, grid_height, png::LIMIT)?;

    let mut pixels = vec![255; 3 * grid_width * grid_height];
    for (index, image) in images.iter().enumerate() {
        let (left, top) = (gap + index % columns * cell_width, gap + index / columns * cell_height);
        for y in 0..height * zoom {
            for x in 0..width * zoom {
                let from = 3 * (y / zoom * width + x / zoom);
                let to = 3 * ((top + y) * grid_width + left + x);
                pixels[to..to + 3].copy_from_slice(&image.pixels[from..from + 3]);
            }
        }
    }
    png::encode_rgb(grid_width, grid_height, &pixels)
}

/// Writes an image as a PNG file, whole or not at all.
///
/// # Errors
/// [`PlotError::Io`] and [`PlotError::Encode`].
pub fn write_png(path: &Path, image: &RgbImage) -> Result<(), PlotError> {
    write_atomically(path, &image.to_png()?).map_err(PlotError::io(path))
}

/// A cloud of points as a square PNG of `size` pixels, one unit as long upwards as sideways. Points that are
/// not finite are left out.
///
/// # Errors
/// [`PlotError::Size`] if `size` is below 16 or above 16 384.
pub fn scatter_png(points: &[[f64; 2]], size: usize) -> Result<Vec<u8>, PlotError> {
    if size < 16 {
        return Err(PlotError::Size { width: size, height: size, limit: png::LIMIT });
    }
    png::checked_size(size, size, png::LIMIT)?;
    let view = Viewport::square(Bounds::around(points), size);
    let mut coverage = Coverage::new(size, size);
    // Dots shrink as they multiply, but stay visible.
    let shrink = (2000.0 / points.len().max(1) as f64).powf(0.25);
    let radius = (size as f64 / 160.0 * shrink).min(size as f64 / 60.0).max(0.8);
    for place in points.iter().filter_map(|&point| view.place(point)) {
        coverage.dot(place, radius, 0.55);
    }
    let (paper, ink) = (theme::SURFACE.light, theme::SERIES[0].light);
    let pixels = coverage.values().iter().flat_map(|&c| {
        let color = paper.mix(ink, f64::from(c));
        [color.0, color.1, color.2]
    });
    png::encode_rgb(size, size, &pixels.collect::<Vec<u8>>())
}
