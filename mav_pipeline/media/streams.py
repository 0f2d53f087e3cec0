"""Opening a video: the stream that ffmpeg picks, read without holding the file in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition

from mav_pipeline.media.orientation import Orientations
from mav_pipeline.schema import Frame
from mav_pipeline.schema.content import Content, open_content
from mav_pipeline.schema.errors import VideoError

# ffmpeg's own weights (open_output_file and map_auto_video in fftools): a stream that is marked as
# the default one beats others of up to 5 million more pixels, one with packets all that have none.
_DEFAULT, _HAS_PACKETS = 5_000_000, 100_000_000
_COVER = 1  # the score of a picture that is attached: whatever else there is comes first
_PROBED = 5_000_000  # bytes in which ffmpeg looks for packets: its ``probesize``
#: Formats of which the scaler takes chroma as it lies, without a look at where that is.
_DIRECT = frozenset({"yuv420p", "yuvj420p", "yuva420p", "yuv422p", "yuvj422p"})
_READ_SIZE = 1 << 18  # bytes a read; each is a call of Python


class OpenVideo:
    """A container and the one stream of it that is looked at.

    Attributes:
        container, stream, context: PyAV's; the context is the stream's decoder. Any, for PyAV's
            types are partial.
    """

    def __init__(self, container: InputContainer, stream: Any) -> None:
        self.container, self.stream, self.context = container, stream, stream.codec_context
        self._orientations = Orientations()

    def packets(self) -> Iterator[Any]:
        """The stream's packets as they lie in the file, and an empty one that flushes.

        Other empty ones (a frame that is shown again, in some AVI and Ogg files) are passed over,
        as ffmpeg does.
        """
        packet: Any = None
        for packet in self.container.demux(self.stream):
            if packet.size:
                yield packet
        if packet is not None:
            yield packet

    def frames(self) -> Iterator[av.VideoFrame]:
        """All frames in the order in which they are shown."""
        for packet in self.packets():
            yield from packet.decode()

    def shape(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Height and width of one of its frames as displayed. Raises VideoError (``rotation``)."""
        return self._orientations.of(frame).shape(frame.height, frame.width)

    def rgb(self, frame: av.VideoFrame, size: tuple[int, int] | None = None) -> Frame:
        """One of its frames as displayed, (H, W, 3) RGB.

        Args:
            size: the height and width wanted, brought to by area; None: as they are.

        Raises:
            VideoError: ``rotation``, it is turned by no right angle.
        """
        lies = self._orientations.of(frame)
        stored = (frame.height, frame.width) if size is None else lies.shape(*size)
        return lies.apply(_rgb(frame, *stored))


def _rgb(frame: av.VideoFrame, height: int, width: int) -> Frame:
    same = (height, width) == (frame.height, frame.width)
    if frame.interlaced_frame or (same and frame.format.name not in _DIRECT):
        frame = _as_ffmpeg_takes_it(frame)
    out = frame.reformat(
        width=width,
        height=height,
        format="rgb24",
        interpolation="BICUBIC" if same else "AREA",
        threads=1,
    )
    return np.asarray(out.to_ndarray(), dtype=np.uint8)


def _as_ffmpeg_takes_it(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame without its word on fields and on where chroma lies.

    ffmpeg heeds neither unless told to; the scaler alone would scale each field by itself, and
    shift chroma by up to a pixel.
    """
    graph = av.filter.Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1)
    )
    plain = graph.add("setparams", "field_mode=prog:chroma_location=unspecified")
    graph.link_nodes(source, plain, graph.add("buffersink")).configure()
    graph.push(frame)
    pulled: Any = graph.pull()
    return pulled  # type: ignore[no-any-return]


@contextlib.contextmanager
def faults() -> Iterator[None]:
    """Turns what FFmpeg raises into a ``VideoError``, ``corrupt``."""
    try:
        yield
    except (av.FFmpegError, UnicodeDecodeError) as error:
        # without the name of the file, with which the text of FFmpeg's errors ends
        cause = getattr(error, "strerror", None) or error
        raise VideoError("corrupt", f"the video cannot be decoded: {cause}") from error


@contextlib.contextmanager
def open_video(content: Content, *, format: str | None = None) -> Iterator[OpenVideo]:
    """Opens the stream that ffmpeg picks.

    One thread decodes it, so that neither pixels nor a worker's share of the CPU depend on the
    machine.

    Args:
        format: the container's, where it must be one; otherwise it is told from the content.

    Raises:
        VideoError: ``no_video``, or ``corrupt``; what is done in the ``with`` raises it too.
        OSError: the content cannot be read.
    """
    with faults(), _opened(content, format) as container:
        if not container.streams.video:
            raise VideoError("no_video", "the file has no video stream")
        stream: Any = container.streams.video[0]
        if len(container.streams.video) > 1:
            stream = container.streams[_picked(content, format)]
        if stream.codec_context is None:
            raise VideoError("corrupt", "the video's codec is not known")
        stream.codec_context.thread_count = 1
        yield OpenVideo(container, stream)


@contextlib.contextmanager
def _opened(content: Content, format: str | None) -> Iterator[InputContainer]:
    with (
        open_content(content) as file,
        av.open(
            file, mode="r", format=format, metadata_errors="ignore", buffer_size=_READ_SIZE
        ) as container,
    ):
        yield container


def _picked(content: Content, format: str | None) -> int:
    """The number of the stream that ffmpeg would take, of several with video.

    That is the one of the most pixels, as its ``map_auto_video`` counts them.
    """
    with _opened(content, format) as container:
        videos = {stream.index: stream for stream in container.streams.video}
        waiting, read = set(videos), 0
        for packet in container.demux():
            if packet.size:
                waiting.discard(packet.stream_index)
            read += packet.size
            if read > _PROBED or not waiting:
                break
        scores = {
            number: _score(stream, number not in waiting) for number, stream in videos.items()
        }
    return max(scores, key=lambda number: (scores[number], -number))


def _score(stream: Any, has_packets: bool) -> int:
    if stream.codec_context is None:
        return 0
    if stream.disposition & Disposition.attached_pic:
        return _COVER
    pixels = stream.codec_context.width * stream.codec_context.height
    default = bool(stream.disposition & Disposition.default)
    return int(pixels + _DEFAULT * default + _HAS_PACKETS * has_packets)
