//! The checker where buyers get less than they ask for, buy a part of what they hold, and keep it for longer.

use super::{
    super::{Answer, Ask, History, Line, Short, Violation, check},
    Crowd, commit_part,
    dull::Fault,
    reserve, reserve_some, taken,
};

/// Less than was asked, commits in part and extensions; two SKUs.
fn parts(fault: Fault) -> History {
    let mut crowd = Crowd::new(&[6, 5], fault);
    crowd.ask(1, reserve_some(&[(0, 4), (1, 2), (0, 4)])); // 4, 2 and 2: 0 3 are left
    crowd.ask(2, reserve_some(&[(0, 1), (1, 1)])); // none and 1: 0 2
    crowd.ask(3, reserve_some(&[(0, 1)]));
    crowd.ask(4, reserve(&[(1, 2)])); // 0 0
    crowd.ask(5, reserve_some(&[(0, 1), (1, 1)]));
    crowd.ask(1, commit_part(&[(0, 3), (1, 1)])); // 3 1
    crowd.ask(6, reserve(&[(0, 1), (1, 1)])); // 2 0
    crowd.ask(1, commit_part(&[(1, 1), (0, 3)]));
    crowd.ask(1, commit_part(&[(0, 1)]));
    crowd.ask(1, Ask::Commit);
    crowd.ask(1, Ask::Extend { ttl_ms: 50 });
    crowd.ask(2, commit_part(&[(1, 2)]));
    crowd.pass(60, 0);
    crowd.ask(7, reserve(&[(0, 1)])); // 1 0
    crowd.ask(2, Ask::Extend { ttl_ms: 100 });
    crowd.ask(12, reserve_some(&[(0, 1)])); // 0 0
    crowd.ask(12, Ask::Release); // 1 0
    crowd.pass(60, 5); // 4 and 6 fall back: 2 3
    crowd.ask(8, reserve(&[(1, 3)])); // 2 0
    crowd.ask(2, Ask::Commit);
    crowd.ask(4, Ask::Extend { ttl_ms: 10 });
    crowd.ask(7, Ask::Extend { ttl_ms: 10 });
    crowd.ask_twice(8, Ask::Extend { ttl_ms: 150 }, true, |crowd| crowd.pass(10, 0));
    crowd.ask(9, reserve_some(&[(0, 9)])); // 0 0
    crowd.ask(9, commit_part(&[(0, 2)]));
    crowd.pass(110, 5); // 7 falls back: 1 0
    crowd.ask_twice(8, commit_part(&[(1, 1)]), true, |crowd| drop(crowd.ask(10, reserve_some(&[(1, 1)])))); // 1 1
    crowd.ask(11, reserve_some(&[(0, 1), (1, 3)])); // 0 0
    crowd.ask(10, Ask::Extend { ttl_ms: 200 });
    crowd.quiet();
    crowd.end()
}

#[test]
fn parts_and_extensions_are_believed() {
    let figures = check(&parts(Fault::None)).expect("it can be so");
    let told = (figures.reserved, figures.cut, figures.committed, figures.in_part, figures.extended, figures.short, figures.resent);
    assert_eq!(told, (10, 4, 4, 3, 4, 2, 2), "{figures:?}");
}

#[test] // Each row: what is wrong, and what is found.
fn an_engine_that_is_wrong_about_parts_and_extensions_is_not() {
    type Found = fn(&Violation) -> bool;
    let rows: [(&str, Fault, Found); 7] = [
        ("less than there is", Fault::TakesLess(0), |v| matches!(v, Violation::Malformed { .. })),
        ("a rest that is not given back", Fault::KeepsRest(0), |v| matches!(v, Violation::Unexplained { .. })),
        ("a rest that is sold", Fault::SellsWhole(0), |v| matches!(v, Violation::Unexplained { .. } | Violation::Sold { .. })),
        ("more sold than taken", Fault::SellsTooMany(0), |v| matches!(v, Violation::Contradiction { .. })),
        ("an extension that is forgotten", Fault::ForgetsExtension(0), |v| {
            matches!(v, Violation::Contradiction { .. } | Violation::Unexplained { .. })
        }),
        ("what is over is extended", Fault::ExtendsLate(0), |v| matches!(v, Violation::Contradiction { .. })),
        ("one unit too many for whoever takes what there is", Fault::SellsOneTooMany(0), |v| {
            matches!(v, Violation::NotConserved { .. } | Violation::Malformed { .. } | Violation::Unexplained { .. })
        }),
    ];
    for (name, fault, is_found) in rows {
        match check(&parts(fault)) {
            Err(violation) => assert!(is_found(&violation), "{name}: {violation:?}"),
            Ok(figures) => panic!("{name}: {figures:?}"),
        }
    }
}

