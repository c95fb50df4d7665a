"""Nodes into a program: the ARGs before the first FROM, and the stages. Source: Dockerfile reference, "FROM"."""

from __future__ import annotations

from dockmagic.dockerfile.convert import instruction_of
from dockmagic.dockerfile.instructions import Arg, From, Instruction, Program, Stage
from dockmagic.dockerfile.nodes import Dockerfile, Node
from dockmagic.errors import DockerfileError


def stages(dockerfile: Dockerfile) -> Program:
    """The program that the nodes form; raises DockerfileError where they form none."""
    try:
        return _program(dockerfile)
    except DockerfileError as error:
        error.locate(dockerfile.source, dockerfile.filename)
        raise


def _program(dockerfile: Dockerfile) -> Program:
    """Sort the instructions into stages."""
    global_args: list[Arg] = []
    begun: list[tuple[From, list[Instruction]]] = []
    for node in dockerfile.nodes:
        instruction = instruction_of(node, dockerfile.escape)
        if isinstance(instruction, From):
            begun.append((instruction, []))
        elif begun:
            begun[-1][1].append(instruction)
        elif isinstance(instruction, Arg):
            global_args.append(instruction)
        else:
            raise _misplaced(node)
    if not begun:
        raise DockerfileError("no FROM: a Dockerfile needs a line like FROM busybox", line=1)
    done = tuple(Stage(from_, tuple(following), index) for index, (from_, following) in enumerate(begun))
    return Program(tuple(global_args), done, dockerfile.escape)


def _misplaced(node: Node) -> DockerfileError:
    """The error for an instruction that no stage holds."""
    return node.fault(f"no FROM: {node.name} stands before the first FROM, where only ARG may")
