"""Every task's two programs agree: what one makes, the other finds right, and nothing else."""

from itertools import pairwise
from random import Random

import pytest

from models.tasks import TASKS, Task
from models.tasks.task import HELD_OUT_ONE_IN

SAMPLES = 500

EXAMPLE_ANSWERS = {
    "address_in_subnet": "yes",
    "count": " ".join(map(str, range(1, 61))),
    "count_letter": "3",
    "difference_2_digits": "36",
    "error_line": "2",
    "file_mode": "risky",
    "firewall_rule": "risky",
    "hash_kind": "md5",
    "leaking_line": "3",
    "log_host": "edge-3",
    "log_severity": "warning",
    "network_address": "10.3.0.0",
    "network_address_bits": "10.3.64.0",
    "next_hop": "gw2",
    "next_periodic": "9",
    "next_seasonal": "29",
    "next_step": "19",
    "odd_value": "75",
    "password": "risky",
    "private_address": "private",
    "product_2_digits": "1786",
    "product_by_digit": "2688",
    "reverse_word": "hsem",
    "server_errors": "2",
    "shift_letters": "phvk",
    "slow_request": "/login",
    "sort_letters": "ehms",
    "sum_1_digit": "7",
    "sum_2_digits": "85",
    "sum_3_digits": "862",
    "trend": "rising",
    "upper_word": "MESH",
    "weak_cipher": "2",
    "word_number": "blue",
}

every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())


@every_task
def test_the_checker_accepts_every_generated_answer(task: Task) -> None:
    for seed in range(SAMPLES):
        prompt, answer = task.generate(Random(seed))
        assert task.check(prompt, answer), (prompt, answer)


@every_task
def test_the_checker_rejects_answers_that_are_nearly_right(task: Task) -> None:
    for seed in range(SAMPLES):
        prompt, answer = task.generate(Random(seed))
        for wrong in ("", f"{answer} ", f" {answer}", answer[:-1], answer + answer[-1], "?"):
            assert not task.check(prompt, wrong), (prompt, wrong)


@every_task
def test_the_checker_rejects_the_answer_to_another_prompt(task: Task) -> None:
    samples = [task.generate(Random(seed)) for seed in range(SAMPLES)]
    for (prompt, answer), (_, other) in pairwise(samples):
        if other != answer:
            assert not task.check(prompt, other), (prompt, other)


@every_task
def test_the_checker_rejects_prompts_of_other_tasks(task: Task) -> None:
    for other in TASKS.values():
        if other is not task:
            prompt, answer = other.generate(Random(1))
            assert not task.check(prompt, answer), prompt


@every_task
def test_the_same_seed_gives_the_same_samples(task: Task) -> None:
    first, second = ([task.generate(rng) for _ in range(20)] for rng in (Random(3), Random(3)))
    assert first == second
    assert len(set(first)) > 10, "a generator that repeats itself measures little"


@every_task
def test_prompts_are_short_ascii(task: Task) -> None:
    for seed in range(SAMPLES):
        prompt, answer = task.generate(Random(seed))
        assert prompt.isascii()
        assert answer.isascii()
        assert len(prompt) + len(answer) <= 400, "the context has 1,024 tokens of one byte"


@every_task
def test_unseen_prompts_are_never_trained_on(task: Task) -> None:
    trained, unseen = Random("train"), Random("measure")
    seen = {task.draw(trained, unseen=False).prompt for _ in range(SAMPLES)}
    asked = {task.draw(unseen, unseen=True).prompt for _ in range(SAMPLES)}
    if task.closed:
        assert len(seen | asked) <= SAMPLES / 2, "a task with many prompts should hold some out"
    else:
        assert not seen & asked


@every_task
def test_about_one_prompt_in_eight_is_held_out(task: Task) -> None:
    prompts = {task.generate(Random(seed)).prompt for seed in range(4 * SAMPLES)}
    share = sum(map(task.held_out, prompts)) / len(prompts)
    expected = 0 if task.closed else 1 / HELD_OUT_ONE_IN
    assert share == pytest.approx(expected, abs=0.04)


@every_task
def test_the_example_belongs_to_its_task(task: Task) -> None:
    assert TASKS[task.name] is task
    assert task.example.isascii()
    assert not task.check(task.example, "?")
    assert task.check(task.example, EXAMPLE_ANSWERS[task.name])


@pytest.mark.parametrize(
    ("name", "prompt", "answer"),
    [
        ("private_address", "Is this address private or public: 172.15.0.1", "public"),
        ("private_address", "Is this address private or public: 172.31.0.1", "private"),
        ("private_address", "Is this address private or public: 192.169.0.1", "public"),
        ("log_severity", "Severity of this log line: 10:42:07 pi-3 vpn: [fatal] x", "critical"),
        ("log_severity", "Severity of this log line: 10:42:07 pi-3 vpn: INFO no error", "info"),
        ("sum_1_digit", "What is 9 + 9?", "18"),
        ("count", "Count from 9 to 11", "9 10 11"),
    ],
)
def test_the_checker_knows_the_edges(name: str, prompt: str, answer: str) -> None:
    assert TASKS[name].check(prompt, answer)


@pytest.mark.parametrize(
    ("name", "prompt"),
    [
        ("private_address", "Is this address private or public: 10.3.4"),
        ("sum_1_digit", "What is 10 + 3?"),
        ("sum_2_digits", "What is 3 + 4?"),
        ("log_host", "Host in this log line: nothing like one"),
    ],
)
def test_nothing_is_right_for_a_malformed_prompt(name: str, prompt: str) -> None:
    for answer in ("private", "public", "13", "7", "nothing", ""):
        assert not TASKS[name].check(prompt, answer)
