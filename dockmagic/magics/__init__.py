"""IPython magics: parse the line, call a command, show the result."""
