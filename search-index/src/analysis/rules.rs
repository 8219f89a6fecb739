//! Words that say little in each language, and those before what a thing is for.
//!
//! All as [`fold`](super::fold::fold) leaves them. Words that a shopper means are in no list, such as those for "without": `kopfhörer ohne kabel`.

use super::language::Language;

/// What is known of a language but for its stems.
pub(crate) struct Rules {
    /// Left out of a query that has other terms. Documents index them, so that a query of nothing else still works.
    pub(crate) stops: &'static [&'static str],
    /// What comes after these is what the thing is for, or where it is from.
    pub(crate) before_others: &'static [&'static str],
    /// A phrase goes on after these.
    pub(crate) between: &'static [&'static str],
    /// Cut off before a vowel, each with its apostrophe: words of their own, left out of queries too.
    pub(crate) elided: &'static [&'static str],
}

impl Language {
    pub(crate) fn rules(self) -> &'static Rules {
        match self {
            Self::Arabic => &ARABIC,
            Self::Danish => &DANISH,
            Self::German => &GERMAN,
            Self::Greek => &GREEK,
            Self::English => &ENGLISH,
            Self::Spanish => &SPANISH,
            Self::Finnish => &FINNISH,
            Self::French => &FRENCH,
            Self::Italian => &ITALIAN,
            Self::Dutch => &DUTCH,
            Self::Norwegian => &NORWEGIAN,
            Self::Portuguese => &PORTUGUESE,
            Self::Romanian => &ROMANIAN,
            Self::Russian => &RUSSIAN,
            Self::Swedish => &SWEDISH,
            Self::Unstemmed => &UNSTEMMED,
        }
    }
}

const ENGLISH: Rules = Rules {
    stops: &[
        "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "from", "in", "into", "is", "it", "no", "of", "on", "or", "that",
        "the", "this", "to", "with",
    ],
    before_others: &["for", "with", "w", "f", "in", "by", "from", "to", "compatible", "replaces"],
    between: &["and", "n", "or"],
    elided: &[],
};

const ARABIC: Rules = Rules {
    stops: &["في", "من", "على", "الى", "إلى", "عن", "مع", "و", "أو", "او", "هو", "هي", "هذا", "هذه", "التي", "الذي", "أن", "ان"],
    before_others: &["من", "مع", "في"],
    between: &["و", "أو", "او"],
    elided: &[],
};

const DANISH: Rules = Rules {
    stops: &[
        "af", "at", "de", "den", "der", "det", "eller", "en", "er", "et", "for", "fra", "i", "med", "og", "om", "pa", "paa", "som", "til",
        "ved",
    ],
    before_others: &["til", "for", "med", "af", "i", "fra", "passer", "kompatibel", "erstatter"],
    between: &["og", "eller"],
    elided: &[],
};

const GERMAN: Rules = Rules {
    stops: &[
        "als", "am", "an", "auf", "aus", "bei", "das", "dem", "den", "der", "des", "die", "ein", "eine", "einem", "einen", "einer",
        "eines", "fuer", "fur", "im", "in", "ist", "mit", "oder", "sind", "und", "vom", "von", "zu", "zum", "zur",
    ],
    before_others: &[
        "fur",
        "fuer",
        "mit",
        "in",
        "im",
        "von",
        "vom",
        "aus",
        "zu",
        "zum",
        "zur",
        "passend",
        "geeignet",
        "kompatibel",
        "ersetzt",
    ],
    between: &["und", "oder"],
    elided: &[],
};

const GREEK: Rules = Rules {
    stops: &[
        "ο", "η", "το", "οι", "τα", "του", "τησ", "των", "τον", "την", "και", "με", "για", "σε", "απο", "στο", "στη", "στην", "στα", "ενα",
        "μια", "που", "να",
    ],
    before_others: &["για", "με", "απο", "σε"],
    between: &["και", "η"],
    elided: &[],
};

const SPANISH: Rules = Rules {
    stops: &[
        "a", "al", "con", "de", "del", "e", "el", "en", "es", "la", "las", "lo", "los", "o", "para", "por", "que", "se", "su", "u", "un",
        "una", "unas", "unos", "y",
    ],
    before_others: &["para", "con", "de", "del", "en", "por", "compatible", "compatibles", "reemplaza"],
    between: &["y", "e", "o", "u"],
    elided: &[],
};