#[test] // Each row: a lie told into a true history; places are those of `parts`.
fn parts_and_extensions_that_were_bent_are_refused() {
    type Bend = fn(&mut History);
    fn answer(history: &mut History, at: usize, answer: Answer) {
        history.exchanges[at].answer = answer;
    }
    fn extended(history: &mut History, at: usize) -> &mut u64 {
        match &mut history.exchanges[at].answer {
            Answer::Extended { expires_at } => expires_at,
            other => panic!("not extended: {other:?}"),
        }
    }
    fn ask_part(history: &mut History, at: usize) -> &mut Vec<Line> {
        match &mut history.exchanges[at].ask {
            Ask::CommitPart(part) => part,
            other => panic!("no part: {other:?}"),
        }
    }
    let rows: [(&str, Bend); 27] = [
        ("a line got more than it asked for", |history| taken(&mut history.exchanges[0]).expect("taken").taken[0] += 1),
        ("a line got less, and some was left", |history| {
            let told = taken(&mut history.exchanges[0]).expect("taken");
            (told.taken[2], told.remaining[0], told.remaining[2]) = (1, 1, 1);
        }),
        ("a line got less, and nothing was left", |history| taken(&mut history.exchanges[0]).expect("taken").taken[2] -= 1),
        ("a later line of the SKU went first", |history| taken(&mut history.exchanges[0]).expect("taken").taken = vec![2, 2, 4]),
        ("nothing at all was taken", |history| taken(&mut history.exchanges[1]).expect("taken").taken = vec![0, 0]),
        ("whoever wanted all got some", |history| {
            let Ask::Reserve(body) = &mut history.exchanges[0].ask else { panic!("a reservation") };
            body.partial = false;
        }),
        ("nothing for whoever takes what there is, and there was some", |history| {
            let line = |line, sku, requested| Short { line, sku, requested, available: 0 };
            answer(history, 0, Answer::Short(vec![line(0, 0, 8), line(1, 1, 2), line(2, 0, 8)]));
        }),
        ("nothing, and it says that there is some", |history| {
            let Answer::Short(short) = &mut history.exchanges[4].answer else { panic!("short") };
            short[0].available = 1;
        }),
        ("nothing, and only one of two lines is short", |history| {
            let Answer::Short(short) = &mut history.exchanges[4].answer else { panic!("short") };
            short.pop();
        }),
        ("another part was sold", |history| {
            for at in [5, 7] {
                ask_part(history, at).iter_mut().filter(|line| line.sku == 0).for_each(|line| line.quantity = 2);
            }
        }),
        ("more was sold than taken", |history| {
            for at in [5, 7] {
                ask_part(history, at).iter_mut().filter(|line| line.sku == 0).for_each(|line| line.quantity = 7);
            }
        }),
        ("something was sold that was not taken", |history| ask_part(history, 22)[0].sku = 1),
        ("sold in two ways", |history| answer(history, 8, Answer::Done)),
        ("sold in part and whole", |history| answer(history, 9, Answer::Done)),
        ("sold, and told that it is not", |history| answer(history, 9, Answer::NotFound)),
        ("the first commit refused as another", |history| answer(history, 17, Answer::Differs)),
        ("a repeat refused as another", |history| answer(history, 7, Answer::Differs)),
        ("too many, and sold", |history| answer(history, 11, Answer::Done)),
        ("extended after it was sold", |history| answer(history, 10, Answer::Extended { expires_at: 1_100 })),
        ("committed, and nobody had committed it", |history| answer(history, 13, Answer::IsCommitted)),
        ("extended by less than was asked", |history| *extended(history, 13) -= 1),
        ("extended by more than was asked", |history| *extended(history, 13) += 1),
        ("an extension that shortens", |history| *extended(history, 19) -= 1),
        ("a lost extension that gave too much", |history| *extended(history, 20) += 100),
        ("over, and extended all the same", |history| answer(history, 18, Answer::Extended { expires_at: 1_130 })),
        ("there, and not extended", |history| answer(history, 13, Answer::NotFound)),
        ("an extension of nothing", |history| history.exchanges[13].hold = 77),
    ];
    for (name, bend) in rows {
        let mut history = parts(Fault::None);
        bend(&mut history);
        assert!(check(&history).is_err(), "{name}");
    }
}
