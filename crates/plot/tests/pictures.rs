//! Pictures made of pixels: they decode to what went in, refuse the impossible with a reason, and are
//! written whole.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;

use thalweg_plot::{PlotError, RgbImage, ScatterAnimation, image_grid, scatter_png, write_png};

/// Points on a spiral: spread out, and the same every time.
fn spiral(count: usize) -> Vec<[f64; 2]> {
    (0..count).map(|i| 2.4 * i as f64).map(|angle| [angle * angle.cos(), angle * angle.sin()]).collect()
}

fn plain(width: usize, height: usize, color: [u8; 3]) -> RgbImage {
    RgbImage::new(width, height, color.repeat(width * height)).unwrap()
}

fn animation(frames: usize, points: usize) -> ScatterAnimation {
    let cloud = spiral(points);
    let times: Vec<f64> = (0..frames).map(|k| k as f64 / frames as f64).collect();
    let frames = times.iter().map(|t| cloud.iter().map(|[x, y]| [x * t, y * (1.0 - t)]).collect()).collect();
    ScatterAnimation::new("motion", frames, times).unwrap().target(spiral(100))
}

#[test]
fn grids_hold_their_images_magnified_in_reading_order() {
    let colors = [[250, 0, 0], [0, 250, 0], [0, 0, 250], [9, 9, 9], [200, 100, 50]];
    let images: Vec<RgbImage> = colors.iter().map(|&color| plain(16, 8, color)).collect();
    let png = image_grid(&images, 3).unwrap();
    let picture = image::load_from_memory(&png).unwrap().to_rgb8();
    // Zoom 4, gaps of 2: three columns of 64 and two rows of 32.
    assert_eq!(picture.dimensions(), (3 * 66 + 2, 2 * 34 + 2));
    for (index, color) in colors.iter().enumerate() {
        let (left, top) = (2 + index % 3 * 66, 2 + index / 3 * 34);
        for (x, y) in [(left, top), (left + 63, top + 31)] {
            assert_eq!(picture.get_pixel(x as u32, y as u32).0, *color, "image {index}");
        }
    }
    assert_eq!(picture.get_pixel(190, 60).0, [255; 3], "the empty cell is paper");
}

#[test]
fn channel_first_values_become_pixels() {
    let values = [-1.0, 1.0, 0.0, 5.0, f64::NAN, -9.0];
    let image = RgbImage::from_channels(&values, 2, 1).unwrap();
    assert_eq!(image.pixels(), [0, 128, 0, 255, 255, 0]);
    assert_eq!(RgbImage::from_channels(&values[..2], 2, 1).unwrap().pixels(), [0, 0, 0, 255, 255, 255]);
}

#[test]
fn impossible_pictures_are_refused_with_a_reason() {
    let message = |error: PlotError| error.to_string();
    assert_eq!(
        message(RgbImage::new(2, 2, vec![0; 5]).unwrap_err()),
        "an image of 2 × 2 pixels needs 12 values, got 5; check the order of its axes"
    );
    assert!(
        message(RgbImage::new(0, 2, vec![]).unwrap_err())
            .starts_with("a picture of 0 × 2 pixels cannot be made")
    );
    assert!(
        message(RgbImage::from_channels(&[0.0; 8], 2, 2).unwrap_err()).contains("needs 12 values, got 8")
    );
    assert_eq!(
        message(image_grid(&[], 3).unwrap_err()),
        "an image grid is empty; give it at least one element"
    );
    assert!(
        message(image_grid(&[plain(1, 1, [0; 3])], 0).unwrap_err())
            .contains("a row of an image grid is empty")
    );
    assert!(
        message(image_grid(&[plain(2, 2, [0; 3]), plain(2, 3, [0; 3])], 2).unwrap_err())
            .starts_with("image 1 is 2 × 3 but the first is 2 × 2")
    );
    assert!(message(scatter_png(&spiral(5), 0).unwrap_err()).contains("cannot be made"));
    assert!(
        message(ScatterAnimation::new("", vec![], vec![]).unwrap_err()).starts_with("an animation is empty")
    );
    let uneven = ScatterAnimation::new("", vec![spiral(3), spiral(4)], vec![0.0, 1.0]).unwrap_err();
    assert_eq!(message(uneven), "points in a frame of an animation: expected 3, got 4");
    let untimed = ScatterAnimation::new("", vec![spiral(3)], vec![]).unwrap_err();
    assert_eq!(message(untimed), "times of an animation: expected 1, got 0");
    for size in [0, 63, 2049, 1 << 40] {
        assert!(matches!(animation(2, 3).gif_bytes(size), Err(PlotError::Size { .. })), "{size}");
    }
}

