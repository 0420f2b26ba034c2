//! English words whose forms no stemmer joins: a question asks what somebody did *throw*, a story tells what he
//! *threw*; and short forms that technical texts use for the long ones.

/// The base form of an irregular one, or the word itself.
pub(crate) fn base(word: &str) -> &str {
    let found = FORMS
        .iter()
        .find(|(_, forms)| forms.split(' ').any(|form| form == word));
    found.map_or(word, |(base, _)| base)
}

const FORMS: &[(&str, &str)] = &[
    ("application", "app apps"),
    ("arise", "arose arisen"),
    ("bear", "bore borne"),
    ("beat", "beaten"),
    ("become", "became"),
    ("begin", "began begun"),
    ("bend", "bent"),
    ("bind", "bound"),
    ("bite", "bit bitten"),
    ("blow", "blew blown"),
    ("break", "broke broken"),
    ("bring", "brought"),
    ("build", "built"),
    ("burn", "burnt"),
    ("buy", "bought"),
    ("catch", "caught"),
    ("child", "children"),
    ("choose", "chose chosen choice"),
    ("come", "came"),
    ("configuration", "config configs"),
    ("deal", "dealt"),
    ("directory", "dir dirs"),
    ("documentation", "doc docs"),
    ("draw", "drew drawn"),
    ("drink", "drank drunk"),
    ("drive", "drove driven"),
    ("eat", "ate eaten"),
    ("fall", "fell fallen"),
    ("feed", "fed"),
    ("feel", "felt"),
    ("fight", "fought"),
    ("find", "found"),
    ("fly", "flew flown"),
    ("foot", "feet"),
    ("forget", "forgot forgotten"),
    ("freeze", "froze frozen"),
    ("get", "got gotten"),
    ("give", "gave given"),
    ("go", "went gone"),
    ("grow", "grew grown"),
    ("hang", "hung"),
    ("hear", "heard"),
    ("hide", "hid hidden"),
    ("hold", "held"),
    ("hour", "hr hrs"),
    ("information", "info"),
    ("keep", "kept"),
    ("know", "knew known"),
    ("lay", "laid"),
    ("lead", "led"),
    ("leave", "left"),
    ("lend", "lent"),
    ("lie", "lain"),
    ("lose", "lost loss"),
    ("make", "made"),
    ("man", "men"),
    ("maximum", "max"),
    ("mean", "meant"),
    ("meet", "met"),
    ("millisecond", "ms msec"),
    ("pay", "paid"),
    ("repository", "repo repos"),
    ("ride", "rode ridden"),
    ("ring", "rang rung"),
    ("rise", "rose risen"),
    ("run", "ran"),
    ("say", "said"),
    ("second", "sec secs"),
    ("see", "saw seen"),
    ("seek", "sought"),
    ("sell", "sold"),
    ("send", "sent"),
    ("shake", "shook shaken"),
    ("shoot", "shot"),
    ("show", "shown"),
    ("sing", "sang sung"),
    ("sink", "sank sunk"),
    ("sit", "sat"),
    ("sleep", "slept"),
    ("speak", "spoke spoken"),
    ("spend", "spent"),
    ("stand", "stood"),
    ("steal", "stole stolen"),
    ("stick", "stuck"),
    ("strike", "struck"),
    ("swear", "swore sworn"),
    ("swim", "swam swum"),
    ("take", "took taken"),
    ("teach", "taught"),
    ("tear", "tore torn"),
    ("tell", "told"),
    ("think", "thought"),
    ("throw", "threw thrown"),
    ("understand", "understood"),
    ("wake", "woke woken"),
    ("wear", "wore worn"),
    ("win", "won"),
    ("woman", "women"),
    ("write", "wrote written"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_meet_in_their_base() {
        assert_eq!(
            (base("threw"), base("throw"), base("queue")),
            ("throw", "throw", "queue")
        );
    }
}
