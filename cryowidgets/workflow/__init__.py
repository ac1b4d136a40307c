"""Workflows as data: documents of steps and links, checked before anything runs."""

from cryowidgets.workflow.document import Inert, StepSpec, Workflow, check, ordered, read, templates
from cryowidgets.workflow.questions import Question

__all__ = ["Inert", "Question", "StepSpec", "Workflow", "check", "ordered", "read", "templates"]
