"""Every sentence that only Slack shows, in English, German, Spanish and Korean.

What all channels say alike is in `bot.phrases`, and so are the rules for words. Slack's markup is left out, so that a
sentence may stand in a message as well as on a button; only what a placeholder brings may carry it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.phrases import phrases


@dataclass(frozen=True, slots=True)
class SlackPhrases:
    """One language.

    Attributes:
        language: its two-letter ISO code.
        help: {bot} is a mention of the bot; likewise in `not_invited`.
        unknown_command: {word} is what was typed; the help follows.
        privacy: {hours} is how long a message that was answered is remembered.
        invited: shown to whoever brought the bot into a channel.
        auto_on: shown to the whole channel; {user} is a mention of who switched it on.
        auto_off: likewise.
        status_on: shown to whoever asked; likewise `status_off`.
        channels_only: the answer to `/face2emoji on` in a direct message.
        missing_scope: shown to whoever asked; {scope} is Slack's name of a permission.
        installer_scope: sent to whoever installed the bot; {scope} likewise.
        scope_files: shown to those whose photo could not be fetched for that reason.
        unknown_emoji: {name} is what Slack's table and the workspace's own emoji lack.
        unknown_expression: {expressions} lists the known ones.
        forgot_member: what guests and people of other workspaces get in a channel.
        forgot_later: the answer where photos are still at work after some seconds.
        photo_needed: the answer to a mention without a photo.
        no_photo_message: the answer to the shortcut on a message without a photo.
        shared: stands above an answer that the whole channel sees; {user} is a mention of who asked.
        shared_mask: likewise, above a picture with covered faces.
        mask_alt: says what such a picture shows, for who does not see it; the emoji follow behind a colon.
        mask_sent: shown where somebody asked for a picture that only they should see.
        mask_refused: {reason} is Slack's own word for it.
        modal_title: at most 24 characters; likewise `modal_submit` and `modal_cancel`.
        modal_masks: stands above the two checkboxes for covered faces, `modal_mask_hint` below them.
        modal_mask: the text beside a checkbox, at most 75 characters; likewise `modal_mask_everyone`.
        modal_share: likewise.
        modal_private: stands above it.
        home_title: at most 150 characters.
        home_privacy: the gist of `privacy`, in the App Home.
        home_stop: a button, at most 75 characters; likewise `home_resume` and `home_erase`.
        erase_title: asks before erasing; at most 100 characters, `erase_text` 300, `erase_yes` and `erase_no` 30.
    """

    language: str

    help: str
    unknown_command: str
    privacy: str
    invited: str

    auto_on: str
    auto_off: str
    status_on: str
    status_off: str
    channels_only: str
    not_invited: str
    cannot_write: str
    members_only: str

    missing_scope: str
    installer_scope: str
    scope_files: str

    map_usage: str
    not_an_emoji: str
    unknown_emoji: str
    unknown_expression: str

    forgot_direct: str
    forgot_channel: str
    forgot_member: str
    forgot_later: str

    photo_needed: str
    no_photo_thread: str
    no_photo_message: str
    no_photo_last: str
    no_profile_photo: str
    opted_out: str
    shared: str
    shared_mask: str
    mask_alt: str
    mask_sent: str
    mask_refused: str
    failed: str

    modal_title: str
    modal_submit: str
    modal_cancel: str
    modal_photo: str
    modal_hint: str
    modal_masks: str
    modal_mask: str
    modal_mask_everyone: str
    modal_mask_hint: str
    modal_share: str
    modal_private: str

    home_title: str
    home_text: str
    home_privacy: str
    home_settings: str
    home_read: str
    home_unread: str
    home_stop: str
    home_resume: str
    home_erase: str
    erase_title: str
    erase_text: str
    erase_yes: str
    erase_no: str


def slack_phrases(language: str | None) -> SlackPhrases:
    """Return the phrases of an IETF language tag such as "de-AT"; English for one that we don't speak, and for None."""
    return LANGUAGES[phrases(language).language]


