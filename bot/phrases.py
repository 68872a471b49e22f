"""The sentences that chats share, and Telegram's own, in English, German, Spanish and Korean.

Slack's own are in `bot.slack_phrases`.

A field per sentence, so that mypy proves every language complete. Placeholders such as ``{bot}`` are for str.format.
We name the expression a face shows and never what a person feels; no sentence says more.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from inference import EXPRESSIONS

COMMANDS = ("start", "help", "emoji", "mask", "auto", "map", "privacy", "forget", "status")
"""The commands, in the order of the menu."""


@dataclass(frozen=True, slots=True)
class Phrases:
    """One language.

    Attributes:
        language: its two-letter ISO code.
        angry: the name of an expression, within a sentence; likewise the six after it.
        command_start: one line for the menu of commands; likewise the eight after it.
        start: {bot} is the bot's name without @; likewise in `help`, `auto_off` and `auto_blind`.
        privacy: {hours} is how long a message that was answered is remembered.
        auto_on: the state, when asked for and after a change.
        auto_off: likewise.
        auto_blind: follows `auto_on` where Telegram hides the group's photos from the bot.
        map_done: {expression} and {emoji}.
        map_reaction: follows `map_done` where a reaction has to be another emoji, {reaction}.
        unknown_expression: {expressions} lists the known ones.
        map_changed: {changes} lists them, in `/status`.
        model_version: {model}, in `/status`.
        too_large: {limit} in bytes, such as "20 MB".
        mask_refused: {reason} is Telegram's own word for it, in English.
        short_no_face: what became of one photo of many; likewise the three after it.
        next_candidates: {candidates} lists expressions and percentages.
        more: {count} faces or photos that are left out.
        which_expression: asked after `wrong` was pressed; `which_face` before it, when there are several.
    """

    language: str

    angry: str
    disgust: str
    fear: str
    happy: str
    sad: str
    surprise: str
    neutral: str

    command_start: str
    command_help: str
    command_emoji: str
    command_mask: str
    command_auto: str
    command_map: str
    command_privacy: str
    command_forget: str
    command_status: str

    start: str
    help: str
    privacy: str

    groups_only: str
    admins_only: str
    auto_on: str
    auto_off: str
    auto_blind: str

    map_title: str
    map_usage: str
    map_done: str
    map_reaction: str
    map_reset: str
    not_an_emoji: str
    unknown_expression: str

    map_unchanged: str
    map_changed: str
    model_version: str

    forgot_private: str
    forgot_group: str
    forgot_member: str
    forgot_later: str

    emoji_needs_photo: str
    mask_needs_photo: str
    not_a_photo: str
    animated_sticker: str

    no_face: str
    unreadable: str
    unsupported: str
    too_large: str
    not_fetched: str
    mask_refused: str
    busy: str
    failed: str
    short_no_face: str
    short_unreadable: str
    short_too_large: str
    short_failed: str

    unsure: str
    next_candidates: str
    more: str
    preview_gif: str
    preview_video: str
    preview_video_note: str

    right: str
    wrong: str
    which_face: str
    which_expression: str
    thanks: str
    already_counted: str
    not_counted: str

    @property
    def expressions(self) -> Mapping[str, str]:
        """The name of each of `inference.EXPRESSIONS`, within a sentence."""
        return {expression: getattr(self, expression) for expression in EXPRESSIONS}

    @property
    def commands(self) -> Mapping[str, str]:
        """The line of each of `COMMANDS`."""
        return {command: getattr(self, f"command_{command}") for command in COMMANDS}

    def expression_of(self, word: str) -> str | None:
        """Return which of `inference.EXPRESSIONS` a word names, in this language or in English, accents or not."""
        for expression, name in self.expressions.items():
            if _letters(word) in (_letters(name), expression):
                return expression
        return None


def phrases(language: str | None) -> Phrases:
    """Return the phrases of an IETF language tag such as "de-AT"; English for one that we don't speak, and for None."""
    code = (language or "").replace("_", "-").partition("-")[0].lower()
    return LANGUAGES.get(code, ENGLISH)


