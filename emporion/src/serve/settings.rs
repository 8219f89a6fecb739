//! Options of `serve` and `engine`: from the command line, for `serve` then from the file, then defaults.
//!
//! Path: the command line → [`Settings`], with [`EngineSettings`] in it → [`Settings::with_file`] adds what the file ([`Written`]) says
//! → [`EngineSettings::checked`].

use crate::{cli::DATA, edge::EdgeSettings, fail::Fail};
use clap::Args;
use engine::LOG_SEGMENTS_MIN;
use serde::Deserialize;
use std::{
    fmt::{self, Display, Formatter},
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

/// What an engine is opened with, in a shop or alone. `None`: not said.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct EngineSettings {
    /// Folder of the data, made when it is not there [default: ./emporion-data].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Engine threads, each on a core of its own; may change from start to start [default: half of the cores].
    #[arg(long, value_name = "N")]
    pub(crate) shards: Option<u16>,
    /// Cores for them, such as 0-3,8 [default: the first ones].
    #[arg(long, value_name = "LIST")]
    pub(crate) cpus: Option<Cpus>,
    /// What moves the data: `glommio` by io_uring, or `portable` where that is forbidden, which is slower [default: glommio].
    #[arg(long, value_name = "WHICH")]
    pub(crate) driver: Option<Driver>,
    /// When money is taken: `at-once`, or `manual` to leave it authorised [default: at-once].
    #[arg(long, value_name = "WHEN")]
    pub(crate) capture: Option<Capture>,
    /// Minutes after which stock of an unpaid order is given back [default: 15].
    #[arg(long, value_name = "N")]
    pub(crate) hold_minutes: Option<u32>,
    /// Days for which events of the feed are kept [default: 7].
    #[arg(long, value_name = "N")]
    pub(crate) events_days: Option<u32>,
    /// Megabytes of them, the oldest go first [default: 10000].
    #[arg(long, value_name = "N")]
    pub(crate) events_max_mb: Option<u32>,
    /// What the log of each shard may take before it is cut behind snapshots, at least four segments: 256MiB, 4GiB [default: 1GiB, or four segments].
    #[arg(long, value_name = "SIZE")]
    pub(crate) log_bytes: Option<Size>,
    /// Size of the log's files made from this start on: from 1MiB to 16GiB [default: 64MiB].
    #[arg(long, value_name = "SIZE")]
    pub(crate) segment_bytes: Option<Size>,
    /// What the catalog is written in, for stems and words that say little; another than before indexes all products again: ar, da, de, el, en, es, fi, fr, it,
    /// nl, no, pt, ro, ru, sv, or none [default: en].
    #[arg(long, value_name = "CODE")]
    pub(crate) search_language: Option<SearchLanguage>,
    /// Start although the clock is more than an hour before the last entry of the log.
    #[arg(long)]
    pub(crate) accept_clock: bool,
    /// On a node of a cluster that cannot be whole again: start as if its log had all it acknowledged (see docs/operations.md).
    #[arg(long)]
    pub(crate) trust_log: bool,
}

/// What can be set for a shop. `None`: not said.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    pub(crate) engine: EngineSettings,
    #[command(flatten)]
    pub(crate) edge: EdgeSettings,
    /// Also serve the engine link, UDP, for gateways and stock clients elsewhere: shard n at this port plus n; port 0 takes free ones [default: off].
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) wire_listen: Option<SocketAddr>,
    /// Fill an empty catalog with 10,000 invented products.
    #[arg(long)]
    pub(crate) demo: bool,
}

/// The file: all of [`Settings`] under the same names, in one table.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Written {
    data: Option<PathBuf>,
    listen: Option<SocketAddr>,
    admin_listen: Option<AdminListen>,
    wire_listen: Option<SocketAddr>,
    shards: Option<u16>,
    cpus: Option<Cpus>,
    driver: Option<Driver>,
    per_address: Option<u32>,
    demo: bool,
    capture: Option<Capture>,
    hold_minutes: Option<u32>,
    events_days: Option<u32>,
    events_max_mb: Option<u32>,
    log_bytes: Option<Size>,
    segment_bytes: Option<Size>,
    search_language: Option<SearchLanguage>,
    accept_clock: bool,
}