const FINNISH: Rules = Rules {
    stops: &["eli", "etta", "ja", "joka", "jotka", "kun", "ne", "on", "ovat", "se", "seka", "tai"],
    // What others say with prepositions it says with endings.
    before_others: &[],
    between: &["ja", "tai"],
    elided: &[],
};

const FRENCH: Rules = Rules {
    stops: &[
        "a", "au", "aux", "avec", "ce", "ces", "cet", "cette", "dans", "de", "des", "du", "en", "est", "et", "la", "le", "les", "ou",
        "par", "pour", "que", "qui", "sur", "un", "une",
    ],
    before_others: &["pour", "avec", "de", "d'", "du", "des", "en", "a", "au", "aux", "compatible", "compatibles", "remplace"],
    between: &["et", "ou"],
    elided: &["c'", "d'", "j'", "jusqu'", "l'", "lorsqu'", "m'", "n'", "puisqu'", "qu'", "s'", "t'"],
};

const ITALIAN: Rules = Rules {
    stops: &[
        "a", "al", "alla", "alle", "allo", "ai", "agli", "che", "con", "da", "dal", "dalla", "dei", "degli", "del", "della", "delle",
        "dello", "di", "e", "ed", "gli", "i", "il", "in", "la", "le", "lo", "nel", "nella", "o", "per", "su", "sul", "sulla", "un", "una",
        "uno",
    ],
    before_others: &[
        "per",
        "con",
        "di",
        "del",
        "della",
        "dei",
        "degli",
        "delle",
        "dello",
        "d'",
        "dell'",
        "da",
        "in",
        "compatibile",
        "compatibili",
    ],
    between: &["e", "ed", "o"],
    elided: &["all'", "c'", "d'", "dall'", "dell'", "l'", "nell'", "quell'", "sull'", "un'"],
};

const DUTCH: Rules = Rules {
    stops: &[
        "aan", "als", "bij", "dat", "de", "die", "dit", "door", "een", "en", "het", "in", "is", "met", "naar", "of", "om", "op", "te",
        "tot", "uit", "van", "voor", "zijn",
    ],
    before_others: &["voor", "met", "van", "in", "uit", "geschikt", "compatibel", "vervangt"],
    between: &["en", "of"],
    elided: &[],
};

const NORWEGIAN: Rules = Rules {
    stops: &[
        "av", "de", "den", "det", "ei", "eller", "en", "er", "et", "for", "fra", "i", "med", "og", "om", "pa", "paa", "som", "til", "ved",
    ],
    before_others: &["til", "for", "med", "av", "i", "fra", "passer", "kompatibel", "erstatter"],
    between: &["og", "eller"],
    elided: &[],
};

const PORTUGUESE: Rules = Rules {
    stops: &[
        "a", "ao", "aos", "as", "com", "da", "das", "de", "do", "dos", "e", "em", "na", "nas", "no", "nos", "o", "os", "ou", "para",
        "pela", "pelo", "por", "que", "se", "um", "uma", "umas", "uns",
    ],
    before_others: &["para", "com", "de", "do", "da", "dos", "das", "em", "por", "compativel", "compativeis", "substitui"],
    between: &["e", "ou"],
    elided: &[],
};

const ROMANIAN: Rules = Rules {
    stops: &[
        "a", "al", "ale", "ai", "care", "ce", "cea", "cel", "cu", "de", "din", "este", "in", "la", "o", "pe", "pentru", "sau", "si",
        "sunt", "un", "unei", "unui",
    ],
    before_others: &["pentru", "cu", "de", "din", "in", "compatibil", "compatibila"],
    between: &["si", "sau"],
    elided: &[],
};

const RUSSIAN: Rules = Rules {
    stops: &[
        "а", "в", "во", "для", "до", "за", "и", "из", "или", "к", "как", "ко", "на", "над", "но", "о", "об", "от", "по", "под", "при", "с",
        "со", "у", "что", "это",
    ],
    before_others: &["для", "с", "со", "из", "от", "под", "к", "на", "в"],
    between: &["и", "или"],
    elided: &[],
};

const SWEDISH: Rules = Rules {
    stops: &[
        "ar", "att", "av", "de", "den", "det", "eller", "en", "ett", "for", "fran", "i", "med", "och", "om", "pa", "som", "till", "vid",
    ],
    before_others: &["for", "till", "med", "av", "i", "fran", "passar", "kompatibel", "ersatter"],
    between: &["och", "eller"],
    elided: &[],
};

const UNSTEMMED: Rules = Rules { stops: &[], before_others: &[], between: &[], elided: &[] };
