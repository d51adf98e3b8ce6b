"""Which tools an answer may call, and which it must."""

from mesh.core.chat import Tool, ToolMode
from mesh.core.generation import Generation
from mesh.errors import InvalidRequest


def callable_tools(work: Generation) -> tuple[Tool, ...]:
    """Return the tools that the answer may call; with ToolMode.NONE they are not even shown."""
    return () if work.tool_choice.mode is ToolMode.NONE else work.tools


def required_tools(work: Generation) -> tuple[Tool, ...]:
    """Return the tools of which one must be called; none where the model may decide.

    Raises:
        InvalidRequest: there is no such tool, or the answer must have another form as well.
    """
    choice = work.tool_choice
    if choice.mode is not ToolMode.REQUIRED:
        return ()
    wanted = tuple(tool for tool in work.tools if choice.name in ("", tool.name))
    if not wanted:
        what = f"tool {choice.name}" if choice.name else "a tool"
        raise InvalidRequest(
            f"tool_choice requires a call of {what}, which is not among the tools",
            hint="send the tool as well, or leave tool_choice out",
        )
    if work.form is not None:
        raise InvalidRequest(
            "a call of a tool is required, and a form of the answer as well: it cannot be both",
            hint="leave out response_format, or let the model decide about tools",
        )
    return wanted