ENGLISH = SlackPhrases(
    language="en",
    help=(
        "Send me a photo in a direct message, a selfie or a group picture. Every face gets its emoji, and two buttons "
        "let you tell me whether I was right.\n\n"
        "In channels I stay quiet until somebody\n"
        "• mentions {bot} in a photo's caption or in its thread\n"
        '• chooses the shortcut "Which emoji is this?" in the menu of a photo\n'
        "• switches me on: then every photo with a face gets one emoji reaction\n\n"
        "/face2emoji – a window to upload photos; I can also give them back with emoji over the faces\n"
        "/face2emoji me – your profile photo\n"
        "/face2emoji last – the channel's last photo\n"
        "/face2emoji on – react to every photo in this channel; /face2emoji off ends that\n"
        "/face2emoji status – the settings of this channel\n"
        "/face2emoji map happy :tada: – another emoji for an expression\n"
        "/face2emoji map – the emoji used here\n"
        "/face2emoji privacy – what happens to your photos\n"
        "/face2emoji forget – erase what I keep\n\n"
        "I read faces, not minds: I name the expression a face shows, and sometimes I'm wrong."
    ),
    unknown_command="I don't know the command {word}.",
    privacy=(
        "Your photos are read in memory within seconds and never stored.\n\n"
        "What I keep:\n"
        "• the settings of a channel or direct message (/face2emoji on and /face2emoji map)\n"
        "• your choice, if you don't want to be read in channels\n"
        "• for at most {hours} hours, whose message I answered, without the photo and without the expression\n"
        "• how often an answer was right or wrong: mere counts, joined to no one\n"
        "In our direct messages /face2emoji forget erases what I keep about you, and in a channel what I keep about "
        "that channel. Your choice and those counts stay.\n\n"
        "I only read photos that somebody gives me on purpose: in a direct message or the upload window, by mentioning "
        "me, with the shortcut or a command, or in a channel where somebody switched me on. A photo posted there "
        "counts as posted to me. If you don't want that in channels, switch it off for yourself in my App Home.\n\n"
        "Other people in your photo? Ask them first, and for children their parents. Nobody, admins included, can get "
        "a list of what a person's face showed: there is none.\n\n"
        "Judging people at work or at school by their expressions is not what I'm for, and in the EU it is forbidden "
        "(AI Act, Article 5(1)(f))."
    ),
    invited=(
        "Thank you for inviting me! I stay quiet here until somebody types /face2emoji on: then every photo with a "
        "face gets one emoji reaction. Before that, I only read a photo when somebody asks me to; /face2emoji help "
        "says how."
    ),
    auto_on=(
        "{user} switched me on here: from now on every photo with a face that is posted here gets one emoji reaction, "
        "so posting one counts as sending it to me. /face2emoji off switches this off. If you don't want to be read, "
        "say so in my App Home."
    ),
    auto_off=(
        "{user} switched me off here: from now on I only read a photo when somebody asks me to. /face2emoji on "
        "switches me on again."
    ),
    status_on=(
        "Automatic reactions are on: every photo with a face that is posted here gets one emoji reaction. "
        "/face2emoji off switches this off."
    ),
    status_off=(
        "Automatic reactions are off: I only read a photo here when somebody asks me to. /face2emoji on switches them "
        "on."
    ),
    channels_only="/face2emoji on is for channels. In a direct message I answer every photo anyway.",
    not_invited="I'm not in this channel yet. Type /invite {bot} first.",
    cannot_write="I can't write in this channel, so I can't be switched on here.",
    members_only="Guests and people of other workspaces can't change that.",
    missing_scope=(
        "I can't do that, because the permission {scope} is missing. Whoever installed me has to reinstall the app."
    ),
    installer_scope=(
        "I can't do my work in this workspace, because the permission {scope} is missing. You installed me: please "
        "reinstall the app with the permissions of its manifest, as docs/slack.md shows."
    ),
    scope_files=(
        "I couldn't fetch this photo. files:read is missing: reinstall the app, or ask whoever installed me to do so."
    ),
    map_usage="To change one: /face2emoji map happy :tada:\nBack to the usual ones: /face2emoji map reset",
    not_an_emoji="That isn't one single emoji that I know. Try it like this: /face2emoji map happy :tada:",
    unknown_emoji="This workspace has no emoji called {name}.",
    unknown_expression=(
        "I don't know that expression. I know: {expressions}. Try it like this: /face2emoji map happy :tada:"
    ),
    forgot_direct=(
        "Done. Everything I kept about you is erased. Only your choice whether I read the photos you post in channels "
        "stays."
    ),
    forgot_channel=(
        "Done. The settings of this channel and every note of what I answered here are erased. Automatic reactions "
        "are off."
    ),
    forgot_member=(
        "Done. Every note of what I answered you here is erased. The channel's settings stay: they belong to the "
        "members of this workspace."
    ),
    forgot_later="Not everything is erased yet: some photos are still being answered. Ask again in a few minutes.",
    photo_needed="Mention me in a photo's caption or in its thread, and I read it.",
    no_photo_thread="I find no photo in this thread.",
    no_photo_message="I find no photo in this message.",
    no_photo_last="I find no photo among the latest messages of this channel.",
    no_profile_photo="You have no profile photo of your own yet.",
    opted_out="The person who posted this photo doesn't want to be read.",
    shared="{user} asked me to read a photo.",
    shared_mask="{user} asked me to cover the faces in a photo.",
    mask_alt="Photo with emoji over the faces",
    mask_sent="I sent you the picture in our direct messages, where nobody else sees it.",
    mask_refused=(
        "Slack doesn't take the picture from me. Its word for why is {reason}; an admin of this workspace may know "
        "more."
    ),
    failed="Something went wrong on my side. Please try again.",
    modal_title="Which emoji is this?",
    modal_submit="Read",
    modal_cancel="Cancel",
    modal_photo="Photos",
    modal_hint="One to ten photos, up to 10 MB each.",
    modal_masks="Emoji faces",
    modal_mask="Give the picture back with the faces covered",
    modal_mask_everyone="Cover faces too that cannot be read",
    modal_mask_hint="If only you are to see the picture, I send it to you as a direct message.",
    modal_share="Show the answer to everyone in this channel",
    modal_private="Only you will see the answer, unless you tick this.",
    home_title="Hi, I'm Face2Emoji!",
    home_text=(
        "Send me a photo in a direct message, and I answer with the emoji that matches the face. Or type /face2emoji, "
        "and a window to upload photos opens; from there I can also give them back with emoji over the faces.\n\n"
        "In channels I stay quiet until somebody mentions me in a photo's caption or in its thread, chooses the "
        'shortcut "Which emoji is this?", or switches me on with /face2emoji on.\n\n'
        "There is more in /face2emoji help, and /face2emoji privacy says what happens to your photos."
    ),
    home_privacy=(
        "I read your photos in memory and never store them, and nobody can get a list of what a person's face showed. "
        "Ask other people before you post them, and for children their parents. Judging people at work or at school is "
        "not what I'm for, and in the EU it is forbidden (AI Act, Article 5(1)(f))."
    ),
    home_settings="Your settings",
    home_read="I read the photos you post in channels where I'm switched on. A face gets one emoji reaction.",
    home_unread="I don't read the photos you post in channels.",
    home_stop="Don't read my photos in channels",
    home_resume="Read my photos in channels again",
    home_erase="Erase everything about me",
    erase_title="Erase everything about you?",
    erase_text=(
        "I erase the settings of our direct messages and every note of what I answered you. Your choice whether I read "
        "the photos you post in channels stays. My answers themselves stay in Slack."
    ),
    erase_yes="Erase",
    erase_no="Cancel",
)

