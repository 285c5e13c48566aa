"""What a vendor that has OpenAI's audio calls is asked, and what its transcript becomes."""

import json
from collections.abc import AsyncIterator

from core.services import Speech, Transcript, Transcription, Upload
from core.wire.openai_audio.build import Heard, read_heard, speech_body, transcription_fields, transcription_path


class Nothing:
    size = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b""


RECORDING = Upload("a.wav", "audio/wav", Nothing())


def test_speech_says_what_was_said_and_no_more() -> None:
    asked = {"model": "m", "input": "Hello", "voice": "v", "response_format": "mp3"}
    assert json.loads(speech_body(Speech("m", "Hello", "v", "mp3"))) == asked
    tuned = Speech("m", "Hello", "v", "mp3", 1.5, "Whisper.")
    assert json.loads(speech_body(tuned)) == {**asked, "speed": 1.5, "instructions": "Whisper."}


def test_a_recording_goes_with_its_fields() -> None:
    plain = Transcription("m", RECORDING)
    assert transcription_path(plain) == "/audio/transcriptions"
    assert transcription_fields(plain) == {
        "model": "m",
        "response_format": "json",
        "language": None,
        "prompt": None,
        "temperature": None,
    }
    tuned = Transcription("m", RECORDING, "pt", "names", 0.25, translate=True)
    assert transcription_path(tuned) == "/audio/translations"
    assert transcription_fields(tuned)["temperature"] == "0.25"


def test_a_transcript_tells_what_the_vendor_told() -> None:
    assert read_heard(Heard("Hi"), Transcription("m", RECORDING)) == Transcript("Hi")
    told = read_heard(Heard("Hi", "en", 1.5), Transcription("m", RECORDING, translate=True))
    assert told == Transcript("Hi", "en", 1.5, translated=True)
