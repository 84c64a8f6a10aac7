"""Score the options of multiple-choice questions with a generative model of transformers.

One forward pass, without a cache, gives the log-probabilities of options of one token; options of
several tokens take a pass each. Rows are padded on the right, and logits are taken where a row
ends, so that neither padding nor the other rows of a batch can change a score.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from vlmsel.errors import ModelError, first_line
from vlmsel.settings import NO_OPTION
from vlmsel.zoo.choices import ChoicePrompt, ChoiceScores, Preparation
from vlmsel.zoo.providers.commentary import quiet_transformers
from vlmsel.zoo.providers.option_tokens import OptionTokens, UnusableOptionsError, place_options

# Questions in one forward pass, and of a model of so few parameters.
ROWS = {"cpu": 8, "cuda": 32}
SMALL, SMALL_ROWS = 20_000_000, 64
# Prompts whose options' tokens are remembered: many items of a task ask the same.
REMEMBERED = 1024
NEW_TOKENS = 16
# Of what a library says; some repeat whole arrays.
LONGEST_MESSAGE = 300
# What a tokenizer or a configuration says that knows no limit.
NO_LIMIT = 10_000_000
TRIED, TRIED_SIZE = ChoicePrompt("a", ("a", "b")), (48, 32)
# Of a processor's output: no input of a forward pass without a loss.
NO_INPUTS = ("labels",)
# What code of a library raises on inputs that do not fit it.
PROCESS_ERRORS = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError),
    *(RuntimeError, OSError, NotImplementedError, ZeroDivisionError),
)


@dataclass(frozen=True)
class _Row:
    """One question in tokens.

    Attributes:
        place: its number.
        ids: tokens of the prompt, with those that all options share.
        extra: by name, further values per token, such as their type.
        options: tokens of each option.
    """

    place: int
    ids: list[int]
    extra: dict[str, list[int]]
    options: tuple[tuple[int, ...], ...]


@dataclass
class OptionBatch:
    """Questions that go through the model together; see `vlmsel.zoo.choices.ChoiceBatch`."""

    scorer: "ChoiceScorer"
    rows: list[_Row]
    pictures: dict[str, Tensor]
    n_options: int
    _seen: dict[int, Tensor] = field(default_factory=dict)

    @property
    def places(self) -> Sequence[int]:
        """Numbers of its questions."""
        return [row.place for row in self.rows]

    @property
    def is_single(self) -> bool:
        """True if every option is one token, so that one pass scores all."""
        return all(len(option) == 1 for row in self.rows for option in row.options)

    @property
    def n_passes(self) -> int:
        """Number of forward passes that score all options."""
        return 1 if self.is_single else max(len(row.options) for row in self.rows)

    def run(self, number: int) -> Tensor:
        """One forward pass: (questions, K), log-probabilities of its options and 0 elsewhere."""
        log_p = self.scorer.log_softmax(self.rows, [self._tail(r, number) for r in self.rows], self)
        found = log_p[0].new_zeros(len(self.rows), self.n_options)
        if self.is_single:
            found[:] = NO_OPTION
        elif number == 0:
            # Of no pass is what none of these questions has.
            found[:, self.n_passes :] = NO_OPTION
        for place, (row, values) in enumerate(zip(self.rows, log_p, strict=True)):
            if self.is_single:
                first = torch.tensor([option[0] for option in row.options], device=values.device)
                found[place, : len(first)] = values[0, first]
            elif number < len(row.options):
                option = torch.tensor(row.options[number], device=values.device)
                found[place, number] = values.gather(1, option[:, None]).sum()
            else:
                found[place, number] = NO_OPTION
            self._seen.setdefault(row.place, self._share_outside(row, values[0]))
        return found

    @property
    def outside(self) -> dict[int, float]:
        """Probability that the first token is none of the options', by place, once it has run."""
        return {place: float(value) for place, value in self._seen.items()}

    def _tail(self, row: _Row, number: int) -> tuple[int, ...]:
        """Tokens after the prompt: an option's, but for its last, whose successor is not asked."""
        option = row.options[0 if self.is_single else min(number, len(row.options) - 1)]
        return option[:-1]

    @staticmethod
    def _share_outside(row: _Row, first: Tensor) -> Tensor:
        ids = torch.tensor(sorted({option[0] for option in row.options}), device=first.device)
        return 1.0 - first[ids].logsumexp(0).exp()


