use super::{Area, Mark, draw};

#[test]
fn the_send_space_is_drawn_as_in_figure_3() {
    let marks = [
        Mark::new("SND.UNA", 4_294_967_000),
        Mark::new("SND.NXT", 704),
        Mark::plus("SND.UNA", "+SND.WND", 65_240),
    ];
    let areas = [
        Area::new("12,345 B", "acknowledged"),
        Area::new("1,000 B", "sent, not yet acknowledged"),
        Area::new("64,536 B", "may be sent now"),
        Area::new("", "not yet allowed"),
    ];
    insta::assert_snapshot!(draw(&marks, &areas), @r#"
             1                 2                 3                 4
    ------------------|-----------------|-----------------|-----------------
                   SND.UNA           SND.NXT           SND.UNA
                                                      +SND.WND
                 4294967000            704              65240

    1 - 12,345 B  acknowledged
    2 -  1,000 B  sent, not yet acknowledged
    3 - 64,536 B  may be sent now
    4 -           not yet allowed
    "#);
}

#[test]
fn the_receive_space_is_drawn_as_in_figure_4() {
    let marks = [
        Mark::new("RCV.NXT", 5),
        Mark::plus("RCV.NXT", "+RCV.WND", 65_541),
    ];
    let areas = [
        Area::new("4 B", "received"),
        Area::new("64 KiB", "may be received"),
        Area::new("", "not yet allowed"),
    ];
    insta::assert_snapshot!(draw(&marks, &areas), @r#"
             1                 2                 3
    ------------------|-----------------|-----------------
                   RCV.NXT           RCV.NXT
                                    +RCV.WND
                      5               65541

    1 -    4 B  received
    2 - 64 KiB  may be received
    3 -         not yet allowed
    "#);
}
