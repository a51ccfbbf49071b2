//! The cues that matter most in other languages: overriding instructions, and
//! asking for a password. Written for the forms such texts take; a speaker
//! will know more.

use super::{Cue, attack};

const OVERRIDES: &str = "overrides earlier instructions";
const SECRET: &str = "asks for a secret of the system";

pub(super) static CUES: &[Cue] = &[
    // Spanish
    attack(
        OVERRIDES,
        60,
        &["ignora", "ignore", "olvida", "olvide", "descarta", "haz caso omiso"],
        r"\b(?:ignor[ae]|ignor(?:en|ar)|olv[ií]d(?:a|e|ar)|descarta|haz caso omiso de)\b~\b(?:instrucci(?:ones|ón)|[óo]rdenes|reglas|indicaciones|anterior(?:es)?)\b",
    ),
    attack(SECRET, 50, &["contraseña", "tu clave"], r"\b(?:tu|su|la) (?:contraseña|clave secreta)"),
    // French
    attack(
        OVERRIDES,
        60,
        &["ignore", "oublie", "ne tiens pas compte", "ne tenez pas compte", "faites abstraction"],
        r"\b(?:ignor(?:e|ez|er)|oubli(?:e|ez|er)|ne (?:tiens|tenez) pas compte)\b~(?:instructions?|consignes?|directives?|r[èe]gles|pr[ée]c[ée]dent)",
    ),
    attack(SECRET, 50, &["mot de passe"], r"\b(?:votre|ton|le) mot de passe"),
    // German
    attack(
        OVERRIDES,
        60,
        &["ignorier", "vergiss", "vergessen sie", "missachte", "vernachlässig", "beachte nicht"],
        r"\b(?:ignorier(?:e|en|t)?|vergiss|vergessen sie|missachte[nt]?|vernachlässige)\b~(?:anweisung|instruktion|befehl|regeln|vorgaben|richtlinien|vorherig|bisherig)",
    ),
    attack(
        SECRET,
        50,
        &[
            "dein passwort",
            "ihr passwort",
            "das passwort",
            "dein kennwort",
            "ihr kennwort",
            "ihres passwort",
            "deines passwort",
        ],
        r"\b(?:dein|ihr|das)(?:es)? (?:passworts?|kennworts?)",
    ),
    // Italian
    attack(
        OVERRIDES,
        60,
        &["ignora", "dimentica", "trascura", "ignorare"],
        r"\b(?:ignora(?:re|te)?|dimentica(?:re|te)?|trascura)\b~(?:istruzioni|indicazioni|regole|comandi|precedenti)",
    ),
    attack(
        SECRET,
        50,
        &["tua password", "sua password", "tua parola d'ordine", "la password"],
        r"\b(?:la )?(?:tua|sua|vostra) (?:password|parola d'ordine)|(?:dimmi|dammi|condivid\w+|qual è) la password",
    ),
    // Portuguese
    attack(
        OVERRIDES,
        60,
        &["ignore", "esqueça", "esquece", "desconsidere", "ignorar"],
        r"(?:\bignor(?:e|a|ar)\b|esque[çc][ae]|desconsidere)~(?:instruções|instrucoes|regras|ordens|comandos|anteriores)",
    ),
    attack(
        SECRET,
        50,
        &["sua senha", "tua senha", "a senha"],
        r"\b(?:sua|tua) senha|(?:qual é|diga|compartilh\w+|me dê) a senha",
    ),
    // Dutch
    attack(
        OVERRIDES,
        60,
        &["negeer", "vergeet"],
        r"\b(?:negeer|vergeet)\b~(?:instructies|opdrachten|regels|aanwijzingen|vorige|eerdere)",
    ),
    attack(
        SECRET,
        50,
        &["je wachtwoord", "uw wachtwoord", "jouw wachtwoord"],
        r"\b(?:je|uw|jouw) wachtwoord",
    ),
    // Polish, Czech, Swedish, Turkish, Indonesian, Vietnamese
    attack(
        OVERRIDES,
        60,
        &[
            "zignoruj", "ignoruj", "zapomnij", "zapomeň", "ignorera", "glöm", "önceki", "abaikan",
            "lupakan", "bỏ qua",
        ],
        r"(?:z?ignoruj|zapomnij|zapomeň)\w*~(?:instrukcj|polece|wskazów|instrukce|pokyny|poprzedn|předchoz)|(?:ignorera|glöm)~(?:instruktioner|regler|tidigare)|önceki~talimat|(?:abaikan|lupakan)~(?:instruksi|perintah|petunjuk)|bỏ qua~(?:hướng dẫn|chỉ dẫn|chỉ thị)",
    ),
    attack(
        SECRET,
        50,
        &[
            "twoje hasło",
            "twoje haslo",
            "şifreniz",
            "parolanız",
            "şifren ",
            "kata sandi",
            "mật khẩu",
            "ditt lösenord",
            "tvoje heslo",
            "vaše heslo",
        ],
        r"twoje has[łl]o|şifren(?:iz)?|parolan(?:ız)?|kata sandi (?:anda|kamu)|mật khẩu của (?:bạn|anh)|ditt lösenord|(?:tvoje|vaše) heslo",
    ),
    // Russian, Ukrainian
    attack(
        OVERRIDES,
        60,
        &[
            "игнориру",
            "Игнориру",
            "проигнориру",
            "Проигнориру",
            "забудь",
            "Забудь",
            "не обращай",
            "ігнору",
            "Ігнору",
        ],
        r"(?:про)?(?:игнорируй|ігноруй)(?:те)?~(?:инструкци|указани|команд|правил|предыдущ|вказівк|попередн)|забудь(?:те)?~(?:инструкци|указани|команд|правил|предыдущ|вс[её],? что)|не обращай(?:те)? внимания на",
    ),
    attack(
        SECRET,
        50,
        &["пароль", "Пароль"],
        r"(?:твой|твои|ваш|свой|мне) пароль|пароль~(?:скажи|назови|сообщи|поделись)",
    ),
    // Chinese
    attack(
        OVERRIDES,
        60,
        &["忽略", "无视", "忽視", "無視", "忘记", "忘掉", "不要理会", "忘記"],
        r"(?:忽略|无视|忽視|無視|忘记|忘掉|忘記|不要理会).{0,20}(?:指令|指示|说明|提示|规则|要求|命令|內容|内容|設定|设定|对话)",
    ),
    attack(
        SECRET,
        50,
        &["你的密码", "您的密码", "你的密碼", "系统提示", "你的指令", "的密码是什么"],
        r"[你您]的(?:密码|密碼|指令|系统提示)|系统提示词|的密码是什么",
    ),
    // Japanese
    attack(
        OVERRIDES,
        60,
        &["無視", "忘れて", "忘れ"],
        r"(?:指示|命令|ルール|プロンプト|指令|設定).{0,12}(?:無視|忘れ)|(?:無視|忘れ)て.{0,20}(?:指示|命令|ルール)",
    ),
    attack(
        SECRET,
        50,
        &["あなたのパスワード", "パスワードを教", "システムプロンプト", "パスワードは何"],
        r"あなたのパスワード|パスワード(?:を教|は何)|システムプロンプトを?(?:教|表示|見せ|出力)",
    ),
    // Korean
    attack(
        OVERRIDES,
        60,
        &["무시하", "무시해", "잊어", "잊으"],
        r"(?:지시|명령|지침|규칙|프롬프트|지시사항|내용).{0,12}(?:무시|잊)|(?:무시하고|잊고).{0,16}(?:지시|명령)",
    ),
    attack(
        SECRET,
        50,
        &["비밀번호", "시스템 프롬프트", "패스워드"],
        r"(?:너의|당신의|네|니) (?:비밀번호|패스워드)|(?:비밀번호|패스워드)[를는가이]?.{0,16}(?:알려|무엇|뭐|말해|공유|필요)|시스템 프롬프트.{0,10}(?:알려|보여|출력)",
    ),
    // Hindi, Arabic
    attack(
        OVERRIDES,
        60,
        &["अनदेखा", "नजरअंदाज", "नज़रअंदाज़", "भूल जा", "تجاهل", "انس "],
        r"(?:निर्देश|आदेश|नियम|पिछल).{0,30}(?:अनदेखा|नजरअंदाज|नज़रअंदाज़|भूल)|(?:تجاهل|انس).{0,30}(?:تعليمات|التعليمات|الأوامر|السابقة)",
    ),
    attack(
        SECRET,
        50,
        &["पासवर्ड", "كلمة المرور", "كلمة مرورك", "كلمة السر", "बैंक बैलेंस"],
        r"(?:आपका|तुम्हारा|अपना) पासवर्ड|पासवर्ड.{0,12}(?:क्या|बता)|(?:ما هي|أخبرني|شارك).{0,16}كلم[ةت] (?:المرور|السر|مرورك)|का बैंक बैलेंस",
    ),
];