#[test]
fn clouds_keep_their_aspect_and_skip_what_is_not_finite() {
    let corners = [[0.0, 0.0], [4.0, 0.0], [0.0, 2.0], [4.0, 2.0], [f64::NAN, 1.0]];
    let picture = image::load_from_memory(&scatter_png(&corners, 200).unwrap()).unwrap().to_rgb8();
    assert_eq!(picture.dimensions(), (200, 200));
    // Four units and a twentieth of air at each end fill 200 pixels: the cloud spans 182 by 91 about the
    // middle.
    for (x, y) in [(9, 55), (191, 55), (9, 145), (191, 145)] {
        assert!(picture.get_pixel(x, y).0[0] < 200, "no dot at {x}, {y}");
    }
    assert_eq!(picture.get_pixel(100, 100).0, [255; 3]);
    let empty = image::load_from_memory(&scatter_png(&[], 32).unwrap()).unwrap().to_rgb8();
    assert!(empty.pixels().all(|pixel| pixel.0 == [255; 3]));
}

#[test]
fn gifs_decode_frame_by_frame_loop_and_rest_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("motion.gif");
    animation(12, 300).to_gif(&path, 128).unwrap();
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::Indexed);
    let mut decoder = options.read_info(fs::File::open(&path).unwrap()).unwrap();
    assert_eq!((decoder.width(), decoder.height()), (128, 128));
    assert_eq!(decoder.repeat(), gif::Repeat::Infinite);
    let palette = decoder.global_palette().unwrap().to_vec();
    let mut delays = Vec::new();
    let mut screen = vec![0_u8; 128 * 128];
    while let Some(frame) = decoder.read_next_frame().unwrap() {
        assert!(frame.palette.is_none(), "all frames use one palette");
        delays.push(frame.delay);
        screen
            .iter_mut()
            .zip(&*frame.buffer)
            .filter(|(_, new)| Some(**new) != frame.transparent)
            .for_each(|(pixel, new)| *pixel = *new);
    }
    assert_eq!(delays.len(), 12);
    assert!(delays[11] > 5 * delays[5], "{delays:?}");
    // The corner is paper, and the cloud is somewhere.
    assert_eq!(palette[3 * usize::from(screen[0])..][..3], [255; 3]);
    assert!(screen.iter().filter(|&&index| palette[3 * usize::from(index)] < 128).count() > 100);
}

#[test]
fn animations_are_the_same_every_time_and_bear_bad_points() {
    assert_eq!(animation(5, 50).gif_bytes(96).unwrap(), animation(5, 50).gif_bytes(96).unwrap());
    let bad =
        ScatterAnimation::new("", vec![vec![[f64::NAN, 1.0], [f64::INFINITY, 0.0]]], vec![f64::NAN]).unwrap();
    assert!(bad.gif_bytes(64).unwrap().starts_with(b"GIF89a"));
}

#[test]
fn files_are_replaced_whole_or_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.png");
    write_png(&path, &plain(3, 3, [1, 2, 3])).unwrap();
    // A temporary file left by a crash is in nobody's way.
    fs::write(folder.path().join(".picture.png.0.tmp"), "left over").unwrap();
    write_png(&path, &plain(4, 4, [4, 5, 6])).unwrap();
    assert_eq!(image::open(&path).unwrap().to_rgb8().dimensions(), (4, 4));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no further temporary file stays");

    // A folder stands where the file should go: the rename fails, and nothing is left behind.
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("inside"), "kept").unwrap();
    let error = write_png(&taken, &plain(3, 3, [1, 2, 3])).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot write ")
            && error.contains("taken: ")
            && error.contains("check that the folder exists"),
        "{error}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);

    let missing = write_png(&folder.path().join("no/such/file"), &plain(3, 3, [1, 2, 3])).unwrap_err();
    assert!(matches!(missing, PlotError::Io { .. }));
}
