//! Small histories of one or two rows, each with its last answer and the row it leaves.
//!
//! A step is written as in `play`; times are milliseconds after the start, and `day` is longer than everything is remembered.

use inventory_ledger::{
    Extended, Full, HoldId, HoldRefused, HoldRequest, LINES_MAX, Ledger, Limits, Line, Location, Millis, MoveRefused, MovementId, Owner,
    PinRefused, Reason, Released, ShortLine, Sku, TIME_MAX, Taken, UNITS_MAX, Units,
};

const SHOP: Location = Location(1);
const DAY_MS: u64 = 25 * 60 * 60 * 1_000;

/// Small enough that every table can be filled by hand.
const SMALL: Limits = Limits {
    rows_max: 2,
    holds_max: 2,
    tombstones_max: 1,
    movements_kept_max: 4,
    announcements_max: 1,
    shipments_max: 1,
    backorders_max: 1,
    purchase_limits_max: 1,
    purchases_max: 1,
    history_max: 0,
    events_max: 0,
    id_window_ms: 1_000,
    hold_life_ms_max: 300,
};

/// `3` is three of SKU 1; `3@2` is three of SKU 2.
fn lines(text: &str) -> Vec<Line> {
    let line = |part: &str| {
        let (quantity, sku) = part.split_once('@').unwrap_or((part, "1"));
        Line { sku: Sku(sku.parse().unwrap()), location: SHOP, quantity: Units(quantity.parse().unwrap()) }
    };
    text.split(',').filter(|part| !part.is_empty()).map(line).collect()
}

fn said<T: std::fmt::Debug, E: std::fmt::Display>(result: Result<T, E>) -> String {
    match result {
        Ok(answer) => format!("{answer:?}"),
        Err(refusal) => format!("no: {refusal}"),
    }
}

fn short(lines: &[ShortLine]) -> String {
    let short = |line: &ShortLine| format!("{}:{}>{}", line.index, line.requested.0, line.available.0);
    lines.iter().map(short).collect::<Vec<_>>().join(" ")
}

/// The id with the number in the first word, of the instant in another.
fn timed(words: &[&str], at: usize) -> HoldId {
    HoldId::timed(Millis(words[at].parse().unwrap()), words[1].parse().unwrap())
}

/// Plays a history and gives the last answer in short: `replayed` flags and refusals, without the rest.
fn play(history: &str) -> (String, Ledger) {
    let mut ledger = Ledger::new(SMALL);
    let mut now = Millis(0);
    let mut last = String::new();
    for step in history.split('|') {
        let words: Vec<&str> = step.split_whitespace().collect();
        let number = |at: usize| words[at].parse::<i64>().unwrap();
        let units = |at: usize| Units(words[at].parse().unwrap());
        let movement = || MovementId(words[1].parse().unwrap());
        let hold = |at: usize| HoldId(words[at].parse().unwrap());
        let moved = |result: Result<inventory_ledger::Moved, MoveRefused>| match result {
            Ok(moved) if moved.replayed => "replayed".to_owned(),
            Ok(moved) if moved.created => "created".to_owned(),
            Ok(_) => "ok".to_owned(),
            Err(refusal) => format!("no: {refusal}"),
        };
        last = match words[0] {
            "at" => {
                now = Millis(words[1].parse().unwrap());
                continue;
            }
            "day" => {
                now = Millis(now.0 + DAY_MS);
                continue;
            }
            "open" => moved(ledger.open_row(now, movement(), Sku(1), SHOP, units(2))),
            "open2" => moved(ledger.open_row(now, movement(), Sku(2), SHOP, units(2))),
            "open3" => moved(ledger.open_row(now, movement(), Sku(3), SHOP, units(2))),
            "adjust" => moved(ledger.adjust(now, movement(), Sku(1), SHOP, number(2), Reason(0))),
            "set" => {
                let expected = (words.len() > 3).then(|| units(3));
                moved(ledger.set(now, movement(), Sku(1), SHOP, units(2), expected, Reason(0)))
            }
            // `hold 1 3`; `part`, `doubt` ask so; `timed 1 3 50` has the id number 1 of the instant 50.
            "hold" | "part" | "doubt" | "timed" => {
                let asked = lines(words.get(2).unwrap_or(&""));
                let request = HoldRequest::new(hold(1), Owner(9), &asked, 100);
                let request = match words[0] {
                    "part" => request.partial(),
                    "doubt" => request.in_doubt(),
                    "timed" => HoldRequest { id: timed(&words, 3), ..request.timed() },
                    _ => request,
                };
                match ledger.hold(now, &request) {
                    Ok(held) => {
                        let got = |(line, asked): (&Taken, &Line)| match line {
                            Taken { taken, remaining, .. } if *taken == asked.quantity => remaining.0.to_string(),
                            Taken { taken, remaining, .. } => format!("{}:{}", taken.0, remaining.0),
                        };
                        let got: Vec<String> = held.lines.iter().zip(&asked).map(got).collect();
                        format!("[{}] until {}{}", got.join(", "), held.expires_at.0, replay(held.replayed))
                    }
                    Err(HoldRefused::Short { lines }) => short(&lines),
                    Err(HoldRefused::Contended { lines }) => format!("contended {}", short(&lines)),
                    Err(refusal) => format!("no: {refusal}"),
                }
            }
            "settle" => said(ledger.settle(now, hold(1)).map(|settled| settled.replayed)),
            "extend" => match ledger.extend(now, hold(1), words[2].parse().unwrap()) {
                Ok(Extended { expires_at: Some(at), capped }) => format!("until {}{}", at.0, if capped { ", capped" } else { "" }),
                Ok(Extended { expires_at: None, .. }) => "pinned".to_owned(),
                Err(refusal) => format!("no: {refusal}"),
            },
            "commit" if words.len() > 2 => said(ledger.commit_part(now, hold(1), &lines(words[2])).map(|committed| committed.replayed)),
            // Of timed ids: `sell` commits and forgets at once, as who keeps no orders does.
            "keep" => said(ledger.extend(now, timed(&words, 2), 5_000).map(|_| false)),
            "sell" => {
                let committed = ledger.commit(now, timed(&words, 2));
                let _ = ledger.forget(now, timed(&words, 2));
                said(committed.map(|committed| committed.replayed))
            }
            "untime" => said(ledger.release_timed(now, timed(&words, 2))),
            "pin" => said(ledger.pin(now, hold(1)).map(|pinned| pinned.replayed)),
            "commit" => said(ledger.commit(now, hold(1)).map(|committed| committed.replayed)),
            "release" => said(ledger.release(now, hold(1))),
            "forget" => said(ledger.forget(now, hold(1)).map(|forgotten| forgotten.replayed)),
            "restock" => {
                let asked = words.get(3).map(|text| lines(text));
                match ledger.restock(now, movement(), hold(2), asked.as_deref()) {
                    Ok(back) => format!("{}, {} left{}", back.units, back.left, replay(back.replayed)),
                    Err(refusal) => format!("no: {refusal}"),
                }
            }
            "expire" => {
                let expired = ledger.expire(now, usize::try_from(number(1)).unwrap());
                let ids: Vec<u128> = expired.ids.iter().map(|id| id.0).collect();
                format!("{ids:?}{}", if expired.more { " and more" } else { "" })
            }
            "sweep" => {
                let swept = ledger.sweep(now, usize::try_from(number(1)).unwrap());
                let more = if swept.more { " and more" } else { "" };
                format!("{} {} {}{more}", swept.holds, swept.tombstones, swept.movements)
            }
            other => panic!("no such step: {other}"),
        };
        ledger.check().unwrap_or_else(|broken| panic!("{broken} after `{step}` of `{history}`"));
    }
    (last, ledger)
}