GERMAN = SlackPhrases(
    language="de",
    help=(
        "Schick mir ein Foto als Direktnachricht, ein Selfie oder ein Gruppenbild. Jedes Gesicht bekommt sein Emoji, "
        "und mit zwei Knöpfen sagst du mir, ob ich richtig lag.\n\n"
        "In Channels bin ich still, bis jemand\n"
        "• {bot} in der Bildunterschrift oder im Thread eines Fotos erwähnt\n"
        "• im Menü eines Fotos den Shortcut „Which emoji is this?“ wählt\n"
        "• mich einschaltet: Dann bekommt jedes Foto mit einem Gesicht eine Reaktion mit einem Emoji\n\n"
        "/face2emoji – ein Fenster zum Hochladen von Fotos; ich kann sie auch mit Emojis über den Gesichtern "
        "zurückgeben\n"
        "/face2emoji me – dein Profilfoto\n"
        "/face2emoji last – das letzte Foto des Channels\n"
        "/face2emoji on – auf jedes Foto in diesem Channel reagieren; /face2emoji off beendet das\n"
        "/face2emoji status – die Einstellungen dieses Channels\n"
        "/face2emoji map fröhlich :tada: – ein anderes Emoji für einen Ausdruck\n"
        "/face2emoji map – die Emojis, die hier gelten\n"
        "/face2emoji privacy – was mit deinen Fotos passiert\n"
        "/face2emoji forget – löschen, was ich mir merke\n\n"
        "Ich lese Gesichter, keine Gedanken: Ich nenne den Ausdruck, den ein Gesicht zeigt, und manchmal liege ich "
        "falsch."
    ),
    unknown_command="Den Befehl {word} kenne ich nicht.",
    privacy=(
        "Deine Fotos werden innerhalb von Sekunden im Arbeitsspeicher gelesen und nie gespeichert.\n\n"
        "Was ich mir merke:\n"
        "• die Einstellungen eines Channels oder einer Direktnachricht (/face2emoji on und /face2emoji map)\n"
        "• deine Wahl, wenn du in Channels nicht gelesen werden willst\n"
        "• höchstens {hours} Stunden lang, auf wessen Nachricht ich geantwortet habe, ohne das Foto und ohne den "
        "Ausdruck\n"
        "• wie oft eine Antwort richtig oder falsch war: reine Zahlen, die zu niemandem gehören\n"
        "In unseren Direktnachrichten löscht /face2emoji forget, was ich mir über dich merke, und in einem Channel, "
        "was ich mir über diesen Channel merke. Deine Wahl und diese Zahlen bleiben.\n\n"
        "Ich lese nur Fotos, die mir jemand mit Absicht gibt: als Direktnachricht oder im Fenster zum Hochladen, indem "
        "jemand mich erwähnt, mit dem Shortcut oder einem Befehl, oder in einem Channel, in dem mich jemand "
        "eingeschaltet hat. Wer dort ein Foto postet, schickt es auch mir. Wenn du das in Channels nicht willst, "
        "schalte es in meinem App-Home für dich aus.\n\n"
        "Sind andere auf deinem Foto? Frag sie vorher, bei Kindern die Eltern. Eine Liste dessen, was jemandes Gesicht "
        "gezeigt hat, bekommt niemand, auch kein Admin: Es gibt keine.\n\n"
        "Menschen bei der Arbeit oder in der Schule nach ihrem Gesichtsausdruck zu beurteilen: Dafür bin ich nicht da, "
        "und in der EU ist es verboten (KI-Verordnung, Artikel 5 Absatz 1 Buchstabe f)."
    ),
    invited=(
        "Danke für die Einladung! Ich bin hier still, bis jemand /face2emoji on eingibt: Dann bekommt jedes Foto mit "
        "einem Gesicht eine Reaktion mit einem Emoji. Bis dahin lese ich ein Foto nur, wenn mich jemand darum bittet; "
        "wie das geht, steht in /face2emoji help."
    ),
    auto_on=(
        "{user} hat mich hier eingeschaltet: Ab jetzt bekommt jedes Foto mit einem Gesicht, das hier gepostet wird, "
        "eine Reaktion mit einem Emoji. Wer hier eins postet, schickt es also auch mir. /face2emoji off schaltet das "
        "aus. Wenn du nicht gelesen werden willst, sag es mir in meinem App-Home."
    ),
    auto_off=(
        "{user} hat mich hier ausgeschaltet: Ab jetzt lese ich ein Foto nur, wenn mich jemand darum bittet. "
        "/face2emoji on schaltet mich wieder ein."
    ),
    status_on=(
        "Automatische Reaktionen sind an: Jedes Foto mit einem Gesicht, das hier gepostet wird, bekommt eine Reaktion "
        "mit einem Emoji. /face2emoji off schaltet das aus."
    ),
    status_off=(
        "Automatische Reaktionen sind aus: Ich lese hier ein Foto nur, wenn mich jemand darum bittet. /face2emoji on "
        "schaltet sie ein."
    ),
    channels_only="/face2emoji on ist für Channels. In einer Direktnachricht antworte ich sowieso auf jedes Foto.",
    not_invited="Ich bin noch nicht in diesem Channel. Gib zuerst /invite {bot} ein.",
    cannot_write="Ich darf in diesem Channel nicht schreiben, deshalb kann man mich hier nicht einschalten.",
    members_only="Gäste und Leute aus anderen Workspaces können das nicht ändern.",
    missing_scope=(
        "Das kann ich nicht, denn die Berechtigung {scope} fehlt. Wer mich installiert hat, muss die App neu "
        "installieren."
    ),
    installer_scope=(
        "Ich kann in diesem Workspace nicht arbeiten, denn die Berechtigung {scope} fehlt. Du hast mich installiert: "
        "Bitte installiere die App mit den Berechtigungen aus ihrem Manifest neu, wie es in docs/slack.md steht."
    ),
    scope_files=(
        "Ich konnte dieses Foto nicht abrufen. files:read fehlt: Installiere die App neu, oder bitte darum, wer mich "
        "installiert hat."
    ),
    map_usage="Eins ändern: /face2emoji map fröhlich :tada:\nZurück zu den üblichen: /face2emoji map reset",
    not_an_emoji="Das ist kein einzelnes Emoji, das ich kenne. Versuch es so: /face2emoji map fröhlich :tada:",
    unknown_emoji="In diesem Workspace gibt es kein Emoji namens {name}.",
    unknown_expression=(
        "Diesen Ausdruck kenne ich nicht. Ich kenne: {expressions}. Versuch es so: /face2emoji map fröhlich :tada:"
    ),
    forgot_direct=(
        "Fertig. Alles, was ich mir über dich gemerkt habe, ist gelöscht. Nur deine Wahl, ob ich die Fotos lese, die "
        "du in Channels postest, bleibt."
    ),
    forgot_channel=(
        "Fertig. Die Einstellungen dieses Channels und alle Notizen darüber, was ich hier beantwortet habe, sind "
        "gelöscht. Automatische Reaktionen sind aus."
    ),
    forgot_member=(
        "Fertig. Alle Notizen darüber, was ich dir hier beantwortet habe, sind gelöscht. Die Einstellungen des "
        "Channels bleiben; über sie entscheiden die Mitglieder dieses Workspace."
    ),
    forgot_later=(
        "Noch ist nicht alles gelöscht: Einige Fotos werden gerade noch beantwortet. Frag "
        "in ein paar Minuten noch einmal."
    ),
    photo_needed="Erwähne mich in der Bildunterschrift oder im Thread eines Fotos, dann lese ich es.",
    no_photo_thread="Ich finde in diesem Thread kein Foto.",
    no_photo_message="Ich finde in dieser Nachricht kein Foto.",
    no_photo_last="Ich finde unter den neuesten Nachrichten dieses Channels kein Foto.",
    no_profile_photo="Du hast noch kein eigenes Profilfoto.",
    opted_out="Wer dieses Foto gepostet hat, will nicht gelesen werden.",
    shared="{user} hat mich gebeten, ein Foto zu lesen.",
    shared_mask="{user} hat mich gebeten, auf einem Foto die Gesichter zu verdecken.",
    mask_alt="Foto mit Emojis über den Gesichtern",
    mask_sent="Ich habe dir das Bild als Direktnachricht geschickt, da sieht es sonst niemand.",
    mask_refused=(
        "Slack nimmt mir das Bild nicht ab. Als Grund nennt es {reason}; vielleicht weiß ein Admin dieses Workspace "
        "mehr."
    ),
    failed="Bei mir ist etwas schiefgegangen. Bitte versuch es noch einmal.",
    modal_title="Welches Emoji ist das?",
    modal_submit="Lesen",
    modal_cancel="Abbrechen",
    modal_photo="Fotos",
    modal_hint="Ein bis zehn Fotos, je bis zu 10 MB.",
    modal_masks="Emoji-Gesichter",
    modal_mask="Das Bild mit verdeckten Gesichtern zurückgeben",
    modal_mask_everyone="Auch Gesichter verdecken, die nicht zu lesen sind",
    modal_mask_hint="Wenn nur du das Bild sehen sollst, schicke ich es dir als Direktnachricht.",
    modal_share="Die Antwort allen in diesem Channel zeigen",
    modal_private="Nur du siehst die Antwort, außer du kreuzt das hier an.",
    home_title="Hallo, ich bin Face2Emoji!",
    home_text=(
        "Schick mir ein Foto als Direktnachricht, und ich antworte mit dem Emoji, das zum Gesicht passt. Oder tippe "
        "/face2emoji, und ein Fenster zum Hochladen von Fotos geht auf; von dort kann ich sie dir auch mit Emojis über "
        "den Gesichtern zurückgeben.\n\n"
        "In Channels bin ich still, bis mich jemand in der Bildunterschrift oder im Thread eines Fotos erwähnt, den "
        "Shortcut „Which emoji is this?“ wählt oder mich mit /face2emoji on einschaltet.\n\n"
        "Mehr steht in /face2emoji help, und in /face2emoji privacy, was mit deinen Fotos passiert."
    ),
    home_privacy=(
        "Ich lese deine Fotos im Arbeitsspeicher und speichere sie nie, und niemand bekommt eine Liste dessen, was "
        "jemandes Gesicht gezeigt hat. Frag andere, bevor du sie postest, bei Kindern die Eltern. Menschen bei der "
        "Arbeit oder in der Schule zu beurteilen: Dafür bin ich nicht da, und in der EU ist es verboten "
        "(KI-Verordnung, Artikel 5 Absatz 1 Buchstabe f)."
    ),
    home_settings="Deine Einstellungen",
    home_read=(
        "Ich lese die Fotos, die du in Channels postest, in denen ich eingeschaltet bin. Ein Gesicht bekommt eine "
        "Reaktion mit einem Emoji."
    ),
    home_unread="Ich lese die Fotos nicht, die du in Channels postest.",
    home_stop="Meine Fotos in Channels nicht lesen",
    home_resume="Meine Fotos in Channels wieder lesen",
    home_erase="Alles über mich löschen",
    erase_title="Alles über dich löschen?",
    erase_text=(
        "Ich lösche die Einstellungen unserer Direktnachrichten und alle Notizen darüber, was ich dir beantwortet "
        "habe. Deine Wahl, ob ich die Fotos lese, die du in Channels postest, bleibt. Meine Antworten selbst bleiben "
        "in Slack."
    ),
    erase_yes="Löschen",
    erase_no="Abbrechen",
)

