"""Colours of what is drawn on canvas: mid tones that read on white and on black."""

BLUE, ORANGE, TEAL, PURPLE, GREY, RED = "#3b82c4", "#e0862c", "#2a9d8f", "#8b6fc4", "#8a8f98", "#d64545"
MARK = "#c026d3"
"""Of the rings around what a person marked."""
GROUPS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7a6ff0")
"""Of groups, told apart also by those who see few colours; all further groups are grey."""
