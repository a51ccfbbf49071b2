//! Scores, language: which language a text is in.
//!
//! Two witnesses. Frequent small words tell European languages apart even in a
//! short sentence; where they say nothing clear, letters and runs of three
//! letters do (the crate `whatlang`, Cavnar and Trenkle 1994). A text with fewer
//! than [`MIN_LETTERS`] letters is not judged.

use super::Fault;
use super::words::folded;
use std::collections::HashMap;
use std::sync::LazyLock;
use whatlang::Lang;

/// Fewest letters that are judged, signs of Chinese and Japanese counting
/// threefold.
pub const MIN_LETTERS: usize = 12;
/// Most letters that are looked at.
const MAX_LETTERS: usize = 4000;
/// Fewest small words that decide.
const MIN_HITS: u32 = 2;

/// ISO 639-1 of the languages that are told apart, and what `whatlang` calls
/// them.
const LANGUAGES: [(&str, Option<Lang>); 66] = [
    ("af", Some(Lang::Afr)),
    ("am", Some(Lang::Amh)),
    ("ar", Some(Lang::Ara)),
    ("az", Some(Lang::Aze)),
    ("be", Some(Lang::Bel)),
    ("bg", Some(Lang::Bul)),
    ("bn", Some(Lang::Ben)),
    ("ca", Some(Lang::Cat)),
    ("cs", Some(Lang::Ces)),
    ("cy", Some(Lang::Cym)),
    ("da", Some(Lang::Dan)),
    ("de", Some(Lang::Deu)),
    ("el", Some(Lang::Ell)),
    ("en", Some(Lang::Eng)),
    ("eo", Some(Lang::Epo)),
    ("es", Some(Lang::Spa)),
    ("et", Some(Lang::Est)),
    ("fa", Some(Lang::Pes)),
    ("fi", Some(Lang::Fin)),
    ("fr", Some(Lang::Fra)),
    ("gu", Some(Lang::Guj)),
    ("he", Some(Lang::Heb)),
    ("hi", Some(Lang::Hin)),
    ("hr", Some(Lang::Hrv)),
    ("hu", Some(Lang::Hun)),
    ("hy", Some(Lang::Hye)),
    ("id", Some(Lang::Ind)),
    ("it", Some(Lang::Ita)),
    ("ja", Some(Lang::Jpn)),
    ("jv", Some(Lang::Jav)),
    ("ka", Some(Lang::Kat)),
    ("km", Some(Lang::Khm)),
    ("kn", Some(Lang::Kan)),
    ("ko", Some(Lang::Kor)),
    ("la", Some(Lang::Lat)),
    ("lt", Some(Lang::Lit)),
    ("lv", Some(Lang::Lav)),
    ("mk", Some(Lang::Mkd)),
    ("ml", Some(Lang::Mal)),
    ("mr", Some(Lang::Mar)),
    ("my", Some(Lang::Mya)),
    ("nb", Some(Lang::Nob)),
    ("ne", Some(Lang::Nep)),
    ("nl", Some(Lang::Nld)),
    ("or", Some(Lang::Ori)),
    ("pa", Some(Lang::Pan)),
    ("pl", Some(Lang::Pol)),
    ("pt", Some(Lang::Por)),
    ("ro", Some(Lang::Ron)),
    ("ru", Some(Lang::Rus)),
    ("si", Some(Lang::Sin)),
    ("sk", Some(Lang::Slk)),
    ("sl", Some(Lang::Slv)),
    ("sr", Some(Lang::Srp)),
    ("sv", Some(Lang::Swe)),
    ("sw", None),
    ("ta", Some(Lang::Tam)),
    ("te", Some(Lang::Tel)),
    ("th", Some(Lang::Tha)),
    ("tl", Some(Lang::Tgl)),
    ("tr", Some(Lang::Tur)),
    ("uk", Some(Lang::Ukr)),
    ("ur", Some(Lang::Urd)),
    ("uz", Some(Lang::Uzb)),
    ("vi", Some(Lang::Vie)),
    ("zh", Some(Lang::Cmn)),
];

