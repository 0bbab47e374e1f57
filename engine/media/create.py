"""The parts of media, out of the configuration; for the engine and for the command line."""

from engine.config import Config
from engine.media.library.library import Library
from engine.media.library.port import MediaTable
from engine.media.objects.local import LocalObjects
from engine.media.objects.port import Objects
from engine.media.objects.s3 import S3Objects
from engine.media.stt.jobs import Transcriptions
from engine.media.stt.port import TranscriptTable
from engine.media.stt.process import ProcessRecogniser


def library(config: Config, table: MediaTable) -> Library:
    folder = config.media.folder or config.state / "media"
    return Library(table, folder, config.media.sounds or folder, config.media.longest, config.http.max_upload)


def objects(config: Config) -> Objects:
    return S3Objects(config.bucket) if config.bucket else LocalObjects(config.objects)


def transcriptions(config: Config, table: TranscriptTable) -> Transcriptions:
    return Transcriptions(table, ProcessRecogniser(config.stt), config.recordings, config.engine_id)
