"""The model's thread: step by step it reads prompts, decodes, and sends what was drawn.

Sequences join and leave between steps. What goes wrong with one request ends that request; only a
decode that llama.cpp itself fails ends the process, as its state can't be trusted any more.
"""

import time
from collections.abc import Callable
from typing import NoReturn

from mesh.errors import ContextOverflow, InternalError, MeshError, NodeLost
from node_agent.engine.abort import Aborted
from node_agent.engine.chunks import ChunkSizer
from node_agent.engine.held_prefixes import HeldPrefixes
from node_agent.engine.inbox import Inbox, Prepared
from node_agent.engine.llama import DecodeError, Llama, NoRoom
from node_agent.engine.messages import (
    Cancelled,
    Complaint,
    Failed,
    FromEngine,
    Prefixes,
    Produced,
    Saved,
)
from node_agent.engine.pace import Pace
from node_agent.engine.prompts import whereabouts
from node_agent.engine.proof import Plan
from node_agent.engine.scheduler import Admitted, Chunk, Decode, Held, Scheduler, Sequence, Step
from node_agent.engine.sequence import Answer
from node_agent.engine.warm_folder import WarmPlace
from node_agent.engine.warm_slots import WarmSlots

Send = Callable[[FromEngine], None]


class StepLoop:
    """Answers what comes through the inbox, as many at a time as the model has slots."""

    def __init__(  # noqa: PLR0913 - its neighbours
        self,
        llama: Llama,
        plan: Plan,
        pace: Pace,
        inbox: Inbox,
        send: Send,
        *,
        keep: WarmPlace | None = None,
    ) -> None:
        """``keep``: where the slots are saved; None: nowhere."""
        self._llama = llama
        self._pace = pace
        self._inbox = inbox
        self._send = send
        self._scheduler = Scheduler(llama.slots, ChunkSizer(), pair_rows=plan.pair_rows)
        self._prefixes = HeldPrefixes(self._scheduler.slots)
        self._warm: WarmSlots | None = None
        if keep is not None:
            slots = self._scheduler.slots
            self._warm = WarmSlots(
                llama, slots, self._prefixes, keep, complain=lambda why: send(Complaint(why))
            )
        self._answers: dict[int, Answer] = {}

    def run(self) -> NoReturn:
        """Work until the process ends.

        Raises:
            DecodeError: llama.cpp failed; every request was told.
        """
        while True:
            self.turn()

    def turn(self) -> None:
        """Hear what is new, waiting for it if there is nothing to do, and take one step.

        Raises:
            DecodeError: as ``run``.
        """
        self._hear()
        while (admitted := self._scheduler.admit()) is not None:
            self._begin(admitted)
        step = self._scheduler.next_step()
        if step is None:
            return
        try:
            self._take(step)
        except DecodeError as failure:
            for number in list(self._answers):
                self._end(number, Failed(number, NodeLost(str(failure))))
            raise

    def _hear(self) -> None:
        idle = not len(self._scheduler)
        # Whoever asks does not wait for a file that another one may want.
        restoring = self._warm is not None and self._inbox.quiet and self._warm.restore_next()
        self._tell_prefixes(idle=idle)
        wait_s = self._prefixes.wait_s(time.monotonic())
        prepared, cancelled = self._inbox.news(wait=idle and not restoring, timeout_s=wait_s)
        if idle:
            self._pace.resume()
        if self._inbox.take_save():
            self._save()
        for request in prepared:
            self._add(request)
        for number in cancelled:
            if number in self._answers:
                self._end(number, Cancelled(number))

    def _tell_prefixes(self, *, idle: bool) -> None:
        held = self._prefixes.news(time.monotonic(), idle=idle)
        if held is not None:
            self._send(Prefixes(held))

    def _save(self) -> None:
        if self._warm is not None:
            self._warm.save()
        self._send(Saved())

    def _add(self, request: Prepared) -> None:
        number, prompt = request.number, request.prompt
        if isinstance(prompt, MeshError):
            self._refuse(number, prompt)
            return
        try:
            answer = Answer(self._llama, request.work, prompt)
        except MeshError as failure:
            self._refuse(number, failure)
            return
        except Exception as failure:  # a bug of ours ends the request, not the process
            self._refuse(number, InternalError(whereabouts(failure)))
            return
        if answer.over:
            self._conclude(number, answer)
            return
        self._answers[number] = answer
        if self._warm is not None:
            self._warm.restore_for(answer.held_ids)
        self._scheduler.add(number, self._held(answer))

    def _conclude(self, number: int, answer: Answer) -> None:
        """It was whole when it was cut, and only its end was not heard."""
        answer.close()
        self._inbox.ended(number)
        for event in (answer.started(0), answer.rest(), answer.finished()):
            if event is not None:
                self._send(Produced(number, event))

    def _refuse(self, number: int, failure: MeshError) -> None:
        self._inbox.ended(number)
        self._send(Failed(number, failure))

    def _begin(self, admitted: Admitted) -> None:
        """Make the slot's memory what the scheduler takes it for, as far as it can be made so."""
        sequence, place = admitted.sequence, admitted.place
        if place.copy_from is not None:
            self._llama.copy(place.copy_from.index, place.slot.index)
        kept = self._llama.truncate(place.slot.index, place.kept)
        if kept != place.kept:
            self._scheduler.keep(sequence, admitted.held, kept)
        answer = self._answers[sequence.number]
        self._prefixes.placed(place.slot, answer.chain, kept=kept, source=place.copy_from)
        if not answer.begun:
            self._send(Produced(sequence.number, answer.started(kept)))

    def _take(self, step: Step) -> None:
        if isinstance(step, Chunk):
            self._read(step)
            return
        sequences = [each for each in step.sequences if each is not None]
        duration_s = self._decode(step, sequences, last=True)
        if duration_s is None:
            return
        for slot in (row.slot for row, of in zip(step.rows, step.sequences, strict=True) if not of):
            held = self._scheduler.slots[slot].held
            kept = self._llama.truncate(slot, len(held))
            assert kept == len(held), "a companion's slot has lost more than its row"
        for row, sequence in enumerate(step.sequences):
            if sequence is None:
                continue
            if sequence.drawn is None:
                self._draw(sequence, row)
            else:  # it was said before the answer was cut
                self._answers[sequence.number].read(duration_s)

    def _read(self, chunk: Chunk) -> None:
        duration_s = self._decode(chunk, [chunk.sequence], last=chunk.last)
        if duration_s is None:
            return
        self._answers[chunk.sequence.number].read(duration_s)
        if chunk.last:
            self._draw(chunk.sequence, len(chunk.rows) - 1)

    def _decode(self, step: Step, sequences: list[Sequence], *, last: bool) -> float | None:
        """Carry a step out; return its duration in seconds, None if all of it was cancelled."""
        self._inbox.begin_step({sequence.number for sequence in sequences})
        self._llama.use_threads(self._pace.threads())
        began_s = time.monotonic()
        try:
            self._llama.decode(step.rows, logits=isinstance(step, Decode), last=last)
        except (Aborted, NoRoom) as failure:
            for slot in {row.slot for row in step.rows}:  # it may hold some of the step
                held = self._scheduler.slots[slot].held
                del held[self._llama.truncate(slot, len(held)) :]
            if isinstance(failure, NoRoom):
                self._make_room(sequences)
            return None
        duration_s = time.monotonic() - began_s
        self._scheduler.done(step, duration_s)
        return duration_s

    def _make_room(self, wanting: list[Sequence]) -> None:
        """Forget what nobody uses; if there is no such thing, let somebody wait."""
        scheduler = self._scheduler
        idle = [slot for slot in scheduler.slots if slot.held and not slot.busy]
        for slot in idle:
            self._llama.truncate(slot.index, 0)
            slot.held.clear()
        if idle:
            return
        last = scheduler.last_admitted()
        if last is None:
            failure = ContextOverflow(
                "the model's memory has no room for more of this conversation",
                hint="shorten the prompt, or use a machine with more memory",
            )
            self._end(wanting[0].number, Failed(wanting[0].number, failure))
            return
        self._llama.truncate(last.slot.index, 0)
        scheduler.preempt(last.number, self._held(self._answers[last.number]))

    def _held(self, answer: Answer) -> Held:
        return Held(answer.held_ids, answer.prompt_tokens)

    def _draw(self, sequence: Sequence, row: int) -> None:
        number = sequence.number
        answer = self._answers[number]
        try:
            delta = answer.draw(row)
        except MeshError as failure:
            self._end(number, Failed(number, failure))
            return
        except Exception as failure:  # a bug of ours ends the request, not the process
            self._end(number, Failed(number, InternalError(whereabouts(failure))))
            return
        if delta is not None:
            self._send(Produced(number, delta))
        if answer.next_token is None:
            self._end(number, Produced(number, answer.finished()))
        else:
            self._scheduler.draw(sequence, answer.next_token)

    def _end(self, number: int, last: FromEngine) -> None:
        """Free the slot, then tell: whoever hears it may ask again at once."""
        self._scheduler.remove(number)
        self._answers.pop(number).close()
        self._inbox.ended(number)
        self._send(last)