/// Where the operators' pages are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum AdminListen {
    /// Nowhere.
    Off,
    /// There.
    At(SocketAddr),
}

impl FromStr for AdminListen {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            address => address.parse().map(Self::At).map_err(|_| "an address and a port, such as 127.0.0.1:9443, or off".into()),
        }
    }
}

/// Numbers of cores.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Cpus(pub(crate) Vec<usize>);

/// Highest number of a core that is believed.
const CPU_MAX: usize = 4_095;

impl FromStr for Cpus {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "core numbers up to 4095, such as 0-3,8".to_owned();
        let number = |text: &str| text.trim().parse::<usize>().ok().filter(|cpu| *cpu <= CPU_MAX).ok_or_else(wrong);
        let mut cpus = Vec::new();
        for part in text.split(',') {
            match part.split_once('-') {
                None => cpus.push(number(part)?),
                Some((first, last)) => {
                    let range = number(first)?..=number(last)?;
                    if range.is_empty() {
                        return Err(wrong());
                    }
                    cpus.extend(range);
                }
            }
        }
        Ok(Self(cpus))
    }
}

/// What runs the engine's shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Driver(pub(crate) engine::Driver);

impl FromStr for Driver {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "glommio" => Ok(Self(engine::Driver::Glommio)),
            "portable" => Ok(Self(engine::Driver::Portable)),
            _ => Err("glommio or portable".into()),
        }
    }
}

/// Bytes, as people write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Size(pub(crate) u64);

/// What sizes are counted in.
const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

impl FromStr for Size {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (number, shift) =
            UNITS.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?.trim_end(), *shift))).unwrap_or((text, 0));
        let bytes = number.bytes().all(|digit| digit.is_ascii_digit()).then(|| number.parse::<u64>().ok()).flatten();
        let bytes = bytes.and_then(|count| count.checked_mul(1 << shift));
        bytes.map(Self).ok_or_else(|| "a size, such as 256MiB, 4GiB or 1073741824 (KiB, MiB, GiB and TiB are powers of 1024)".into())
    }
}

impl Display for Size {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let largest = UNITS.iter().rev().find(|(_, shift)| self.0 != 0 && self.0.is_multiple_of(1 << shift));
        match largest {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

/// What the catalog is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct SearchLanguage(pub(crate) engine::SearchLanguage);

impl FromStr for SearchLanguage {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            let codes = engine::SearchLanguage::ALL.map(engine::SearchLanguage::code);
            format!("one of {}", codes.join(", "))
        })
    }
}

/// When money is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Capture {
    /// As soon as the order is placed.
    AtOnce,
    /// Later.
    Manual,
}

impl FromStr for Capture {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "at-once" => Ok(Self::AtOnce),
            "manual" => Ok(Self::Manual),
            _ => Err("at-once or manual".into()),
        }
    }
}

