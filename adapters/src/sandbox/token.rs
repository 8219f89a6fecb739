//! The test tokens, those of Stripe's test mode and a few of our own.
//!
//! | token | what the provider does |
//! |---|---|
//! | `pm_card_visa`, `pm_card_mastercard` | reserves the money |
//! | `pm_card_chargeDeclined` | declines: `card_declined` |
//! | `pm_card_chargeDeclinedInsufficientFunds` | declines: `insufficient_funds` |
//! | `pm_card_authenticationRequired` | wants the buyer: `three_d_secure`; after a failure declines: `authentication_failed` |
//! | `pm_sandbox_slow_<ms>` | reserves the money after so long, at most [`SLOW_MS_MAX`] |
//! | `pm_sandbox_lost` | reserves the money; the answer is lost |
//! | anything else | declines: `invalid_token` |

/// Longest a slow token takes, in milliseconds; one that asks for more is no token.
pub const SLOW_MS_MAX: u64 = 600_000;

/// What the buyer has to do.
pub const THREE_D_SECURE: &str = "three_d_secure";

/// What a token makes the provider do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Reserve the money.
    Succeed,
    /// Decline, with this code.
    Decline(&'static str),
    /// Want the buyer first.
    Act,
    /// Reserve the money after so many milliseconds.
    Slow(u64),
    /// Reserve the money and lose the answer.
    Lose,
}

/// What `token` makes the provider do.
#[must_use]
pub fn behaviour(token: &str) -> Behaviour {
    match token {
        "pm_card_visa" | "pm_card_mastercard" => Behaviour::Succeed,
        "pm_card_chargeDeclined" => Behaviour::Decline("card_declined"),
        "pm_card_chargeDeclinedInsufficientFunds" => Behaviour::Decline("insufficient_funds"),
        "pm_card_authenticationRequired" => Behaviour::Act,
        "pm_sandbox_lost" => Behaviour::Lose,
        other => {
            let ms = other.strip_prefix("pm_sandbox_slow_").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
            match ms.and_then(|digits| digits.parse().ok()) {
                Some(ms) if ms <= SLOW_MS_MAX => Behaviour::Slow(ms),
                Some(_) | None => Behaviour::Decline("invalid_token"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_tokens_are_bounded_numbers() {
        for (token, does) in [
            ("pm_sandbox_slow_0", Behaviour::Slow(0)),
            ("pm_sandbox_slow_2000", Behaviour::Slow(2_000)),
            ("pm_sandbox_slow_600000", Behaviour::Slow(600_000)),
            ("pm_sandbox_slow_600001", Behaviour::Decline("invalid_token")),
            ("pm_sandbox_slow_+5", Behaviour::Decline("invalid_token")),
            ("pm_sandbox_slow_", Behaviour::Decline("invalid_token")),
            ("pm_sandbox_slow_99999999999999999999", Behaviour::Decline("invalid_token")),
            ("PM_CARD_VISA", Behaviour::Decline("invalid_token")),
            ("", Behaviour::Decline("invalid_token")),
        ] {
            assert_eq!(behaviour(token), does, "{token}");
        }
    }
}
