"""What goes to a vendor that has OpenAI's audio calls, and the transcript that comes back."""

from msgspec import Struct, json

from core.services import Speech, Transcript, Transcription


class Heard(Struct, frozen=True):
    """A transcript as it came; the format asked for has the text alone, some vendors tell more."""

    text: str
    language: str | None = None
    duration: float | None = None


def speech_body(speech: Speech) -> bytes:
    """Return the body of `/audio/speech`."""
    tuning = {"speed": speech.speed, "instructions": speech.instructions}
    return json.encode(
        {
            "model": speech.model,
            "input": speech.text,
            "voice": speech.voice,
            "response_format": speech.format,
            **{name: value for name, value in tuning.items() if value is not None},
        }
    )


def transcription_path(transcription: Transcription) -> str:
    return "/audio/translations" if transcription.translate else "/audio/transcriptions"


def transcription_fields(transcription: Transcription) -> dict[str, str | None]:
    """Return the text fields of the form."""
    temperature = transcription.temperature
    return {
        "model": transcription.model,
        "response_format": "json",
        "language": transcription.language,
        "prompt": transcription.prompt,
        "temperature": None if temperature is None else f"{temperature:g}",
    }


def read_heard(heard: Heard, transcription: Transcription) -> Transcript:
    """Return what was said; a translation is in English."""
    return Transcript(heard.text, heard.language, heard.duration, translated=transcription.translate)