/// The last answer, and `available/held/committed` of SKU 1.
fn run(history: &str) -> (String, String) {
    let (last, ledger) = play(history);
    let row =
        ledger.row(Sku(1), SHOP).map_or_else(|| "none".to_owned(), |row| format!("{}/{}/{}", row.available.0, row.held.0, row.committed.0));
    (last, row)
}

fn replay(replayed: bool) -> &'static str {
    if replayed { ", again" } else { "" }
}

/// Each row is a history, its last answer, and `available/held/committed` of SKU 1 after it.
fn agree(rows: &[(&str, &str, &str)]) {
    for &(history, answer, row) in rows {
        assert_eq!(run(history), (answer.to_owned(), row.to_owned()), "{history}");
    }
}

#[test]
fn movements() {
    agree(&[
        ("open 1 5", "created", "5/0/0"),
        ("open 1 5 | open 2 9", "ok", "5/0/0"), // a row that exists stays as it is
        ("open 1 5 | open 1 5", "replayed", "5/0/0"),
        ("open 1 5 | open 1 6", "no: the movement id was used for another movement", "5/0/0"),
        ("open 1 5 | adjust 1 5", "no: the movement id was used for another movement", "5/0/0"),
        ("open 1 5 | restock 1 7", "no: the movement id was used for another movement", "5/0/0"),
        ("adjust 1 5", "created", "5/0/0"),
        ("adjust 1 0", "no: no such SKU at this location", "none"),
        ("adjust 1 -1", "no: no such SKU at this location", "none"),
        ("open 1 5 | adjust 2 -5", "ok", "0/0/0"),
        ("open 1 5 | adjust 2 -3 | adjust 2 -3", "replayed", "2/0/0"),
        ("open 1 5 | adjust 2 -6", "no: only 5 are available (0 held, 0 committed)", "5/0/0"),
        // A refusal is remembered like a success: the same message cannot act later.
        ("open 1 5 | adjust 2 -6 | adjust 3 9 | adjust 2 -6", "no: only 5 are available (0 held, 0 committed)", "14/0/0"),
        ("open 1 5 | hold 1 2 | hold 2 1 | commit 2 | adjust 2 -3", "no: only 2 are available (2 held, 1 committed)", "2/2/1"),
        ("open 1 5 | adjust 2 -9223372036854775808", "no: only 5 are available (0 held, 0 committed)", "5/0/0"),
        ("open 1 5 | adjust 2 9223372036854775807", "no: 5 on hand; a row takes at most 2147483647", "5/0/0"),
        ("open 1 5 | adjust 2 2147483642", "ok", "2147483647/0/0"),
        ("open 1 5 | adjust 2 2147483643", "no: 5 on hand; a row takes at most 2147483647", "5/0/0"),
        ("open 1 2147483648", "no: 0 on hand; a row takes at most 2147483647", "none"),
        ("set 1 7", "created", "7/0/0"),
        ("set 1 7 0", "created", "7/0/0"),
        ("set 1 7 3", "no: 0 on hand, not the number expected", "none"),
        ("open 1 5 | set 2 7 5", "ok", "7/0/0"),
        ("open 1 5 | set 2 7 4", "no: 5 on hand, not the number expected", "5/0/0"),
        ("open 1 5 | hold 1 2 | set 2 7 5", "ok", "5/2/0"), // on hand, so what is held is part of it
        ("open 1 5 | hold 1 2 | set 2 2", "ok", "0/2/0"),
        ("open 1 5 | hold 1 2 | set 2 1", "no: only 3 are available (2 held, 0 committed)", "3/2/0"),
        ("set 1 4294967295", "no: 0 on hand; a row takes at most 2147483647", "none"),
    ]);
}

