"""`make demo`: a research agent runs, its processes are killed -9 in mid-run, and the sinks' ledgers say how it ended.

Broker, engine, worker and the outside world are separate processes. One external call hangs and is cut by its time-out;
the engine is killed between two steps; the worker is killed while a mail has been accepted and not yet confirmed.
SABOTAGE=key or SABOTAGE=offset breaks one rule on purpose: the verdict must then be bad.
"""

import argparse
import logging
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from examples.research.processes import Outside, Process, wait_until
from examples.research.secured import secured
from examples.research.timeline import Timeline
from examples.research.verdict import Verdict, judge, read_ledger

from logkeel.broker import EmbeddedBroker
from logkeel.errors import LogkeelError

QUESTION = "How can a program survive a crash and resume exactly where it stopped?"
RUN_TIMEOUT_S = 120
RESTART_AFTER_S = 0.5
KILL_ENGINE_AFTER = ("merge", "analyse", "write", "store")


def main() -> None:
    """Run the demo; exit status 0 if the verdict is good, 1 if it is bad, 2 if it could not be told."""
    options = _options()
    # The client tells of every connection that a kill breaks; the timeline tells it better.
    logging.getLogger("logkeel.kafka").setLevel(logging.CRITICAL)
    directory = Path(options.keep or tempfile.mkdtemp(prefix="logkeel-demo-"))
    directory.mkdir(parents=True, exist_ok=True)
    try:
        verdict = _story(options, directory)
    except LogkeelError as error:
        print(f"\n{error.code}: {error.message}", file=sys.stderr)
        sys.exit(2)
    finally:
        if not options.keep:
            shutil.rmtree(directory / "state", ignore_errors=True)
            shutil.rmtree(directory / "kafka", ignore_errors=True)
    sys.exit(0 if verdict.good else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description="watch an agent run survive kill -9")
    parser.add_argument("--question", default=QUESTION)
    parser.add_argument(
        "--corpus", type=Path, default=Path(__file__).resolve().parents[2], help="a folder of documents"
    )
    parser.add_argument("--no-kill", action="store_true", help="kill nothing")
    parser.add_argument("--seed", type=int, default=0, help="chooses when the engine is killed")
    parser.add_argument("--secured", action="store_true", help="with TLS, logins, and no right that is not needed")
    parser.add_argument("--keep", help="keep all data and logs in this folder")
    return parser.parse_args()


def _story(options: argparse.Namespace, directory: Path) -> Verdict:
    _say("starting Apache Kafka (the first time its 45 jars are fetched) …")
    with _broker(options, directory) as (bootstrap_servers, logins):
        demo = Demo(directory, bootstrap_servers, options, logins)
        try:
            demo.start()
            demo.run()
            return demo.finish()
        finally:
            demo.stop()


@contextmanager
def _broker(options: argparse.Namespace, directory: Path) -> Iterator[tuple[str, Mapping[str, Path]]]:
    """(address, how each process logs in)."""
    if options.secured:
        with secured(directory) as found:
            yield found
    else:
        with EmbeddedBroker(directory / "kafka") as broker:
            yield broker.bootstrap_servers, {}


def _say(message: str) -> None:
    print(f"  {message}", flush=True)


