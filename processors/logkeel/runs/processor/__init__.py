"""The run processor: records and timers in; rows, commands, history and completions out."""
