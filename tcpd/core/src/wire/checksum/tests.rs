use super::*;
use proptest::prelude::*;

/// RFC 1071 §4.1, word by word.
fn plain(bytes: &[u8]) -> u16 {
    let mut sum = 0u64;
    for word in bytes.chunks(2) {
        sum += u64::from(u16::from_be_bytes([
            word[0],
            word.get(1).copied().unwrap_or(0),
        ]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[test]
fn the_example_of_rfc_1071_holds() {
    assert_eq!(
        Sum::from_folded(0xddf2).finish(),
        of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])
    );
}

#[test]
fn all_zero_and_all_one_bytes_of_every_length() {
    for length in 0..200 {
        assert_eq!(of(&vec![0; length]), 0xffff);
        assert_eq!(!of(&vec![0xff; length]), plain(&vec![0xff; length]));
    }
    assert_eq!(!of(&vec![0xff; 65_535]), plain(&vec![0xff; 65_535]));
}

proptest! {
    #[test]
    fn the_fast_sum_is_the_plain_sum_however_it_is_cut(bytes in prop::collection::vec(any::<u8>(), 0..2000), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5)) {
        prop_assert_eq!(!of(&bytes), plain(&bytes));
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        cuts.push(bytes.len());
        let (mut sum, mut from) = (Sum::new(), 0);
        for cut in cuts {
            sum.add(&bytes[from..cut]);
            from = cut;
        }
        prop_assert_eq!(sum.fold(), plain(&bytes));
    }
}
