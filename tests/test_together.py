"""Tasks whose questions are answered together: order, failures, tasks of different length."""

import threading
import time

import pytest

from mmseg_adapt.style.together import Together


def asking(numbers, pause=0.0):
    def task(ask):
        answers = []
        for number in numbers:
            time.sleep(pause)
            answers.append(ask(number))
        return answers

    return task


def test_all_questions_of_a_turn_are_answered_at_once_in_the_order_of_the_tasks():
    turns = []

    def squares(questions):
        turns.append([q for (q,) in questions])
        return [q * q for (q,) in questions]

    tasks = [asking([1, 2, 3], pause=0.02), asking([4]), asking([5, 6], pause=0.005), asking([])]
    assert Together(squares).run(tasks) == [[1, 4, 9], [16], [25, 36], []]
    assert turns == [[1, 4, 5], [2, 6], [3]]


def failing(message):
    def task(ask):
        ask(1)
        raise RuntimeError(message)

    return task


@pytest.mark.parametrize(
    'tasks, answer',
    [
        ([asking(range(1000)), failing('broken'), asking(range(1000))], list),
        ([asking(range(1000)), asking(range(3))], lambda questions: [1 / (q - 2) for (q,) in questions]),
        ([asking([2, 2, 2]), asking([2])], lambda questions: [1 / (len(questions) - 1) for _ in questions]),
    ],
    ids=['a task', 'an answer to all', 'an answer after a task ended'],
)
def test_a_failure_ends_all_tasks(tasks, answer):
    before = threading.active_count()
    with pytest.raises((RuntimeError, ZeroDivisionError)):
        Together(answer).run(tasks)
    assert threading.active_count() <= before
