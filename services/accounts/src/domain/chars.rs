//! Which characters make a name, and where each may stand. The rules of place are those of RFC 5892
//! Appendix A, which has them for the same reason: what joins or separates letters is no letter, and
//! between others it is invisible or looks like something else.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{
        CanonicalCombiningClass, DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup,
        JoiningType, Script,
    },
};

use self::RefusedCharacter::{Foreign, Heap, Invisible, Place};

/// Accents on one letter: Vietnamese has two, Arabic a doubling and a vowel.
const MOST_ACCENTS: usize = 2;
/// Signs of the letter's own script above, below and within it, accents included: Tibetan and
/// Burmese have three. UTS #39 §5.4 names four.
const MOST_MARKS: usize = 4;

/// Why a character may not stand in a name, at least not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RefusedCharacter {
    #[error(
        "must not hold {}: letters of any script, digits, spaces, apostrophes, hyphens, full stops and commas make a name",
        shown(*.0)
    )]
    Foreign(char),
    #[error("must not hold {} in this place, where nobody would see it", shown(*.0))]
    Invisible(char),
    #[error("must not hold {} in this place: it belongs {}", shown(*.0), .1)]
    Place(char, &'static str),
    #[error("must not heap signs on a letter: {} is one too many", shown(*.0))]
    Heap(char),
}

const VISIBLE: [GeneralCategoryGroup; 4] = [
    GeneralCategoryGroup::Letter,
    GeneralCategoryGroup::Number,
    GeneralCategoryGroup::Punctuation,
    GeneralCategoryGroup::Symbol,
];

const ZWNJ: char = '\u{200c}';
const ZWJ: char = '\u{200d}';

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

fn script(c: char) -> Script {
    CodePointMapData::<Script>::new().get(c)
}

pub(super) fn is_ignorable(c: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

pub(super) fn is_letter(c: char) -> bool {
    GeneralCategoryGroup::Letter.contains(category(c))
}

/// That joins or stacks on a letter; none that encloses it, such as a keycap.
fn is_mark(c: char) -> bool {
    matches!(
        category(c),
        GeneralCategory::NonspacingMark | GeneralCategory::SpacingMark
    )
}

pub(super) fn is_digit(c: char) -> bool {
    category(c) == GeneralCategory::DecimalNumber
}

pub(super) fn is_space(c: char) -> bool {
    category(c) == GeneralCategory::SpaceSeparator
}

/// A full stop, or what looks like one and may stand in a name: UTS #39, confusables of U+002E.
pub(super) fn is_dot(c: char) -> bool {
    matches!(c, '.' | '\u{660}' | '\u{6f0}' | '\u{a4f8}')
}

/// A character for people: itself where it can be seen, and its number.
pub(super) fn shown(c: char) -> String {
    let number = u32::from(c);
    let is = |group: GeneralCategoryGroup| group.contains(category(c));
    if !is_ignorable(c) && VISIBLE.into_iter().any(is) {
        format!("'{c}' (U+{number:04X})")
    } else {
        format!("U+{number:04X}")
    }
}

/// Whether the character may stand where it does.
pub(super) fn check(name: &[char], place: usize) -> Result<(), RefusedCharacter> {
    let (before, c, after) = (&name[..place], name[place], &name[place + 1..]);
    let behind = |is: fn(char) -> bool| before.last().is_some_and(|c| is(*c));
    let between = |is: fn(char) -> bool| behind(is) && after.first().is_some_and(|c| is(*c));
    let only = |fits: bool, where_| if fits { Ok(()) } else { Err(Place(c, where_)) };
    match c {
        ' ' | '.' | ',' | '-' | '\u{2010}' | '\u{2011}' | '\'' | '\u{2018}' | '\u{2019}' => Ok(()),
        '\u{b7}' => only(
            between(|c| matches!(c, 'l' | 'L')),
            "between two l, as in Gal·la",
        ),
        '\u{30fb}' | '\u{ff65}' | '\u{30a0}' => {
            only(between(is_japanese), "between Japanese letters")
        }
        '\u{5f3}' | '\u{5f4}' | '\u{5be}' => only(
            behind(|c| script(c) == Script::Hebrew),
            "behind a Hebrew letter",
        ),
        '\u{f0b}' => only(
            behind(|c| script(c) == Script::Tibetan),
            "behind a Tibetan letter",
        ),
        ZWNJ | ZWJ if joins(before, c, after) => Ok(()),
        _ if is_variation(c) && behind(has_variants) => Ok(()),
        _ if is_ignorable(c) => Err(Invisible(c)),
        _ if is_mark(c) => check_marks(before, c),
        _ if is_letter(c) || is_digit(c) => Ok(()),
        _ => Err(Foreign(c)),
    }
}

/// Iteration marks and the long vowel's sign are common to several scripts.
fn is_japanese(c: char) -> bool {
    [Script::Han, Script::Hiragana, Script::Katakana].contains(&script(c))
        || matches!(c, '\u{30fc}' | '\u{ff70}')
}

/// RFC 5892 A.1 and A.2: behind a virama, which they make join or not; the non-joiner also between
/// letters that would join, as in Persian.
fn joins(before: &[char], joiner: char, after: &[char]) -> bool {
    let class = |c: &char| CodePointMapData::<CanonicalCombiningClass>::new().get(*c);
    if before.last().map(class) == Some(CanonicalCombiningClass::Virama) {
        return true;
    }
    let joining = |c: &char| CodePointMapData::<JoiningType>::new().get(*c);
    let mut left = before.iter().rev().map(joining);
    let mut right = after.iter().map(joining);
    let is_seen = |joining: &JoiningType| *joining != JoiningType::Transparent;
    joiner == ZWNJ
        && matches!(
            left.find(is_seen),
            Some(JoiningType::LeftJoining | JoiningType::DualJoining)
        )
        && matches!(
            right.find(is_seen),
            Some(JoiningType::RightJoining | JoiningType::DualJoining)
        )
}

/// Chooses one of a character's forms. Japanese names are registered with them (UTS #37).
fn is_variation(c: char) -> bool {
    matches!(c, '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

fn has_variants(c: char) -> bool {
    matches!(script(c), Script::Han | Script::Mongolian) && is_letter(c)
}

/// A mark needs a letter, may not come twice, and may not be one too many.
fn check_marks(before: &[char], mark: char) -> Result<(), RefusedCharacter> {
    if category(mark) == GeneralCategory::SpacingMark {
        return Ok(()); // beside the letter: it hides nothing
    }
    let is_accent = |c: char| script(c) == Script::Inherited;
    let (mut accents, mut marks) = (usize::from(is_accent(mark)), 1);
    let mut same = false;
    for c in before.iter().rev().filter(|c| ![ZWNJ, ZWJ].contains(c)) {
        if category(*c) == GeneralCategory::NonspacingMark {
            accents += usize::from(is_accent(*c));
            marks += 1;
            same |= *c == mark;
        } else if is_mark(*c) {
            // beside the letter, too
        } else if !is_letter(*c) {
            return Err(Foreign(mark));
        } else if same || accents > MOST_ACCENTS || marks > MOST_MARKS {
            return Err(Heap(mark));
        } else {
            return Ok(());
        }
    }
    Err(Foreign(mark))
}
