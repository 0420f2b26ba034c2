"""What the Python reference takes for the four workloads of C1 to C4.

Prints one JSON object of medians in milliseconds. Every workload checks what it got: a fast wrong answer is an error.
"""

import asyncio
import dataclasses
import json
import logging
import statistics
import time
import uuid

from stageflow import Pipeline, PipelineContext, StageKind, StageOutput
from stageflow.context import ContextSnapshot, OutputBag, RunIdentity

logging.disable(logging.CRITICAL)


class AddOne:
    def __init__(self, after):
        self.after = after

    async def execute(self, ctx):
        before = ctx.inputs.get_from(self.after, "n") if self.after else 0
        return StageOutput.ok(n=before + 1)


class Give:
    def __init__(self, number):
        self.number = number

    async def execute(self, ctx):
        return StageOutput.ok(n=self.number)


class TryToChange:
    async def execute(self, ctx):
        try:
            ctx.snapshot.input_text = "changed"
        except dataclasses.FrozenInstanceError:
            return StageOutput.ok(blocked=True)
        return StageOutput.ok(blocked=False)


def context():
    return PipelineContext(
        pipeline_run_id=uuid.uuid4(),
        request_id=uuid.uuid4(),
        session_id=uuid.uuid4(),
        user_id=uuid.uuid4(),
        org_id=None,
        interaction_id=uuid.uuid4(),
    )


async def median_ms(work, times, warm_up):
    samples = []
    for turn in range(times + warm_up):
        started = time.perf_counter()
        await work()
        if turn >= warm_up:
            samples.append((time.perf_counter() - started) * 1e3)
    return statistics.median(samples)


def expect(seen, wanted):
    if seen != wanted:
        raise SystemExit(f"the reference gave {seen!r}, not {wanted!r}")


async def chain():
    pipeline = Pipeline()
    for stage in range(10):
        before = f"s{stage - 1}" if stage else None
        after = (before,) if before else ()
        pipeline = pipeline.with_stage(f"s{stage}", AddOne(before), StageKind.TRANSFORM, dependencies=after)
    graph = pipeline.build()

    async def run():
        results = await graph.run(context())
        expect(results["s9"].data["n"], 10)

    return await median_ms(run, 200, 20)


async def fan():
    pipeline = Pipeline()
    for stage in range(50):
        pipeline = pipeline.with_stage(f"s{stage}", Give(stage), StageKind.TRANSFORM)
    graph = pipeline.build()

    async def run():
        for _ in range(10):
            results = await graph.run(context())
            expect([results[f"s{stage}"].data["n"] for stage in range(50)], list(range(50)))

    return await median_ms(run, 10, 2)


async def writes():
    async def run():
        bag = OutputBag()
        keys = [f"w{key}" for key in range(500)]
        await asyncio.gather(*(bag.write(key, StageOutput.ok(n=1)) for key in keys))
        expect(len(bag.keys()), 500)

    return await median_ms(run, 20, 2)


async def immutability():
    graph = Pipeline().with_stage("try", TryToChange(), StageKind.TRANSFORM).build()

    async def run():
        results = await graph.run(context())
        expect(results["try"].data["blocked"], True)

    return await median_ms(run, 200, 20)


async def forks():
    root = ContextSnapshot(run_id=RunIdentity(pipeline_run_id=uuid.uuid4()), input_text="text")

    async def run():
        ids = set()
        for _ in range(3):
            last = root
            for _ in range(10):
                last = last.with_run_id(RunIdentity(pipeline_run_id=uuid.uuid4()))
                ids.add(last.pipeline_run_id)
        expect(len(ids), 30)

    return await median_ms(run, 500, 50)


async def main():
    numbers = {
        "c1_chain_10": await chain(),
        "c2_fan_50_x10": await fan(),
        "c2_writes_500": await writes(),
        "c3_immutability": await immutability(),
        "c4_forks_30": await forks(),
    }
    print(json.dumps(numbers))


asyncio.run(main())
