"""A model that says the same every time, so that both sides can be compared."""


def ask(prompt: str) -> str:
    """An answer to a prompt."""
    if prompt.startswith("joke about "):
        return f"Why did the {prompt.removeprefix('joke about ')} cross the log?"
    if prompt.startswith("improve "):
        return f"{prompt.removeprefix('improve ')} To be read twice!"
    if prompt.startswith("polish "):
        return f"{prompt.removeprefix('polish ')} (polished)"
    return prompt