class Demo:
    """The processes and what happens to them."""

    def __init__(
        self, directory: Path, bootstrap_servers: str, options: argparse.Namespace, logins: Mapping[str, Path]
    ) -> None:
        self._directory = directory
        self._options = options
        self._random = random.Random(options.seed)
        self._shelf = directory / "shelf"
        self._outside = Outside(directory / "world", hang_first=1)
        environment = {
            "LOGKEEL_BOOTSTRAP_SERVERS": bootstrap_servers,
            "LOGKEEL_STATE_DIR": str(directory / "state"),
            "RESEARCH_SHELF": str(self._shelf),
            **self._outside.environment,
        }
        worker = ["-m", "examples.research.sabotage"] if os.environ.get("SABOTAGE") else ["-m", "logkeel.cli.main"]

        def process(role: str, arguments: list[str]) -> Process:
            login = {"LOGKEEL_KAFKA_CONFIG": str(logins[role])} if role in logins else {}
            return Process(role, arguments, self._log(role), environment | login)

        self._topics = process("topics", ["-m", "logkeel.cli.main", "topics", "apply"])
        self._engine = process("engine", ["-m", "logkeel.cli.main", "engine"])
        self._worker = process("worker", [*worker, "worker", "examples.research.agent:research"])
        self._timeline = Timeline(bootstrap_servers, logins.get("timeline"))
        self._started = time.monotonic()
        self._run_id = ""

    def _log(self, role: str) -> Path:
        return self._directory / f"{role}.log"

    def start(self) -> None:
        """Topics first, then engine and worker."""
        self._topics.start()
        assert self._topics.handle is not None
        if self._topics.handle.wait() != 0:
            raise SystemExit(f"the topics could not be made:\n{self._topics.log_tail()}")
        self._engine.start()
        self._worker.start()
        _say("engine, worker, mail server and catalogue run as separate processes")

    def run(self) -> None:
        """Start one run, and kill processes while it is under way."""
        state = {"question": self._options.question, "corpus": str(self._options.corpus.resolve())}
        self._run_id = self._timeline.start_run("research", state)
        _say(f"run {self._run_id} requested: {self._options.question}")
        if not self._options.no_kill:
            self._kill_engine_between_steps()
            self._kill_worker_during_step()
        if not wait_until(self._completed, timeout_s=RUN_TIMEOUT_S):
            _say("the run did not complete in time")

    def _completed(self) -> bool:
        for process in (self._engine, self._worker):
            if process.died:
                raise SystemExit(f"the {process.role} ended by itself:\n{process.log_tail()}")
        return self._run_id in self._timeline.completions()

    def _kill_engine_between_steps(self) -> None:
        step = self._random.choice(KILL_ENGINE_AFTER)
        if wait_until(lambda: self._timeline.succeeded(step), timeout_s=RUN_TIMEOUT_S, every_s=0.002):
            pid = self._engine.kill()
            self._timeline.remark(f"kill -9 {pid}: the engine, after step {step}")
            time.sleep(RESTART_AFTER_S)
            self._engine.start()
            self._timeline.remark("the engine is started again")

    def _kill_worker_during_step(self) -> None:
        mails = self._directory / "world" / "mails.jsonl"
        if wait_until(lambda: read_ledger(mails), timeout_s=RUN_TIMEOUT_S):
            pid = self._worker.kill()
            self._timeline.remark(f"kill -9 {pid}: the worker, in step notify: the mail is accepted, not yet confirmed")
            time.sleep(RESTART_AFTER_S)
            self._worker.start()
            self._timeline.remark("the worker is started again")

    def finish(self) -> Verdict:
        """Print timeline, report and verdict."""
        completions: Counter[str] = self._timeline.completions()
        print("\nTimeline")
        self._timeline.print()
        verdict = judge(self._outside.directory, self._shelf, [self._run_id], completions)
        report = self._shelf / f"{self._run_id}.md"
        print(f"\nReport\n  {report if report.exists() else 'none was written'}")
        print("\nVerdict, from the ledgers of the mail server, the catalogue and SQLite")
        for fact in verdict.facts:
            _say(fact)
        for problem in verdict.problems:
            _say(problem)
        outcome = "GOOD: nothing lost, no side effect twice" if verdict.good else "BAD"
        print(f"\n  {outcome}  ({time.monotonic() - self._started:.1f} s)")
        return verdict

    def stop(self) -> None:
        """End every process that was started."""
        self._timeline.close()
        for process in (self._worker, self._engine, self._topics):
            process.stop()
        self._outside.stop()


if __name__ == "__main__":
    main()