#[test]
fn full_tables_refuse_and_remember_nothing_of_it() {
    agree(&[
        ("open 1 1 | open2 2 1 | open3 3 1", "no: no room for another row", "1/0/0"),
        ("open 1 1 | open2 2 1 | open3 3 1 | adjust 3 1", "ok", "2/0/0"), // the id is still free
        ("open 1 1 | adjust 2 1 | adjust 3 1 | adjust 4 1 | adjust 5 1", "no: no room to remember another movement", "4/0/0"),
        ("open 1 1 | adjust 2 1 | adjust 3 1 | adjust 4 1 | adjust 4 1", "replayed", "4/0/0"),
        ("open 1 9 | hold 1 1 | hold 2 1 | hold 3 1", "no: no room for another hold", "7/2/0"),
        // An ended hold still takes its place, until it is old and swept.
        ("open 1 9 | hold 1 1 | hold 2 1 | release 1 | hold 3 1", "no: no room for another hold", "8/1/0"),
        ("open 1 9 | hold 1 1 | hold 2 1 | release 1 | sweep 9 | hold 3 1", "no: no room for another hold", "8/1/0"),
        ("open 1 9 | hold 1 1 | hold 2 1 | release 1 | day | sweep 1 | hold 3 1", "[7] until 90000100", "7/2/0"),
        ("release 1 | release 2", "no: no room for another tombstone", "none"),
        ("release 1 | release 1", "Tombstoned { replayed: true }", "none"),
        ("open 1 1 | release 1 | open2 2 1 | day | sweep 2", "0 1 1 and more", "1/0/0"),
        ("open 1 1 | day | sweep 9 | open 1 1", "ok", "1/0/0"), // forgotten, so decided anew: the row exists
    ]);
}

#[test]
fn holds_take_all_lines_or_none() {
    agree(&[
        ("open 1 5 | hold 1 3", "[2] until 100", "2/3/0"),
        ("open 1 5 | hold 1 5", "[0] until 100", "0/5/0"),
        ("open 1 5 | hold 1 6", "0:6>5", "5/0/0"),
        ("open 1 5 | hold 1 3 | hold 2 3", "0:3>2", "2/3/0"),
        ("open 1 5 | open2 2 1 | hold 1 3,2@2", "1:2>1", "5/0/0"), // the first line alone would fit
        ("open 1 5 | open2 2 1 | hold 1 6,2@2", "0:6>5 1:2>1", "5/0/0"),
        ("open 1 5 | hold 1 3,1@9", "1:1>0", "5/0/0"),          // no such row
        ("open 1 5 | hold 1 3,2", "[0, 0] until 100", "0/5/0"), // one row, summed
        ("open 1 5 | open2 2 9 | hold 1 3,1@2,3", "0:6>5 2:6>5", "5/0/0"),
        ("open 1 5 | hold 1 4294967295,4294967295", "0:4294967295>5 1:4294967295>5", "5/0/0"),
        ("open 1 5 | hold 1", "no: no line", "5/0/0"),
        ("open 1 5 | hold 1 1,0", "no: line 1 has quantity zero", "5/0/0"),
        ("open 1 5 | hold 1 6 | adjust 2 1 | hold 1 6", "[0] until 100", "0/6/0"), // refusals leave no trace
        ("open 1 5 | hold 1 3 | adjust 2 4 | hold 1 3", "[2] until 100, again", "6/3/0"),
        ("open 1 5 | hold 1 3 | release 1 | hold 1 3", "[2] until 100, again", "5/0/0"), // answered, not taken
        ("open 1 5 | hold 1 3 | hold 1 2", "no: the hold id was used for another hold", "2/3/0"),
        ("open 1 5 | hold 1 3 | hold 1 2,1", "no: the hold id was used for another hold", "2/3/0"),
        ("open 1 5 | release 1 | hold 1 3", "no: the hold was released before it was made", "5/0/0"),
        ("open 1 5 | release 1 | day | hold 1 3", "no: the hold was released before it was made", "5/0/0"),
        ("open 1 5 | release 1 | day | sweep 9 | hold 1 3", "[2] until 90000100", "2/3/0"),
    ]);
}