macro_rules! from_string {
    ($($name:ident)*) => {$(
        impl TryFrom<String> for $name {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
    )*};
}
from_string! { AdminListen Cpus Driver Size SearchLanguage Capture }

impl Settings {
    /// Adds what the file says, where the command line said nothing.
    pub(crate) fn with_file(&self, file: Option<&Path>) -> Result<Self, Fail> {
        let written = match file {
            None => Written::default(),
            Some(path) => {
                let text =
                    std::fs::read_to_string(path).map_err(|error| Fail::Usage(format!("{} cannot be read: {error}", path.display())))?;
                toml::from_str(&text).map_err(|error| {
                    let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
                    let why = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
                    Fail::Usage(format!("{}:{line}: {why}; see `emporion serve --help` for the names", path.display()))
                })?
            }
        };
        let Self { engine, edge, wire_listen, demo } = self.clone();
        Ok(Self {
            engine: EngineSettings {
                data: engine.data.or(written.data),
                shards: engine.shards.or(written.shards),
                cpus: engine.cpus.or(written.cpus),
                driver: engine.driver.or(written.driver),
                capture: engine.capture.or(written.capture),
                hold_minutes: engine.hold_minutes.or(written.hold_minutes),
                events_days: engine.events_days.or(written.events_days),
                events_max_mb: engine.events_max_mb.or(written.events_max_mb),
                log_bytes: engine.log_bytes.or(written.log_bytes),
                segment_bytes: engine.segment_bytes.or(written.segment_bytes),
                search_language: engine.search_language.or(written.search_language),
                accept_clock: engine.accept_clock || written.accept_clock,
                // A wish of one start, not of a file.
                trust_log: engine.trust_log,
            },
            edge: EdgeSettings {
                listen: edge.listen.or(written.listen),
                admin_listen: edge.admin_listen.or(written.admin_listen),
                per_address: edge.per_address.or(written.per_address),
            },
            wire_listen: wire_listen.or(written.wire_listen),
            demo: demo || written.demo,
        })
    }
}

impl EngineSettings {
    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| DATA.into())
    }

    /// What the engine is opened with, checked as far as it can be without the folder.
    pub(crate) fn checked(&self) -> Result<engine::Config, Fail> {
        let config = self.config();
        config.validate().map_err(|error| Fail::Usage(error.to_string()))?;
        let least = Size(config.segment_bytes.saturating_mul(LOG_SEGMENTS_MIN));
        match self.log_bytes {
            // The library would take it as the least.
            Some(found) if found.0 < least.0 => Err(Fail::Usage(format!(
                "a log of {found} has no room for {LOG_SEGMENTS_MIN} segments of {}: give --log-bytes {least} or more, or a smaller --segment-bytes",
                Size(config.segment_bytes)
            ))),
            Some(_) | None => Ok(config),
        }
    }

    fn config(&self) -> engine::Config {
        let mut config = engine::Config::new(self.data());
        config.shards = self.shards;
        config.cpus = self.cpus.as_ref().map(|cpus| cpus.0.clone());
        config.driver = self.driver.map_or_else(engine::Driver::default, |driver| driver.0);
        config.accept_clock = self.accept_clock;
        config.trust_log = self.trust_log;
        config.search_language = self.search_language.map_or_else(engine::SearchLanguage::default, |language| language.0);
        config.providers = vec![adapters::sandbox::NAME.into()];
        config.capture = match self.capture {
            None | Some(Capture::AtOnce) => engine::Capture::AtOnce,
            Some(Capture::Manual) => engine::Capture::OnShipment,
        };
        if let Some(minutes) = self.hold_minutes {
            config.hold_ttl = Duration::from_secs(u64::from(minutes) * 60);
        }
        if let Some(days) = self.events_days {
            config.events_keep = Duration::from_secs(u64::from(days) * 24 * 3_600);
        }
        if let Some(megabytes) = self.events_max_mb {
            config.events_bytes_max = u64::from(megabytes) * 1_000_000;
        }
        if let Some(Size(bytes)) = self.log_bytes {
            config.log_bytes_max = bytes;
        }
        if let Some(Size(bytes)) = self.segment_bytes {
            config.segment_bytes = bytes;
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<Settings, Fail> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("shop.toml");
        std::fs::write(&path, text).expect("writes");
        let edge = EdgeSettings { listen: Some(([127, 0, 0, 1], 1).into()), ..EdgeSettings::default() };
        Settings { edge, ..Settings::default() }.with_file(Some(&path))
    }

    #[test]
    fn the_command_line_goes_before_the_file() {
        let both = file("listen = '0.0.0.0:443'\nadmin-listen = 'off'\ndata = 'd'\ncpus = '0-2,5'\ndriver = 'portable'\ncapture = 'manual'\ndemo = true\nsearch-language = 'de'\nsegment-bytes = '1MiB'\nlog-bytes = '8 MiB'")
            .expect("reads");
        let config = both.engine.checked().expect("can be used");
        assert_eq!((config.segment_bytes, config.log_bytes_max), (1 << 20, 8 << 20));
        assert_eq!((both.engine.config().driver, config.search_language), (engine::Driver::Portable, engine::SearchLanguage::German));
        assert_eq!(both.edge.listen(), SocketAddr::from(([127, 0, 0, 1], 1)));
        assert_eq!((both.edge.admin_listen, both.engine.data(), both.demo), (Some(AdminListen::Off), "d".into(), true));
        assert_eq!((both.engine.cpus, both.engine.capture), (Some(Cpus(vec![0, 1, 2, 5])), Some(Capture::Manual)));
    }

    #[test]
    fn sizes_are_read_and_said_as_people_write_them() {
        for (text, bytes) in [
            ("4096", Some(4_096)),
            ("1KiB", Some(1 << 10)),
            ("256MiB", Some(256 << 20)),
            ("4 GiB", Some(4 << 30)),
            ("2TiB", Some(2 << 40)),
            ("0", Some(0)),
            ("", None),
            ("MiB", None),
            ("-1MiB", None),
            ("+1MiB", None),
            ("1.5GiB", None),
            ("1MB", None),
            ("1mib", None),
            ("16777216TiB", None),
            ("18446744073709551616", None),
        ] {
            assert_eq!(text.parse::<Size>().ok(), bytes.map(Size), "{text}");
        }
        for (bytes, says) in [(0, "0"), (1_000, "1000"), (3 << 20, "3MiB"), (1 << 30, "1GiB"), (u64::MAX, "18446744073709551615")] {
            assert_eq!(Size(bytes).to_string(), says);
        }
    }

    #[test] // Each row is the log's and the segments' size, and what is said about them.
    fn a_log_has_room_for_its_segments() {
        for (log, segment, says) in [
            (None, None, ""),
            (None, Some(16 << 30), ""),
            (Some(4 << 20), Some(1 << 20), ""),
            (Some(256 << 20), None, ""),
            (
                Some(255 << 20),
                None,
                "a log of 255MiB has no room for 4 segments of 64MiB: give --log-bytes 256MiB or more, or a smaller --segment-bytes",
            ),
            (None, Some(1_000), "log segments of 1000 bytes: from 1048576 to 17179869184, a multiple of 4096"),
        ] {
            let settings = EngineSettings { log_bytes: log.map(Size), segment_bytes: segment.map(Size), ..EngineSettings::default() };
            let said = match settings.checked() {
                Ok(_) => String::new(),
                Err(Fail::Usage(why)) => why,
                Err(other) => panic!("{other:?} is no wrong usage"),
            };
            assert_eq!(said, says);
        }
    }

    #[test] // Each row is a file and a part of what is said about it.
    fn wrong_files_are_usage_errors_with_a_line() {
        for (text, says) in [
            ("data = 'd'\nlisten_ = '1'", "shop.toml:2: unknown field `listen_`"),
            ("\n\nshards = 'two'", "shop.toml:3: "),
            ("cpus = '3-1'", "shop.toml:1: core numbers"),
            ("admin-listen = 'on'", "or off"),
            ("capture = 'never'", "at-once or manual"),
            ("driver = 'tape'", "glommio or portable"),
            ("search-language = 'klingon'", "one of ar, da, de, el, en, es, fi, fr, it, nl, no, pt, ro, ru, sv, none"),
            ("log-bytes = '1GB'", "a size, such as 256MiB"),
        ] {
            let Err(Fail::Usage(why)) = file(text) else { panic!("{text} is taken") };
            assert!(why.contains(says) && !why.contains('\n'), "{why}");
        }
    }
}