SPANISH = SlackPhrases(
    language="es",
    help=(
        "Envíame una foto por mensaje directo, un selfie o una foto de grupo. Cada cara recibe su emoji, y con dos "
        "botones me dices si acerté.\n\n"
        "En los canales no digo nada hasta que alguien\n"
        "• menciona a {bot} en el texto de una foto o en su hilo\n"
        "• elige el atajo «Which emoji is this?» en el menú de una foto\n"
        "• me activa: entonces cada foto con una cara recibe un emoji como reacción\n\n"
        "/face2emoji – una ventana para subir fotos; también puedo devolverlas con emojis sobre las caras\n"
        "/face2emoji me – tu foto de perfil\n"
        "/face2emoji last – la última foto del canal\n"
        "/face2emoji on – reaccionar a cada foto de este canal; /face2emoji off lo termina\n"
        "/face2emoji status – los ajustes de este canal\n"
        "/face2emoji map alegría :tada: – otro emoji para una expresión\n"
        "/face2emoji map – los emojis que se usan aquí\n"
        "/face2emoji privacy – qué pasa con tus fotos\n"
        "/face2emoji forget – borrar lo que guardo\n\n"
        "Leo caras, no pensamientos: digo qué expresión muestra una cara, y a veces me equivoco."
    ),
    unknown_command="No conozco el comando {word}.",
    privacy=(
        "Tus fotos se leen en la memoria en unos segundos y nunca se guardan.\n\n"
        "Lo que guardo:\n"
        "• los ajustes de un canal o de un mensaje directo (/face2emoji on y /face2emoji map)\n"
        "• tu elección, si no quieres que te lea en los canales\n"
        "• durante {hours} horas como máximo, a qué mensaje de quién respondí, sin la foto y sin la expresión\n"
        "• cuántas veces una respuesta fue correcta o no: solo números, que no van unidos a nadie\n"
        "En nuestros mensajes directos, /face2emoji forget borra lo que guardo sobre ti y, en un canal, lo que guardo "
        "sobre ese canal. Tu elección y esos números se mantienen.\n\n"
        "Solo leo las fotos que alguien me da a propósito: por mensaje directo o en la ventana para subir fotos, "
        "mencionándome, con el atajo o un comando, o en un canal donde alguien me activó. Publicar una foto allí "
        "cuenta como enviármela. Si no quieres eso en los canales, desactívalo para ti en mi pestaña Inicio.\n\n"
        "¿Salen otras personas en tu foto? Pregúntales antes; si son menores, a sus padres. Nadie puede obtener una "
        "lista de lo que mostró la cara de una persona, tampoco los administradores: no existe.\n\n"
        "No estoy hecho para juzgar a las personas por su expresión en el trabajo o en la escuela, y en la UE está "
        "prohibido (Reglamento de IA, artículo 5, apartado 1, letra f)."
    ),
    invited=(
        "¡Gracias por invitarme! Aquí no digo nada hasta que alguien escriba /face2emoji on: entonces cada foto con "
        "una cara recibe un emoji como reacción. Hasta ese momento solo leo una foto cuando alguien me lo pide; en "
        "/face2emoji help está cómo."
    ),
    auto_on=(
        "{user} me ha activado aquí: a partir de ahora, cada foto con una cara que se publica aquí recibe un emoji "
        "como reacción, así que publicarla cuenta como enviármela. Con /face2emoji off se desactiva. Si no quieres que "
        "te lea, dímelo en mi pestaña Inicio."
    ),
    auto_off=(
        "{user} me ha desactivado aquí: a partir de ahora solo leo una foto cuando alguien me lo pide. Con "
        "/face2emoji on se me vuelve a activar."
    ),
    status_on=(
        "Las reacciones automáticas están activadas: cada foto con una cara que se publica aquí recibe un emoji como "
        "reacción. Con /face2emoji off se desactivan."
    ),
    status_off=(
        "Las reacciones automáticas están desactivadas: aquí solo leo una foto cuando alguien me lo pide. Con "
        "/face2emoji on se activan."
    ),
    channels_only="/face2emoji on es para canales. Por mensaje directo ya respondo a todas las fotos.",
    not_invited="Todavía no estoy en este canal. Escribe primero /invite {bot}",
    cannot_write="No puedo escribir en este canal, así que aquí no se me puede activar.",
    members_only="Los invitados y las personas de otros espacios de trabajo no pueden cambiar eso.",
    missing_scope=(
        "No puedo hacerlo, porque falta el permiso {scope}. Quien me instaló tiene que volver a instalar la aplicación."
    ),
    installer_scope=(
        "No puedo hacer mi trabajo en este espacio de trabajo, porque falta el permiso {scope}. Tú me instalaste: "
        "vuelve a instalar la aplicación con los permisos de su manifiesto, por favor, como muestra docs/slack.md."
    ),
    scope_files=(
        "No he podido descargar esta foto. Falta files:read: vuelve a instalar la aplicación o pídeselo a quien me "
        "instaló."
    ),
    map_usage=("Para cambiar uno: /face2emoji map alegría :tada:\nPara volver a los de siempre: /face2emoji map reset"),
    not_an_emoji="Eso no es un único emoji que yo conozca. Prueba así: /face2emoji map alegría :tada:",
    unknown_emoji="En este espacio de trabajo no hay ningún emoji llamado {name}.",
    unknown_expression=("No conozco esa expresión. Conozco: {expressions}. Prueba así: /face2emoji map alegría :tada:"),
    forgot_direct=(
        "Listo. He borrado todo lo que guardaba sobre ti. Solo se mantiene tu elección de si leo las fotos que "
        "publicas en los canales."
    ),
    forgot_channel=(
        "Listo. He borrado los ajustes de este canal y toda nota de lo que respondí aquí. Las reacciones automáticas "
        "están desactivadas."
    ),
    forgot_member=(
        "Listo. He borrado toda nota de lo que te respondí aquí. Los ajustes del canal se mantienen: son cosa de los "
        "miembros de este espacio de trabajo."
    ),
    forgot_later=(
        "Aún no está todo borrado: todavía se están respondiendo algunas fotos. Vuelve a pedirlo en unos minutos."
    ),
    photo_needed="Mencióname en el texto de una foto o en su hilo y la leo.",
    no_photo_thread="No encuentro ninguna foto en este hilo.",
    no_photo_message="No encuentro ninguna foto en este mensaje.",
    no_photo_last="No encuentro ninguna foto entre los últimos mensajes de este canal.",
    no_profile_photo="Todavía no tienes una foto de perfil propia.",
    opted_out="La persona que publicó esta foto no quiere que la lea.",
    shared="{user} me ha pedido que lea una foto.",
    shared_mask="{user} me ha pedido que tape las caras de una foto.",
    mask_alt="Foto con emojis sobre las caras",
    mask_sent="Te he enviado la imagen por mensaje directo, donde no la ve nadie más.",
    mask_refused=(
        "Slack no me acepta la imagen. El motivo que da es {reason}; quizá lo sepa un administrador de este espacio de "
        "trabajo."
    ),
    failed="Algo ha fallado por mi parte. Inténtalo otra vez, por favor.",
    modal_title="¿Qué emoji es este?",
    modal_submit="Leer",
    modal_cancel="Cancelar",
    modal_photo="Fotos",
    modal_hint="De una a diez fotos, de hasta 10 MB cada una.",
    modal_masks="Caras de emoji",
    modal_mask="Devolver la imagen con las caras tapadas",
    modal_mask_everyone="Tapar también las caras que no se pueden leer",
    modal_mask_hint="Si solo tú vas a ver la imagen, te la envío por mensaje directo.",
    modal_share="Mostrar la respuesta a todas las personas de este canal",
    modal_private="Solo tú verás la respuesta, salvo que marques esto.",
    home_title="¡Hola, soy Face2Emoji!",
    home_text=(
        "Envíame una foto por mensaje directo y te respondo con el emoji que encaja con la cara. O escribe "
        "/face2emoji, y se abre una ventana para subir fotos; desde ahí también puedo devolvértelas con emojis sobre "
        "las caras.\n\n"
        "En los canales no digo nada hasta que alguien me menciona en el texto de una foto o en su hilo, elige el "
        "atajo «Which emoji is this?» o me activa con /face2emoji on.\n\n"
        "Hay más en /face2emoji help, y en /face2emoji privacy qué pasa con tus fotos."
    ),
    home_privacy=(
        "Leo tus fotos en la memoria y nunca las guardo, y nadie puede obtener una lista de lo que mostró la cara de "
        "una persona. Pregunta a los demás antes de publicarlos; si son menores, a sus padres. No estoy hecho para "
        "juzgar a las personas en el trabajo o en la escuela, y en la UE está prohibido (Reglamento de IA, artículo 5, "
        "apartado 1, letra f)."
    ),
    home_settings="Tus ajustes",
    home_read=(
        "Leo las fotos que publicas en los canales donde estoy activado. Una cara recibe un emoji como reacción."
    ),
    home_unread="No leo las fotos que publicas en los canales.",
    home_stop="No leer mis fotos en los canales",
    home_resume="Volver a leer mis fotos en los canales",
    home_erase="Borrar todo sobre mí",
    erase_title="¿Borrar todo sobre ti?",
    erase_text=(
        "Borro los ajustes de nuestros mensajes directos y toda nota de lo que te respondí. Tu elección de si leo las "
        "fotos que publicas en los canales se mantiene. Mis respuestas mismas siguen en Slack."
    ),
    erase_yes="Borrar",
    erase_no="Cancelar",
)

