use super::*;

#[test]
fn same_seed_gives_the_same_sequence() {
    let (mut a, mut b) = (Generator::from_seed(7), Generator::from_seed(7));
    assert!((0..100).all(|_| a.next_u64() == b.next_u64()));
    assert_ne!(
        Generator::from_seed(7).next_u64(),
        Generator::from_seed(8).next_u64()
    );
}

#[test]
fn below_stays_below_and_chance_keeps_its_ends() {
    let mut generator = Generator::from_seed(1);
    assert!((0..1000).all(|_| generator.below(3) < 3));
    assert_eq!(generator.below(0), 0);
    assert!((0..1000).all(|_| !generator.chance(0.0)));
    assert!((0..1000).all(|_| generator.chance(1.0)));
    let hits = (0..10_000).filter(|_| generator.chance(0.1)).count();
    assert!((800..1200).contains(&hits), "{hits}");
}

#[test]
fn secrets_differ_by_key_and_purpose_and_never_print() {
    let (a, b) = (Secret::new([1; 16]), Secret::new([2; 16]));
    assert_ne!(a.hash(1u32), b.hash(1u32));
    assert_ne!(a.derive("ports").hash(1u32), a.derive("isn").hash(1u32));
    assert_eq!(format!("{a:?}"), "Secret(…)");
}