/// Small words of languages whose trigrams are alike in short texts.
const SMALL_WORDS: [(&str, &str); 17] = [
    (
        "en",
        "the of and to is in that it for you with are this was be on your have not we will from at by or an as can our has please been would there their which do my",
    ),
    (
        "de",
        "der die das und ist nicht ein eine zu mit den von für auf im dem sie wir ich auch es wird sind bei ihre ihr werden haben noch aus oder wie kann bitte einen",
    ),
    (
        "fr",
        "le la les et est des un une du dans pour que qui pas vous nous sur avec ce cette au votre sont il elle je ne plus par ou aux être notre en",
    ),
    (
        "es",
        "el la los las y es un una de que en por para con no su se del al lo como más está pero este esta son usted nuestro muy sus ha",
    ),
    (
        "it",
        "il la le e è un una di che in per con non si del della gli lo come più sono questo questa nel alla anche ma ci dei suo al i",
    ),
    (
        "pt",
        "o a os as e é um uma de que em por para com não se do da no na como mais está mas este esta são você seu ao dos nos foi",
    ),
    (
        "nl",
        "de het een en is van dat niet te op voor met zijn wij ik je u aan er ook maar worden wordt bij uw om naar deze door kunt",
    ),
    (
        "sv",
        "och att det är en ett som för på med av inte till den vi har du kan från om men var så hos din eller",
    ),
    (
        "da",
        "og at det er en et som for på med af ikke til den vi har du kan fra om men jeg hvis din eller blev",
    ),
    (
        "nb",
        "og at det er en et som for på med av ikke til den vi har du kan fra om men jeg hvis din eller ble",
    ),
    (
        "fi",
        "ja on ei se että oli hän mutta tämä joka sen ovat kun niin voi myös olla kuin sinun meidän",
    ),
    ("pl", "i w na się nie to jest z do że o jak po ale od za czy są przez oraz jego dla być tym"),
    ("cs", "a je se na v to že s z do o ale jako po za by pro tak jsou nebo byl může není"),
    ("tr", "ve bir bu da de için ile çok ne o gibi daha var olarak en kadar sonra olan değil mi"),
    ("hu", "a az és nem is hogy egy van ez de meg csak már volt ha vagy mint még azt ki"),
    (
        "id",
        "yang dan di ini itu dengan untuk tidak dari dalam akan pada adalah ke anda kami bisa juga saya telah",
    ),
    (
        "sw",
        "na ya wa kwa ni katika za la kuwa hii huo cha hiyo watu wao yake pia au kama yetu sana vya kila wetu kutoka",
    ),
];

static WORDS: LazyLock<HashMap<&'static str, Vec<usize>>> = LazyLock::new(|| {
    let mut words: HashMap<&str, Vec<usize>> = HashMap::new();
    for (i, (_, list)) in SMALL_WORDS.iter().enumerate() {
        for word in list.split(' ') {
            words.entry(word).or_default().push(i);
        }
    }
    words
});

/// The language of a text, ISO 639-1. None if it is too short or its language
/// is none of those that are known.
pub fn language(text: &str) -> Option<&'static str> {
    let text = letters(text);
    if weight(&text) < MIN_LETTERS {
        return None;
    }
    small_words(&text).or_else(|| {
        let lang = whatlang::detect_lang(&text)?;
        LANGUAGES.iter().find(|(_, known)| *known == Some(lang)).map(|(code, _)| *code)
    })
}

/// The beginning of a text in lower case, without what is no language: code in
/// fences, addresses of the web.
fn letters(text: &str) -> String {
    let mut kept = String::new();
    let mut count = 0;
    for (i, part) in text.split("```").enumerate() {
        if i % 2 == 1 {
            continue;
        }
        for word in part.split_whitespace().filter(|word| !word.contains("://")) {
            kept.extend(word.chars().flat_map(char::to_lowercase));
            kept.push(' ');
            count += word.chars().count();
            if count >= MAX_LETTERS {
                return kept;
            }
        }
    }
    kept
}

fn weight(text: &str) -> usize {
    let of = |c: char| match c {
        c if super::words::is_sign(c) => 3,
        c if c.is_alphabetic() => 1,
        _ => 0,
    };
    text.chars().map(of).sum()
}

/// The language most small words are of, if it is clearly one.
fn small_words(text: &str) -> Option<&'static str> {
    let mut hits = [0_u32; SMALL_WORDS.len()];
    let mut total = 0_u32;
    for word in folded(text) {
        total += 1;
        for i in WORDS.get(word.as_str()).into_iter().flatten() {
            if let Some(hit) = hits.get_mut(*i) {
                *hit += 1;
            }
        }
    }
    let (best, most) = hits.iter().enumerate().max_by_key(|(_, hit)| **hit)?;
    let second = hits.iter().enumerate().filter(|(i, _)| *i != best).map(|(_, hit)| *hit).max()?;
    // One word in eight is small in every language of the list; fewer are names
    // and borrowings.
    let clear = *most >= MIN_HITS && *most * 2 >= second * 3 && *most * 8 >= total;
    clear.then(|| SMALL_WORDS.get(best).map(|(code, _)| *code)).flatten()
}