#[test]
fn holds_end_once() {
    agree(&[
        ("open 1 5 | hold 1 3 | pin 1", "false", "2/3/0"),
        ("open 1 5 | hold 1 3 | pin 1 | pin 1", "true", "2/3/0"),
        ("open 1 5 | hold 1 3 | commit 1", "false", "2/0/3"),
        ("open 1 5 | hold 1 3 | pin 1 | commit 1 | commit 1", "true", "2/0/3"),
        ("open 1 5 | hold 1 3 | release 1", "Returned { replayed: false }", "5/0/0"),
        ("open 1 5 | hold 1 3 | pin 1 | release 1 | release 1", "Returned { replayed: true }", "5/0/0"),
        ("open 1 5 | hold 1 3 | commit 1 | release 1", "no: the hold was committed; restock it", "2/0/3"),
        ("open 1 5 | hold 1 3 | commit 1 | pin 1", "no: the hold was committed", "2/0/3"),
        ("open 1 5 | hold 1 3 | release 1 | pin 1", "no: the hold was released", "5/0/0"),
        ("open 1 5 | hold 1 3 | release 1 | commit 1", "no: the hold was released", "5/0/0"),
        ("pin 1", "no: no such hold", "none"),
        ("commit 1", "no: no such hold", "none"),
        ("release 1 | pin 1", "no: the hold was released", "none"),
        ("release 1 | commit 1", "no: the hold was released", "none"),
        // Its time is over at `expires_at`, whether or not `expire` came.
        ("open 1 5 | hold 1 3 | at 99 | pin 1", "false", "2/3/0"),
        ("open 1 5 | hold 1 3 | at 100 | pin 1", "no: the hold has expired", "2/3/0"),
        ("open 1 5 | hold 1 3 | at 100 | commit 1", "no: the hold has expired", "2/3/0"),
        ("open 1 5 | hold 1 3 | at 100 | release 1", "Expired", "5/0/0"),
        ("open 1 5 | hold 1 3 | at 100 | release 1 | expire 9", "[]", "5/0/0"),
        ("open 1 5 | hold 1 3 | at 100 | expire 9 | release 1", "Expired", "5/0/0"),
        ("open 1 5 | hold 1 3 | at 100 | expire 9 | pin 1", "no: the hold has expired", "5/0/0"),
        ("open 1 5 | hold 1 3 | at 100 | expire 9 | commit 1", "no: the hold has expired", "5/0/0"),
        ("open 1 5 | hold 1 3 | at 100 | pin 2 | at 50 | pin 1", "no: the hold has expired", "2/3/0"), // time never goes back
        ("open 1 5 | hold 1 3 | at 99 | expire 9", "[]", "2/3/0"),
        ("open 1 5 | hold 2 1 | hold 1 1 | at 100 | expire 1", "[2] and more", "4/1/0"), // equal times: as they came
        ("open 1 5 | hold 2 1 | at 1 | hold 1 1 | at 101 | expire 9", "[2, 1]", "5/0/0"), // by time first
        ("open 1 5 | hold 2 1 | hold 1 1 | at 100 | expire 0", "[] and more", "3/2/0"),
        ("open 1 5 | hold 1 3 | pin 1 | day | expire 9", "[]", "2/3/0"), // pinned never expires
        ("open 1 5 | hold 1 3 | at 100 | expire 9 | day | sweep 9 | pin 1", "no: no such hold", "5/0/0"),
    ]);
}

#[test]
fn partial_holds_take_what_is_there() {
    agree(&[
        ("open 1 5 | part 1 3", "[2] until 100", "2/3/0"),
        ("open 1 5 | part 1 7", "[5:0] until 100", "0/5/0"),
        ("open 1 5 | part 1 3,4", "[0, 2:0] until 100", "0/5/0"), // served in the order asked
        ("open 1 5 | part 1 6,1", "[5:0, 0:0] until 100", "0/5/0"),
        ("open 1 5 | part 1 7,2@9", "[5:0, 0:0] until 100", "0/5/0"), // no such row
        ("open 1 5 | part 1 7,2@9 | part 1 7,2@9", "[5:0, 0:0] until 100, again", "0/5/0"),
        ("open 1 5 | part 1 7,2@9 | part 1 7,1@9", "no: the hold id was used for another hold", "0/5/0"),
        ("open 1 5 | part 1 7 | release 1 | part 1 7", "[5:0] until 100, again", "5/0/0"),
        ("open 1 5 | part 1 7 | commit 1 | restock 2 1 2 | restock 3 1 | part 1 7", "[5:0] until 100, again", "5/0/0"),
        ("open 1 5 | part 1 3 | hold 1 3", "no: the hold id was used for another hold", "2/3/0"),
        ("open 1 5 | part 1 2@9", "0:2>0", "5/0/0"), // nothing at all is no hold
        ("open 1 5 | part 1 7 | commit 1", "false", "0/0/5"),
        ("open 1 900 | hold 1 400,300 | release 1 | hold 1 400,300", "[200, 200] until 100, again", "900/0/0"),
    ]);
}

