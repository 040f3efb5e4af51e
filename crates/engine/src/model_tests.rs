//! What a version takes over of the one before it.

use tensor::DType;

use crate::Measured;
use crate::testing::Puppet;

#[test]
fn a_curve_is_taken_over_by_signatures_that_are_alike() {
    let earlier = Puppet::default().echoes().measured(&[(1, 20), (2, 30)], 2);
    let known = earlier.served.curve(1).cloned();
    let later = Puppet::default().echoes().served;
    assert_eq!(later.curves_like(&earlier.served), [known.clone(), known]);

    let other = Puppet {
        dtypes: vec![DType::Float],
        ..Puppet::default()
    };
    let other = other.echoes().served;
    assert_eq!(other.curves_like(&earlier.served), [None, None]);
}

#[test]
fn batches_by_a_curve_taken_over_are_compared_first() {
    let earlier = Puppet::default().echoes().measured(&[(1, 20)], 2);
    for (is_provisional, is_proven) in [(true, false), (false, true)] {
        let unproven = Puppet {
            is_unproven: true,
            ..Puppet::default()
        };
        let model = unproven.echoes().served;
        model.learn(vec![Measured {
            curve: earlier.served.curve(0).cloned(),
            is_provisional,
            ..Measured::default()
        }]);
        assert_eq!(model.is_proven(0), is_proven);
        assert!(model.curve(0).is_some());
    }
}