/// What a suite calls the language: `de`, `de-CH` and `zh_TW` are fine; `no` is
/// taken for `nb`.
pub(crate) fn known(code: &str) -> Result<&'static str, Fault> {
    let lower = code.trim().to_lowercase();
    let main = lower.split(['-', '_']).next().unwrap_or_default();
    let main = if main == "no" { "nb" } else { main };
    LANGUAGES.iter().map(|(known, _)| *known).find(|known| *known == main).ok_or_else(|| {
        Fault::new(
            "language",
            "unknown_word",
            format!("`{}` is no language that can be told apart", super::rule::short(code)),
            "write ISO 639-1, for example `en`, `de` or `pt`; `docs/scores.md` lists them",
        )
    })
}

pub(crate) fn kept(answer: &str, wanted: &'static str) -> Result<(), String> {
    match language(answer) {
        Some(found) if found == wanted => Ok(()),
        Some(found) => Err(format!("the answer is in `{found}`, not in `{wanted}`")),
        None => Err(format!(
            "the language of the answer cannot be told; it takes {MIN_LETTERS} letters of a known one"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Own sentences, as a support bot might answer.
    const SENTENCES: [(&str, &str); 33] = [
        ("en", "Your parcel left our warehouse this morning."),
        ("en", "Please restart the app and try again."),
        ("de", "Ihr Paket hat heute Morgen unser Lager verlassen."),
        ("de", "Bitte starten Sie die App neu."),
        ("fr", "Votre colis a quitté notre entrepôt ce matin."),
        ("fr", "Merci de redémarrer l'application et de réessayer."),
        ("es", "Su paquete salió de nuestro almacén esta mañana."),
        ("es", "Por favor, reinicie la aplicación."),
        ("it", "Il suo pacco ha lasciato il nostro magazzino questa mattina."),
        ("pt", "A sua encomenda saiu do nosso armazém esta manhã."),
        ("nl", "Uw pakket heeft vanochtend ons magazijn verlaten."),
        ("sv", "Ditt paket lämnade vårt lager i morse och är på väg."),
        ("fi", "Pakettisi lähti varastostamme tänä aamuna, ja se on matkalla."),
        ("pl", "Twoja paczka opuściła dziś rano nasz magazyn."),
        ("cs", "Vaše zásilka dnes ráno opustila náš sklad a je na cestě."),
        ("tr", "Paketiniz bu sabah depomuzdan çıktı ve yolda."),
        ("hu", "A csomagja ma reggel elhagyta a raktárunkat, és már úton van."),
        ("id", "Paket Anda telah meninggalkan gudang kami pagi ini."),
        ("sw", "Kifurushi chako kiliondoka katika ghala letu asubuhi hii na kipo njiani."),
        ("vi", "Gói hàng của bạn đã rời kho của chúng tôi sáng nay."),
        ("ru", "Ваша посылка сегодня утром покинула наш склад."),
        ("uk", "Ваша посилка сьогодні вранці залишила наш склад і вже їде."),
        ("bg", "Вашата пратка напусна нашия склад тази сутрин и пътува към вас."),
        ("el", "Το δέμα σας έφυγε από την αποθήκη μας σήμερα το πρωί."),
        ("ar", "غادرت شحنتك مستودعنا هذا الصباح وهي في الطريق إليك."),
        ("he", "החבילה שלך יצאה מהמחסן שלנו הבוקר."),
        ("fa", "بسته شما امروز صبح از انبار ما خارج شد و در راه است."),
        ("hi", "आपका पार्सल आज सुबह हमारे गोदाम से निकल गया है।"),
        ("th", "พัสดุของคุณออกจากคลังสินค้าของเราเมื่อเช้านี้"),
        ("ja", "お荷物は今朝、当社の倉庫を出発しました。"),
        ("zh", "您的包裹今天早上已经离开我们的仓库。"),
        ("ko", "고객님의 소포가 오늘 아침 저희 창고에서 출발했습니다."),
        ("ta", "உங்கள் பொதி இன்று காலை எங்கள் கிடங்கை விட்டு புறப்பட்டது."),
    ];

    #[test]
    fn sentences_of_a_support_bot_are_told_apart() {
        let wrong: Vec<_> = SENTENCES
            .iter()
            .filter(|(code, text)| language(text) != Some(code))
            .map(|(code, text)| (code, language(text)))
            .collect();
        assert_eq!(wrong, []);
    }

    #[test]
    fn code_and_addresses_are_no_language() {
        let text = "Bitte öffnen Sie https://example.com/the/of/and und starten Sie neu:\n```\nif the app is not there { return to_the_start(); }\n```";
        assert_eq!(language(text), Some("de"));
        assert_eq!(language("OK."), None);
        assert_eq!(known("pt-BR"), Ok("pt"));
        assert!(known("xx").is_err());
    }
}