#[test]
fn commits_may_be_in_part() {
    let differs = "no: the hold was committed otherwise";
    agree(&[
        ("open 1 5 | hold 1 3 | commit 1 2", "false", "3/0/2"),
        ("open 1 5 | hold 1 3 | commit 1 2 | commit 1 2", "true", "3/0/2"),
        ("open 1 5 | hold 1 3 | commit 1 2 | commit 1 1,1", "true", "3/0/2"),
        ("open 1 5 | hold 1 3 | commit 1 2 | commit 1 1", differs, "3/0/2"),
        ("open 1 5 | hold 1 3 | commit 1 2 | commit 1 2,1@2", differs, "3/0/2"),
        ("open 1 5 | hold 1 3 | commit 1 2 | commit 1", differs, "3/0/2"),
        ("open 1 5 | hold 1 3 | commit 1 | commit 1 3", differs, "2/0/3"),
        ("open 1 5 | hold 1 1,2 | commit 1 2", "false", "3/0/2"), // over both lines of the row
        ("open 1 5 | hold 1 3 | commit 1 2,2", "no: line 0 commits 4 where 3 are held", "2/3/0"),
        ("open 1 5 | hold 1 3 | commit 1 1,1@2", "no: line 1 commits 1 where 0 are held", "2/3/0"),
        ("open 1 5 | hold 1 3 | commit 1 0", "no: line 0 has quantity zero", "2/3/0"),
        ("open 1 5 | hold 1 3 | pin 1 | commit 1 2 | hold 1 3", "[2] until 100, again", "3/0/2"),
        ("open 1 5 | hold 1 3 | commit 1 2 | restock 2 1 3", "no: line 0 wants 3 back where 2 are left", "3/0/2"),
        ("open 1 5 | hold 1 3 | commit 1 2 | restock 2 1 | commit 1 2", "true", "5/0/0"),
        ("open 1 5 | hold 1 3 | commit 1 2 | forget 1 | commit 1 3", differs, "3/0/2"),
        ("open 1 5 | hold 1 3 | commit 1 2 | forget 1 | commit 1 2", "true", "3/0/2"),
        ("open 1 5 | hold 1 3 | at 100 | commit 1 2", "no: the hold has expired", "2/3/0"),
        ("commit 1 2", "no: no such hold", "none"),
    ]);
}

#[test]
fn a_shortage_explained_by_doubt_is_contended() {
    agree(&[
        ("open 1 5 | doubt 1 3 | hold 2 3", "contended 0:3>2", "2/3/0"),
        ("open 1 5 | doubt 1 3 | hold 2 6", "0:6>2", "2/3/0"), // short even without it
        ("open 1 5 | doubt 1 3 | hold 2 3,1@2", "0:3>2 1:1>0", "2/3/0"), // another row is short by itself
        ("open 1 5 | doubt 1 3 | settle 1 | hold 2 3", "0:3>2", "2/3/0"),
        ("open 1 5 | doubt 1 3 | settle 1 | settle 1", "true", "2/3/0"),
        ("open 1 5 | hold 1 3 | settle 1", "true", "2/3/0"),
        ("open 1 5 | doubt 1 3 | pin 1 | hold 2 3", "0:3>2", "2/3/0"),
        ("open 1 5 | doubt 1 3 | commit 1 | hold 2 3", "0:3>2", "2/0/3"),
        ("open 1 5 | doubt 1 3 | commit 1 1 | hold 2 5", "0:5>4", "4/0/1"),
        ("open 1 5 | doubt 1 3 | extend 1 50 | hold 2 3", "contended 0:3>2", "2/3/0"),
        ("open 1 5 | doubt 1 5 | part 2 3", "contended 0:3>0", "0/5/0"),
        ("open 1 5 | hold 1 5 | part 2 3", "0:3>0", "0/5/0"),
        ("open 1 5 | doubt 1 3 | at 100 | expire 9 | hold 2 6", "0:6>5", "5/0/0"),
        ("settle 1", "no: no such hold", "none"),
    ]);
}

#[test]
fn holds_last_longer_when_extended() {
    agree(&[
        ("open 1 5 | hold 1 3 | at 50 | extend 1 100", "until 150", "2/3/0"),
        ("open 1 5 | hold 1 3 | at 50 | extend 1 10", "until 100", "2/3/0"), // never shortened
        ("open 1 5 | hold 1 3 | at 50 | extend 1 250", "until 300", "2/3/0"),
        ("open 1 5 | hold 1 3 | at 50 | extend 1 251", "until 300, capped", "2/3/0"),
        ("open 1 5 | hold 1 3 | at 50 | extend 1 18446744073709551615", "until 300, capped", "2/3/0"),
        ("open 1 5 | hold 1 3 | at 50 | extend 1 100 | at 149 | expire 9", "[]", "2/3/0"),
        ("open 1 5 | hold 1 3 | at 50 | extend 1 100 | at 150 | expire 9", "[1]", "5/0/0"),
        ("open 1 5 | hold 1 3 | at 50 | extend 1 100 | hold 1 3", "[2] until 100, again", "2/3/0"), // the first answer
        ("open 1 5 | hold 1 3 | pin 1 | extend 1 100", "pinned", "2/3/0"),
        ("open 1 5 | hold 1 3 | at 100 | extend 1 100", "no: the hold has expired", "2/3/0"),
        ("open 1 5 | hold 1 3 | commit 1 | extend 1 100", "no: the hold was committed", "2/0/3"),
        ("extend 1 100", "no: no such hold", "none"),
    ]);
}

