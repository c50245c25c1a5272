//! The order in which numpy's `RandomState(seed).shuffle` puts rows, for splits that were published as its outcome.
//!
//! The numbers are those of the Mersenne twister MT19937 (Matsumoto and Nishimura, 1998); the shuffle is that of Fisher
//! and Yates from the last row down, with whole numbers by rejection below the next power of two. numpy has frozen both.

const WORDS: usize = 624;
const SHIFT: usize = 397;

/// The numbers below `rows` in numpy's order.
pub(crate) fn shuffled(rows: usize, seed: u32) -> Vec<usize> {
    let mut twister = Twister::new(seed);
    let mut order: Vec<usize> = (0..rows).collect();
    for last in (1..rows).rev() {
        order.swap(last, twister.up_to(last as u64) as usize);
    }
    order
}

struct Twister {
    words: [u32; WORDS],
    next: usize,
}

impl Twister {
    fn new(seed: u32) -> Self {
        let mut words = [seed; WORDS];
        for i in 1..WORDS {
            let before = words[i - 1];
            words[i] = (before ^ (before >> 30)).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        Self { words, next: WORDS }
    }

    /// A number from 0 to `largest`, that included.
    fn up_to(&mut self, largest: u64) -> u64 {
        let mask = u64::MAX >> largest.leading_zeros();
        loop {
            let drawn = if largest > u64::from(u32::MAX) {
                u64::from(self.word()) << 32 | u64::from(self.word())
            } else {
                u64::from(self.word())
            };
            if drawn & mask <= largest {
                return drawn & mask;
            }
        }
    }

    fn word(&mut self) -> u32 {
        if self.next == WORDS {
            self.turn();
        }
        let mut word = self.words[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= word << 7 & 0x9d2c_5680;
        word ^= word << 15 & 0xefc6_0000;
        word ^ word >> 18
    }

    fn turn(&mut self) {
        for i in 0..WORDS {
            let joined = self.words[i] & 0x8000_0000 | self.words[(i + 1) % WORDS] & 0x7fff_ffff;
            let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.words[i] = self.words[(i + SHIFT) % WORDS] ^ joined >> 1 ^ odd;
        }
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::shuffled;

    /// Printed by fixtures/make_hdf5.py.
    #[test]
    fn the_order_is_numpys() {
        assert_eq!(shuffled(12, 42), [10, 9, 0, 8, 5, 2, 1, 11, 4, 7, 3, 6]);
        assert_eq!(shuffled(7, 0), [6, 2, 1, 3, 0, 5, 4]);
        // 2000 rows take more numbers than the twister makes at a time; as many as the last have the table of POWER.
        for (rows, sum) in [(2000, 2_008_348_118), (2_049_280, 2_151_545_343_821_741_823)] {
            let order = shuffled(rows, 42);
            assert_eq!(order.iter().enumerate().map(|(place, row)| place * row).sum::<usize>(), sum);
        }
        assert_eq!((shuffled(1, 5), shuffled(0, 5)), (vec![0], vec![]));
    }
}
