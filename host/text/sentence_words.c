/* sentence_words.c - abbreviations, and words that often begin a sentence; English, German, French and some others. */
#include "text/sentence.h"

#include <string.h>

enum { MAX_WORD_BYTES = 24 };

/*
 * Words between spaces, without the last stop. One that begins with a capital stands only for words that do ("Sat" but
 * not "sat"); a small one stands for both. Short letters and dotted ones ("z.B", "U.S") are known by their shape.
 */
static const char NEVER[] =
    " mr mrs ms messrs mx dr drs prof profs rev capt cpt cmdr lt maj sgt cpl insp supt vs viz cf approx ca bzw "
    "vgl ggf evtl sog bspw insb resp eigtl exkl inkl zzgl abzgl hrsg geb gest verh urspr mme mmes mlle mlles "
    "mgr dott sig sigg sig.ra avv dña sra srta sres dª e.g i.e z.b d.h u.u v.a m.e i.d.r m.a.w o.g s.o s.u "
    "p.ex à-d ibid dipl hl Hr Hrn Frl Fam Hon Col Gen Adm Sen Rep Gov Pres Amb Mt Mm Ing Arch ";
static const char BEFORE_NUMBER[] =
    " no nos nr nrn num núm art arts abb abs abschn anm aufl bd bde bl kap ziff taf tel pp fig figs vol vols "
    "ch chap sec sect eq eqs para lit cap pag pág fol rn rdnr ";
static const char MAYBE[] =
    " etc usw usf al inc ltd co corp bros llc plc jr sr esq dept univ assn St Ste ave blvd rd abk allg Str Jan "
    "Feb Mar Apr Jun Jul Aug Sep Sept Oct Okt Nov Dec Dez Mon Tue Tues Wed Thu Thur Thurs Fri Sat Sun ff ebd "
    "mio mrd tsd std sek stk cie éd janv févr avr juil déc sig.na tbsp tsp oz lb lbs hrs mins secs ";

/* Function words, which seldom follow an abbreviation with a capital inside a sentence. */
static const char STARTERS[] =
    " the a an i he she it we you they this that these those there here his her its our your their my who what "
    "when where why how which if in on at for from with as by to of and but or so yet then now not no yes "
    "however although though because since while after before until once do does did is are was were will "
    "would can could should may let please all both some many most each every one nobody somebody everyone "
    "nothing something thus therefore meanwhile moreover also der die das ein eine einer eines es er sie ihr "
    "wir ich du man dies diese dieser dieses jener jene sein seine ihre mein meine unser unsere wer was wann "
    "wo warum wie wenn im am auf bei für von vom mit nach zu zum zur aus um und aber oder doch denn dann da "
    "damals hier jetzt nicht kein keine ja nein als ob obwohl weil während nachdem bevor seit ist sind "
    "war waren hat haben hatte wird werden kann können soll muss alle viele einige auch nur noch schon "
    "trotzdem deshalb außerdem le la les un une des il elle on nous vous ils elles je tu ce cette ces cela ça "
    "qui que quand où pourquoi comment si dans sur pour avec sans et mais ou donc car alors ainsi puis mon ma "
    "mes son sa ses notre votre leur leurs est sont était el los las una unos él ella ellos ellas yo nosotros "
    "usted ustedes esto este esta eso ese esa pero y o cuando donde por para con sin no sí lo gli uno lui lei "
    "noi voi loro questo questa ma e però quando dove perché non o os as um uma ele ela eles elas eu nós mas "
    "não se het de een hij zij wij ik en maar thank thanks hello hi good sorry well today tomorrow yesterday only "
    "danke bitte guten heute morgen merci bonjour ";

static char fold_ascii(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

static bool is_ascii_upper(char c) { return c >= 'A' && c <= 'Z'; }

/* Whether `list` holds the word between two spaces; its capitals bind unless `any_case`. */
static bool list_holds(const char *list, const char *folded, size_t n, bool capital, bool any_case)
{
    for (const char *entry = list + 1; *entry != '\0';) {
        const char *end = strchr(entry, ' ');
        if ((size_t)(end - entry) == n && fold_ascii(*entry) == *folded && memcmp(entry + 1, folded + 1, n - 1) == 0 &&
            (any_case || capital || !is_ascii_upper(*entry))) {
            return true;
        }
        entry = end + 1;
    }
    return false;
}

static bool fold_word(const char *word, size_t n, char *folded)
{
    if (n == 0 || n > MAX_WORD_BYTES || memchr(word, ' ', n) != NULL) return false;
    for (size_t i = 0; i < n; i++) folded[i] = fold_ascii(word[i]);
    return true;
}

hdl__word_kind hdl__word_kind_of(const char *word, size_t n, bool any_case)
{
    char folded[MAX_WORD_BYTES];
    if (!fold_word(word, n, folded)) return HDL__WORD_PLAIN;
    bool capital = is_ascii_upper(word[0]);
    if (list_holds(NEVER, folded, n, capital, any_case)) return HDL__WORD_NEVER;
    if (list_holds(BEFORE_NUMBER, folded, n, capital, any_case)) return HDL__WORD_BEFORE_NUMBER;
    if (n > 3 && memcmp(folded + n - 3, "str", 3) == 0) return HDL__WORD_BEFORE_NUMBER;    /* "Goethestr. 5" */
    return list_holds(MAYBE, folded, n, capital, any_case) ? HDL__WORD_MAYBE : HDL__WORD_PLAIN;
}

bool hdl__word_starts_sentences(const char *word, size_t n)
{
    char folded[MAX_WORD_BYTES];
    return fold_word(word, n, folded) && list_holds(STARTERS, folded, n, true, true);
}
