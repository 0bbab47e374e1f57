"""What people and machines say when they answer: two parts that share no sentence.

``{…}`` are filled from the part's own names and numbers. Each entry is one script: texts and pauses in seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Script = tuple[str | float, ...]


@dataclass(frozen=True)
class Texts:
    """One part's sentences; ``language`` is espeak-ng's."""

    language: str
    short: Sequence[Script]
    """One to three words, then the person waits."""
    medium: Sequence[Script]
    """A name or a firm, in one breath."""
    long: Sequence[Script]
    """How a firm answers: hard to tell from a machine."""
    twice: Sequence[Script]
    """Somebody who asks again when nobody speaks."""
    greeting: Sequence[Script]
    brief: Sequence[Script]
    """Greetings of a few words."""


TRAIN: Mapping[str, Texts] = {
    "en": Texts(
        language="en",
        short=[
            ("Hello?",),
            ("Hello.",),
            ("Yes?",),
            ("Hi.",),
            ("Hey.",),
            ("Yeah?",),
            ("Hello there.",),
            ("Good evening.",),
            ("Hello, Anna.",),
            ("Robert here.",),
            ("Speaking.",),
            ("Hi, this is Tom.",),
            ("Who is this?",),
            ("Peter Brown.",),
            ("Hello, Mary here.",),
            ("Yep.",),
            ("Hi there.",),
        ],
        medium=[
            ("Smith residence, John speaking.",),
            ("Hello, this is Robert.",),
            ("Anna Baker here.",),
            ("Mark Miller speaking.",),
            ("Reception, Julia speaking.",),
            ("Daniel from sales.",),
            ("Baker and sons, good morning.",),
            ("The Taylor family.",),
            ("Hello, who am I speaking to?",),
            ("Accounts, Linda here.",),
            ("Who is calling please?",),
            ("Hello, Miller residence.",),
        ],
        long=[
            ("Good morning, Northern Dental Clinic, this is Sarah, how can I help you?",),
            ("Thank you for calling Baker Insurance, my name is Tom, how may I help?",),
            ("Accounts department, this is Linda, good afternoon.",),
            ("Yes hello, you are speaking to Mark, who is this?",),
            ("Hello and good afternoon, Riverside Hotel, Julia speaking, what can I do for you?",),
        ],
        twice=[
            ("Hello?", 1.0, "Hello?"),
            ("Yes?", 0.9, "Who is there?"),
            ("Hi.", 1.2, "Anybody there?"),
            ("Hello.", 0.8, "Hello, can you hear me?"),
            ("Yeah?", 1.4, "Hello?"),
        ],
        greeting=[
            (
                "Hi, you've reached John Smith. I can't come to the phone right now. Please leave your name and number after the tone.",
            ),
            (
                "Hello, this is Anna. I'm not available at the moment. Leave a message and I will call you back as soon as I can.",
            ),
            (
                "You have reached the voice mailbox of",
                0.3,
                "Robert Miller.",
                0.4,
                "Please record your message after the beep.",
            ),
            (
                "Thank you for calling Northern Dental Clinic. Our office is closed now. Our opening hours are Monday to Friday, nine to five.",
            ),
            (
                "The person you are calling is not available. Please leave a message after the tone. When you have finished, hang up.",
            ),
            ("Hey, it's Mark.", 0.4, "Sorry I missed your call. Leave me a message and I'll get back to you."),
            (
                "The number you have dialled, five five five, one two three four, is not available. At the tone, please record your message.",
            ),
            (
                "Hello.",
                0.4,
                "You have reached the Miller family. Nobody is at home to take your call. Please talk after the beep.",
            ),
            (
                "Welcome to Baker Insurance. All our lines are busy at the moment. Please hold the line or leave a message.",
            ),
            (
                "Your call has been forwarded to an automated voice messaging system.",
                0.2,
                "Julia",
                0.2,
                "is not available.",
            ),
            (
                "This is the answering machine of Peter and Linda Brown. We are on holiday until Monday. Speak after the signal.",
            ),
        ],
        brief=[
            ("Please leave a message after the tone.",),
            ("Hi, it's Tom, leave a message.",),
            ("Leave your name and number.",),
            ("This is Anna's voicemail.",),
            ("Not here right now, talk to the machine.",),
            ("You know what to do.",),
        ],
    ),
    "de": Texts(
        language="de",
        short=[("Hallo?",), ("Ja bitte?",), ("Müller.",), ("Guten Tag.",)],
        medium=[("Schneider, guten Tag.",), ("Firma Weber, Krause.",), ("Hier ist Petra Schulz.",)],
        long=[("Guten Tag, Autohaus Schneider, Sie sprechen mit Frau Weber, was kann ich für Sie tun?",)],
        twice=[("Hallo?", 1.0, "Wer ist da?"), ("Ja?", 1.1, "Hallo?")],
        greeting=[
            (
                "Guten Tag, Sie haben die Familie Müller erreicht. Wir sind zur Zeit nicht zu Hause. Bitte sprechen Sie nach dem Ton.",
            ),
            (
                "Der gewünschte Gesprächspartner ist zur Zeit nicht erreichbar. Bitte hinterlassen Sie eine Nachricht nach dem Signalton.",
            ),
            ("Herzlich willkommen bei Weber und Söhne. Unser Büro ist leider nicht besetzt.",),
        ],
        brief=[("Bitte sprechen Sie nach dem Ton.",), ("Hier ist die Mailbox von Petra.",)],
    ),
    "es": Texts(
        language="es",
        short=[("¿Diga?",), ("¿Sí?",), ("Hola.",), ("Bueno.",)],
        medium=[("Habla Carlos García.",), ("Buenos días, dígame.",), ("¿Quién habla?",)],
        long=[("Buenos días, clínica García, le atiende Marta, ¿en qué puedo ayudarle?",)],
        twice=[("¿Diga?", 1.0, "¿Quién es?"), ("Hola.", 1.2, "¿Hola?")],
        greeting=[
            ("Hola, este es el contestador de Carlos. Ahora no puedo atenderte. Deja tu mensaje después de la señal.",),
            (
                "El teléfono al que llama está apagado o fuera de cobertura en este momento. Deje su mensaje, por favor.",
            ),
        ],
        brief=[("Deje su mensaje después del tono.",), ("Soy Marta, deja un mensaje.",)],
    ),
}

HELD_OUT: Mapping[str, Texts] = {
    "en": Texts(
        language="en",
        short=[
            ("Hello, hello?",),
            ("Yes, hello?",),
            ("Good day.",),
            ("Hiya.",),
            ("Go ahead.",),
            ("Hello, Emma?",),
            ("Yo.",),
            ("Uh, hello?",),
            ("Good morning.",),
            ("Steven Clarke.",),
            ("Emma speaking.",),
            ("Hello, yes?",),
            ("What?",),
            ("Ya, who's that?",),
            ("George here.",),
            ("'Ello?",),
        ],
        medium=[
            ("Clarke household, Emma speaking.",),
            ("Steven Clarke on the line.",),
            ("Hello, it's George Palmer.",),
            ("Yes, this is she.",),
            ("Marketing, Kate speaking.",),
            ("Palmer's bakery, hello.",),
            ("Hey, who's calling?",),
            ("Front desk, this is Oliver.",),
            ("Kate Jones, can I help?",),
            ("Hi, George speaking.",),
            ("Sorry, who's there?",),
        ],
        long=[
            ("Palmer and Company, good afternoon, you're through to Oliver, how may I direct your call?",),
            ("Marketing department, Kate Jones on the phone, hello.",),
            ("Hello, George Palmer speaking, who's there please?",),
            ("Good day, City Library, Kate at the front desk, what are you looking for?",),
        ],
        twice=[
            ("Hello, yes?", 1.1, "Is anybody on the line?"),
            ("Hiya.", 0.9, "Hello, hello?"),
            ("Good day.", 1.2, "Who's that please?"),
            ("George here.", 1.0, "Sorry, who is it?"),
        ],
        greeting=[
            (
                "Hey there, this is Emma Clarke's phone. I'm probably in a meeting. Drop me a line after the beep and have a nice day.",
            ),
            (
                "Good day, the Palmers are out at present. If you would like us to ring you back, say who you are once you hear the signal.",
            ),
            (
                "The mobile customer you are trying to reach has switched off the handset. Kindly try again later or leave a voice note.",
            ),
            (
                "You're through to the mailbox of",
                0.25,
                "Oliver Jones.",
                0.35,
                "To leave a message, wait for the tone. To page this person, press five.",
            ),
            (
                "City Library is closed today. Books can be returned through the slot by the door. We open again tomorrow at ten.",
            ),
            ("Sorry, Kate can't answer just now.", 0.4, "Tell me what it's about and I'll ring you this evening."),
            (
                "We're unable to connect your call. The subscriber, eight seven three, nine zero two, does not answer. Please speak when prompted.",
            ),
            (
                "Good morning.",
                0.45,
                "This is an automatic service of Palmer and Company. Nobody is here to answer you at this hour.",
            ),
            (
                "Thanks for ringing George's workshop. I'm under a car right now, so tell me your registration and I'll phone back.",
            ),
            (
                "Welcome to the customer line. For English press one. For any other matter stay on the line until somebody is free.",
            ),
        ],
        brief=[
            ("Speak after the signal.",),
            ("Emma's phone, say something nice.",),
            ("Record your message now.",),
            ("George's mailbox.",),
            ("Can't talk, text me instead.",),
        ],
    ),
    "fr": Texts(
        language="fr",
        short=[("Allô?",), ("Oui?",), ("Allô oui.",), ("Bonjour.",)],
        medium=[("Pierre Dubois, bonjour.",), ("Allô, c'est Camille.",), ("Cabinet Moreau, bonjour.",)],
        long=[("Cabinet Moreau bonjour, Camille à votre service, que puis-je faire pour vous?",)],
        twice=[("Allô?", 1.0, "Qui est-ce?"), ("Oui?", 1.2, "Allô, allô?")],
        greeting=[
            (
                "Bonjour, vous êtes bien chez Pierre et Camille. Nous ne sommes pas là pour le moment. Laissez un message après le bip.",
            ),
            (
                "Votre correspondant n'est pas disponible actuellement. Merci de rappeler plus tard ou de laisser un message.",
            ),
        ],
        brief=[("Laissez un message après le bip.",), ("Messagerie de Camille.",)],
    ),
    "it": Texts(
        language="it",
        short=[("Pronto?",), ("Sì?",), ("Pronto, buongiorno.",)],
        medium=[("Casa Rossi, chi parla?",), ("Pronto, sono Giulia Ferrari.",)],
        long=[("Studio Ferrari buongiorno, sono Giulia, come posso esserle utile?",)],
        twice=[("Pronto?", 1.0, "Chi parla?"), ("Sì?", 1.1, "Pronto?")],
        greeting=[
            (
                "Ciao, sono Giulia, in questo momento non posso rispondere. Lasciate un messaggio dopo il segnale acustico.",
            ),
            ("Il cliente da lei chiamato non è al momento raggiungibile. La preghiamo di richiamare più tardi.",),
        ],
        brief=[("Lasciate un messaggio.",), ("Segreteria telefonica di Giulia.",)],
    ),
}
