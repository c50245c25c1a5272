//! PNG bytes from pixels, and pictures inside text as data addresses.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

use crate::error::PlotError;

/// Longest side of a picture we make: far beyond any screen, and small enough for every decoder.
pub(crate) const LIMIT: usize = 16_384;

pub(crate) fn encode_rgb(width: usize, height: usize, pixels: &[u8]) -> Result<Vec<u8>, PlotError> {
    encode(width, height, pixels, ExtendedColorType::Rgb8)
}

pub(crate) fn encode_rgba(width: usize, height: usize, pixels: &[u8]) -> Result<Vec<u8>, PlotError> {
    encode(width, height, pixels, ExtendedColorType::Rgba8)
}

fn encode(
    width: usize,
    height: usize,
    pixels: &[u8],
    color: ExtendedColorType,
) -> Result<Vec<u8>, PlotError> {
    let (w, h) = checked_size(width, height, LIMIT)?;
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, FilterType::Adaptive)
        .write_image(pixels, w, h, color)
        .map_err(|error| PlotError::Encode { format: "PNG", reason: error.to_string() })?;
    Ok(bytes)
}

/// Both sides as the 32-bit numbers that picture formats use, if they are between 1 and `limit`.
pub(crate) fn checked_size(width: usize, height: usize, limit: usize) -> Result<(u32, u32), PlotError> {
    let side = |n: usize| u32::try_from(n).ok().filter(|_| (1..=limit).contains(&n));
    side(width).zip(side(height)).ok_or(PlotError::Size { width, height, limit })
}

pub(crate) fn data_uri(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(png))
}
