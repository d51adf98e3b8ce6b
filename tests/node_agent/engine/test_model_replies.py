"""What a model decides to write itself: calls and thoughts, live and continued."""

from dataclasses import replace

from mesh.core.chat import Message, Role, Tool, ToolCall, ToolChoice, ToolMode
from mesh.core.generation import Generation, Resume, Sampling
from mesh.core.types import FinishReason
from models import tokenizer
from node_agent.engine.supervisor import EngineProcess
from tests.node_agent.engine.asking import ask, hear

NOW = Tool("now", "Tells the time.")
PROMPT = (tokenizer.USER, *tokenizer.encode("\nhi"), *tokenizer.opening())
THINKING = (*PROMPT, *tokenizer.encode("<think>\n"))


def goes_on(
    text: str, *, with_: str, prompt: tuple[int, ...] = PROMPT, sent: int = 0, more: int = 1
) -> Generation:
    """Return an answer that has said ``text`` already and now says ``with_``, then ends its turn.

    Each character of ``with_`` is one that was not said before.
    """
    bias = tuple((ord(each), 90.0 - at) for at, each in enumerate(with_))
    emitted = tuple(tokenizer.encode(text))
    return replace(
        ask("hi", max_tokens=len(emitted) + len(with_) + more),
        sampling=Sampling(
            temperature=0, presence_penalty=80, logit_bias=(*bias, (tokenizer.END, 40.0))
        ),
        resume=Resume(prompt, emitted, sent),
        tools=(NOW,),
    )


async def test_a_model_may_call_of_its_own_accord(tiny: EngineProcess) -> None:
    heard = await hear(tiny, goes_on('<tool_call>{"name": "now"', with_="}"))
    assert [(call.name, call.arguments_json) for call in heard.calls] == [("now", "{}")]
    assert (heard.text, heard.finished.reason) == ("", FinishReason.TOOL_CALLS)


async def test_without_leave_to_call_it_only_speaks(tiny: EngineProcess) -> None:
    work = goes_on('<tool_call>{"name": "now"', with_="}")
    for choice in (
        replace(work, tool_choice=ToolChoice(ToolMode.NONE)),
        replace(work, tools=()),
    ):
        heard = await hear(tiny, choice)
        assert heard.text == '<tool_call>{"name": "now"}'
        assert (heard.calls, heard.finished.reason) == ((), FinishReason.STOP)


async def test_a_call_that_was_told_before_a_cut_is_not_told_again(tiny: EngineProcess) -> None:
    said = 'Well.<tool_call>{"name": "now"}</tool_call>'
    heard = await hear(tiny, goes_on(said, with_="X", sent=len("Well.")))
    assert (heard.text, heard.calls) == ("X", ())
    assert heard.finished.reason is FinishReason.TOOL_CALLS


async def test_a_call_that_is_cut_at_the_end_is_text(tiny: EngineProcess) -> None:
    heard = await hear(tiny, goes_on('Ok <tool_call>{"name": ', with_="9", sent=3, more=0))
    assert heard.text == '<tool_call>{"name": 9'
    assert heard.finished.reason is FinishReason.LENGTH


async def test_thoughts_come_apart_and_are_counted(tiny: EngineProcess) -> None:
    heard = await hear(tiny, goes_on("<think>so", with_="X"))
    assert (heard.reasoning, heard.text) == ("X", "")
    assert heard.finished.usage.reasoning_tokens == len("<think>so") + 1 - len("<think")
    heard = await hear(tiny, goes_on("<think>so</think>\n\n", with_="X"))
    assert (heard.reasoning, heard.text) == ("", "X")


async def test_a_prompt_may_begin_the_thoughts(tiny: EngineProcess) -> None:
    heard = await hear(tiny, goes_on("s", with_="X", prompt=THINKING))
    assert (heard.reasoning, heard.text) == ("X", "")
    assert heard.finished.usage.reasoning_tokens == 2
    heard = await hear(tiny, goes_on("s</think>", with_="Y", prompt=THINKING))
    assert (heard.reasoning, heard.text) == ("", "Y")


async def test_a_required_call_may_follow_thoughts_that_the_prompt_began(
    tiny: EngineProcess,
) -> None:
    work = goes_on("so I call now.</think>", with_="", prompt=THINKING)
    work = replace(work, max_tokens=200, tool_choice=ToolChoice(ToolMode.REQUIRED))
    heard = await hear(tiny, work)
    assert [call.name for call in heard.calls] == ["now"]
    assert (heard.reasoning, heard.finished.reason) == ("", FinishReason.TOOL_CALLS)


async def test_a_conversation_with_calls_and_results_is_answered(tiny: EngineProcess) -> None:
    conversation = (
        Message(Role.USER, "What time is it?"),
        Message(Role.ASSISTANT, "", (ToolCall("call_1", "now", "{}"),)),
        Message(Role.TOOL, "12:00", (), "call_1"),
        Message(Role.USER, "What is 3 + 4?"),
    )
    heard = await hear(tiny, replace(ask("", max_tokens=64), messages=conversation, tools=(NOW,)))
    assert heard.finished.reason in (FinishReason.STOP, FinishReason.LENGTH)
    assert heard.text


async def test_tokens_are_counted_with_the_tools_that_are_shown(tiny: EngineProcess) -> None:
    work = replace(ask("What is 3 + 4?"), tools=(NOW,))
    heard = await hear(tiny, work)
    assert await tiny.count_tokens(work.messages, work.tools) == len(heard.started.prompt_ids)
    assert await tiny.count_tokens(work.messages, ()) < len(heard.started.prompt_ids)
