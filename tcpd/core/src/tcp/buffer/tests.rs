use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[test]
fn nothing_is_allocated_before_the_first_write() {
    let mut ring = HeapRing::private(65_536);
    let mut out = [1; 4];
    ring.read_at(9, &mut out);
    assert!(ring.grow(1 << 20, 0, 0));
    assert_eq!((ring.allocated(), ring.capacity()), (0, 1 << 20));
    ring.write_at(0, &[]);
    assert_eq!(ring.allocated(), 0);
    ring.write_at(0, b"x");
    assert_eq!(ring.allocated(), 1 << 20);
}

#[test]
fn capacity_is_rounded_up_to_a_power_of_two() {
    assert_eq!(HeapRing::private(0).capacity(), 1);
    assert_eq!(HeapRing::private(1000).capacity(), 1024);
    assert_eq!(HeapRing::private(u32::MAX).capacity(), MAX_CAPACITY);
    assert!(!HeapRing::private(1).grow(u32::MAX, 0, 0));
}

#[derive(Debug, Clone)]
enum Step {
    Write { ahead: u16, bytes: Vec<u8> },
    Release(u16),
    Grow(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (any::<u16>(), prop::collection::vec(any::<u8>(), 0..300)).prop_map(|(ahead, bytes)| Step::Write { ahead, bytes }),
        3 => any::<u16>().prop_map(Step::Release),
        1 => (0u8..12).prop_map(Step::Grow),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    /// The model: a map from position to byte, of which `start..start + capacity` counts.
    #[test]
    fn heap_ring_behaves_as_a_map_by_position(origin in prop_oneof![Just(0u64), any::<u32>().prop_map(u64::from), Just(u64::from(u32::MAX) * 3)], steps in steps()) {
        let mut ring = HeapRing::private(16);
        let mut model = BTreeMap::new();
        let mut start = origin;
        for step in steps {
            let capacity = u64::from(ring.capacity());
            match step {
                Step::Write { ahead, mut bytes } => {
                    let ahead = u64::from(ahead) % capacity;
                    bytes.truncate((capacity - ahead) as usize);
                    ring.write_at(start + ahead, &bytes);
                    model.extend((start + ahead..).zip(bytes));
                }
                Step::Release(count) => {
                    start += u64::from(count) % (capacity + 1);
                    model = model.split_off(&start);
                }
                Step::Grow(shift) => {
                    prop_assert!(ring.grow(1 << shift, start, start + capacity));
                    prop_assert!(ring.capacity() >= 1 << shift && u64::from(ring.capacity()) >= capacity);
                }
            }
            let mut out = vec![0; ring.capacity() as usize];
            ring.read_at(start, &mut out);
            for (position, byte) in &model {
                prop_assert_eq!(out[(position - start) as usize], *byte, "position {}", position);
            }
        }
    }
}