#[test] // Ids have a window of 1,000 ms; the skew allowed is 60,000.
fn timed_ids_grow_old() {
    let old = "no: the hold id is too old";
    agree(&[
        ("open 1 5 | at 1000 | timed 1 3 0", "[2] until 1100", "2/3/0"),
        ("open 1 5 | at 1001 | timed 1 3 0", old, "5/0/0"),
        ("open 1 5 | timed 1 3 60000", "[2] until 100", "2/3/0"),
        ("open 1 5 | timed 1 3 60001", "no: the hold id is of a time to come", "5/0/0"),
        ("open 1 5 | timed 1 3 0 | at 1000 | timed 1 3 0", "[2] until 100, again", "2/3/0"),
        ("open 1 5 | timed 1 3 0 | at 1001 | timed 1 3 0", "[2] until 100, again", "2/3/0"), // it is there
        // Committed when its id is old: who did not hear of it asks again, and is told for as long as of any other.
        ("open 1 5 | at 900 | timed 1 3 0 | keep 1 0 | at 1100 | sell 1 0 | sell 1 0", "true", "2/0/3"),
        ("open 1 5 | at 900 | timed 1 3 0 | keep 1 0 | at 1100 | sell 1 0 | at 62100 | sweep 9 | sell 1 0", "true", "2/0/3"),
        ("open 1 5 | at 900 | timed 1 3 0 | keep 1 0 | at 1100 | sell 1 0 | at 62101 | sweep 9 | sell 1 0", "no: no such hold", "2/0/3"),
        ("open 1 5 | timed 1 3 0 | untime 1 0 | at 1000 | timed 1 3 0", "[2] until 100, again", "5/0/0"),
        // Remembered for as long as a repeat could be run: here 61,001 ms, and then the id is too old.
        ("open 1 5 | timed 1 3 60000 | untime 1 60000 | at 61000 | sweep 9", "0 0 0", "5/0/0"),
        ("open 1 5 | timed 1 3 60000 | untime 1 60000 | at 61000 | timed 1 3 60000", "[2] until 100, again", "5/0/0"),
        ("open 1 5 | timed 1 3 60000 | untime 1 60000 | at 61001 | sweep 9", "1 0 0", "5/0/0"),
        ("open 1 5 | timed 1 3 60000 | untime 1 60000 | at 61001 | timed 1 3 60000", old, "5/0/0"),
        // Ended when it is too old: not remembered at all.
        ("open 1 5 | timed 1 3 0 | at 1001 | expire 9 | timed 1 3 0", old, "5/0/0"),
        ("open 1 5 | timed 1 3 0 | at 1001 | untime 1 0 | untime 1 0", "TooOld", "5/0/0"),
        ("open 1 5 | untime 1 0 | timed 1 3 0", "no: the hold was released before it was made", "5/0/0"),
        ("open 1 5 | untime 1 0 | at 61001 | sweep 9", "0 1 0", "5/0/0"),
        ("untime 1 60001", "no: the hold id is of a time to come", "none"),
    ]);
}

#[test]
fn committed_units_come_back_at_most_once() {
    agree(&[
        ("open 1 5 | hold 1 3 | commit 1 | restock 2 1", "3, 0 left", "5/0/0"),
        ("open 1 5 | hold 1 3 | commit 1 | restock 2 1 | restock 2 1", "3, 0 left, again", "5/0/0"),
        ("open 1 5 | hold 1 3 | commit 1 | restock 2 1 | restock 3 1", "no: the hold has nothing to restock: it is Restocked", "5/0/0"),
        ("open 1 5 | hold 1 3 | commit 1 | restock 2 1 2", "2, 1 left", "4/0/1"),
        ("open 1 5 | hold 1 3 | commit 1 | restock 2 1 2 | restock 3 1 2", "no: line 0 wants 2 back where 1 are left", "4/0/1"),
        ("open 1 5 | hold 1 3 | commit 1 | restock 2 1 2 | restock 3 1", "1, 0 left", "5/0/0"),
        ("open 1 5 | hold 1 3 | commit 1 | restock 2 1 2 | restock 2 1 1", "no: the movement id was used for another movement", "4/0/1"),
        ("open 1 5 | hold 1 1,2 | commit 1 | restock 2 1 3", "3, 0 left", "5/0/0"), // over both lines of the row
        ("open 1 5 | hold 1 3 | commit 1 | restock 2 1 1,3", "no: line 0 wants 4 back where 3 are left", "2/0/3"),
        ("open 1 5 | hold 1 3 | commit 1 | restock 2 1 1,1@2", "no: line 1 wants 1 back where 0 are left", "2/0/3"),
        ("open 1 5 | hold 1 3 | restock 2 1", "no: the hold has nothing to restock: it is Held { expires_at: Millis(100) }", "2/3/0"),
        ("restock 2 1", "no: no such hold", "none"),
        ("release 1 | restock 2 1", "no: the hold has nothing to restock: it is Tombstoned", "none"),
        ("open 1 5 | hold 1 3 | commit 1 | restock 2 1 0", "no: line 0 has quantity zero", "2/0/3"),
        ("open 1 5 | hold 1 3 | commit 1 | restock 2 1 0 | restock 2 1 1", "1, 2 left", "3/0/2"), // not remembered
        ("open 1 5 | hold 1 3 | commit 1 | restock 2 1 | commit 1", "true", "5/0/0"),
        ("open 1 5 | hold 1 3 | commit 1 | restock 2 1 | release 1", "no: the hold was committed; restock it", "5/0/0"),
        ("open 1 5 | hold 1 3 | commit 1 | forget 1", "false", "2/0/3"),
        (
            "open 1 5 | hold 1 3 | commit 1 | restock 2 1 1 | forget 1 | restock 3 1",
            "no: the hold has nothing to restock: it is Forgotten",
            "3/0/2",
        ),
        ("open 1 5 | hold 1 3 | commit 1 | forget 1 | forget 1", "true", "2/0/3"),
        ("open 1 5 | hold 1 3 | commit 1 | forget 1 | day | sweep 9 | forget 1", "no: no such hold", "2/0/3"),
        ("open 1 5 | hold 1 3 | pin 1 | forget 1", "no: the hold is Pinned, not committed", "2/3/0"),
        ("open 1 5 | hold 1 3 | commit 1 | day | sweep 9 | restock 2 1", "3, 0 left", "5/0/0"), // committed holds stay
    ]);
}

