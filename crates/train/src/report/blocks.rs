//! The blocks of a local chain: how well each was learned, and whether the data arrive at noise.

use thalweg_plot::{Cell, Section, Table};

use super::Subject;
use crate::evaluate::BlockScores;

/// A table with a row for each block; nothing for other flows.
pub(super) fn section(subject: &Subject) -> Option<Section> {
    let blocks = &subject.evaluation.blocks;
    if blocks.is_empty() {
        return None;
    }
    let headings =
        ["block", "diffuses for", "loss", "sliced W₂ behind it", "χ² of the moments", "χ² diffused"];
    let table = blocks.iter().fold(Table::new(headings), |table, block| table.row(row(block)));
    let table = table.caption(
        "Blocks are numbered from the data. The loss is the mean squared error of the velocity on held-out points at \
         uniform times; below it stands that of the exact velocity, where it is known. The distance is between held-out \
         points behind the block and others that have gone through the exact diffusion; below it that between two sets of \
         the latter. χ² is that of a Gaussian with the moments of the points to the standard normal, ∞ where a variance is \
         2 or more.",
    );
    let text = "Each block moves the data a little towards the standard normal, as the diffusion would. What one block has \
                not learned is handed on to the next: distances that grow from block to block say that, and those of the \
                last block how far what it arrives at is from the noise that samples start from.";
    Some(Section::new("Blocks").text(text).with(table))
}

fn row(block: &BlockScores) -> Vec<Cell> {
    let loss = Cell::number(block.loss).plus_minus(block.loss_error);
    let loss = match block.loss_floor {
        Some(floor) => loss.floor(floor),
        None => loss,
    };
    let chi = |value: Option<f64>| value.map_or_else(|| Cell::from("∞"), Cell::number);
    vec![
        Cell::from(block.number.to_string()),
        block.duration.map_or_else(|| Cell::from("ever"), Cell::number),
        loss,
        Cell::number(block.distance).floor(block.distance_floor),
        chi(block.chi_squared),
        chi(block.chi_squared_diffused),
    ]
}