KOREAN = SlackPhrases(
    language="ko",
    help=(
        "다이렉트 메시지로 사진을 보내 주세요. 셀카도 단체 사진도 좋아요. 얼굴마다 이모지로 답하고, 맞았는지는 버튼 두 "
        "개로 알려 주시면 돼요.\n\n"
        "채널에서는 조용히 있다가 누가 이렇게 할 때 답해요.\n"
        "• 사진 설명이나 사진의 스레드에서 {bot} 봇을 멘션할 때\n"
        "• 사진의 메뉴에서 ‘Which emoji is this?’ 바로가기를 고를 때\n"
        "• 저를 켤 때. 그 뒤로는 얼굴이 나온 사진마다 이모지 하나로 반응해요\n\n"
        "/face2emoji – 사진을 올리는 창. 얼굴을 이모지로 가린 사진도 돌려드려요\n"
        "/face2emoji me – 내 프로필 사진\n"
        "/face2emoji last – 채널의 마지막 사진\n"
        "/face2emoji on – 이 채널의 모든 사진에 반응하기. 그만하려면 /face2emoji off\n"
        "/face2emoji status – 이 채널의 설정\n"
        "/face2emoji map 기쁨 :tada: – 표정의 이모지 바꾸기\n"
        "/face2emoji map – 여기에서 쓰는 이모지\n"
        "/face2emoji privacy – 사진이 어떻게 처리되는지\n"
        "/face2emoji forget – 보관 중인 내용 지우기\n\n"
        "저는 마음이 아니라 얼굴을 읽어요. 얼굴에 보이는 표정을 말할 뿐이고, 가끔 틀리기도 해요."
    ),
    unknown_command="{word} 명령은 제가 모르는 명령이에요.",
    privacy=(
        "사진은 메모리에서 몇 초 안에 읽고, 절대 저장하지 않아요.\n\n"
        "제가 보관하는 것:\n"
        "• 채널이나 다이렉트 메시지의 설정 (/face2emoji on, /face2emoji map)\n"
        "• 채널에서 사진을 읽지 말라고 고르셨다면 그 선택\n"
        "• 누구의 어떤 메시지에 답했는지. 최대 {hours}시간 동안만 보관하고, 사진과 표정은 남기지 않아요\n"
        "• 답이 맞거나 틀린 횟수. 숫자만 세고 누구와도 연결하지 않아요\n"
        "/face2emoji forget 명령을 우리 다이렉트 메시지에서 보내면 보낸 분에 관한 내용을, 채널에서 보내면 그 채널에 "
        "관한 내용을 지워요. 선택과 숫자는 남아요.\n\n"
        "누군가 일부러 저에게 보여 준 사진만 읽어요. 다이렉트 메시지나 업로드 창으로 보낸 사진, 멘션이나 바로가기, "
        "명령으로 읽어 달라고 한 사진, 누가 저를 켜 둔 채널의 사진이에요. 그런 채널에 올린 사진은 저에게 보낸 것으로 "
        "봐요. 채널에서 원하지 않으시면 제 홈 탭에서 본인 사진을 읽지 않게 끌 수 있어요.\n\n"
        "사진에 다른 사람이 있나요? 먼저 그 사람에게, 어린이라면 보호자에게 물어봐 주세요. 누구의 얼굴에 어떤 표정이 "
        "보였는지 모아 둔 목록은 없어서, 관리자를 포함해 아무도 볼 수 없어요.\n\n"
        "직장이나 학교에서 표정으로 사람을 평가하는 데 쓰라고 만든 봇이 아니에요. EU에서는 법으로 금지되어 있어요 "
        "(인공지능법 제5조 제1항 (f))."
    ),
    invited=(
        "초대해 주셔서 고마워요! 누가 /face2emoji on 명령을 보내기 전까지 여기에서 조용히 있어요. 켜면 얼굴이 나온 "
        "사진마다 이모지 하나로 반응해요. 그 전에는 누가 부탁한 사진만 읽어요. 방법은 /face2emoji help 명령에 있어요."
    ),
    auto_on=(
        "{user} 님이 여기에서 저를 켰어요. 이제 여기에 올라오는 사진에 얼굴이 있으면 이모지 하나로 반응하니, 사진을 "
        "올리면 저에게도 보내는 것으로 봐요. /face2emoji off 명령으로 끌 수 있어요. 읽히고 싶지 않으시면 제 홈 탭에서 "
        "알려 주세요."
    ),
    auto_off=(
        "{user} 님이 여기에서 저를 껐어요. 이제 누가 부탁한 사진만 읽어요. /face2emoji on 명령으로 다시 켤 수 있어요."
    ),
    status_on=(
        "자동 반응이 켜져 있어요. 여기에 올라오는 사진에 얼굴이 있으면 이모지 하나로 반응해요. /face2emoji off "
        "명령으로 끌 수 있어요."
    ),
    status_off=("자동 반응이 꺼져 있어요. 여기에서는 누가 부탁한 사진만 읽어요. /face2emoji on 명령으로 켤 수 있어요."),
    channels_only="/face2emoji on 명령은 채널에서 써요. 다이렉트 메시지에서는 언제나 모든 사진에 답해요.",
    not_invited="제가 아직 이 채널에 없어요. 먼저 /invite {bot} 명령을 보내 주세요.",
    cannot_write="이 채널에는 글을 쓸 수 없어서 여기에서는 켤 수 없어요.",
    members_only="게스트와 다른 워크스페이스의 사람은 바꿀 수 없어요.",
    missing_scope="{scope} 권한이 없어서 할 수 없어요. 저를 설치한 분이 앱을 다시 설치해야 해요.",
    installer_scope=(
        "{scope} 권한이 없어서 이 워크스페이스에서 일할 수 없어요. 저를 설치하셨으니, docs/slack.md 문서에 나온 대로 "
        "매니페스트의 권한으로 앱을 다시 설치해 주세요."
    ),
    scope_files=(
        "이 사진을 내려받지 못했어요. files:read 권한이 없어요. 앱을 다시 설치하거나, 저를 설치한 분에게 부탁해 주세요."
    ),
    map_usage="하나 바꾸기: /face2emoji map 기쁨 :tada:\n원래대로 돌리기: /face2emoji map reset",
    not_an_emoji="제가 아는 이모지 하나가 아니에요. 이렇게 해 보세요: /face2emoji map 기쁨 :tada:",
    unknown_emoji="이 워크스페이스에는 {name} 이모지가 없어요.",
    unknown_expression=(
        "모르는 표정이에요. 제가 아는 표정: {expressions}. 이렇게 해 보세요: /face2emoji map 기쁨 :tada:"
    ),
    forgot_direct=(
        "다 지웠어요. 보관하던 내용이 모두 사라졌어요. 채널에 올린 사진을 제가 읽어도 되는지 고른 것만 그대로 둬요."
    ),
    forgot_channel="다 지웠어요. 이 채널의 설정과 여기에서 답한 기록이 모두 사라졌고, 자동 반응은 꺼졌어요.",
    forgot_member=(
        "다 지웠어요. 여기에서 보낸 사진에 답한 기록이 모두 사라졌어요. 채널 설정은 이 워크스페이스 멤버의 것이라 "
        "그대로 둬요."
    ),
    forgot_later="아직 다 지우지 못했어요. 답하고 있는 사진이 남아 있어요. 몇 분 뒤에 다시 요청해 주세요.",
    photo_needed="사진 설명이나 사진의 스레드에서 저를 멘션하면 읽어 드려요.",
    no_photo_thread="이 스레드에서 사진을 찾지 못했어요.",
    no_photo_message="이 메시지에서 사진을 찾지 못했어요.",
    no_photo_last="이 채널의 최근 메시지에서 사진을 찾지 못했어요.",
    no_profile_photo="아직 직접 올린 프로필 사진이 없어요.",
    opted_out="이 사진을 올린 분은 제가 읽는 것을 원하지 않아요.",
    shared="{user} 님이 사진을 읽어 달라고 했어요.",
    shared_mask="{user} 님이 사진 속 얼굴을 가려 달라고 했어요.",
    mask_alt="얼굴을 이모지로 가린 사진",
    mask_sent="사진은 다이렉트 메시지로 보내 드렸어요. 거기에서는 다른 사람이 볼 수 없어요.",
    mask_refused="Slack에서 사진을 받아 주지 않아요. 이유는 {reason}예요. 이 워크스페이스의 관리자에게 물어봐 주세요.",
    failed="제 쪽에서 문제가 생겼어요. 다시 해 주세요.",
    modal_title="어떤 이모지일까요?",
    modal_submit="읽기",
    modal_cancel="취소",
    modal_photo="사진",
    modal_hint="사진 1–10장, 한 장에 10 MB까지.",
    modal_masks="이모지 얼굴",
    modal_mask="얼굴을 가린 사진 돌려받기",
    modal_mask_everyone="읽을 수 없는 얼굴도 가리기",
    modal_mask_hint="사진을 본인만 보려면 다이렉트 메시지로 보내 드려요.",
    modal_share="이 채널의 모두에게 답 보여 주기",
    modal_private="여기에 표시하지 않으면 답은 본인에게만 보여요.",
    home_title="안녕하세요, Face2Emoji예요!",
    home_text=(
        "다이렉트 메시지로 사진을 보내 주시면 얼굴에 어울리는 이모지로 답해 드려요. /face2emoji 명령만 보내면 사진을 "
        "올리는 창이 열려요. 거기에서 얼굴을 이모지로 가린 사진도 돌려받을 수 있어요.\n\n"
        "채널에서는 누가 사진 설명이나 사진의 스레드에서 저를 멘션하거나, ‘Which emoji is this?’ 바로가기를 고르거나, "
        "/face2emoji on 명령으로 저를 켜기 전까지 조용히 있어요.\n\n"
        "자세한 사용법은 /face2emoji help, 사진이 어떻게 처리되는지는 /face2emoji privacy 명령에 있어요."
    ),
    home_privacy=(
        "사진은 메모리에서 읽고 절대 저장하지 않아요. 누구의 얼굴에 어떤 표정이 보였는지 모아 둔 목록은 없어서 아무도 "
        "볼 수 없어요. 다른 사람이 나온 사진은 올리기 전에 그 사람에게, 어린이라면 보호자에게 물어봐 주세요. 직장이나 "
        "학교에서 사람을 평가하는 데 쓰라고 만든 봇이 아니고, EU에서는 법으로 금지되어 있어요 "
        "(인공지능법 제5조 제1항 (f))."
    ),
    home_settings="내 설정",
    home_read="제가 켜진 채널에 올리시는 사진을 읽어요. 얼굴이 있으면 이모지 하나로 반응해요.",
    home_unread="채널에 올리시는 사진을 읽지 않아요.",
    home_stop="채널에서 내 사진 읽지 않기",
    home_resume="채널에서 내 사진 다시 읽기",
    home_erase="나에 관한 내용 모두 지우기",
    erase_title="보관 중인 내용을 모두 지울까요?",
    erase_text=(
        "우리 다이렉트 메시지의 설정과 보내신 사진에 답한 기록을 모두 지워요. 채널에 올린 사진을 제가 읽어도 되는지 "
        "고른 것은 그대로 두고, 제가 한 답 자체는 Slack에 남아 있어요."
    ),
    erase_yes="지우기",
    erase_no="취소",
)

LANGUAGES: Mapping[str, SlackPhrases] = {each.language: each for each in (ENGLISH, GERMAN, SPANISH, KOREAN)}
"""The phrases of each language, by its two-letter ISO code: as many as `bot.phrases.LANGUAGES` has."""