#[test]
fn line_lists_are_bounded() {
    let mut ledger = Ledger::new(Limits::default());
    let stock = Units(u32::try_from(LINES_MAX).unwrap());
    ledger.open_row(Millis(0), MovementId(1), Sku(1), SHOP, stock).unwrap();
    let one = lines("1")[0];
    let too_many = vec![one; LINES_MAX + 1];
    let refused = ledger.hold(Millis(0), &HoldRequest::new(HoldId(1), Owner(1), &too_many, 1)).unwrap_err();
    assert_eq!(refused.to_string(), "257 lines; at most 256");
    let held = ledger.hold(Millis(0), &HoldRequest::new(HoldId(1), Owner(1), &too_many[1..], 1)).unwrap();
    assert!(held.lines.len() == LINES_MAX && held.lines.iter().all(|line| *line == Taken { taken: Units(1), ..Taken::default() }));
    ledger.check().unwrap();
}

#[test]
fn a_hold_with_another_owner_or_time_to_live_is_another_hold() {
    let mut ledger = Ledger::new(Limits::default());
    ledger.open_row(Millis(0), MovementId(1), Sku(1), SHOP, Units(5)).unwrap();
    ledger.hold(Millis(0), &HoldRequest::new(HoldId(1), Owner(1), &lines("1"), 10)).unwrap();
    for (owner, ttl_ms, again) in [(1, 10, true), (2, 10, false), (1, 11, false)] {
        let answer = ledger.hold(Millis(1), &HoldRequest::new(HoldId(1), Owner(owner), &lines("1"), ttl_ms));
        match answer {
            Ok(held) => assert!(again && held.replayed && held.expires_at == Millis(10)),
            Err(refusal) => assert_eq!((refusal, again), (HoldRefused::IdReused, false)),
        }
    }
}

#[test]
fn the_end_of_time_comes_once() {
    let mut ledger = Ledger::new(Limits { hold_life_ms_max: u32::MAX, ..Limits::default() });
    ledger.open_row(Millis(0), MovementId(1), Sku(1), SHOP, Units(5)).unwrap();
    let before = Millis(TIME_MAX.0 - 3);
    let held = ledger.hold(before, &HoldRequest::new(HoldId(1), Owner(1), &lines("1"), u64::from(u32::MAX))).unwrap();
    assert_eq!((held.expires_at, ledger.next_expiry()), (TIME_MAX, Some(TIME_MAX)));
    assert!(ledger.expire(Millis(TIME_MAX.0 - 1), 9).ids.is_empty());
    // One that lives for no time at all is due at once.
    ledger.hold(before, &HoldRequest::new(HoldId(2), Owner(1), &lines("1"), 0)).unwrap();
    assert_eq!(ledger.pin(before, HoldId(2)), Err(PinRefused::Expired));
    assert_eq!(ledger.release(before, HoldId(2)), Ok(Released::Expired));
    // Instants after the end are the end.
    assert_eq!(ledger.expire(Millis(u64::MAX), 9).ids, [HoldId(1)]);
    assert_eq!((ledger.now(), ledger.next_expiry()), (TIME_MAX, None));
}

#[test]
fn changes_are_listed_once_for_each_row_from_drain_to_drain() {
    let mut ledger = Ledger::new(Limits::default());
    let available = |ledger: &mut Ledger| -> Vec<(u128, u32, u32)> {
        let change = |change: inventory_ledger::RowChange| (change.sku.0, change.before.available.0, change.after.available.0);
        ledger.drain_changes().map(change).collect()
    };
    ledger.open_row(Millis(0), MovementId(1), Sku(1), SHOP, Units(5)).unwrap();
    ledger.open_row(Millis(0), MovementId(2), Sku(2), SHOP, Units(6)).unwrap();
    assert_eq!(available(&mut ledger), [(1, 0, 5), (2, 0, 6)]);
    assert_eq!(available(&mut ledger), []);
    ledger.hold(Millis(0), &HoldRequest::new(HoldId(1), Owner(1), &lines("1@2,1,2@2"), 10)).unwrap();
    assert_eq!(available(&mut ledger), [(2, 6, 3), (1, 5, 4)]);
    ledger.hold(Millis(0), &HoldRequest::new(HoldId(2), Owner(1), &lines("1"), 10)).unwrap();
    ledger.release(Millis(0), HoldId(2)).unwrap();
    assert_eq!(available(&mut ledger), []); // back where it was
    assert!(ledger.hold(Millis(0), &HoldRequest::new(HoldId(3), Owner(1), &lines("1,9@2"), 10)).is_err());
    assert_eq!(available(&mut ledger), []);
}