class ChoiceScorer:
    """Scores options with a model and its processor; a `vlmsel.zoo.choices.ChoiceModel`.

    Args:
        name: of the model, for messages.
        model: of `AutoModelForImageTextToText`, in eval mode.
        processor: of `AutoProcessor`.
        device: of the model.
    """

    def __init__(self, name: str, model: Any, processor: Any, device: torch.device) -> None:
        self._name = name
        self._model = model
        self._processor = processor
        self._tokenizer = processor.tokenizer
        self._device = device
        self._length = _context(model.config, self._tokenizer)
        # Of a generated token: PaliGemma tells its prompt, which sees itself whole, by 0.
        self._answer_type = 1 if model.config.model_type == "paligemma" else 0
        self._placed: dict[tuple[str, tuple[str, ...], bool], tuple[list[int], OptionTokens]] = {}
        n_parameters = sum(parameter.numel() for parameter in model.parameters())
        usual = ROWS.get(device.type, ROWS["cpu"])
        self._n_rows = SMALL_ROWS if n_parameters < SMALL else usual
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token or self._tokenizer.unk_token

    def __call__(
        self, pictures: Sequence[Image.Image], choices: Sequence[ChoicePrompt]
    ) -> ChoiceScores:
        """Score the options of each question about its picture."""
        n_options = max((len(choice.options) for choice in choices), default=0)
        found = torch.full((len(choices), n_options), float("nan"))
        outside = torch.full((len(choices),), float("nan"))
        prepared = self.prepare(pictures, choices)
        with torch.inference_mode():
            for batch in prepared.batches:
                with self.share_pictures():
                    scores = sum(batch.run(number) for number in range(batch.n_passes))
                found[batch.places] = torch.as_tensor(scores).float().cpu()
                for place, value in batch.outside.items():
                    outside[place] = value
        lengths = torch.ones(found.shape)
        for place, choice in enumerate(choices):
            for number, option in enumerate(choice.options):
                lengths[place, number] = max(1, len(option))
        return ChoiceScores(found, found / lengths, outside, prepared.failures)

    def answer(
        self, pictures: Sequence[Image.Image], choices: Sequence[ChoicePrompt]
    ) -> tuple[list[str], dict[int, str]]:
        """Generate greedy answers of at most 16 tokens, one question after the other.

        Returns:
            Texts, and failures by number with the reason.
        """
        texts = [""] * len(choices)
        failures: dict[int, str] = {}
        for place, (picture, choice) in enumerate(zip(pictures, choices, strict=True)):
            if not self._check_text(choice, place, failures):
                continue
            try:
                with quiet_transformers():
                    inputs = self.process_one(picture, choice)
            except PROCESS_ERRORS as error:
                failures[place] = f"its processor fails on it: {first_line(error, LONGEST_MESSAGE)}"
                continue
            n_tokens = inputs["input_ids"].shape[1]
            if n_tokens + NEW_TOKENS > self._length:
                failures[place] = _explain_too_long(n_tokens + NEW_TOKENS, self._length)
                continue
            with torch.inference_mode(), quiet_transformers():
                output = self._model.generate(
                    **inputs,
                    max_new_tokens=NEW_TOKENS,
                    do_sample=False,
                    num_beams=1,
                    pad_token_id=self._tokenizer.pad_token_id or 0,
                )
            new = output[0, n_tokens:]
            texts[place] = self._tokenizer.decode(new, skip_special_tokens=True).strip()
        return texts, failures

    def prepare(
        self, pictures: Sequence[Image.Image], choices: Sequence[ChoicePrompt]
    ) -> Preparation:
        """Inputs of forward passes that can be repeated with layers silenced."""
        failures: dict[int, str] = {}
        return Preparation(self._portions(pictures, choices, failures), failures)

    def _portions(
        self,
        pictures: Sequence[Image.Image],
        choices: Sequence[ChoicePrompt],
        failures: dict[int, str],
    ) -> Iterator[OptionBatch]:
        """Batches one after the other, so that the pictures of one are on the device at a time."""
        n_options = max((len(choice.options) for choice in choices), default=0)
        for first in range(0, len(choices), self._n_rows):
            places = list(range(first, min(first + self._n_rows, len(choices))))
            # A text that is too long is said there, too.
            with quiet_transformers():
                found = list(self._batches(pictures, choices, places, failures))
            for batch in found:
                batch.n_options = n_options
                yield batch

    def process_one(self, picture: Image.Image, choice: ChoicePrompt) -> dict[str, Tensor]:
        """Inputs of one question, as the processor gives them."""
        found = self._process([self.render(choice.prompt)], [picture])
        return {name: value.to(self._device) for name, value in found.items()}

    def try_out(self) -> None:
        """One forward pass on a plain picture, to see whether model and processor fit."""
        inputs = self.process_one(Image.new("RGB", TRIED_SIZE, (120, 60, 200)), TRIED)
        with torch.inference_mode():
            self._model(**inputs, use_cache=False, logits_to_keep=1)

    @contextmanager
    def share_pictures(self) -> Iterator[None]:
        """Encode the pictures of a batch once, in the first of several forward passes."""
        core = self._model.model
        encode, kept = core.get_image_features, []

        def repeat(*args: Any, **kwargs: Any) -> Any:
            if not kept:
                kept.append(encode(*args, **kwargs))
            return kept[0]

        core.get_image_features = repeat
        try:
            yield
        finally:
            del core.get_image_features

    def log_softmax(
        self, rows: Sequence[_Row], tails: Sequence[Sequence[int]], batch: OptionBatch
    ) -> list[Tensor]:
        """Log-probabilities of the token after the prompt, and after each token of the tail.

        Returns:
            Per row, (1 + tokens of its tail, vocabulary), float32.
        """
        ids, more = self._pad(rows, tails)
        wanted = [
            range(len(row.ids) - 1, len(row.ids) + len(tail))
            for row, tail in zip(rows, tails, strict=True)
        ]
        positions = sorted({place for places in wanted for place in places})
        logits = self._model(
            input_ids=ids,
            **more,
            **batch.pictures,
            use_cache=False,
            logits_to_keep=torch.tensor(positions, device=self._device),
        ).logits
        column = {position: number for number, position in enumerate(positions)}
        return [
            logits[number, [column[place] for place in places]].float().log_softmax(-1)
            for number, places in enumerate(wanted)
        ]

    def _pad(
        self, rows: Sequence[_Row], tails: Sequence[Sequence[int]]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Token ids of prompts with tails, filled up on the right, and all that is per token."""
        full = [[*row.ids, *tail] for row, tail in zip(rows, tails, strict=True)]
        width = max(map(len, full))
        pad = self._tokenizer.pad_token_id or 0
        ids = [line + [pad] * (width - len(line)) for line in full]
        more = {"attention_mask": [[1] * len(line) + [0] * (width - len(line)) for line in full]}
        for name in rows[0].extra:
            more[name] = [
                row.extra[name] + [self._answer_type] * (width - len(row.extra[name]))
                for row in rows
            ]
        tensors = {name: torch.tensor(value, device=self._device) for name, value in more.items()}
        return torch.tensor(ids, device=self._device), tensors

    def _batches(
        self,
        pictures: Sequence[Image.Image],
        choices: Sequence[ChoicePrompt],
        places: list[int],
        failures: dict[int, str],
    ) -> Iterator[OptionBatch]:
        """Questions together, or each alone where a picture cannot be processed."""
        usable = [place for place in places if self._check_text(choices[place], place, failures)]
        if not usable:
            return
        try:
            yield from self._batch_together(pictures, choices, usable, failures)
        except PROCESS_ERRORS as error:
            if len(usable) == 1:
                failures[usable[0]] = (
                    f"its processor fails on it: {first_line(error, LONGEST_MESSAGE)}"
                )
                return
            for place in usable:
                yield from self._batches(pictures, choices, [place], failures)

    def _batch_together(
        self,
        pictures: Sequence[Image.Image],
        choices: Sequence[ChoicePrompt],
        places: list[int],
        failures: dict[int, str],
    ) -> Iterator[OptionBatch]:
        texts = [self.render(choices[place].prompt) for place in places]
        found = dict(self._process(texts, [pictures[place] for place in places]))
        ids, mask = found.pop("input_ids"), found.pop("attention_mask").bool()
        extra = {name: value for name, value in found.items() if value.shape == ids.shape}
        inputs = {
            name: value.to(self._device) for name, value in found.items() if name not in extra
        }
        rows: list[_Row] = []
        for number, place in enumerate(places):
            per_token = {n: v[number][mask[number]].tolist() for n, v in extra.items()}
            row = _Row(place, ids[number][mask[number]].tolist(), per_token, ())
            try:
                rows.append(self._append_options(row, texts[number], choices[place]))
            except UnusableOptionsError as error:
                failures[place] = str(error)
        if len(rows) == len(places):
            yield OptionBatch(self, rows, inputs, 0)
        elif rows:
            # Which of a batch's pictures are whose only the processor knows.
            yield from self._batch_together(
                pictures, choices, [row.place for row in rows], failures
            )

    def _process(self, texts: list[str], pictures: list[Image.Image]) -> Any:
        bos = self._tokenizer.bos_token
        # A template may begin with what the tokenizer adds.
        more = {"add_special_tokens": False} if bos and texts[0].startswith(bos) else {}
        output = self._processor(
            text=texts,
            images=[[picture] for picture in pictures],
            padding=True,
            return_tensors="pt",
            **more,
        )
        return {
            name: value
            for name, value in output.items()
            if isinstance(value, Tensor) and name not in NO_INPUTS
        }

    def render(self, prompt: str) -> str:
        """The prompt as the processor takes it: by its chat template, where it has one."""
        if self._processor.chat_template or getattr(self._tokenizer, "chat_template", None):
            content = [{"type": "image"}, {"type": "text", "text": prompt}]
            return self._processor.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True
            )
        return f"{self._image_token}\n{prompt}"

    @property
    def _image_token(self) -> str:
        return getattr(self._processor, "image_token", None) or "<image>"

    def _check_text(self, choice: ChoicePrompt, place: int, failures: dict[int, str]) -> bool:
        text = " ".join((choice.prompt, *choice.options))
        if self._image_token in text:
            failures[place] = (
                f"its text holds the model's own word for a picture, {self._image_token}"
            )
        return place not in failures

    def _append_options(self, row: _Row, text: str, choice: ChoicePrompt) -> _Row:
        """The row with the tokens of its options.

        Raises:
            UnusableOptionsError: two are alike, one is unknown, or all is longer than the context.
            ModelError: the processor ends prompts otherwise than its tokenizer does.
        """
        prompt, found = self._place(self._process_text(row.ids, text), choice)
        kept = len(row.ids) - found.n_dropped
        if row.ids[kept:] != prompt[len(prompt) - found.n_dropped :]:
            raise UnusableOptionsError("its tokenizer joins the options with the picture's tokens")
        ids = [*row.ids[:kept], *found.shared]
        n_tokens = len(ids) + max(map(len, found.options)) - 1
        if n_tokens > self._length:
            raise UnusableOptionsError(_explain_too_long(n_tokens, self._length))
        extra = {
            name: [*values[:kept], *[self._answer_type] * len(found.shared)]
            for name, values in row.extra.items()
        }
        return replace(row, ids=ids, extra=extra, options=found.options)

    def _place(self, text: str, choice: ChoicePrompt) -> tuple[list[int], OptionTokens]:
        """Tokens of a prompt, and of its options in place."""
        key = (text, choice.options, choice.whole)
        if key not in self._placed:
            gap = "" if text[-1:].isspace() else " "
            prompt = self._encode(text)
            answered = [self._encode(f"{text}{gap}{option}") for option in choice.options]
            found = place_options(prompt, answered, choice.options, whole=choice.whole)
            self._check_known(found, choice)
            if len(self._placed) >= REMEMBERED:
                self._placed.clear()
            self._placed[key] = prompt, found
        return self._placed[key]

    def _check_known(self, found: OptionTokens, choice: ChoicePrompt) -> None:
        unknown = self._tokenizer.unk_token_id
        for option, tokens in zip(choice.options, found.options, strict=True):
            if unknown is not None and unknown in tokens:
                raise UnusableOptionsError(f"option '{option[:80]}' is unknown to its tokenizer")

    def _process_text(self, ids: list[int], text: str) -> str:
        """The prompt's text with what the processor itself puts after it (PaliGemma: a newline)."""
        for ended in (text, f"{text}\n"):
            tokens = self._encode(ended)
            if tokens and tokens[-1] == ids[-1]:
                return ended
        word = self._tokenizer.convert_ids_to_tokens(ids[-1])
        raise ModelError(
            f"{self._name}: its processor puts {word} after a prompt, where the answer is to come: "
            "the processor in its folder does not fit a model that generates"
        )

    def _encode(self, text: str) -> list[int]:
        return self._tokenizer(text, add_special_tokens=False)["input_ids"]


def _context(config: Any, tokenizer: Any) -> int:
    """Tokens of a prompt: as many as there are positions, and as the tokenizer says."""
    text = config.get_text_config()
    limits = [getattr(text, "max_position_embeddings", None), tokenizer.model_max_length]
    return min((int(n) for n in limits if n and 0 < n < NO_LIMIT), default=NO_LIMIT)


def _explain_too_long(n_tokens: int, length: int) -> str:
    return (
        f"the question takes {n_tokens} tokens with its picture and answer, and the model reads "
        f"{length}"
    )
