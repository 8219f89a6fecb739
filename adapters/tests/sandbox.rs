//! The sandbox provider as its caller sees it: deadlines, restarts, torn journals.

use adapters::{
    LookUp, PaymentAdapter,
    sandbox::{self, Sandbox},
};
use std::{fs, path::Path, time::Duration};
use tokio::time::Instant;
use wire::{ActionOutcome, Currency, EffectOutcome, EffectWork, Money};

fn usd(amount: i64) -> Money {
    Money { amount, currency: Currency::USD }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn authorise(reference: &str, token: &str, amount: i64) -> EffectWork {
    EffectWork::Authorise { reference: reference.into(), token: token.into(), amount: usd(amount) }
}

fn refused(code: &str) -> EffectOutcome {
    EffectOutcome::Refused { code: code.into() }
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = || Sandbox::open(folder.path()).expect("opens");
    let first = open();
    assert_eq!(first.authorise("pay_1", "pm_card_visa", usd(100), soon()).await, EffectOutcome::Succeeded);
    assert_eq!(first.capture("pay_1", usd(100), soon()).await, EffectOutcome::Succeeded);
    assert_eq!(first.authorise("pay_2", "pm_card_chargeDeclined", usd(5), soon()).await, refused("card_declined"));
    assert_eq!(first.authorise("pay_3", "pm_sandbox_lost", usd(7), soon()).await, EffectOutcome::Unknown);
    let three_d_secure = EffectOutcome::RequiresAction { kind: "three_d_secure".into(), url: None };
    assert_eq!(first.authorise("pay_4", "pm_card_authenticationRequired", usd(9), soon()).await, three_d_secure);
    drop(first);

    let second = open();
    assert_eq!(second.authorise("pay_1", "pm_card_visa", usd(100), soon()).await, EffectOutcome::Succeeded);
    assert_eq!(second.look_up(&authorise("pay_2", "pm_card_chargeDeclined", 5), soon()).await, LookUp::Was(refused("card_declined")));
    assert_eq!(second.look_up(&authorise("pay_3", "pm_sandbox_lost", 7), soon()).await, LookUp::Was(EffectOutcome::Succeeded));
    assert_eq!(second.confirm("pay_4", ActionOutcome::Fail, soon()).await, refused("authentication_failed"));
    assert_eq!(second.refund("pay_1", "r1", usd(30), soon()).await, EffectOutcome::Succeeded);
    let accounts = sandbox::read(folder.path()).expect("reads while it runs");
    let net: Vec<(&str, i64)> = accounts.iter().map(|(reference, account)| (reference.as_str(), account.net())).collect();
    assert_eq!(net, [("pay_1", 70), ("pay_2", 0), ("pay_3", 0), ("pay_4", 0)]);
    assert_eq!(accounts["pay_3"].reserved(), 7);
}

#[tokio::test]
async fn a_slow_payment_goes_on_when_nobody_waits() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = Sandbox::open(folder.path()).expect("opens");
    let impatient = Instant::now() + Duration::from_millis(20);
    assert_eq!(sandbox.authorise("pay_1", "pm_sandbox_slow_300", usd(100), impatient).await, EffectOutcome::Unknown);
    let work = authorise("pay_1", "pm_sandbox_slow_300", 100);
    assert_eq!(sandbox.look_up(&work, soon()).await, LookUp::Unknown, "it is at work");
    let deadline = soon();
    while sandbox.look_up(&work, soon()).await != LookUp::Was(EffectOutcome::Succeeded) {
        assert!(Instant::now() < deadline, "the payment never ended");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let patient = sandbox.authorise("pay_2", "pm_sandbox_slow_30", usd(1), soon()).await;
    assert_eq!(patient, EffectOutcome::Succeeded);
}

#[tokio::test]
async fn a_torn_last_line_is_cut_and_damage_before_it_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(sandbox::JOURNAL);
    let pay = async |reference: &str| {
        let sandbox = Sandbox::open(folder.path()).expect("opens");
        assert_eq!(sandbox.authorise(reference, "pm_card_visa", usd(100), soon()).await, EffectOutcome::Succeeded);
    };
    pay("pay_1").await;
    let whole = fs::read(&path).expect("the journal");
    for torn in [&b"{\"event\":\"author"[..], b"\0\0\0\0", b"garbage\n"] {
        fs::write(&path, [&whole, torn].concat()).expect("writes");
        pay("pay_2").await;
        assert_eq!(references(folder.path()), ["pay_1", "pay_2"], "after {torn:?}");
    }
    let two = fs::read_to_string(&path).expect("the journal");
    fs::write(&path, two.replacen("authorised", "authorized", 1)).expect("writes");
    let error = Sandbox::open(folder.path()).expect_err("a damaged line before others");
    assert!(error.to_string().contains("line 1 does not read"), "{error}");
}

fn references(folder: &Path) -> Vec<String> {
    sandbox::read(folder).expect("reads").into_keys().collect()
}