#[test]
fn reads_are_ordered() {
    let mut ledger = Ledger::new(Limits::default());
    for (id, (sku, place)) in [(1, 30), (2, 10), (1, 10), (1, 20)].into_iter().enumerate() {
        let id = MovementId(id as u128);
        ledger.open_row(Millis(0), id, Sku(sku), Location(place), Units(5)).unwrap();
    }
    let places: Vec<u64> = ledger.rows_of(Sku(1)).map(|(place, _)| place.0).collect();
    assert_eq!(places, [10, 20, 30]);
    let keys: Vec<(u128, u64)> = ledger.rows().map(|(sku, place, _)| (sku.0, place.0)).collect();
    assert_eq!(keys, [(1, 30), (2, 10), (1, 10), (1, 20)]);
    assert_eq!(ledger.rows_of(Sku(3)).count(), 0);

    let line = |location, quantity| Line { sku: Sku(1), location: Location(location), quantity: Units(quantity) };
    ledger.hold(Millis(0), &HoldRequest::new(HoldId(9), Owner(1), &[line(30, 1), line(10, 1), line(30, 1)], 10)).unwrap();
    ledger.hold(Millis(0), &HoldRequest::new(HoldId(3), Owner(2), &[line(20, 4)], 10)).unwrap();
    ledger.pin(Millis(0), HoldId(3)).unwrap();
    let views = ledger.holds_of(Sku(1));
    let short: Vec<_> = views.iter().map(|view| (view.id.0, view.owner.0, view.location.0, view.quantity.0)).collect();
    assert_eq!(short, [(3, 2, 20, 4), (9, 1, 10, 1), (9, 1, 30, 2)]);
    assert!(ledger.holds_of(Sku(2)).is_empty());
}

#[test] // Everything is kept for its full time, and may go when that is over.
fn sweeping_forgets_at_the_end_of_the_window() {
    for (history, before, after) in [
        ("release 1", "0 0 0", "0 1 0"),
        ("open 1 5", "0 0 0", "0 0 1"),
        ("adjust 1 5 | hold 1 1 | commit 1 | forget 1 | at 1 | pin 9", "0 0 0", "1 0 1"),
        ("adjust 1 5 | hold 1 1 | release 1", "0 0 0", "1 0 1"),
    ] {
        let swept_at = |at: u64| run(&format!("{history} | at {at} | sweep 9")).0;
        assert_eq!(swept_at(86_399_999), before, "{history}");
        assert_eq!(swept_at(86_400_000), after, "{history}");
    }
}

#[test] // Each pair leaves two states that differ in one thing.
fn digests_show_rows_times_and_tombstones() {
    for (one, other) in [
        ("open 1 5 | day | sweep 9", "open 1 6 | day | sweep 9"),
        ("open 1 5 | day | sweep 9", "open2 1 5 | day | sweep 9"),
        ("open 1 5 | day | sweep 9", "open 1 5 | day | expire 9"),
        ("open 1 5 | at 1 | pin 1", "open 1 5 | at 2 | pin 1"),
        ("release 1 | at 1 | pin 9", "at 1 | release 1 | pin 9"),
        ("release 1", "release 2"),
        ("open 1 5 | hold 1 1 | at 1 | release 1 | at 2 | pin 1", "open 1 5 | hold 1 1 | at 2 | release 1"),
    ] {
        assert_ne!(play(one).1.digest(), play(other).1.digest(), "{one} / {other}");
        assert_eq!(play(one).1.digest(), play(one).1.digest(), "{one}");
    }
}

#[test] // Each pair differs in one thing, which must show.
fn digests_tell_states_apart() {
    let digest = |owner: u128, ttl_ms: u64, reason: u32, pinned: bool, buried: bool| {
        let mut ledger = Ledger::new(Limits::default());
        let reason = Reason(reason);
        ledger.adjust(Millis(0), MovementId(1), Sku(1), SHOP, 5, reason).unwrap();
        ledger.hold(Millis(0), &HoldRequest::new(HoldId(1), Owner(owner), &lines("1"), ttl_ms)).unwrap();
        if pinned {
            ledger.pin(Millis(0), HoldId(1)).unwrap();
        }
        if buried {
            ledger.release(Millis(0), HoldId(2)).unwrap();
        }
        ledger.digest()
    };
    let base = digest(1, 10, 0, false, false);
    assert_eq!(base, digest(1, 10, 0, false, false));
    let others = [
        digest(2, 10, 0, false, false),
        digest(1, 11, 0, false, false),
        digest(1, 10, 1, false, false),
        digest(1, 10, 0, true, false),
        digest(1, 10, 0, false, true),
    ];
    assert!(!others.contains(&base), "{base} in {others:?}");
}

#[test]
fn rows_may_be_full_while_holds_go_on() {
    let mut ledger = Ledger::new(Limits { rows_max: 1, ..Limits::default() });
    ledger.open_row(Millis(0), MovementId(1), Sku(1), SHOP, UNITS_MAX).unwrap();
    let full = ledger.adjust(Millis(0), MovementId(2), Sku(2), SHOP, 1, Reason(0));
    assert_eq!(full, Err(MoveRefused::Full(Full::Rows)));
    ledger.hold(Millis(0), &HoldRequest::new(HoldId(1), Owner(1), &lines("2147483647"), 10)).unwrap();
    assert_eq!(ledger.available(Sku(1), SHOP), Units(0));
    ledger.check().unwrap();
}
