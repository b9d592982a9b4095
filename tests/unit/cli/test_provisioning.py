"""The topics of an application: their policies fit each other and the limits they protect."""

from logkeel.cli.provisioning import wanted_topics
from logkeel.cli.settings import Settings
from logkeel.kafka.settings import MESSAGE_MAX_BYTES
from logkeel.records.topics import DAY_MS, DEAD_LETTER_MAX_BYTES, INPUT_MAX_BYTES, TopicNames, topic_policies
from logkeel.runs import RunSettings

NAMES = TopicNames("app")
CONFIG = {topic.name: topic.config for topic in wanted_topics(Settings(prefix="app"), ["default", "gpu"])}


def lifetime_ms(topic: str) -> int:
    """A record goes with its segment."""
    return int(CONFIG[topic]["retention.ms"]) + int(CONFIG[topic]["segment.ms"])


def test_each_queue_gets_its_command_topic_once() -> None:
    names = [policy.name for policy in topic_policies(NAMES, ["a", "b", "a"])]
    assert [name for name in names if "step-commands" in name] == ["app.step-commands.a", "app.step-commands.b"]


def test_a_dead_letter_takes_whatever_an_input_took() -> None:
    inputs = (NAMES.run_requests, NAMES.step_results, NAMES.step_commands())
    assert {CONFIG[name]["max.message.bytes"] for name in inputs} == {str(INPUT_MAX_BYTES)}
    assert INPUT_MAX_BYTES < MESSAGE_MAX_BYTES < DEAD_LETTER_MAX_BYTES
    assert CONFIG[NAMES.dead_letters]["max.message.bytes"] == str(DEAD_LETTER_MAX_BYTES)


def test_windows_and_retentions_fit_together() -> None:
    settings = RunSettings()
    commands = NAMES.step_commands()
    assert lifetime_ms(NAMES.run_requests) <= settings.dedupe_ms
    assert settings.redispatch_after_ms < int(CONFIG[commands]["retention.ms"])
    assert int(CONFIG[NAMES.step_control]["retention.ms"]) >= lifetime_ms(commands)
    assert int(CONFIG[NAMES.run_events]["retention.ms"]) >= 30 * DAY_MS


def test_inputs_carry_the_time_of_the_log_and_state_is_compacted() -> None:
    inputs = (NAMES.run_requests, NAMES.step_results)
    assert {CONFIG[name]["message.timestamp.type"] for name in inputs} == {"LogAppendTime"}
    compacted = (NAMES.run_state, NAMES.notifier_state, NAMES.insight_state)
    assert {CONFIG[name]["cleanup.policy"] for name in compacted} == {"compact"}
