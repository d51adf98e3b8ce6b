"""README's first minutes on three hosts: who runs the mesh, who lends, who only uses it."""

import json
import re

from tests.hosts.conftest import NewHost
from tests.hosts.network import needs_network
from tests.hosts.readme import Command, Reader, commands, reading
from tests.whole.machine import Result

pytestmark = needs_network

CODE = re.compile(r"\bdm1[a-z]?-[a-z2-7]+")


async def test_each_reader_gets_through_their_first_minute(new_host: NewHost) -> None:
    async with (
        reading(new_host("office")) as operator,
        reading(new_host("desk")) as owner,
        reading(new_host("laptop")) as user,
    ):
        codes = await the_operator_reads(operator)
        owner.code, user.code = codes["deskmesh invite"], codes["deskmesh invite --role client"]
        for command in commands("owner"):
            await does(owner, command)
        await owner.left_running[0].says("attached to coordinator")
        answers = [await does(user, command) for command in commands("user")]
        over_http, in_shell = answers[-2:]
        assert over_http is not None
        assert in_shell is not None
        assert json.loads(over_http.out)["choices"][0]["message"]["content"]
        assert in_shell.out.strip()


async def the_operator_reads(operator: Reader) -> dict[str, str]:
    """Carry out the operator's part; return the codes by the commands that made them."""
    codes = {}
    for command in commands("operator"):
        done = await does(operator, command)
        if done is not None and command.text.startswith("deskmesh invite"):
            found = CODE.search(done.out)
            assert found, done.out
            codes[command.text] = found[0]
    return codes


async def does(reader: Reader, command: Command) -> Result | None:
    """Carry out a command that must succeed, or run until it serves."""
    done = await reader.types(command)
    if command.stays:
        await reader.left_running[-1].says("http://localhost:7480")
    if done is not None:
        assert done.code == 0, f"{command.text}: {done.err or done.out}"
    return done
