use super::{During, Prr};

const MSS: u64 = 1000;

/// Plays a recovery in which `lost` of `flight` segments are lost and the others arrive one by one; each ACK lets out what CWND allows. How
/// many went out after each ACK, and what is in flight at the end.
fn recovery(flight: u64, lost: u64, ssthresh: u64, safe: bool) -> (Vec<u64>, u64) {
    let mut prr = Prr::begin(flight * MSS);
    let mut in_flight = flight - lost;
    let mut sent = Vec::new();
    for _ in 0..flight - lost {
        in_flight -= 1;
        let cwnd = prr.on_ack(During {
            delivered: MSS,
            in_flight: in_flight * MSS,
            ssthresh: (ssthresh * MSS) as u32,
            mss: MSS as u32,
            safe,
        });
        let out = (u64::from(cwnd) / MSS).saturating_sub(in_flight);
        prr.sent(out * MSS);
        in_flight += out;
        sent.push(out);
    }
    (sent, in_flight)
}

#[test]
fn with_one_loss_and_half_the_window_one_goes_out_for_two_that_arrive() {
    let (sent, in_flight) = recovery(20, 1, 10, false);
    assert!(sent.iter().all(|&out| out <= 1), "{sent:?}");
    assert_eq!(sent.iter().take(18).sum::<u64>(), 9, "{sent:?}");
    assert_eq!(in_flight, 10, "at the end CWND is SSTHRESH");
}

#[test]
fn with_cubic_seven_go_out_for_ten_that_arrive() {
    let (sent, in_flight) = recovery(100, 1, 70, false);
    let total: u64 = sent.iter().sum();
    assert_eq!((total, in_flight), (70, 70));
    assert!(sent.iter().all(|&out| out <= 1));
}

#[test]
fn below_ssthresh_one_goes_out_for_one_that_arrives() {
    // Half of the flight is lost at once: conservation, no burst.
    let (sent, in_flight) = recovery(20, 12, 10, false);
    assert!(sent.iter().all(|&out| out == 1), "{sent:?}");
    assert_eq!(in_flight, 8);
}

#[test]
fn while_all_goes_well_one_more_goes_out_with_each() {
    let (sent, in_flight) = recovery(20, 12, 10, true);
    assert!(sent.iter().all(|&out| out <= 2), "{sent:?}");
    assert_eq!(in_flight, 10, "up to SSTHRESH");
}

#[test]
fn the_first_retransmission_goes_out_at_once() {
    let mut prr = Prr::begin(100 * MSS);
    let cwnd = prr.on_ack(During {
        delivered: MSS,
        in_flight: 98 * MSS,
        ssthresh: 50 * MSS as u32,
        mss: MSS as u32,
        safe: false,
    });
    assert_eq!(u64::from(cwnd), 99 * MSS);
}

#[test]
fn an_ack_for_much_lets_out_no_more_than_its_share() {
    let mut prr = Prr::begin(100 * MSS);
    prr.sent(MSS);
    let cwnd = prr.on_ack(During {
        delivered: 40 * MSS,
        in_flight: 60 * MSS,
        ssthresh: 50 * MSS as u32,
        mss: MSS as u32,
        safe: true,
    });
    assert_eq!(u64::from(cwnd), (60 + 20 - 1) * MSS);
}
