"""Several images at once under solvers that need each image's own objective: one pass through the encoder for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Condition
from typing import Any, TypeVar

Result = TypeVar('Result')


class Together:
    """Answer the questions of several tasks, each of which runs in a thread of its own and waits for its answers.

    When all tasks that have not ended wait, ``answer`` gets all their questions, in the order of the tasks. So the
    answers do not depend on which thread is faster.

    Args:
        answer: a list of questions, each the tuple of arguments that a task asked with → as many answers.
    """

    def __init__(self, answer: Callable[[list[tuple]], Sequence]) -> None:
        self._answer = answer
        self._running = 0
        self._questions: dict[int, tuple] = {}
        self._answers: dict[int, Any] = {}
        self._failure: BaseException | None = None
        self._turn = Condition()

    def run(self, tasks: Sequence[Callable[[Callable], Result]]) -> list[Result]:
        """Call each task with a function that answers its questions. If one fails, all end."""
        self._running = len(tasks)
        with ThreadPoolExecutor(len(tasks)) as threads:
            results = [threads.submit(self._run, i, task) for i, task in enumerate(tasks)]
            try:
                return [result.result() for result in results]
            except BaseException as error:  # Ctrl-C: else the threads would go on to their ends
                self._fail(error)
                raise

    def _run(self, i: int, task: Callable[[Callable], Result]) -> Result:
        try:
            result = task(partial(self._ask, i))
            with self._turn:
                self._running -= 1
                self._answer_if_all_wait()
            return result
        except BaseException as error:
            self._fail(error)
            raise

    def _ask(self, i: int, *question) -> Any:
        with self._turn:
            self._questions[i] = question
            self._answer_if_all_wait()
            self._turn.wait_for(lambda: i in self._answers or self._failure)
            if self._failure:
                raise self._failure
            return self._answers.pop(i)

    def _answer_if_all_wait(self) -> None:
        if self._questions and len(self._questions) == self._running and not self._failure:
            order = sorted(self._questions)
            answers = self._answer([self._questions[i] for i in order])
            self._answers.update(zip(order, answers))
            self._questions.clear()
            self._turn.notify_all()

    def _fail(self, error: BaseException) -> None:
        with self._turn:
            self._failure = self._failure or error
            self._turn.notify_all()