def _letters(word: str) -> str:
    decomposed = unicodedata.normalize("NFKD", word.strip().casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


ENGLISH = Phrases(
    language="en",
    angry="angry",
    disgust="disgust",
    fear="fear",
    happy="happy",
    sad="sad",
    surprise="surprise",
    neutral="neutral",
    command_start="What I do",
    command_help="How it works",
    command_emoji="Reply to a photo with this, and I read it",
    command_mask="Reply to a photo with this, and I cover the faces",
    command_auto="In groups: react to every photo (on, off)",
    command_map="Choose your own emoji",
    command_privacy="What happens to your photos",
    command_forget="Erase what I keep",
    command_status="The settings of this chat",
    start=(
        "Hi! Send me a selfie, and I'll answer with the emoji that matches the face.\n\n"
        "In groups I stay quiet until somebody asks me: put @{bot} in a photo's caption, or reply to a photo with "
        "/emoji. An admin can have me react to every photo: /auto on\n\n"
        "There is more in /help, and /privacy says what happens to your photos."
    ),
    help=(
        "Send me a photo: a selfie, a group picture or an album, as a file too. Stickers work as well; of GIFs and "
        "videos I only see the preview picture. Every face gets its emoji, and two buttons let you tell me whether I "
        "was right.\n\n"
        "In groups I react to a photo\n"
        "• with @{bot} in its caption\n"
        "• when somebody replies to it with /emoji\n"
        "• always, once an admin has sent /auto on\n\n"
        "/mask – as a reply to a photo or in its caption: the photo with emoji over the faces\n"
        "/mask all – likewise, with the faces too that are too small to read\n"
        "/map happy 🎉 – another emoji for an expression\n"
        "/map – the emoji used here\n"
        "/status – the settings of this chat\n"
        "/privacy – what happens to your photos\n"
        "/forget – erase what I keep\n\n"
        "I read faces, not minds: I name the expression a face shows, and sometimes I'm wrong."
    ),
    privacy=(
        "Your photos are read in memory within seconds and never stored.\n\n"
        "What I keep:\n"
        "• the settings of this chat (/auto and /map)\n"
        "• for at most {hours} hours, whose message I answered, without the photo and without the expression\n"
        "• how often an answer was right or wrong: mere counts, joined to no one\n"
        "/forget erases everything but those counts.\n\n"
        "I only read photos that somebody gives me on purpose: in our private chat, with my name in the caption, by "
        "replying with /emoji or /mask, or in a group where /auto is on. A photo posted there counts as posted to "
        "me.\n\n"
        "Other people in your photo? Ask them first, and for children their parents. Nobody, admins included, can get "
        "a list of what a person's face showed: there is none.\n\n"
        "Judging people at work or at school by their expressions is not what I'm for, and in the EU it is forbidden "
        "(AI Act, Article 5(1)(f))."
    ),
    groups_only="/auto is for groups. In our private chat I answer every photo anyway.",
    admins_only="Only the admins of this group can change that.",
    auto_on=(
        "Automatic reactions are on: I react to every photo with a face that is posted here, so posting one counts as "
        "sending it to me (/privacy). An admin can turn this off with /auto off."
    ),
    auto_off=(
        "Automatic reactions are off: I only read a photo with @{bot} in its caption, or one that somebody replies to "
        "with /emoji. An admin can turn them on with /auto on."
    ),
    auto_blind=(
        "But Telegram doesn't show me the photos of this group yet. One of these two changes that:\n\n"
        "1. An admin makes me an admin of this group.\n\n"
        "2. Whoever set me up opens @BotFather, sends /setprivacy, chooses @{bot} and then Disable. After that, "
        "remove me from this group and add me again.\n\n"
        "Until then, reply to a photo with /emoji."
    ),
    map_title="The emoji used here:",
    map_usage="To change one: /map happy 🎉\nBack to the usual ones: /map reset",
    map_done='From now on, "{expression}" is {emoji} here.',
    map_reaction="As a reaction {reaction} will stand for it, because Telegram has fewer emoji there.",
    map_reset="Done, the usual emoji are back.",
    not_an_emoji="That isn't one single emoji that I know. Try it like this: /map happy 🎉",
    unknown_expression="I don't know that expression. I know: {expressions}. Try it like this: /map happy 🎉",
    map_unchanged="The emoji are the usual ones.",
    map_changed="Emoji changed here: {changes}",
    model_version="Version of the model: {model}",
    forgot_private=(
        "Done. The settings of this chat and every note of what I answered here are erased. The messages themselves "
        "stay in the chat until you delete them."
    ),
    forgot_group="Done. The settings of this group and every note of what I answered here are erased. /auto is off.",
    forgot_member=(
        "Done. Every note of what I answered you here is erased. The settings of the group are kept; they are the "
        "admins'."
    ),
    forgot_later="Not everything is erased yet: some photos are still being answered. Ask again in a few minutes.",
    emoji_needs_photo="Reply to a photo with /emoji, and I'll read it.",
    mask_needs_photo="Reply to a photo with /mask, or write it below a photo, and I'll cover the faces with emoji.",
    not_a_photo="Send me a photo with a face in it, and I'll answer with the emoji that matches.",
    animated_sticker="I can't read animated stickers. Send me a still one, or a photo.",
    no_face=(
        "I can't find a face here. Good light helps, and so does coming closer, with the whole face in the picture."
    ),
    unreadable="This picture is damaged or cut short. Please send it again, or send another copy.",
    unsupported="I can't open this kind of file. Please send a photo, or a picture as JPEG, PNG, WebP or HEIC.",
    too_large=(
        "This picture is too large: it is over {limit} or has too many pixels. Send it as a photo instead of a file, "
        "and it will fit."
    ),
    not_fetched="I couldn't download this picture. Please send it again.",
    mask_refused=(
        'Telegram doesn\'t take the covered picture from me. Its word for why is "{reason}". Whether I may send photos '
        "in a group is for its admins to say, and a picture that is more than 20 times as long as wide is never taken."
    ),
    busy="Very many photos are coming in right now. Please send yours again in a minute.",
    failed="Something went wrong on my side. Please send it again, or try another photo.",
    short_no_face="no face found",
    short_unreadable="not a picture I can read",
    short_too_large="too large",
    short_failed="that didn't work, please send it again",
    unsure="I'm not sure about this one.",
    next_candidates="Next: {candidates}",
    more="… and {count} more",
    preview_gif="This is a GIF, and I only looked at its preview picture.",
    preview_video="This is a video, and I only looked at its preview picture.",
    preview_video_note="This is a round video, and I only looked at its preview picture.",
    right="Right",
    wrong="Wrong",
    which_face="Which face?",
    which_expression="Which one is it?",
    thanks="Thank you! Counted, without your name.",
    already_counted="Already counted.",
    not_counted="I can't keep that right now. Please press again in a few minutes.",
)

GERMAN = Phrases(
    language="de",
    angry="wütend",
    disgust="angeekelt",
    fear="ängstlich",
    happy="fröhlich",
    sad="traurig",
    surprise="überrascht",
    neutral="neutral",
    command_start="Was ich mache",
    command_help="So geht es",
    command_emoji="Antworte damit auf ein Foto, dann lese ich es",
    command_mask="Antworte damit auf ein Foto, dann verdecke ich die Gesichter",
    command_auto="In Gruppen: auf jedes Foto reagieren (on, off)",
    command_map="Eigene Emojis wählen",
    command_privacy="Was mit deinen Fotos passiert",
    command_forget="Löschen, was ich mir merke",
    command_status="Die Einstellungen dieses Chats",
    start=(
        "Hallo! Schick mir ein Selfie, und ich antworte mit dem Emoji, das zum Gesicht passt.\n\n"
        "In Gruppen bin ich still, bis mich jemand fragt: Schreib @{bot} unter ein Foto, oder antworte auf ein Foto "
        "mit /emoji. Admins können mich auf jedes Foto reagieren lassen: /auto on\n\n"
        "Mehr steht in /help, und in /privacy, was mit deinen Fotos passiert."
    ),
    help=(
        "Schick mir ein Foto: ein Selfie, ein Gruppenbild oder ein Album, gern auch als Datei. Sticker gehen auch; "
        "von GIFs und Videos sehe ich nur das Vorschaubild. Jedes Gesicht bekommt sein Emoji, und mit zwei Knöpfen "
        "sagst du mir, ob ich richtig lag.\n\n"
        "In Gruppen reagiere ich auf ein Foto:\n"
        "• wenn @{bot} in der Bildunterschrift steht\n"
        "• wenn jemand mit /emoji darauf antwortet\n"
        "• immer, sobald ein Admin /auto on geschickt hat\n\n"
        "/mask – als Antwort auf ein Foto oder in der Bildunterschrift: das Foto mit Emojis über den Gesichtern\n"
        "/mask all – ebenso, auch über Gesichtern, die zum Lesen zu klein sind\n"
        "/map fröhlich 🎉 – ein anderes Emoji für einen Ausdruck\n"
        "/map – die Emojis, die hier gelten\n"
        "/status – die Einstellungen dieses Chats\n"
        "/privacy – was mit deinen Fotos passiert\n"
        "/forget – löschen, was ich mir merke\n\n"
        "Ich lese Gesichter, keine Gedanken: Ich nenne den Ausdruck, den ein Gesicht zeigt, und manchmal liege ich "
        "falsch."
    ),
    privacy=(
        "Deine Fotos werden innerhalb von Sekunden im Arbeitsspeicher gelesen und nie gespeichert.\n\n"
        "Was ich mir merke:\n"
        "• die Einstellungen dieses Chats (/auto und /map)\n"
        "• höchstens {hours} Stunden lang, auf wessen Nachricht ich geantwortet habe, ohne das Foto und ohne den "
        "Ausdruck\n"
        "• wie oft eine Antwort richtig oder falsch war: reine Zahlen, die zu niemandem gehören\n"
        "/forget löscht alles außer diesen Zahlen.\n\n"
        "Ich lese nur Fotos, die mir jemand mit Absicht gibt: in unserem privaten Chat, mit meinem Namen in der "
        "Bildunterschrift, als Antwort mit /emoji oder /mask oder in einer Gruppe, in der /auto an ist. Wer dort ein "
        "Foto postet, schickt es auch mir.\n\n"
        "Sind andere auf deinem Foto? Frag sie vorher, bei Kindern die Eltern. Eine Liste dessen, was jemandes Gesicht "
        "gezeigt hat, bekommt niemand, auch kein Admin: Es gibt keine.\n\n"
        "Menschen bei der Arbeit oder in der Schule nach ihrem Gesichtsausdruck zu beurteilen: Dafür bin ich nicht da, "
        "und in der EU ist es verboten (KI-Verordnung, Artikel 5 Absatz 1 Buchstabe f)."
    ),
    groups_only="/auto ist für Gruppen. In unserem privaten Chat antworte ich sowieso auf jedes Foto.",
    admins_only="Das können nur die Admins dieser Gruppe ändern.",
    auto_on=(
        "Automatische Reaktionen sind an: Ich reagiere auf jedes Foto mit einem Gesicht, das hier gepostet wird. Wer "
        "hier eins postet, schickt es also auch mir (/privacy). Ein Admin kann das mit /auto off ausschalten."
    ),
    auto_off=(
        "Automatische Reaktionen sind aus: Ich lese nur Fotos mit @{bot} in der Bildunterschrift und solche, auf die "
        "jemand mit /emoji antwortet. Ein Admin kann sie mit /auto on einschalten."
    ),
    auto_blind=(
        "Aber Telegram zeigt mir die Fotos dieser Gruppe noch nicht. Eins von beidem ändert das:\n\n"
        "1. Ein Admin macht mich zum Admin dieser Gruppe.\n\n"
        "2. Wer mich eingerichtet hat, öffnet @BotFather, schickt /setprivacy, wählt @{bot} und dann Disable. "
        "Entferne mich danach aus dieser Gruppe und füge mich wieder hinzu.\n\n"
        "Bis dahin: Antworte auf ein Foto mit /emoji."
    ),
    map_title="Die Emojis, die hier gelten:",
    map_usage="Eins ändern: /map fröhlich 🎉\nZurück zu den üblichen: /map reset",
    map_done="Ab jetzt gibt es hier für „{expression}“ {emoji}.",
    map_reaction="Als Reaktion steht dafür {reaction}, denn dort hat Telegram weniger Emojis.",
    map_reset="Fertig, die üblichen Emojis gelten wieder.",
    not_an_emoji="Das ist kein einzelnes Emoji, das ich kenne. Versuch es so: /map fröhlich 🎉",
    unknown_expression="Diesen Ausdruck kenne ich nicht. Ich kenne: {expressions}. Versuch es so: /map fröhlich 🎉",
    map_unchanged="Es gelten die üblichen Emojis.",
    map_changed="Hier geänderte Emojis: {changes}",
    model_version="Version des Modells: {model}",
    forgot_private=(
        "Fertig. Die Einstellungen dieses Chats und alle Notizen darüber, was ich hier beantwortet habe, sind "
        "gelöscht. Die Nachrichten selbst bleiben im Chat, bis du sie löschst."
    ),
    forgot_group=(
        "Fertig. Die Einstellungen dieser Gruppe und alle Notizen darüber, was ich hier beantwortet habe, sind "
        "gelöscht. /auto ist aus."
    ),
    forgot_member=(
        "Fertig. Alle Notizen darüber, was ich dir hier beantwortet habe, sind gelöscht. Die Einstellungen der Gruppe "
        "bleiben; über sie entscheiden die Admins."
    ),
    forgot_later=(
        "Noch ist nicht alles gelöscht: Einige Fotos werden gerade noch beantwortet. Frag "
        "in ein paar Minuten noch einmal."
    ),
    emoji_needs_photo="Antworte mit /emoji auf ein Foto, dann lese ich es.",
    mask_needs_photo=(
        "Antworte mit /mask auf ein Foto oder schreib es in die Bildunterschrift, dann verdecke ich die Gesichter mit "
        "Emojis."
    ),
    not_a_photo="Schick mir ein Foto mit einem Gesicht, und ich antworte mit dem passenden Emoji.",
    animated_sticker="Animierte Sticker kann ich nicht lesen. Schick mir einen unbewegten oder ein Foto.",
    no_face="Ich finde hier kein Gesicht. Es hilft gutes Licht, etwas näher und das ganze Gesicht im Bild.",
    unreadable="Dieses Bild ist beschädigt oder unvollständig. Bitte schick es noch einmal, oder eine andere Kopie.",
    unsupported=(
        "Diese Art von Datei kann ich nicht öffnen. Bitte schick ein Foto, oder ein Bild als JPEG, PNG, WebP oder HEIC."
    ),
    too_large=(
        "Dieses Bild ist zu groß: Es hat über {limit} oder zu viele Pixel. Schick es als Foto statt als Datei, dann "
        "passt es."
    ),
    not_fetched="Ich konnte dieses Bild nicht herunterladen. Bitte schick es noch einmal.",
    mask_refused=(
        "Telegram nimmt mir das verdeckte Bild nicht ab. Als Grund nennt es „{reason}“. Ob ich in einer Gruppe Fotos "
        "schicken darf, bestimmen ihre Admins, und ein Bild, das über 20-mal so lang wie breit ist, nimmt es nie."
    ),
    busy="Gerade kommen sehr viele Fotos an. Bitte schick deins in einer Minute noch einmal.",
    failed="Bei mir ist etwas schiefgegangen. Bitte schick es noch einmal, oder versuch ein anderes Foto.",
    short_no_face="kein Gesicht gefunden",
    short_unreadable="kein Bild, das ich lesen kann",
    short_too_large="zu groß",
    short_failed="hat nicht geklappt, bitte noch einmal schicken",
    unsure="Hier bin ich mir nicht sicher.",
    next_candidates="Danach: {candidates}",
    more="… und noch {count}",
    preview_gif="Das ist ein GIF, und ich habe nur sein Vorschaubild angesehen.",
    preview_video="Das ist ein Video, und ich habe nur sein Vorschaubild angesehen.",
    preview_video_note="Das ist ein rundes Video, und ich habe nur sein Vorschaubild angesehen.",
    right="Richtig",
    wrong="Falsch",
    which_face="Welches Gesicht?",
    which_expression="Was ist es dann?",
    thanks="Danke! Gezählt, ohne deinen Namen.",
    already_counted="Schon gezählt.",
    not_counted="Das kann ich mir gerade nicht merken. Bitte drück in ein paar Minuten noch einmal.",
)

SPANISH = Phrases(
    language="es",
    angry="enfado",
    disgust="asco",
    fear="miedo",
    happy="alegría",
    sad="tristeza",
    surprise="sorpresa",
    neutral="neutral",
    command_start="Qué hago",
    command_help="Cómo funciona",
    command_emoji="Responde con esto a una foto y la leo",
    command_mask="Responde con esto a una foto y tapo las caras",
    command_auto="En grupos: reaccionar a cada foto (on, off)",
    command_map="Elige tus propios emojis",
    command_privacy="Qué pasa con tus fotos",
    command_forget="Borrar lo que guardo",
    command_status="Los ajustes de este chat",
    start=(
        "¡Hola! Envíame un selfie y te respondo con el emoji que encaja con la cara.\n\n"
        "En los grupos no digo nada hasta que alguien me pregunta: escribe @{bot} en el texto de una foto o responde "
        "a una foto con /emoji. Un administrador puede hacer que reaccione a todas las fotos: /auto on\n\n"
        "Hay más en /help, y en /privacy qué pasa con tus fotos."
    ),
    help=(
        "Envíame una foto: un selfie, una foto de grupo o un álbum, también como archivo. Los stickers también valen; "
        "de los GIF y los vídeos solo veo la imagen de vista previa. Cada cara recibe su emoji, y con dos botones me "
        "dices si acerté.\n\n"
        "En los grupos reacciono a una foto\n"
        "• con @{bot} en su texto\n"
        "• cuando alguien responde a ella con /emoji\n"
        "• siempre, después de que un administrador envíe /auto on\n\n"
        "/mask – como respuesta a una foto o en su texto: la foto con emojis sobre las caras\n"
        "/mask all – lo mismo, también sobre las caras demasiado pequeñas para leerlas\n"
        "/map alegría 🎉 – otro emoji para una expresión\n"
        "/map – los emojis que se usan aquí\n"
        "/status – los ajustes de este chat\n"
        "/privacy – qué pasa con tus fotos\n"
        "/forget – borrar lo que guardo\n\n"
        "Leo caras, no pensamientos: digo qué expresión muestra una cara, y a veces me equivoco."
    ),
    privacy=(
        "Tus fotos se leen en la memoria en unos segundos y nunca se guardan.\n\n"
        "Lo que guardo:\n"
        "• los ajustes de este chat (/auto y /map)\n"
        "• durante {hours} horas como máximo, a qué mensaje de quién respondí, sin la foto y sin la expresión\n"
        "• cuántas veces una respuesta fue correcta o no: solo números, que no van unidos a nadie\n"
        "/forget lo borra todo menos esos números.\n\n"
        "Solo leo las fotos que alguien me da a propósito: en nuestro chat privado, con mi nombre en el texto, "
        "respondiendo con /emoji o /mask o en un grupo donde /auto está activado. Publicar una foto allí cuenta como "
        "enviármela.\n\n"
        "¿Salen otras personas en tu foto? Pregúntales antes; si son menores, a sus padres. Nadie puede obtener una "
        "lista de lo que mostró la cara de una persona, tampoco los administradores: no existe.\n\n"
        "No estoy hecho para juzgar a las personas por su expresión en el trabajo o en la escuela, y en la UE está "
        "prohibido (Reglamento de IA, artículo 5, apartado 1, letra f)."
    ),
    groups_only="/auto es para grupos. En nuestro chat privado ya respondo a todas las fotos.",
    admins_only="Eso solo pueden cambiarlo los administradores de este grupo.",
    auto_on=(
        "Las reacciones automáticas están activadas: reacciono a cada foto con una cara que se publica aquí, así que "
        "publicarla cuenta como enviármela (/privacy). Un administrador puede desactivarlas con /auto off."
    ),
    auto_off=(
        "Las reacciones automáticas están desactivadas: solo leo las fotos con @{bot} en su texto y aquellas a las "
        "que alguien responde con /emoji. Un administrador puede activarlas con /auto on."
    ),
    auto_blind=(
        "Pero Telegram todavía no me muestra las fotos de este grupo. Hay dos maneras de cambiarlo:\n\n"
        "1. Un administrador me hace administrador de este grupo.\n\n"
        "2. Quien me configuró abre @BotFather, envía /setprivacy, elige @{bot} y luego Disable. Después, quítame de "
        "este grupo y vuelve a añadirme.\n\n"
        "Hasta entonces, responde a una foto con /emoji."
    ),
    map_title="Los emojis que se usan aquí:",
    map_usage="Para cambiar uno: /map alegría 🎉\nPara volver a los de siempre: /map reset",
    map_done="A partir de ahora, «{expression}» es aquí {emoji}.",
    map_reaction="Como reacción pondré {reaction} en su lugar, porque ahí Telegram tiene menos emojis.",
    map_reset="Listo, vuelven los emojis de siempre.",
    not_an_emoji="Eso no es un único emoji que yo conozca. Prueba así: /map alegría 🎉",
    unknown_expression="No conozco esa expresión. Conozco: {expressions}. Prueba así: /map alegría 🎉",
    map_unchanged="Los emojis son los de siempre.",
    map_changed="Emojis cambiados aquí: {changes}",
    model_version="Versión del modelo: {model}",
    forgot_private=(
        "Listo. He borrado los ajustes de este chat y toda nota de lo que respondí aquí. Los mensajes mismos siguen "
        "en el chat hasta que los borres."
    ),
    forgot_group=(
        "Listo. He borrado los ajustes de este grupo y toda nota de lo que respondí aquí. /auto está desactivado."
    ),
    forgot_member=(
        "Listo. He borrado toda nota de lo que te respondí aquí. Los ajustes del grupo se mantienen: son cosa de los "
        "administradores."
    ),
    forgot_later=(
        "Aún no está todo borrado: todavía se están respondiendo algunas fotos. Vuelve a pedirlo en unos minutos."
    ),
    emoji_needs_photo="Responde a una foto con /emoji y la leo.",
    mask_needs_photo="Responde a una foto con /mask, o escríbelo en su texto, y tapo las caras con emojis.",
    not_a_photo="Envíame una foto con una cara y te respondo con el emoji que encaja.",
    animated_sticker="No puedo leer stickers animados. Envíame uno sin movimiento o una foto.",
    no_face="No encuentro ninguna cara aquí. Ayudan la buena luz, acercarse un poco y que se vea la cara entera.",
    unreadable="Esta imagen está dañada o incompleta. Envíala otra vez, por favor, o envía otra copia.",
    unsupported=(
        "No puedo abrir este tipo de archivo. Envía una foto, por favor, o una imagen en JPEG, PNG, WebP o HEIC."
    ),
    too_large=(
        "Esta imagen es demasiado grande: pasa de {limit} o tiene demasiados píxeles. Envíala como foto en vez de "
        "como archivo y cabrá."
    ),
    not_fetched="No he podido descargar esta imagen. Envíala otra vez, por favor.",
    mask_refused=(
        "Telegram no me acepta la imagen con las caras tapadas. El motivo que da es «{reason}». En un grupo, los "
        "administradores deciden si puedo enviar fotos, y nunca acepta una imagen más de 20 veces más larga que ancha."
    ),
    busy="Ahora mismo llegan muchísimas fotos. Envía la tuya otra vez dentro de un minuto, por favor.",
    failed="Algo ha fallado por mi parte. Envíala otra vez, por favor, o prueba con otra foto.",
    short_no_face="no encuentro ninguna cara",
    short_unreadable="no es una imagen que pueda leer",
    short_too_large="demasiado grande",
    short_failed="no ha funcionado, envíala otra vez, por favor",
    unsure="No lo tengo claro.",
    next_candidates="Después: {candidates}",
    more="… y {count} más",
    preview_gif="Es un GIF y solo he mirado su imagen de vista previa.",
    preview_video="Es un vídeo y solo he mirado su imagen de vista previa.",
    preview_video_note="Es un vídeo redondo y solo he mirado su imagen de vista previa.",
    right="Correcto",
    wrong="Incorrecto",
    which_face="¿Qué cara?",
    which_expression="¿Cuál es?",
    thanks="¡Gracias! Contado, sin tu nombre.",
    already_counted="Ya estaba contado.",
    not_counted="Ahora mismo no puedo anotarlo. Púlsalo otra vez dentro de unos minutos, por favor.",
)

KOREAN = Phrases(
    language="ko",
    angry="화남",
    disgust="역겨움",
    fear="두려움",
    happy="기쁨",
    sad="슬픔",
    surprise="놀람",
    neutral="무표정",
    command_start="제가 하는 일",
    command_help="사용 방법",
    command_emoji="사진에 이 명령으로 답장하면 읽어 드려요",
    command_mask="사진에 이 명령으로 답장하면 얼굴을 가려 드려요",
    command_auto="그룹: 모든 사진에 반응하기 (on, off)",
    command_map="원하는 이모지 고르기",
    command_privacy="사진이 어떻게 처리되는지",
    command_forget="보관 중인 내용 지우기",
    command_status="이 채팅의 설정",
    start=(
        "안녕하세요! 셀카를 보내 주시면 얼굴에 어울리는 이모지로 답해 드려요.\n\n"
        "그룹에서는 누가 부르기 전까지 조용히 있어요. 사진 설명에 @{bot} 이름을 적거나, 사진에 /emoji 명령으로 답장해 "
        "주세요. 관리자는 제가 모든 사진에 반응하게 할 수 있어요: /auto on\n\n"
        "자세한 사용법은 /help, 사진이 어떻게 처리되는지는 /privacy 명령에 있어요."
    ),
    help=(
        "사진을 보내 주세요. 셀카, 단체 사진, 앨범 모두 좋고 파일로 보내도 괜찮아요. 스티커도 읽을 수 있고, GIF와 "
        "동영상은 미리보기 이미지만 볼 수 있어요. 얼굴마다 이모지로 답하고, 맞았는지는 버튼 두 개로 알려 주시면 "
        "돼요.\n\n"
        "그룹에서는 이럴 때 사진에 반응해요.\n"
        "• 사진 설명에 @{bot} 이름이 있을 때\n"
        "• 누가 사진에 /emoji 명령으로 답장할 때\n"
        "• 관리자가 /auto on 명령을 보낸 뒤에는 언제나\n\n"
        "/mask – 사진에 답장하거나 설명에 적으면: 얼굴을 이모지로 가린 사진\n"
        "/mask all – 너무 작아서 읽을 수 없는 얼굴까지 모두 가리기\n"
        "/map 기쁨 🎉 – 표정의 이모지 바꾸기\n"
        "/map – 여기에서 쓰는 이모지\n"
        "/status – 이 채팅의 설정\n"
        "/privacy – 사진이 어떻게 처리되는지\n"
        "/forget – 보관 중인 내용 지우기\n\n"
        "저는 마음이 아니라 얼굴을 읽어요. 얼굴에 보이는 표정을 말할 뿐이고, 가끔 틀리기도 해요."
    ),
    privacy=(
        "사진은 메모리에서 몇 초 안에 읽고, 절대 저장하지 않아요.\n\n"
        "제가 보관하는 것:\n"
        "• 이 채팅의 설정 (/auto, /map)\n"
        "• 누구의 어떤 메시지에 답했는지. 최대 {hours}시간 동안만 보관하고, 사진과 표정은 남기지 않아요\n"
        "• 답이 맞거나 틀린 횟수. 숫자만 세고 누구와도 연결하지 않아요\n"
        "/forget 명령을 보내면 이 숫자만 빼고 모두 지워요.\n\n"
        "누군가 일부러 저에게 보여 준 사진만 읽어요. 우리 개인 채팅에 보낸 사진, 설명에 제 이름이 있는 사진, /emoji "
        "또는 /mask 명령으로 답장한 사진, /auto 기능이 켜진 그룹의 사진이에요. 그런 그룹에 올린 사진은 저에게 보낸 "
        "것으로 봐요.\n\n"
        "사진에 다른 사람이 있나요? 먼저 그 사람에게, 어린이라면 보호자에게 물어봐 주세요. 누구의 얼굴에 어떤 표정이 "
        "보였는지 모아 둔 목록은 없어서, 관리자를 포함해 아무도 볼 수 없어요.\n\n"
        "직장이나 학교에서 표정으로 사람을 평가하는 데 쓰라고 만든 봇이 아니에요. EU에서는 법으로 금지되어 있어요 "
        "(인공지능법 제5조 제1항 (f))."
    ),
    groups_only="/auto 명령은 그룹에서 써요. 개인 채팅에서는 언제나 모든 사진에 답해요.",
    admins_only="이 그룹의 관리자만 바꿀 수 있어요.",
    auto_on=(
        "자동 반응이 켜져 있어요. 여기에 올라오는 사진에 얼굴이 있으면 모두 반응하니, 사진을 올리면 저에게도 보내는 "
        "것으로 봐요 (/privacy). 관리자가 /auto off 명령으로 끌 수 있어요."
    ),
    auto_off=(
        "자동 반응이 꺼져 있어요. 설명에 @{bot} 이름이 있는 사진과, 누가 /emoji 명령으로 답장한 사진만 읽어요. "
        "관리자가 /auto on 명령으로 켤 수 있어요."
    ),
    auto_blind=(
        "그런데 텔레그램이 아직 이 그룹의 사진을 저에게 보여 주지 않아요. 다음 중 하나를 해 주세요.\n\n"
        "1. 관리자가 저를 이 그룹의 관리자로 지정해 주세요.\n\n"
        "2. 저를 설정한 분이 @BotFather 채팅을 열어 /setprivacy 명령을 보내고, @{bot} 봇을 고른 다음 Disable을 골라 "
        "주세요. 그런 다음 저를 이 그룹에서 내보냈다가 다시 추가해 주세요.\n\n"
        "그때까지는 사진에 /emoji 명령으로 답장해 주세요."
    ),
    map_title="여기에서 쓰는 이모지:",
    map_usage="하나 바꾸기: /map 기쁨 🎉\n원래대로 돌리기: /map reset",
    map_done="이제 여기에서 ‘{expression}’ 표정에는 {emoji} 이모지로 답할게요.",
    map_reaction="텔레그램 반응에는 쓸 수 있는 이모지가 더 적어서, 반응으로는 {reaction} 이모지를 대신 쓸게요.",
    map_reset="원래 이모지로 되돌렸어요.",
    not_an_emoji="제가 아는 이모지 하나가 아니에요. 이렇게 해 보세요: /map 기쁨 🎉",
    unknown_expression="모르는 표정이에요. 제가 아는 표정: {expressions}. 이렇게 해 보세요: /map 기쁨 🎉",
    map_unchanged="원래 이모지를 쓰고 있어요.",
    map_changed="여기에서 바꾼 이모지: {changes}",
    model_version="모델 버전: {model}",
    forgot_private=(
        "다 지웠어요. 이 채팅의 설정과 여기에서 답한 기록이 모두 사라졌어요. 메시지 자체는 직접 지우기 전까지 채팅에 "
        "남아 있어요."
    ),
    forgot_group="다 지웠어요. 이 그룹의 설정과 여기에서 답한 기록이 모두 사라졌고, /auto 기능은 꺼졌어요.",
    forgot_member=(
        "다 지웠어요. 여기에서 보낸 사진에 답한 기록이 모두 사라졌어요. 그룹 설정은 관리자의 것이라 그대로 둬요."
    ),
    forgot_later="아직 다 지우지 못했어요. 답하고 있는 사진이 남아 있어요. 몇 분 뒤에 다시 요청해 주세요.",
    emoji_needs_photo="사진에 /emoji 명령으로 답장하면 읽어 드려요.",
    mask_needs_photo="사진에 /mask 명령으로 답장하거나 사진 설명에 적으면 얼굴을 이모지로 가려 드려요.",
    not_a_photo="얼굴이 나온 사진을 보내 주시면 어울리는 이모지로 답해 드려요.",
    animated_sticker="움직이는 스티커는 읽을 수 없어요. 움직이지 않는 스티커나 사진을 보내 주세요.",
    no_face="얼굴을 찾지 못했어요. 밝은 곳에서 조금 더 가까이, 얼굴 전체가 나오게 찍으면 도움이 돼요.",
    unreadable="사진이 손상됐거나 일부가 잘렸어요. 다시 보내거나 다른 사본을 보내 주세요.",
    unsupported="이런 파일은 열 수 없어요. 사진으로 보내거나 JPEG, PNG, WebP, HEIC 이미지를 보내 주세요.",
    too_large="사진이 너무 커요. {limit}보다 크거나 픽셀이 너무 많아요. 파일 대신 사진으로 보내면 괜찮아요.",
    not_fetched="이 사진을 내려받지 못했어요. 다시 보내 주세요.",
    mask_refused=(
        "텔레그램에서 얼굴을 가린 사진을 받아 주지 않아요. 이유는 ‘{reason}’라고 해요. 그룹에서 제가 사진을 보낼 수 "
        "있는지는 관리자가 정하고, 길이가 너비의 20배를 넘는 사진은 언제나 받아 주지 않아요."
    ),
    busy="지금 사진이 아주 많이 들어오고 있어요. 잠시 후에 다시 보내 주세요.",
    failed="제 쪽에서 문제가 생겼어요. 다시 보내거나 다른 사진을 보내 주세요.",
    short_no_face="얼굴을 찾지 못했어요",
    short_unreadable="읽을 수 없는 파일이에요",
    short_too_large="너무 커요",
    short_failed="읽지 못했어요. 다시 보내 주세요",
    unsure="이번에는 확실하지 않아요.",
    next_candidates="그다음: {candidates}",
    more="… 그리고 {count}개 더",
    preview_gif="GIF라서 미리보기 이미지만 봤어요.",
    preview_video="동영상이라서 미리보기 이미지만 봤어요.",
    preview_video_note="원형 동영상이라서 미리보기 이미지만 봤어요.",
    right="맞아요",
    wrong="틀려요",
    which_face="어느 얼굴인가요?",
    which_expression="그럼 어떤 표정인가요?",
    thanks="고마워요! 이름 없이 횟수만 셌어요.",
    already_counted="이미 셌어요.",
    not_counted="지금은 기록할 수 없어요. 몇 분 뒤에 다시 눌러 주세요.",
)

LANGUAGES: Mapping[str, Phrases] = {each.language: each for each in (ENGLISH, GERMAN, SPANISH, KOREAN)}
"""The phrases of each language, by its two-letter ISO code."""
